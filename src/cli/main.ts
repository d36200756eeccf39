// SPDX-License-Identifier: BSD-2-Clause
/** The executable's first module: from the command line to an exit status. */

import { embedded } from "../native/embedded.ts";
import { UsageError } from "../query/plan.ts";
import { WhereError } from "../query/where.ts";
import { Interrupted, ReaderGone, say } from "./output.ts";
import { quick } from "./quick.ts";
import { read, Refused } from "./read.ts";

const words = process.argv.slice(2);

try {
  const question = quick(words);
  if (question) {
    read(embedded, question.query, { ...question, header: true, stats: false, verbose: false, interval: 0, count: 0 });
  } else (await import("./command.ts")).run(words, embedded);
} catch (error) {
  if (words.find((word) => !word.startsWith("-")) === "check") {
    // "Could not look" never reads as healthy, whatever the reason.
    (await import("./check.ts")).unknown((error as Error).message);
    say(`task-iter: ${error instanceof WhereError ? error.explain() : (error as Error).message}`);
    process.exitCode = 3;
  } else if (error instanceof ReaderGone) {
    process.exitCode = 0;
  } else if (error instanceof Interrupted) {
    process.exitCode = 128 + error.signal;
  } else if (error instanceof WhereError) {
    say(`task-iter: ${error.explain()}`);
    process.exitCode = 2;
  } else {
    say(`task-iter: ${(error as Error).message.replace(/\s*\n\s*/g, " ")}`);
    process.exitCode = error instanceof UsageError ? 2 : error instanceof Refused ? 3 : 1;
  }
}
