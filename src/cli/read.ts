// SPDX-License-Identifier: BSD-2-Clause
/** The main job: one table to standard output. */

import { type Format, type Libraries, Program, TaskIterError } from "../native/program.ts";
import { type Plan, plan, type Query } from "../query/plan.ts";
import type { Column } from "../query/schema.ts";
import { chunks } from "../stream.ts";
import { explain } from "./explain.ts";
import { say, write } from "./output.ts";

/** How to show it. */
export interface Show {
  format: Format;
  header: boolean;
  stats: boolean;
  verbose: boolean;
  /** Milliseconds from the start of one pass to the start of the next; 0 for a single pass. */
  interval: number;
  /** How many passes; 0 for no end. */
  count: number;
}

/** The kernel cannot be asked; the message says why. */
export class Refused extends Error {
  override name = "Refused";
}

const isRight = (column: Column) => column.type === "number" || column.type === "signed";

/** Column names as text shows them, aligned as the program aligns the cells. */
export function textHeader(columns: readonly Column[]): string {
  const cells = columns.map((column, i) => {
    const name = column.name.toUpperCase();
    if (isRight(column)) return name.padStart(column.width);
    return i === columns.length - 1 ? name : name.padEnd(column.width);
  });
  return cells.join(" ") + "\n";
}

function header({ columns, blocks }: Plan, format: Format): string {
  if (format === "csv") return columns.map(({ name }) => name).join(",") + "\n";
  return format === "text" && !blocks ? textHeader(columns) : "";
}

/** The program of `plan`, loaded and attached. @throws {Refused} the kernel cannot be asked */
export function load(libraries: Libraries, plan: Plan, verbose: boolean): Program {
  let program;
  try {
    program = Program.load(libraries, { ...plan.request, verbose });
  } catch (error) {
    if (!(error instanceof TaskIterError)) throw error;
    if (verbose && error.log) say(error.log.trimEnd());
    throw new Refused(explain(error, plan.table));
  }
  if (verbose) say(program.log.trimEnd());
  return program;
}

const sleeper = new Int32Array(new SharedArrayBuffer(4));

/** Reads `query` and writes it to standard output. @throws see main.ts, which turns what is thrown into an exit status */
export function read(libraries: Libraries, query: Query, show: Show): void {
  const planned = plan(query, show.format, show.format === "jsonl" && show.interval > 0);
  const started = performance.now();
  using program = load(libraries, planned, show.verbose);
  const loaded = performance.now();
  let [walk, rows, walked, bytes] = [0, 0, 0, 0];
  const count = show.interval > 0 ? show.count || Infinity : 1;
  for (let pass = 0; pass < count; pass++) {
    // From the first pass on, not from the last one: passes do not drift.
    const wait = loaded + pass * show.interval - performance.now();
    if (wait > 0) Atomics.wait(sleeper, 0, 0, wait);
    const begun = performance.now();
    if (show.interval > 0) program.stamp(new Date().toISOString());
    const first = show.header && (pass === 0 || show.format === "text") ? header(planned, show.format) : "";
    if (first) write(first);
    for (const chunk of chunks(program, show.format)) {
      bytes += chunk.length;
      write(chunk);
    }
    walk += performance.now() - begun;
    const progress = program.progress();
    rows += progress.rows;
    walked += progress.walked;
    if (planned.summary) write(`\n=== Summary: ${progress.rows} ${planned.table.plural} shown ===\n`);
  }
  if (show.stats) {
    const [load, read] = [loaded - started, walk].map((ms) => ms.toFixed(1));
    say(`${rows} rows of ${walked} walked, ${bytes} bytes, load ${load} ms, walk ${read} ms`);
  }
}
