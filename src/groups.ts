// SPDX-License-Identifier: BSD-2-Clause
/** The groups of a count, as the program's `finish` writes them after a walk (bpf/engine/groups.h): read, sorted, cut. */

import { UsageError } from "./errors.ts";
import type { Walk } from "./native/walk.ts";
import { GROUP_REST } from "./query/layout.gen.ts";
import { type Aggregate, AGGREGATES, type Grouping, type Plan } from "./query/plan.ts";

/** The entries that the kernel keeps unless a query says otherwise: 16 MB at most. */
const DEFAULT_GROUPS = 65_536;

/** The columns of each kind of aggregate, and how many entries the kernel keeps. */
export type Aggregation = { [Kind in Aggregate["kind"]]?: readonly string[] | undefined } & { groups?: number | undefined };

export const aggregateName = ({ kind, column }: Aggregate) => `${kind}_${column}`;

/** @throws {UsageError} an aggregate is asked for twice */
export function groupingOf(given: Aggregation): Grouping {
  const aggregates = AGGREGATES.flatMap((kind) =>
    (given[kind] ?? []).map((column): Aggregate => ({ kind, column: column.trim() }))
  );
  const names = aggregates.map(aggregateName);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) throw new UsageError(`${twice} is asked for twice`);
  return { aggregates, limit: given.groups ?? DEFAULT_GROUPS };
}

/** Rows that have the columns of `--by` in common. */
export interface Group {
  rows: number;
  /** One for each aggregate, exact whatever its size; `undefined` where every value is absent, or the number is not known. */
  values: (bigint | undefined)[];
  /** The cells as the program wrote them, valid UTF-8, each with the format's separator before it. */
  text: string;
}

/** A count of a table. */
export interface Count {
  /** The most rows first, of those with as many rows in the order of their text. */
  groups: Group[];
  /** The rows of other groups: those after the first `top`, and those that found no room. */
  rest: Group;
  /** How many groups are in the rest; `undefined` when some found no room. */
  others: number | undefined;
  /** Rows whose groups found no room in the kernel. */
  lost: number;
  /** Bytes that the kernel's program wrote. */
  bytes: number;
  /** Aggregates that are not known for some groups: the kernel had no room for all distinct values. */
  incomplete: Aggregate[];
}

type Pass = Pick<Walk, "begin" | "fill" | "ended" | "progress">;

const HEAD = 16;
const CELL = 16;
const SIGNED_BIAS = 1n << 63n;

/** All bytes of a pass. */
function readAll(pass: Pass): Uint8Array {
  let memory = new Uint8Array(256 * 1024), length = 0;
  for (pass.begin(); !pass.ended;) {
    if (memory.length - length < 64 * 1024) {
      const larger = new Uint8Array(2 * memory.length);
      larger.set(memory.subarray(0, length));
      memory = larger;
    }
    length = pass.fill(memory, length, length + 1);
  }
  return memory.subarray(0, length);
}

/** Adds the rows of `other` to `group`. The number of distinct values of both together is not known. */
export function merge(group: Group, other: Group, aggregates: readonly Aggregate[]): void {
  const isEmpty = group.rows === 0;
  group.rows += other.rows;
  aggregates.forEach(({ kind }, i) => {
    const [a, b] = [group.values[i], other.values[i]];
    if (kind === "distinct") group.values[i] = isEmpty ? b : undefined;
    else if (b === undefined) return;
    else if (a === undefined) group.values[i] = b;
    else group.values[i] = kind === "sum" ? a + b : (kind === "max") === (a > b) ? a : b;
  });
}

/**
 * Walks the table and takes its groups.
 *
 * @param top how many groups to keep apart from the rest; all when there is none
 * @throws {TaskIterError} as {@linkcode Walk.fill}
 */
export function takeGroups(pass: Pass, { table, columns, grouping }: Plan, top = Infinity): Count {
  const aggregates = grouping!.aggregates;
  const signed = aggregates.map(({ column }) => table.columns.find(({ name }) => name === column)!.type === "signed");
  const bytes = readAll(pass);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  const nothing = (): Group => ({ rows: 0, values: aggregates.map(() => undefined), text: "" });
  const incomplete = new Set<Aggregate>();
  const groups: Group[] = [];
  /** Groups with invalid UTF-8, which may have the same text when that is repaired. */
  const repaired = new Map<string, Group>();
  let noRoom = nothing();
  for (let at = 0, end; at < bytes.length; at = end) {
    const size = view.getUint32(at, true);
    const seen = view.getUint32(at + 4, true);
    const isRest = (size & GROUP_REST) !== 0;
    end = at + (size & ~GROUP_REST);
    const values = aggregates.map((aggregate, i) => {
      const low = view.getBigUint64(at + HEAD + i * CELL, true);
      const high = view.getBigInt64(at + HEAD + i * CELL + 8, true);
      if (aggregate.kind === "distinct") {
        if (high !== 0n) incomplete.add(aggregate);
        return isRest || high !== 0n ? undefined : low;
      }
      if ((seen >> i & 1) === 0) return undefined;
      if (aggregate.kind === "sum") return (high << 64n) + low;
      const value = aggregate.kind === "min" ? BigInt.asUintN(64, ~low) : low;
      return signed[i] ? value - SIGNED_BIAS : value;
    });
    const text = decoder.decode(bytes.subarray(at + HEAD + aggregates.length * CELL, end));
    const group = { rows: Number(view.getBigUint64(at + 8, true)), values, text };
    if (isRest) {
      noRoom = group;
      continue;
    }
    const same = repaired.get(text);
    if (same) {
      merge(same, group, aggregates);
      continue;
    }
    if (text.includes("\ufffd")) repaired.set(text, group);
    groups.push(group);
  }
  // The walk's own count: where not even one group found room, nothing has said how many rows there are.
  const lost = pass.progress().rows - groups.reduce((sum, { rows }) => sum + rows, 0);
  groups.sort((a, b) => b.rows - a.rows || (a.text < b.text ? -1 : a.text > b.text ? 1 : 0));
  // Without columns there is one group, the whole table, even when nothing is in it.
  if (columns.length === 0 && groups.length === 0 && lost === 0) groups.push(nothing());
  const rest = nothing();
  const cut = groups.splice(top);
  for (const group of cut) merge(rest, group, aggregates);
  merge(rest, { ...noRoom, rows: lost }, aggregates);
  rest.values = rest.values.map((value, i) => aggregates[i]!.kind === "distinct" ? undefined : value);
  return { groups, rest, others: lost > 0 ? undefined : cut.length, lost, bytes: bytes.length, incomplete: [...incomplete] };
}

/**
 * The values of cells that a program for jsonl wrote: strings without their quotes and escapes, numbers as they are written (they may
 * have more digits than a JavaScript number), lists joined by ";", objects as JSON, `null` for absent values.
 */
export function cellsOf(text: string): (string | null)[] {
  const cells: string[] = [];
  let depth = 0;
  for (const [part] of text.matchAll(/"(?:[^"\\]|\\.)*"|[{}[\],]|[^"{}[\],]+/g)) {
    if (part === "," && depth === 0) cells.push("");
    else cells[cells.length - 1] += part;
    depth += part === "{" || part === "[" ? 1 : part === "}" || part === "]" ? -1 : 0;
  }
  return cells.map((cell) => {
    const value = cell.slice(cell.indexOf(":") + 1);
    if (value === "null") return null;
    if (value.startsWith('"')) return JSON.parse(value);
    return value.startsWith("[") ? (JSON.parse(value) as unknown[]).join(";") : value;
  });
}
