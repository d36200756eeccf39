// SPDX-License-Identifier: BSD-2-Clause
/** The main job: one table to standard output. */

import { type Format, type Libraries, Program, TaskIterError } from "../native/program.ts";
import { type Plan, plan, type Query } from "../query/plan.ts";
import type { Column } from "../query/schema.ts";
import { chunks } from "../stream.ts";
import { explain } from "./explain.ts";
import { hasColours, say, write } from "./output.ts";

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

/** The header line of a snapshot, if there is one. */
export function header({ columns, blocks }: Plan, format: Format): string {
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

/** What a text ends with, as the tutorial's, after an empty line: a block ends with one of its own. */
export function summary({ table, blocks }: Plan, rows: number): string {
  return `${blocks ? "" : "\n"}=== Summary: ${rows} ${table.plural} shown ===\n`;
}

/** The line of `--stats`; times in milliseconds. */
export function stats(total: { load: number; walk: number; rows: number; walked: number; bytes: number }): string {
  const [load, walk] = [total.load, total.walk].map((ms) => ms.toFixed(1));
  return `${total.rows} rows of ${total.walked} walked, ${total.bytes} bytes, load ${load} ms, walk ${walk} ms`;
}

/** Reads `query` once and writes it to standard output. @returns how many rows. @throws see main.ts */
export function read(libraries: Libraries, query: Query, show: Show): number {
  const planned = plan(query, show.format);
  const started = performance.now();
  using program = load(libraries, planned, show.verbose);
  const loaded = performance.now();
  const first = show.header ? header(planned, show.format) : "";
  if (first) write(show.format === "text" && hasColours(1) ? `\x1b[1m${first.trimEnd()}\x1b[0m\n` : first);
  let bytes = 0;
  for (const chunk of chunks(program, show.format)) {
    bytes += chunk.length;
    write(chunk);
  }
  const walk = performance.now() - loaded;
  const progress = program.progress();
  if (planned.summary) write(summary(planned, progress.rows));
  if (show.stats) say(stats({ load: loaded - started, walk, ...progress, bytes }));
  return progress.rows;
}
