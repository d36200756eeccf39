// SPDX-License-Identifier: BSD-2-Clause
/** `--interval`: the same query again and again, by programs loaded once. */

import { fstatSync } from "node:fs";
import type { Libraries } from "../native/load.ts";
import type { Program } from "../native/program.ts";
import { IDENTITY_BYTES } from "../query/layout.gen.ts";
import { type Plan, plan, type Query } from "../query/plan.ts";
import { chunks } from "../stream.ts";
import { Interrupted, isTerminal, type Output, outputOf, ReaderGone, redirected, say, shownAs } from "./output.ts";
import { load, type Show, stats } from "./read.ts";

const NEWLINE = 10;

/** The size that a pipe takes whole or not at all (pipe(7)). */
const PIPE_BUF = 4096;

/** Room for a small snapshot. */
const ROOM = 256 * 1024;

/** Milliseconds after Ctrl-C in which a reader may take the rest of a snapshot. */
const GRACE = 300;

const FOREVER = Infinity;

/**
 * Writes a snapshot so that at any moment the reader has whole lines only. After a signal the rest follows while the reader still
 * reads, so that the last snapshot is whole where possible.
 *
 * @throws {Interrupted} a signal came
 * @throws {ReaderGone} a closed pipe
 */
function deliver(output: Output, program: Program, bytes: Uint8Array, piece: number): void {
  let [interrupted, deadline] = [0, 0];
  for (let at = 0; at < bytes.length;) {
    let end = Math.min(at + piece, bytes.length);
    if (end < bytes.length) {
      const line = bytes.lastIndexOf(NEWLINE, end - 1) + 1;
      end = line > at ? line : bytes.indexOf(NEWLINE, end) + 1 || bytes.length;
    }
    for (let writable = false; !writable;) {
      const left = interrupted ? deadline - performance.now() : FOREVER;
      if (left <= 0) throw new Interrupted(interrupted);
      const { state, signal } = program.wait(1, end - at, left);
      if (signal && !interrupted) [interrupted, deadline] = [signal, performance.now() + GRACE];
      if (state === "gone") throw interrupted ? new Interrupted(interrupted) : new ReaderGone();
      writable = state === "writable";
    }
    output.write(bytes.subarray(at, end));
    at = end;
  }
  if (interrupted) throw new Interrupted(interrupted);
}

/** Sleeps until `time`, or until the reader has closed the pipe. A file has no reader. */
function sleepUntil(program: Program, time: number): void {
  for (;;) {
    const left = time - performance.now();
    const { state, signal } = program.wait(redirected() ? -1 : 1, 0, Math.max(0, left));
    if (signal) throw new Interrupted(signal);
    if (state === "gone") throw new ReaderGone();
    if (left <= 0) return;
  }
}

/** The bytes of a snapshot; their memory serves the next one too. */
class Snapshot {
  #memory = new Uint8Array(ROOM);
  #length = 0;

  get bytes(): Uint8Array {
    return this.#memory.subarray(0, this.#length);
  }

  #append(bytes: Uint8Array): void {
    const length = this.#length + bytes.length;
    if (length > this.#memory.length) {
      const larger = new Uint8Array(2 * length);
      larger.set(this.bytes);
      this.#memory = larger;
    }
    this.#memory.set(bytes, this.#length);
    this.#length = length;
  }

  /** Reads a pass to its end before any of it is written. */
  take(program: Program, planned: Plan, show: Show, withHeader: boolean): void {
    const encoder = new TextEncoder();
    this.#length = 0;
    if (withHeader) this.#append(encoder.encode(planned.header));
    for (const chunk of chunks(program.walk, show.format)) {
      this.#append(chunk);
      const { signal } = program.wait(-1, 0, 0);
      if (signal) throw new Interrupted(signal);
    }
    if (planned.summary) this.#append(encoder.encode(planned.summary.join(String(program.walk.progress().rows))));
  }
}

/** The time of passes, which never goes back: a clock that was set back stands still, but for a millisecond a pass. */
export class Clock {
  #last = 0;

  constructor(private readonly read: () => number = Date.now) {}

