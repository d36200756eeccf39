// SPDX-License-Identifier: BSD-2-Clause
// Generated from bpf/engine/query.h by scripts/generate.ts.
// deno-fmt-ignore-file
export const QUERY_VERSION = 4;
export const MAX_PASSES = 64;
export const MAX_TESTS = 64;
export const POOL_SIZE = 2048;
export const STAMP_SIZE = 512;
export const MAX_COLUMNS = 64;
export const NAME_SIZE = 64;
export const IDENTITY_BYTES = 256;
export const MAX_STATES = 4096;
export const MAX_AGGREGATES = 6;
export const GROUP_BYTES = 160;
export const GROUP_REST = 1073741824;
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
export const QUERY_COUNT = 32;
export const QUERY_CHANGES = 64;
export const QUERY_LINES = 128;
export const QUERY_NAMES = 256;
export const AGGREGATE_SUM = 0;
export const AGGREGATE_SUM_SIGNED = 1;
export const AGGREGATE_MAX = 2;
export const AGGREGATE_MIN = 3;
export const AGGREGATE_DISTINCT = 4;
export const MAX_STEPS = 2048;
export const MAX_ENUMERATORS = 1024;
export const MAX_LOOPS = 8;
export const MAX_TURNS = 65536;
export const TEXTS_SIZE = 32768;
export const STEP_TEXT_MAX = 511;
export const STEP_TEXT_SPARE = 512;
export const STEP_END = 0;
export const STEP_TEXT = 1;
export const STEP_NUMBER = 2;
export const STEP_BOOL = 3;
export const STEP_ENUM = 4;
export const STEP_STRING = 5;
export const STEP_DIGITS = 6;
export const STEP_LOOP = 7;
export const STEP_NEXT = 8;
export const STEP_IS_SIGNED = 1;
export const STEP_DOUBLES = 2;
/** struct test: its size and the offsets of its fields, in bytes. */
export const test = { size: 24, lo: 0, hi: 8, offset: 16, length: 18, column: 20, flags: 21, next: 22 };
/** struct aggregate: its size and the offsets of its fields, in bytes. */
export const aggregate = { size: 2, column: 0, kind: 1 };
/** struct query: its size and the offsets of its fields, in bytes. */
export const query = { size: 4224, pass: 0, where: 512, flags: 520, tests: 524, cell_max: 528, last: 532, page_shift: 533, cpus: 534, groups_max: 536, owners_max: 540, automaton_max: 544, nodes: 548, owner_pid: 552, texts_max: 556, distinct_max: 560, aggregates: 564, noted: 568, hash_key: 576, aggregate: 592, changes_max: 608, identity: 616, identity_last: 624, test: 632, pool: 2168 };
/** struct name: its size and the offsets of its fields, in bytes. */
export const name = { size: 64, text: 0, length: 63 };
/** struct step: its size and the offsets of its fields, in bytes. */
export const step = { size: 20, text: 0, text_length: 4, kind: 6, flags: 7, at: 8, argument: 12, bytes: 16, shift: 17, bits: 18, unused: 19 };
/** struct enumerator: its size and the offsets of its fields, in bytes. */
export const enumerator = { size: 16, value: 0, text: 8, length: 12 };
/** struct shape: its size and the offsets of its fields, in bytes. */
export const shape = { size: 90640, first: 0, step: 16, enumerator: 40976, texts: 57360 };
/** struct progress: its size and the offsets of its fields, in bytes. */
export const progress = { size: 600, seq_num: 0, walked: 8, rows: 16, shown: 24, stamp: 32, stamp_length: 544, lost: 552, pass: 560, forgotten: 568, held: 576, met: 584, cut: 592 };
