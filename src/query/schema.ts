// SPDX-License-Identifier: BSD-2-Clause
/** Tables and columns, as bpf/tables declares them. */

import { type ColumnType, generated } from "./schema.gen.ts";

export type { ColumnType };

/** A column; its place in {@linkcode Table.columns} is its number. */
export interface Column {
  name: string;
  /** Shown when no columns are asked for. */
  shown: boolean;
  /** Least width in text. */
  width: number;
  doc: string;
  type: ColumnType;
  /** The words of an enum, each with its number. */
  words: readonly (readonly [number, string])[];
  /** Only the full and the wide program have it. */
  full?: true | undefined;
}

export interface Table {
  name: string;
  /** The kernel's name of the iterator. */
  iterator: string;
  /** The first Linux version that has it. */
  since: string;
  /** What a row is, in the plural. */
  plural: string;
  doc: string;
  /** The columns by which its rows are told apart. */
  identity: readonly string[];
  readonly columns: Column[];
}

/** The nanoseconds in the unit of a column of times, which its name ends in; `undefined` for any other column. */
export function unitOf({ name, type }: Column): bigint | undefined {
  if (type !== "number" && type !== "signed") return undefined;
  return name.endsWith("_ns") ? 1n : name.endsWith("_us") ? 1000n : undefined;
}

/** Every table, in the order of the alphabet; its columns are made when they are asked for: a run needs those of one table. */
export const tables: readonly Table[] = generated.map(([name, iterator, since, plural, doc, identity, columns]) => {
  let made: Column[] | undefined;
  return {
    name,
    iterator,
    since,
    plural,
    doc,
    identity,
    get columns() {
      return made ??= columns().map(([name, shown, width, doc, type, words, full]) => ({
        name,
        shown,
        width,
        doc,
        type,
        words,
        full,
      }));
    },
  };
});

/** Text of `stacks` and `files` keeps the tutorial's look, which shows less than the other formats. */
export const TUTORIAL_COLUMNS: Readonly<Record<string, readonly string[]>> = {
  files: ["comm", "pid", "tid", "fd", "file_ops"],
};
