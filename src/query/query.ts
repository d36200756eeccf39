// SPDX-License-Identifier: BSD-2-Clause
/** The constant query as bytes: `struct query` of bpf/query.h, whose assertions hold these numbers. */

import type { Predicate } from "./where.ts";

/** `QUERY_VERSION << 16 | sizeof(struct query)`, as `task_iter_version()` says it. */
export const LAYOUT = 1 << 16 | 4128;

export const MAX_PASSES = 64;
export const MAX_TESTS = 64;
export const POOL_SIZE = 2048;

const WHERE = 512;
const FLAGS = 520;
const TESTS = 524;
const CELL_MAX = 528;
const LAST = 532;
const CPUS = 534;
const TEST = 536;
const TEST_SIZE = 24;
const POOL = TEST + MAX_TESTS * TEST_SIZE;

export const QUERY_BLOCKS = 1;
export const QUERY_STAMP = 2;
export const QUERY_SHARED = 4;

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
  /** How many CPUs are possible; asked for by tables that read elements of per-CPU maps. */
  cpus?: number;
  /** What `pin --list` shows of it, cut where the pool ends. */
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

export function encode(plan: Plan): Uint8Array {
  const bytes = new Uint8Array(LAYOUT & 0xffff);
  const view = new DataView(bytes.buffer);
  passes(plan.columns).forEach((mask, i) => view.setBigUint64(i * 8, mask, true));
  view.setUint32(FLAGS, plan.flags, true);
  view.setUint32(CELL_MAX, Math.floor(LONG_STRINGS_MAX / Math.max(1, plan.long)), true);
  view.setUint8(LAST, plan.columns.at(-1) ?? 0);
  view.setUint16(CPUS, plan.cpus ?? 0, true);
  const predicate = plan.predicate;
  if (plan.description !== undefined) {
    const text = new TextEncoder().encode(DESCRIPTION + plan.description);
    const at = predicate?.pool.length ?? 0;
    bytes.set(text.subarray(0, POOL_SIZE - at), POOL + at);
  }
  if (!predicate) return bytes;
  let where = 0n;
  predicate.tests.forEach((test, i) => {
    const at = TEST + i * TEST_SIZE;
    where |= 1n << BigInt(test.column);
    view.setBigUint64(at, test.lo, true);
    view.setBigUint64(at + 8, test.hi, true);
    view.setUint16(at + 16, test.offset, true);
    view.setUint16(at + 18, test.length, true);
    bytes.set([test.column, test.flags, test.onFalse, test.onTrue], at + 20);
  });
  view.setBigUint64(WHERE, where, true);
  view.setUint32(TESTS, predicate.tests.length, true);
  bytes.set(predicate.pool, POOL);
  return bytes;
}
