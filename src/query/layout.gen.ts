// SPDX-License-Identifier: BSD-2-Clause
// Generated from bpf/engine/query.h by scripts/generate.ts.
// deno-fmt-ignore-file
export const QUERY_VERSION = 2;
export const MAX_PASSES = 64;
export const MAX_TESTS = 64;
export const POOL_SIZE = 2048;
export const STAMP_SIZE = 512;
export const MAX_COLUMNS = 64;
export const NAME_SIZE = 64;
export const MAX_STATES = 4096;
export const ACCEPT = 64;
export const REJECT = 65;
export const TEST_NEGATE = 1;
export const TEST_ABSENT = 2;
export const TEST_START = 4;
export const TEST_END = 8;
export const TEST_PAIR = 16;
export const TEST_REGEX = 32;
export const PAIR_LESS = 1;
export const PAIR_SIGNED = 2;
export const PAIR_OTHER_SIGNED = 4;
export const QUERY_BLOCKS = 1;
export const QUERY_STAMP = 2;
export const QUERY_SHARED = 4;
export const QUERY_PREPARE = 8;
export const QUERY_FINISH = 16;
export const QUERY_NAMES = 256;
/** struct test: its size and the offsets of its fields, in bytes. */
export const test = { size: 24, lo: 0, hi: 8, offset: 16, length: 18, column: 20, flags: 21, next: 22 };
/** struct query: its size and the offsets of its fields, in bytes. */
export const query = { size: 4144, pass: 0, where: 512, flags: 520, tests: 524, cell_max: 528, last: 532, page_shift: 533, cpus: 534, groups_max: 536, owners_max: 540, automaton_max: 544, unused: 548, test: 552, pool: 2088 };
/** struct name: its size and the offsets of its fields, in bytes. */
export const name = { size: 64, text: 0, length: 63 };
/** struct progress: its size and the offsets of its fields, in bytes. */
export const progress = { size: 552, seq_num: 0, walked: 8, rows: 16, shown: 24, stamp: 32, stamp_length: 544 };
