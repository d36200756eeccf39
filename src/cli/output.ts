// SPDX-License-Identifier: BSD-2-Clause
/** Standard output as a Unix tool treats it. */

import { fstatSync, writeSync } from "node:fs";

/** The output could not be written. */
export class OutputError extends Error {
  override name = "OutputError";
}

/** The reader has gone away: nothing is left to do, and nothing to say. */
export class ReaderGone extends Error {
  override name = "ReaderGone";
}

/** A signal asked to end, and what was to be written before is. */
export class Interrupted extends Error {
  override name = "Interrupted";
  constructor(readonly signal: number) {
    super(`signal ${signal}`);
  }
}

/** Major numbers of terminals (Documentation/admin-guide/devices.txt): consoles, serial lines, pseudo terminals, hypervisors. */
const TERMINALS = [4, 5, 136, 137, 138, 139, 140, 141, 142, 143, 166, 188, 204, 229];

/** Whether the descriptor is a terminal; node:tty would take 9 ms to say. */
export function isTerminal(fd: number): boolean {
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

/** Waits where a non-blocking standard output is full: no busy loop, no lost byte. */
function pause(): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
}

/**
 * Writes all of `bytes`, however little a write takes.
 *
 * @throws {ReaderGone} a closed pipe
 * @throws {OutputError} anything else, a full disk for instance
 */
export function write(bytes: Uint8Array | string): void {
  const rest = typeof bytes === "string" ? new TextEncoder().encode(bytes) : bytes;
  for (let at = 0; at < rest.length;) {
    try {
      at += writeSync(1, rest, at, rest.length - at);
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      if (code === "EPIPE") throw new ReaderGone();
      if (code === "EAGAIN") pause();
      else if (code !== "EINTR") throw new OutputError(`cannot write the output: ${message}`);
    }
  }
}

/** A line to standard error; where that is closed there is nobody to tell. */
export function say(text: string): void {
  try {
    writeSync(2, `${text}\n`);
  } catch { /* closed */ }
}
