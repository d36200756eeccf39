// SPDX-License-Identifier: BSD-2-Clause
/** The executable's first module: from the command line to an exit status. */

import { embedded } from "../native/embedded.ts";
import { UsageError } from "../query/plan.ts";
import { WhereError } from "../query/where.ts";
import { run } from "./command.ts";
import { ReaderGone, say } from "./output.ts";
import { Refused } from "./read.ts";

try {
  run(process.argv.slice(2), embedded);
} catch (error) {
  if (error instanceof ReaderGone) {
    process.exitCode = 0;
  } else if (error instanceof WhereError) {
    say(`task-iter: ${error.explain()}`);
    process.exitCode = 2;
  } else {
    say(`task-iter: ${(error as Error).message.replace(/\s*\n\s*/g, " ")}`);
    process.exitCode = error instanceof UsageError ? 2 : error instanceof Refused ? 3 : 1;
  }
}
