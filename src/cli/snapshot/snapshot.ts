// SPDX-License-Identifier: BSD-2-Clause
/** `task-iter snapshot`: everything this machine's kernel tells, in one file. */

import { readFileSync, writeSync } from "node:fs";
import { release } from "../../native/kernel.ts";
import type { Libraries } from "../../native/load.ts";
import type { Manifest } from "../../report/data.ts";
import type { SnapshotOptions } from "../options.ts";
import { isTerminal, say } from "../output.ts";
import { destinationAt } from "./archive.ts";
import { collect, type Options, predicates } from "./machine.ts";

/** Milliseconds without a word, and between two. */
const QUIET = 1000;
const PAUSE = 100;

/** On a terminal, how far a long snapshot is. */
export function progressOnTerminal(): { progress: Options["progress"]; clear: () => void } {
  const started = performance.now();
  let last = 0;
  const put = (text: string) => {
    try {
      writeSync(2, text);
    } catch { /* closed */ }
  };
  const shown = isTerminal(2) && process.env.TERM !== "dumb";
  return {
    progress(table, done, all) {
      const now = performance.now();
      if (!shown || now - started < QUIET || now - last < PAUSE) return;
      last = now;
      put(`\r\x1b[Ktask-iter: ${table}, table ${done + 1} of ${all}`);
    },
    clear: () => last > 0 && put("\r\x1b[K"),
  };
}

/** The reasons why tables failed, on standard error. @returns the exit status: 3 when no table could be read */
export function sayFailures({ tables }: Manifest): number {
  const failed = tables.filter(({ state }) => state === "failed");
  if (failed.length === 0) return 0;
  const none = tables.every(({ state }) => state !== "read");
  const [first] = failed;
  const reasons = new Set(failed.map(({ reason }) => reason));
  const which = none ? "no table" : failed.map(({ name }) => name).join(", ");
  say(
    none
      ? `task-iter: cannot read any table: ${first!.reason}`
      : `task-iter: cannot read ${which}: ${reasons.size === 1 ? first!.reason : "the manifest has the reasons"}`,
  );
  return none ? 3 : 0;
}

/** Sets the exit status. @throws {UsageError|WhereError|OutputError|Interrupted} */
export function snapshot(libraries: Libraries, path: string, options: SnapshotOptions): void {
  const where = predicates(options.where ?? []);
  const redact = options.redact ?? false;
  const time = new Date();
  const name = redact
    ? "redacted"
    : readFileSync("/proc/sys/kernel/hostname", "utf8").trim().replace(/[^\w.-]/g, "_") || release();
  const folder = `task-iter-${name}-${time.toISOString().replace(/\.\d+|[-:]/g, "")}`;
  const destination = destinationAt(path, folder, time);
  const { progress, clear } = progressOnTerminal();
  try {
    const { manifest } = collect(libraries, { where, redact, progress }, destination);
    destination.finish();
    clear();
    process.exitCode = sayFailures(manifest);
  } catch (error) {
    clear();
    destination.abandon();
    throw error;
  }
}
