// SPDX-License-Identifier: BSD-2-Clause
/** Standard output as a Unix tool treats it. */

import { fstatSync, readFileSync, writeSync } from "node:fs";
import { EBADF, EPIPE } from "../errors.ts";
import type { Program } from "../native/program.ts";
import type { Format } from "../query/request.ts";

/** The output could not be written. */
export class OutputError extends Error {
  override name = "OutputError";
}

/** The reader has closed the pipe: the program ends without a message. */
export class ReaderGone extends Error {
  override name = "ReaderGone";
}

/** A signal asked the program to end, and the output that had to come before the end is written. */
export class Interrupted extends Error {
  override name = "Interrupted";
  constructor(readonly signal: number) {
    super(`signal ${signal}`);
  }
}

/** Major numbers of terminals (Documentation/admin-guide/devices.txt): consoles, serial lines, pseudo terminals, hypervisors. */
const TERMINALS = [4, 5, 136, 137, 138, 139, 140, 141, 142, 143, 166, 188, 204, 229];

/** Where `--output` sends what would go to standard output: a file (outfile.ts). */
export interface Redirection extends Output {
  /** A pass of `--interval` begins, by RFC 3339. Whoever has this makes a file for each pass. */
  begin?(time: string): void;
  commit(): void;
  abandon(): void;
}

let file: Redirection | undefined;

/** Sends the output to a file from now on; `undefined`: to standard output. */
export function redirect(to: Redirection | undefined): void {
  file = to;
}

/** The file that `--output` names. */
export const redirected = (): Redirection | undefined => file;

/** Whether the descriptor is a terminal. Loading node:tty for the same answer takes 9 ms. */
export function isTerminal(fd: number): boolean {
  if (fd === 1 && file) return false;
  try {
    const status = fstatSync(fd);
    return status.isCharacterDevice() && TERMINALS.includes(status.rdev >> 8 & 0xfff);
  } catch {
    return false;
  }
}

/** Whether the descriptor shows colours, and the user wants to see them (https://no-color.org). */
export function hasColours(fd: number): boolean {
  return !process.env.NO_COLOR && process.env.TERM !== "dumb" && isTerminal(fd);
}

/** Makes lines safe for a terminal: a control character becomes "?", as in the output of ls. */
// deno-lint-ignore no-control-regex
export const harmless = (text: string): string => text.replace(/[\x00-\x08\x0b-\x1f\x7f-\x9f]/g, "?");

/** The same for text that must stay on one line. */
export const harmlessLine = (text: string): string => harmless(text).replace(/[\t\n]/g, "?");

/** Chooses how rows of `format` are written. Only CSV keeps the bytes of names unchanged. */
export function shownAs(format: Format): (rows: Uint8Array) => Uint8Array {
  if (format !== "csv" || !isTerminal(1)) return (rows) => rows;
  return (rows) => new TextEncoder().encode(harmless(new TextDecoder().decode(rows)));
}

const DEV_NULL = 1 << 8 | 3;
const O_CLOEXEC = 0o2000000;

/** Bun opens /dev/null in place of a closed standard descriptor, with this flag. No inherited descriptor has the flag. */
function isClosed(): boolean {
  if (fstatSync(1).rdev !== DEV_NULL) return false;
  const flags = /^flags:\s*([0-7]+)$/m.exec(readFileSync("/proc/self/fdinfo/1", "utf8"))?.[1] ?? "0";
  return (parseInt(flags, 8) & O_CLOEXEC) !== 0;
}

/** Where finished output goes. */
export interface Output {
  /**
   * Writes all of `bytes`, with as many writes as the descriptor needs.
   *
   * @throws {ReaderGone} a closed pipe
   * @throws {OutputError} another failure: a full disk, no standard output at all
   */
  write(bytes: Uint8Array | string): void;
}

/** By `put`, which writes all of its bytes or throws an error with an errno. */
function outputBy(put: (bytes: Uint8Array) => void): Output {
  return {
    write(bytes) {
      try {
        put(typeof bytes === "string" ? new TextEncoder().encode(bytes) : bytes);
      } catch (error) {
        const { errno, message } = error as NodeJS.ErrnoException;
        const number = Math.abs(errno ?? 0);
        if (number === EPIPE) throw new ReaderGone();
        // The shim says "write: No space left on device", node:fs "ENOSPC: no space left on device, write".
        const reason = number === EBADF
          ? "standard output is closed"
          : message.replace(/^(write|[A-Z]+): |, write$/g, "").toLowerCase();
        throw new OutputError(`cannot write the output: ${reason}`);
      }
    },
  };
}

/** The output by the library of `program`: a start does without node:fs. */
export const outputOf = (program: Program): Output => file ?? outputBy((bytes) => program.write(1, bytes));

/** Standard output by node:fs, where no program is loaded. */
const writeOut = outputBy((bytes) => {
  if (isClosed()) throw Object.assign(new Error("closed"), { errno: -EBADF });
  for (let at = 0; at < bytes.length;) {
    try {
      at += writeSync(1, bytes, at, bytes.length - at);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      // A full non-blocking standard output must cause no busy loop and lose no byte.
      if (code === "EAGAIN") Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
      else if (code !== "EINTR") throw error;
    }
  }
});

/** The output where no program is loaded. */
export const standardOutput: Output = { write: (bytes) => (file ?? writeOut).write(bytes) };

/** Writes a line to standard error, safe for a terminal whatever words the line quotes. A closed standard error is no failure. */
export function say(text: string): void {
  try {
    writeSync(2, `${harmless(text)}\n`);
  } catch { /* closed */ }
}
