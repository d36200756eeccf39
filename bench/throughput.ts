// SPDX-License-Identifier: BSD-2-Clause
/**
 * Bytes through the executable's own TypeScript into standard output, the kernel's walk left out: `bun throughput.ts FILE` with
 * FILE in the place of an iterator's descriptor. On standard error: nanoseconds and bytes.
 */

import { closeSync, openSync, readSync, writeSync } from "node:fs";
import process from "node:process";
import { outputOf } from "../src/cli/output.ts";
import { load as loadProgram } from "../src/native/load.ts";
import type { Handle, Shim } from "../src/native/shim.ts";
import { LAYOUT } from "../src/query/query.ts";
import { chunks } from "../src/stream.ts";

const [file] = process.argv.slice(2);
if (file === undefined) throw new Error("usage: throughput.ts FILE");

const shim = {
  version: () => LAYOUT,
  open: () => ({}) as Handle,
  configure: () => 0,
  load: () => 0,
  attach: () => 0,
  create: () => openSync(file, "r"),
  read: (_, fd, buffer, size) => readSync(fd, buffer as Uint8Array, 0, size, null),
  write: (_, fd, buffer, size) => (writeSync(fd, buffer as Uint8Array, 0, size), 0),
  close: (fd) => (closeSync(fd), 0),
  progress: () => 0,
  error: () => "",
  log: () => "",
  free: () => {},
} satisfies Partial<Shim> as unknown as Shim;

using program = loadProgram({ open: () => shim, program: () => new Uint8Array() }, {
  table: "files",
  format: "jsonl",
  query: new Uint8Array(),
});
closeSync(openSync(file, "r"));
const start = performance.now();
const output = outputOf(program);
let bytes = 0;
for (const chunk of chunks(program.walk, "jsonl")) {
  bytes += chunk.length;
  output.write(chunk);
}
console.error(JSON.stringify({ ns: Math.round((performance.now() - start) * 1e6), bytes }));
