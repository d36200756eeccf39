// SPDX-License-Identifier: BSD-2-Clause
/** From what the kernel wrote to what a reader gets: whole rows, valid UTF-8, the brackets of an array. */

import { isUtf8 } from "node:buffer";
import type { Format, Program } from "./native/program.ts";

const NEWLINE = 10;
const BRACKET = 91;

/** A chunk is written when it has this many bytes, or at the end of a pass. */
const CHUNK = 64 * 1024;

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
const encoder = new TextEncoder();

/** Valid UTF-8 as it is; what is invalid in others becomes U+FFFD. Names are bytes, and a process may choose any. */
function repair(bytes: Uint8Array): Uint8Array {
  return isUtf8(bytes) ? bytes : encoder.encode(decoder.decode(bytes));
}

/**
 * One pass as chunks that end at the end of a line. A chunk is valid until the next one is asked for.
 *
 * @throws {TaskIterError} as {@linkcode Program.pass}
 */
export function* chunks(program: Pick<Program, "pass">, format: Format): Generator<Uint8Array> {
  const buffer = new Uint8Array(4 * CHUNK);
  let first = true;
  let rest = 0;
  const pass = program.pass(buffer, CHUNK);
  try {
    for (;;) {
      const { done, value: used } = pass.next(rest);
      let end = done ? used : buffer.lastIndexOf(NEWLINE, used - 1) + 1;
      if (format === "json") {
        if (first && end > 0) buffer[0] = BRACKET;
        // Only an array's last row has no line end of its own.
        if (done) end += encoder.encodeInto(first && end === 0 ? "[]\n" : "\n]\n", buffer.subarray(end)).written;
      }
      if (end > 0) {
        first = false;
        yield repair(buffer.subarray(0, end));
      }
      if (done) break;
      buffer.copyWithin(0, end, used);
      rest = used - end;
    }
  } finally {
    pass.return(0);
  }
}
