// SPDX-License-Identifier: BSD-2-Clause
/** The constant query as bytes: `struct query` of bpf/engine/query.h. */

import { aggregate as AGGREGATE, POOL_SIZE, query as QUERY, QUERY_VERSION, test as TEST, TEST_PAIR } from "./layout.gen.ts";
import type { Predicate } from "./where.ts";

/** `QUERY_VERSION << 16 | sizeof(struct query)`, as `task_iter_version()` says it. */
export const LAYOUT = QUERY_VERSION << 16 | QUERY.size;

/** Output bytes that a row's long strings may have together, so that the row fits the kernel's 32 KiB with its other cells. */
export const LONG_STRINGS_MAX = 25_000;

/** What {@linkcode encode} takes; columns are numbers, as the schema has them. */
export interface Plan {
  /** In the order of the row; none: rows are only counted. */
  columns: number[];
  /** How many of them are long strings. */
  long: number;
  predicate: Predicate | undefined;
  flags: number;
  /** Room of maps, in entries. */
  groupsMax?: number | undefined;
  distinctMax?: number | undefined;
  /** Whether columns depend on how many CPUs and NUMA nodes there are. */
  machine?: boolean | undefined;
  /** Whether owners are looked up, and whether texts of owners are. */
  owners?: boolean | undefined;
  ownerTexts?: boolean | undefined;
  /** What a count computes besides: columns and the kinds of bpf/engine/query.h. */
  aggregates?: readonly { column: number; kind: number }[] | undefined;
  /** The process to show of a socket's owners, if it is one. */
  ownerPid?: number | undefined;
  /** Only rows that are new, changed or gone: room of the map `changes`, and the columns of a row's identity, which come first. */
  changesMax?: number | undefined;
  identity?: readonly number[] | undefined;
  /** The query's description for `pin --list`, cut at the end of the pool. */
  description?: string | undefined;
}

/** Marks a description (libbpf-shim/shim.h). */
const DESCRIPTION = "#!task-iter ";

/**
 * Ascending runs of columns, a mask each: the program writes one run after the other, which gives any order.
 */
export function passes(columns: number[]): bigint[] {
  const masks: bigint[] = [];
  let previous = Infinity;
  for (const column of columns) {
    if (column <= previous) masks.push(0n);
    masks[masks.length - 1] = masks[masks.length - 1]! | 1n << BigInt(column);
    previous = column;
  }
  return masks;
}

function encodeAggregates(bytes: Uint8Array, view: DataView, aggregates: NonNullable<Plan["aggregates"]>): void {
  let noted = 0n;
  aggregates.forEach(({ column, kind }, i) => {
    noted |= 1n << BigInt(column);
    bytes.set([column, kind], QUERY.aggregate + i * AGGREGATE.size);
  });
  view.setUint32(QUERY.aggregates, aggregates.length, true);
  view.setBigUint64(QUERY.noted, noted, true);
  crypto.getRandomValues(bytes.subarray(QUERY.hash_key, QUERY.hash_key + 16));
}

export function encode(plan: Plan): Uint8Array {
  const bytes = new Uint8Array(QUERY.size);
  const view = new DataView(bytes.buffer);
  passes(plan.columns).forEach((mask, i) => view.setBigUint64(QUERY.pass + i * 8, mask, true));
  view.setUint32(QUERY.flags, plan.flags, true);
  view.setUint32(QUERY.cell_max, Math.floor(LONG_STRINGS_MAX / Math.max(1, plan.long)), true);
  view.setUint8(QUERY.last, plan.columns.at(-1) ?? 0);
  view.setUint32(QUERY.groups_max, plan.groupsMax ?? 0, true);
  view.setUint16(QUERY.cpus, Number(plan.machine ?? false), true);
  view.setUint32(QUERY.nodes, Number(plan.machine ?? false), true);
  view.setUint32(QUERY.owners_max, Number(plan.owners ?? false), true);
  view.setUint32(QUERY.texts_max, Number(plan.ownerTexts ?? false), true);
  view.setUint32(QUERY.distinct_max, plan.distinctMax ?? 0, true);
  if (plan.aggregates) encodeAggregates(bytes, view, plan.aggregates);
  view.setUint32(QUERY.owner_pid, plan.ownerPid ?? 0, true);
  if (plan.identity) {
    view.setUint32(QUERY.changes_max, plan.changesMax ?? 0, true);
    view.setBigUint64(QUERY.identity, plan.identity.reduce((mask, column) => mask | 1n << BigInt(column), 0n), true);
    view.setBigUint64(QUERY.identity_last, BigInt(plan.identity.at(-1)!), true);
    crypto.getRandomValues(bytes.subarray(QUERY.hash_key, QUERY.hash_key + 16));
  }
  const predicate = plan.predicate;
  if (plan.description !== undefined) {
    const text = new TextEncoder().encode(DESCRIPTION + plan.description);
    const at = predicate?.pool.length ?? 0;
    bytes.set(text.subarray(0, POOL_SIZE - at), QUERY.pool + at);
  }
  if (!predicate) return bytes;
  let where = 0n;
  predicate.tests.forEach((test, i) => {
    const at = QUERY.test + i * TEST.size;
    where |= 1n << BigInt(test.column);
    if (test.flags & TEST_PAIR) where |= 1n << BigInt(test.offset);
    view.setBigUint64(at + TEST.lo, test.lo, true);
    view.setBigUint64(at + TEST.hi, test.hi, true);
    view.setUint16(at + TEST.offset, test.offset, true);
    view.setUint16(at + TEST.length, test.length, true);
    view.setUint8(at + TEST.column, test.column);
    view.setUint8(at + TEST.flags, test.flags);
    bytes.set([test.onFalse, test.onTrue], at + TEST.next);
  });
  view.setBigUint64(QUERY.where, where, true);
  view.setUint32(QUERY.tests, predicate.tests.length, true);
  view.setUint32(QUERY.automaton_max, predicate.states.length / 256, true);
  bytes.set(predicate.pool, QUERY.pool);
  return bytes;
}