  /** Milliseconds since 1970. */
  now(): number {
    return this.#last = Math.max(this.read(), this.#last + 1);
  }
}

/** A duration as a user would write it. */
const seconds = (ms: number) => ms < 1000 ? `${ms}ms` : `${ms / 1000}s`;

/**
 * The snapshot as a screen: its first lines, each cut by the terminal at its right edge (wrapping is off meanwhile), drawn over
 * the previous snapshot.
 */
function screen(bytes: Uint8Array, planned: Plan, show: Show, first: boolean): Uint8Array {
  const [columns, rows] = process.stdout.getWindowSize?.() ?? [80, 24];
  const time = new Date().toTimeString().slice(0, 8);
  const left = `Every ${seconds(show.interval)}: ${planned.table.name}`;
  const lines = [left.slice(0, columns - 9).padEnd(columns - 9) + " " + time, "", ...new TextDecoder().decode(bytes).split("\n")];
  if (lines.at(-1) === "") lines.pop();
  const shown = lines.slice(0, rows - 1).map((line) => `${line}\x1b[K\n`).join("");
  return new TextEncoder().encode(`${first ? "\x1b[2J" : ""}\x1b[?7l\x1b[H${shown}\x1b[J\x1b[?7h`);
}

/**
 * Reads `query` every `show.interval` and writes each snapshot whole; each replaces the file of `--output`. A pass starts at a
 * multiple of the interval after the first pass; a multiple that falls into a slow pass is skipped. With `query.changes`, the first
 * pass has every row, and later ones only those that are new, changed or gone.
 *
 * @throws {Interrupted} a signal came
 * @throws as {@linkcode read}
 */
export function watch(libraries: Libraries, query: Query, show: Show): void {
  const planned = plan(query, show.format, show.format === "jsonl");
  const started = performance.now();
  using program = load(libraries, planned.request, show.verbose);
  const loaded = performance.now();
  program.interrupts();
  const changes = query.changes !== undefined;
  const redraw = !changes && show.format === "text" && isTerminal(1) && process.env.TERM !== "dumb";
  const status = fstatSync(1);
  const piece = status.isFile() || status.isCharacterDevice() && !isTerminal(1) ? Infinity : PIPE_BUF;
  const output = outputOf(program);
  const file = redirected();
  const snapshot = new Snapshot();
  const clock = new Clock();
  // A receiver of changes has to know which of them begin with one full snapshot.
  const since = query.names === undefined ? "since" : "task_iter.since";
  let first: string | undefined;
  const shown = shownAs(show.format);
  const total = { load: loaded - started, walk: 0, rows: 0, walked: 0, bytes: 0 };
  try {
    for (let pass = 0, tick = 0; pass < (show.count || Infinity); pass++) {
      sleepUntil(program, loaded + tick * show.interval);
      const begun = performance.now();
      const time = new Date(clock.now()).toISOString();
      first ??= time;
      program.stamp({ t: time, ...show.constant, ...changes && show.constant && { [since]: first } });
      snapshot.take(
        program,
        planned,
        show,
        show.header && (pass === 0 || show.format === "text" && !changes || file !== undefined),
      );
      const { bytes } = snapshot;
      total.walk += performance.now() - begun;
      total.bytes += bytes.length;
      const progress = program.walk.progress();
      total.rows += progress.rows;
      total.walked += progress.walked;
      if (program.walk.lost > 0) {
        throw new Error(
          `cannot tell what has changed: ${planned.table.name} has more rows than may be remembered (${query.changes}; --remember), or a row ` +
            `whose identity has more than ${IDENTITY_BYTES} bytes`,
        );
      }
      if (file) {
        file.begin?.(time);
        // A pass without rows makes no file.
        if (!file.begin || bytes.length > planned.header.length) file.write(bytes);
        file.commit();
      } else deliver(output, program, redraw ? screen(bytes, planned, show, pass === 0) : shown(bytes), piece);
      tick = Math.max(tick + 1, Math.ceil((performance.now() - loaded) / show.interval));
    }
  } finally {
    if (show.stats) say(stats(total));
  }
}
