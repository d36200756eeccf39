// SPDX-License-Identifier: BSD-2-Clause
/** Turns the kernel's output into chunks for a reader: whole rows, valid UTF-8, the brackets of an array. */

import { isUtf8 } from "node:buffer";
import type { Walk } from "./native/walk.ts";
import type { Format } from "./query/request.ts";

const NEWLINE = 10;
const BRACKET = 91;

/** A chunk is written when it has this many bytes, or at the end of a pass. */
const CHUNK = 64 * 1024;

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
const encoder = new TextEncoder();

/** Replaces invalid UTF-8 by U+FFFD. Names are bytes, and a process may choose any bytes. */
function repair(bytes: Uint8Array): Uint8Array {
  // Of a small table; a start does without node:buffer, 0.5 ms. Of a large one it would leave megabytes of text to be collected.
  if (bytes.length < CHUNK / 2) {
    const text = decoder.decode(bytes);
    return text.includes("\ufffd") ? encoder.encode(text) : bytes;
  }
  return isUtf8(bytes) ? bytes : encoder.encode(decoder.decode(bytes));
}

/** The part of a walk that one pass needs. */
export type Pass = Pick<Walk, "begin" | "fill" | "ended" | "end">;

/**
 * One pass as chunks that end at the end of a line. A chunk is valid until the next one is asked for.
 *
 * @throws {TaskIterError} as {@linkcode Walk.fill}
 */
export function chunks(walk: Pass, format: Format): IterableIterator<Uint8Array> {
  return new Chunks(walk, format);
}

/** No generator: the first one of a process takes 0.15 ms. */
class Chunks implements IterableIterator<Uint8Array> {
  readonly #buffer = new Uint8Array(4 * CHUNK);
  readonly #walk: Pass;
  readonly #format: Format;
  /** Begin and end of the bytes in the buffer that no chunk has had yet. */
  #start = 0;
  #end = 0;
  #first = true;
  #done = false;

  constructor(walk: Pass, format: Format) {
    this.#walk = walk;
    this.#format = format;
    walk.begin();
  }

  [Symbol.iterator](): this {
    return this;
  }

  next(): IteratorResult<Uint8Array> {
    const buffer = this.#buffer;
    while (!this.#done) {
      buffer.copyWithin(0, this.#start, this.#end);
      const used = this.#walk.fill(buffer, this.#end - this.#start, CHUNK);
      this.#done = this.#walk.ended;
      let end = this.#done ? used : buffer.lastIndexOf(NEWLINE, used - 1) + 1;
      if (this.#format === "json") {
        if (this.#first && end > 0) buffer[0] = BRACKET;
        // Only the last row of an array has no line end.
        if (this.#done) end += encoder.encodeInto(this.#first && end === 0 ? "[]\n" : "\n]\n", buffer.subarray(end)).written;
      }
      this.#first = false;
      this.#start = end;
      this.#end = used;
      if (end > 0) return { value: repair(buffer.subarray(0, end)) };
    }
    return { done: true, value: undefined };
  }

  return(): IteratorResult<Uint8Array> {
    this.#done = true;
    this.#walk.end();
    return { done: true, value: undefined };
  }
}
