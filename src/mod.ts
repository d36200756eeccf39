// SPDX-License-Identifier: BSD-2-Clause
/**
 * task-iter as a library, for Deno, Node.js and Bun.
 *
 * ```ts
 * import { rows } from "task-iter";
 * for (const file of rows({ table: "files", where: "deleted == true" })) console.log(file.pid, file.path);
 * ```
 */

import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { folder } from "./folder.ts";
import { aggregateName, type Aggregation, type Group, groupingOf, takeGroups } from "./groups.ts";
import { type Libraries, load } from "./native/load.ts";
import type { Runtime } from "./native/shim.ts";
import { plan, type Query } from "./query/plan.ts";
import type { Format } from "./query/request.ts";
import type { Rows, Shown } from "./query/rows.gen.ts";
import { learnRegex } from "./query/where.ts";
import { chunks } from "./stream.ts";

export { TaskIterError, UsageError } from "./errors.ts";
export type { Query } from "./query/plan.ts";
export { type Format, FORMATS } from "./query/request.ts";
export { type Column, type ColumnType, type Table, tables } from "./query/schema.ts";
export type { Rows } from "./query/rows.gen.ts";
export { WhereError } from "./query/where.ts";

await learnRegex();

const runtime: Runtime = "Bun" in globalThis
  ? (await import("./native/bun.ts")).bun
  : "Deno" in globalThis
  ? (await import("./native/deno.ts")).deno
  : (await import("./native/node.ts")).node;

/** The libraries and programs that the build has made. */
export const libraries: Libraries = {
  open: (name) => runtime.open(fileURLToPath(new URL(name, folder))),
  program: (name) => readFileSync(new URL(name, folder)),
};

/** A value of a row: a list of symbols or numbers is an array, a decoded element of a BPF map any of these. */
export type Value = string | number | boolean | null | Value[] | { [member: string]: Value };

/** A row: columns by name; an absent value is `null`. */
export type Row = Record<string, Value>;

/** The row of a query: its table's columns, all, those asked for or those shown by default. Of unknown words, any columns. */
export type RowOf<Q> = Q extends { table: infer Name extends keyof Rows }
  ? Q extends { columns: infer Names extends readonly string[] } ? string extends Names[number] ? Partial<Rows[Name]>
    : "all" extends Names[number] ? Rows[Name]
    : Pick<Rows[Name], Names[number] & keyof Rows[Name]>
  : Pick<Rows[Name], Shown[Name] & keyof Rows[Name]>
  : Row;

/**
 * The rows of `query`, one by one.
 *
 * @throws {UsageError} an unknown table or column
 * @throws {WhereError} `query.where` is not in the language
 * @throws {TaskIterError} the kernel refused a step; `step` and `errno` say which and why
 */
export function* rows<const Q extends Query>(query: Q): Generator<RowOf<Q>, void, void> {
  const decoder = new TextDecoder();
  for (const chunk of bytes(query, "jsonl")) {
    for (const line of decoder.decode(chunk).split("\n")) {
      if (line) yield JSON.parse(line);
    }
  }
}

/**
 * A row that is new (`+`), changed (`~`) or gone (`-`) since the pass before. The columns of its table's identity are there too; of a row
 * that is gone, only these have values.
 */
export type Change<R = Row> =
  | R & { op: "+" | "~"; t: string }
  | { [Name in keyof R]: R[Name] | null } & { op: "-"; t: string };

/** Rows that {@linkcode changes} may remember. */
const REMEMBERED = 262_144;

/**
 * Reads `query` again and again, and gives what each pass has changed; of the first pass, every row. The kernel decides what has
 * changed, by the columns shown. `interval` is in milliseconds, from the start of one pass to the start of the next.
 *
 * @throws {Error} there are more rows than `remember`
 * @throws as {@linkcode rows}
 */
