// SPDX-License-Identifier: BSD-2-Clause
/** `task-iter pin` and `unpin`: queries as files in bpffs, which any program reads. */

import { readdirSync, statfsSync, unlinkSync } from "node:fs";
import { EEXIST, EINVAL, EPERM, TaskIterError, UsageError } from "../errors.ts";
import { type Libraries, LIGHT } from "../native/load.ts";
import { mounts } from "../native/mounts.ts";
import { cstring, type Shim } from "../native/shim.ts";
import { plan, type Query } from "../query/plan.ts";
import type { Format } from "../query/request.ts";
import { load } from "./read.ts";

/** Imported when needed: a plain read starts a millisecond earlier without it. */
const paths = () => process.getBuiltinModule("node:path");

const BPF_FS_MAGIC = 0xcafe4a11;

/** A file cannot be pinned or unpinned. */
export class PinError extends Error {
  override name = "PinError";
}

/** @throws {UsageError} the folder is not in a BPF file system */
function requireBpffs(path: string): void {
  const folder = paths().dirname(path);
  let type;
  try {
    type = statfsSync(folder).type;
  } catch (error) {
    throw new UsageError(`cannot pin at ${path}: ${(error as Error).message}`);
  }
  if (type >>> 0 === BPF_FS_MAGIC) return;
  throw new UsageError(
    `${path} is not in a BPF file system: pin below /sys/fs/bpf, and if nothing is mounted there: mount -t bpf bpf /sys/fs/bpf`,
  );
}

/** Quotes a word for a shell. */
const quoted = (word: string) => /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;

/** The query in the words of a command line. */
export function describe({ table, columns, where, comm, pid, tid, container, map }: Query, format: Format): string {
  const options = { format, columns: columns?.join(","), where, comm, pid, tid, container, map };
  const words = Object.entries(options).filter(([, value]) => value !== undefined)
    .map(([name, value]) => `--${name}=${quoted(String(value))}`);
  return [table, ...words].join(" ");
}

/**
 * Pins `query` at `path`. User space writes the brackets of an array, so json becomes jsonl; csv and text have no header.
 *
 * @throws {UsageError} `path` is not in bpffs
 * @throws {Refused} the kernel cannot be asked
 * @throws {PinError} `path` exists, or the file system refuses its name
 */
export function pin(libraries: Libraries, query: Query, path: string, asked: Format, verbose: boolean): void {
  const format = asked === "json" ? "jsonl" : asked;
  const place = paths().resolve(path);
  requireBpffs(place);
  const { request } = plan(query, format, false, describe(query, format));
  using program = load(libraries, request, verbose);
  try {
    program.pin(place);
  } catch (error) {
    if (!(error instanceof TaskIterError)) throw error;
    if (error.errno === EEXIST) throw new PinError(`${path} is there already: task-iter unpin ${path} removes it`);
    if ((error.errno === EPERM || error.errno === EINVAL) && place.slice(place.lastIndexOf("/")).includes(".")) {
      throw new PinError(`cannot pin at ${path}: a name in bpffs has no dot`);
    }
    throw new PinError(`cannot pin at ${path}: ${error.message}`);
  }
}

/** The description of the query pinned at `path`; `undefined` when task-iter did not pin that file. */
function pinned(shim: Shim, path: string): string | undefined {
  const text = new Uint8Array(4096);
  if (shim.pinned(cstring(path), text, text.length) <= 0) return undefined;
  return new TextDecoder().decode(text.subarray(0, text.indexOf(0)));
}

/** Every query that is pinned in a BPF file system of this mount namespace. */
export function listPins(libraries: Libraries): { path: string; query: string }[] {
  const shim = libraries.open(LIGHT);
  const found: { path: string; query: string }[] = [];
  const walk = (folder: string): void => {
    let entries;
    try {
      entries = readdirSync(folder, { withFileTypes: true });
    } catch {
      return; // not readable for this user, or removed meanwhile
    }
    for (const entry of entries) {
      const path = `${folder}/${entry.name}`;
      if (entry.isDirectory()) walk(path);
      const query = entry.isFile() ? pinned(shim, path) : undefined;
      if (query !== undefined) found.push({ path, query });
    }
  };
  for (const folder of new Set(mounts().flatMap(({ path, type }) => type === "bpf" ? path : []))) walk(folder);
  return found.sort((a, b) => a.path < b.path ? -1 : 1);
}

/**
 * Removes a pinned file.
 *
 * @throws {UsageError} `path` is not a pinned query
 * @throws {PinError} it cannot be removed
 */
export function unpin(libraries: Libraries, path: string): void {
  const place = paths().resolve(path);
  if (pinned(libraries.open(LIGHT), place) === undefined) {
    throw new UsageError(`${path} is not a query that task-iter has pinned: task-iter pin --list shows those`);
  }
  try {
    unlinkSync(place);
  } catch (error) {
    throw new PinError(`cannot unpin ${path}: ${(error as Error).message}`);
  }
}
