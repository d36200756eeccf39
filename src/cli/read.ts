// SPDX-License-Identifier: BSD-2-Clause
/** The main job: one table to standard output. */

import { TaskIterError } from "../errors.ts";
import { type Libraries, load as loadProgram } from "../native/load.ts";
import type { Program } from "../native/program.ts";
import type { Prepared } from "../query/prepared.ts";
import type { Format, Request } from "../query/request.ts";
import { chunks } from "../stream.ts";
import { hasColours, Interrupted, outputOf, redirected, say, shownAs } from "./output.ts";

/** How to show it. */
export interface Show {
  format: Format;
  header: boolean;
  stats: boolean;
  verbose: boolean;
  /** Milliseconds from the start of one pass to the start of the next; 0 for a single pass. */
  interval: number;
  /** Number of passes; 0 for no end. */
  count: number;
  /** Members that every row of jsonl has besides its columns, as the host's name. */
  constant?: Readonly<Record<string, string>> | undefined;
}

/** The kernel refused to load or read the program; explain.ts finds the reason. */
export class Refused extends Error {
  override name = "Refused";
  constructor(readonly reason: TaskIterError, readonly table: string) {
    super(reason.message);
  }
}

/** The program of a plan, loaded and attached. @throws {Refused} the kernel cannot be asked */
export function load(libraries: Libraries, request: Request, verbose: boolean): Program {
  let program;
  try {
    program = loadProgram(libraries, { ...request, verbose });
  } catch (error) {
    if (!(error instanceof TaskIterError)) throw error;
    if (verbose && error.log) say(error.log.trimEnd());
    throw new Refused(error, request.table);
  }
  if (verbose) say(program.log.trimEnd());
  return program;
}

/** The line of `--stats`; times in milliseconds. */
export function stats(total: { load: number; walk: number; rows: number; walked: number; bytes: number }): string {
  const [load, walk] = [total.load, total.walk].map((ms) => ms.toFixed(1));
  return `${total.rows} rows of ${total.walked} walked, ${total.bytes} bytes, load ${load} ms, walk ${walk} ms`;
}

/** Reads a table once and writes it to standard output. @returns how many rows. @throws see failure.ts */
export function read(libraries: Libraries, { request, header, summary }: Prepared, show: Show): number {
  const started = performance.now();
  using program = load(libraries, request, show.verbose);
  const loaded = performance.now();
  if (show.constant) program.stamp({ t: new Date().toISOString(), ...show.constant });
  const output = outputOf(program);
  // A signal must not leave the beginning of a file behind.
  const isFile = redirected() !== undefined;
  if (isFile) program.interrupts();
  if (header && show.header) {
    output.write(show.format === "text" && hasColours(1) ? `\x1b[1m${header.trimEnd()}\x1b[0m\n` : header);
  }
  const shown = shownAs(show.format);
  let bytes = 0;
  for (const chunk of chunks(program.walk, show.format)) {
    bytes += chunk.length;
    output.write(shown(chunk));
    const signal = isFile ? program.wait(-1, 0, 0).signal : 0;
    if (signal) throw new Interrupted(signal);
  }
  const walk = performance.now() - loaded;
  const progress = program.walk.progress();
  if (summary) output.write(summary.join(String(progress.rows)));
  if (show.stats) say(stats({ load: loaded - started, walk, ...progress, bytes }));
  return progress.rows;
}
