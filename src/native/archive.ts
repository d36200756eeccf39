// SPDX-License-Identifier: BSD-2-Clause
/**
 * Archives in the executable. Programs that few queries need, and all programs of tables that are read less often, are there in one
 * file with others that have much in common with them: together they take half the space.
 */

import { WRITERS } from "../query/request.ts";

/** Tables that are alike. Their programs for old kernels, where a load takes long, are in one archive. */
const ALIKE = [["tcp", "udp", "unix", "netlink"], ["maps", "progs", "links", "elems"], ["tasks", "stacks", "files", "vmas"]];

/** Tables that are read so often that a program for their predicates is a file of its own. */
const OFTEN_READ = ["stacks", "files", "tasks", "tcp"];

/** The archive that has the file `name` of the build, and its place; `undefined` for a file of its own. */
export function archived(name: string): { archive: string; index: number } | undefined {
  const [table, format, kind] = parts(name);
  const index = WRITERS.indexOf(format as typeof WRITERS[number]);
  // To decompress all of these takes the start of a query twice as long as one or two.
  if (kind === "full.light") return format === "json" ? undefined : { archive: `${table}.text.${kind}`, index };
  if (kind === "bounded.bpf.o") {
    const alike = ALIKE.find((tables) => tables.includes(table)) ?? [table];
    return { archive: `${alike[0]}.${kind}`, index: alike.indexOf(table) * WRITERS.length + index };
  }
  return kind === "light" && !OFTEN_READ.includes(table) ? { archive: `${table}.${kind}`, index } : undefined;
}

/** TABLE.FORMAT.KIND. The file of a library has no kind. */
function parts(name: string): [table: string, format: string, kind: string] {
  const table = name.indexOf(".");
  const format = name.indexOf(".", table + 1);
  return [name.slice(0, table), name.slice(table + 1, format), format < 0 ? "" : name.slice(format + 1)];
}

const LENGTH = 4;

/** An archive: how many files it has, their lengths, then the files. */
export function archiveOf(files: readonly Uint8Array[]): Uint8Array {
  const head = (1 + files.length) * LENGTH;
  const bytes = new Uint8Array(files.reduce((sum, file) => sum + file.length, head));
  const view = new DataView(bytes.buffer);
  view.setUint32(0, files.length, true);
  let at = head;
  files.forEach((file, i) => {
    view.setUint32((1 + i) * LENGTH, file.length, true);
    bytes.set(file, at);
    at += file.length;
  });
  return bytes;
}

/** The file at a place of an archive. */
export function fileIn(archive: Uint8Array, index: number): Uint8Array {
  const view = new DataView(archive.buffer, archive.byteOffset);
  let at = (1 + view.getUint32(0, true)) * LENGTH;
  for (let i = 0; i < index; i++) at += view.getUint32((1 + i) * LENGTH, true);
  return archive.subarray(at, at + view.getUint32((1 + index) * LENGTH, true));
}