export async function* changes<const Q extends Query>(
  query: Q,
  { interval, remember = REMEMBERED }: { interval: number; remember?: number },
): AsyncGenerator<Change<RowOf<Q>>[], void, void> {
  using program = load(libraries, plan({ ...query, changes: remember }, "jsonl", true).request);
  const decoder = new TextDecoder();
  for (let next = performance.now();; next += interval) {
    program.stamp({ t: new Date().toISOString() });
    let text = "";
    for (const chunk of chunks(program.walk, "jsonl")) text += decoder.decode(chunk);
    if (program.walk.lost > 0) throw new Error(`${query.table} has more rows than may be remembered: ${remember}`);
    yield text.split("\n").filter((line) => line !== "").map((line) => JSON.parse(line) as Change<RowOf<Q>>);
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, next + interval - performance.now())));
  }
}

/** How {@linkcode count} counts; columns by their names. */
export interface CountOptions extends Aggregation {
  /** The columns that the rows of a group have in common; without any, the whole table is one group. */
  by?: readonly string[] | undefined;
  /** How many groups to keep apart from the rest; all of them otherwise. */
  top?: number | undefined;
}

type Named<O, Kind extends string> = O extends { [K in Kind]: infer Names extends readonly string[] } ? Names[number] : never;
type Flat<T> = { [Name in keyof T]: T[Name] };

/**
 * What is counted of a group: the number of rows, and the aggregates `KIND_COLUMN`, which are exact whatever their size. `null` where
 * every value is absent, or where the kernel had no room for all distinct values.
 */
export type NumbersOf<O> = Flat<
  & { count: number }
  & { [Column in Named<O, "sum"> as `sum_${Column}`]: bigint | null }
  & { [Column in Named<O, "max"> as `max_${Column}`]: bigint | null }
  & { [Column in Named<O, "min"> as `min_${Column}`]: bigint | null }
  & { [Column in Named<O, "distinct"> as `distinct_${Column}`]: bigint | null }
>;

/** A group: its numbers, and the columns that its rows have in common, with the types that rows have. */
export type GroupOf<Q extends { table: string }, O> = Flat<
  NumbersOf<O> & (O extends { by: infer By extends readonly string[] } ? RowOf<{ table: Q["table"]; columns: By }> : unknown)
>;

/** A count of a table. */
export interface Counted<G, N> {
  /** The most rows first. */
  groups: G[];
  /** The rows of all other groups together: of those after the first `top`, and of those that found no room in the kernel. */
  rest: N | undefined;
}

/**
 * Counts the rows of `query` by groups. The kernel makes the groups while it walks the table.
 *
 * @throws {UsageError} an unknown table or column, or an aggregate of a column that has no numbers
 * @throws as {@linkcode rows}
 */
export function count<const Q extends Omit<Query, "columns" | "changes" | "names" | "grouping">, const O extends CountOptions>(
  query: Q,
  options: O,
): Counted<GroupOf<Q, O>, NumbersOf<O>> {
  const grouping = groupingOf(options);
  const planned = plan({ ...query, columns: options.by ?? [], grouping }, "jsonl");
  using program = load(libraries, planned.request);
  const { groups, rest } = takeGroups(program.walk, planned, options.top);
  const numbers = ({ rows, values }: Group) => ({
    count: rows,
    ...Object.fromEntries(grouping.aggregates.map((aggregate, i) => [aggregateName(aggregate), values[i] ?? null])),
  });
  return {
    groups: groups.map((group) => ({ ...numbers(group), ...JSON.parse(`{${group.text.slice(1)}}`) })),
    rest: rest.rows > 0 ? numbers(rest) as NumbersOf<O> : undefined,
  };
}

/**
 * The rows of `query` as they are written in `format`, in chunks of whole lines and without header or summary. A chunk is valid
 * until the next one is asked for.
 *
 * @throws as {@linkcode rows}
 */
export function* bytes(query: Query, format: Format): Generator<Uint8Array, void, void> {
  using program = load(libraries, plan(query, format).request);
  yield* chunks(program.walk, format);
}

/** {@linkcode bytes} as a web stream; chunks are the reader's own. */
export function stream(query: Query, format: Format): ReadableStream<Uint8Array> {
  const source = bytes(query, format);
  return new ReadableStream({
    pull(controller) {
      const { done, value } = source.next();
      if (done) controller.close();
      else controller.enqueue(value.slice());
    },
    cancel() {
      source.return();
    },
  });
}
