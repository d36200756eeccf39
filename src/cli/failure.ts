// SPDX-License-Identifier: BSD-2-Clause
/** A failure's message on standard error, and its exit status. */

import { UsageError } from "../errors.ts";
import { WhereError } from "../query/where.ts";
import { reportFormat, subcommandOf } from "./command.ts";
import { messageOf } from "./explain.ts";
import { Interrupted, ReaderGone, say, standardOutput } from "./output.ts";
import { Refused } from "./read.ts";
import { refusal } from "./report.ts";

/** Says why `words` could not be carried out. @returns the exit status */
export function fail(error: Error, words: readonly string[]): number {
  const isCheck = subcommandOf(words)?.name === "check";
  if (!isCheck && error instanceof ReaderGone) return 0;
  if (!isCheck && error instanceof Interrupted) return 128 + error.signal;
  const message = messageOf(error);
  // A check that could not be carried out must never look healthy. The monitoring system reads standard output.
  if (isCheck) {
    try {
      standardOutput.write(refusal(message.split("\n")[0]!, reportFormat(words)));
    } catch { /* nobody reads it */ }
  }
  say(`task-iter: ${message}`);
  if (isCheck || error instanceof Refused) return 3;
  return error instanceof UsageError || error instanceof WhereError ? 2 : 1;
}
