// SPDX-License-Identifier: BSD-2-Clause
/**
 * Archives in the executable. Programs that few queries need, and all programs of tables that are read less often, are there in one
 * file for a table's formats: they have so much in common that they take half the space.
 */

import { FORMATS } from "../query/request.ts";
import { isOftenRead } from "./load.ts";

/** The archive that has the file `name` of the build, and its place; `undefined` for a file of its own. */
export function archived(name: string): { archive: string; index: number } | undefined {
  const table = name.indexOf(".");
  const format = name.indexOf(".", table + 1);
  const kind = name.slice(format + 1);
  const isRare = kind === "full.light" || kind === "bounded.bpf.o";
  if (!isRare && (!kind.endsWith("light") || isOftenRead(name.slice(0, table)))) return undefined;
  return {
    archive: `${name.slice(0, table)}.${kind}`,
    index: FORMATS.indexOf(name.slice(table + 1, format) as typeof FORMATS[number]),
  };
}

const LENGTH = 4;

/** An archive: the lengths of its files, in the order of FORMATS, then the files. */
export function archiveOf(files: readonly Uint8Array[]): Uint8Array {
  const head = files.length * LENGTH;
  const bytes = new Uint8Array(files.reduce((sum, file) => sum + file.length, head));
  const view = new DataView(bytes.buffer);
  let at = head;
  files.forEach((file, i) => {
    view.setUint32(i * LENGTH, file.length, true);
    bytes.set(file, at);
    at += file.length;
  });
  return bytes;
}

/** The file at a place of an archive. */
export function fileIn(archive: Uint8Array, index: number): Uint8Array {
  const view = new DataView(archive.buffer, archive.byteOffset);
  let at = FORMATS.length * LENGTH;
  for (let i = 0; i < index; i++) at += view.getUint32(i * LENGTH, true);
  return archive.subarray(at, at + view.getUint32(index * LENGTH, true));
}
