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
      if (done) break;
      const end = used > 0 ? buffer.lastIndexOf(NEWLINE, used - 1) + 1 : 0;
      if (end > 0) {
        if (first && format === "json") buffer[0] = BRACKET;
        first = false;
        yield repair(buffer.subarray(0, end));
      }
      buffer.copyWithin(0, end, used);
      rest = used - end;
    }
  } finally {
    pass.return();
  }
  // Only an array's last row has no line end of its own.
  if (format !== "json") return;
  const end = first ? "[]\n" : "\n]\n";
  encoder.encodeInto(end, buffer.subarray(rest));
  yield repair(buffer.subarray(0, rest + end.length));
}
