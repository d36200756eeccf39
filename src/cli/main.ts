// SPDX-License-Identifier: BSD-2-Clause
/** The executable's first module: from the command line to an exit status. Modules that a usual query does not need are imported late. */

import { embedded, exit, prefetch } from "../native/embedded.ts";
import { quick } from "./quick.ts";
import { read } from "./read.ts";

const words = process.argv.slice(2);

/** Whether the word contains a regular expression, or names a file that may: what compiles them is loaded only then. */
const mayHaveRegex = (word: string) => /[=!]~|^--file\b/.test(word);

try {
  const question = quick(words);
  if (!question?.plan && words.some(mayHaveRegex)) await (await import("../query/where.ts")).learnRegex();
  if (question) {
    const { query, format, plan } = question;
    const planned = plan?.() ?? (await import("../query/plan.ts")).plan(query, format);
    await prefetch(planned.request);
    read(embedded, planned, { format, header: true, stats: false, verbose: false, interval: 0, count: 0 });
    exit(0);
  } else {
    await (await import("./command.ts")).run(words, embedded);
    exit(Number(process.exitCode ?? 0));
  }
} catch (error) {
  try {
    process.exitCode = (await import("./failure.ts")).fail(error as Error, words);
  } catch { // the runtime cannot load or run even that
    const message = (error as Error).message.replace(/\s*\n\s*/g, " ");
    const isCheck = words.includes("check");
    process.exitCode = isCheck ? 3 : 1;
    console.error(`task-iter: ${message}`);
    if (isCheck) console.log(`CHECK UNKNOWN - ${message}`);
  }
}
