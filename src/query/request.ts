// SPDX-License-Identifier: BSD-2-Clause
/** What the native side is asked to load and read. */

import type { MapFacts } from "./elements.ts";

export type Format = "text" | "csv" | "json" | "jsonl";
export const FORMATS: readonly Format[] = ["text", "csv", "json", "jsonl"];

/** The formats that have programs of their own: a row of jsonl is an object as in an array of JSON, with other ends. */
export const WRITERS: readonly Exclude<Format, "jsonl">[] = ["text", "csv", "json"];
export const writerOf = (format: Format): typeof WRITERS[number] => format === "jsonl" ? "json" : format;

/** The variables that user space fills after a load, in the order of FILL_* in libbpf-shim/shim.h. */
export const FILLED = ["automaton", "shape", "names"] as const;
export type Filled = typeof FILLED[number];

/** A program to load. */
export interface Request {
  table: string;
  format: Format;
  /** The constant query (`encode`). */
  query: Uint8Array;
  /** It asks for columns shown by default and has no predicate: a smaller program answers it. */
  plain?: boolean | undefined;
  /** It needs nothing of the full program but columns, and has no predicate: for JSON a smaller program has all columns. */
  wide?: boolean | undefined;
  /** It needs what only the full program has, whose load takes longer. */
  full?: boolean | undefined;
  /** Makes that data from the BTF of the map that is read; `undefined` where the ordinary program has to do. */
  decode?: ((map: MapFacts, btf: Uint8Array) => Partial<Record<Filled, Uint8Array>> | undefined) | undefined;
  /** Data for variables of the full program. */
  fill?: Partial<Record<Filled, Uint8Array>> | undefined;
  /** The full program has another walk, which runs to its end before each pass. */
  prepare?: boolean | undefined;
  /** The full program has an iterator over its own map of groups, which ends each pass. */
  finish?: boolean | undefined;
  /** Only rows that are new, changed or gone; the full program has an iterator over its map of these. */
  changes?: boolean | undefined;
  /** A column of symbols that the program compares, which not every kernel can. */
  compared?: string | undefined;
  /** Narrow the walk to a process or thread where the kernel can (Linux 6.1); the query's predicate must say it too. */
  pid?: number | undefined;
  tid?: number | undefined;
  /** The query without its predicate, where that says nothing but `pid` and the plain program answers the rest. */
  narrowed?: Uint8Array | undefined;
  /** The BPF map whose elements are read, by its ID. */
  map?: number | undefined;
  /** The network namespace to walk, a path or a process's ID; `all` for all of them; the current one otherwise. */
  netns?: string | undefined;
  /** Walk the tree of control groups. */
  cgroups?: boolean | undefined;
  /** Keep the verifier's log; or of it only the line with the numbers, which costs next to nothing. */
  verbose?: boolean | "numbers" | undefined;
  /** Take no other way of loading than by libbpf, as on a kernel that cannot run a light skeleton; or, `false`, than by that. */
  libbpf?: boolean | undefined;
}
