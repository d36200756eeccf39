/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * query.h -- the constant query, as written into a program's .rodata before load
 *
 * The verifier sees the fields as constants: a column whose bit is clear, and every branch on that bit, is gone from the loaded
 * program. src/query/query.ts writes this structure, little-endian as the machine, by the sizes and offsets that
 * scripts/generate.ts takes from this file.
 */
#ifndef TASK_ITER_QUERY_H
#define TASK_ITER_QUERY_H

#include <linux/types.h>

#define QUERY_VERSION 4

enum {
	MAX_PASSES = 64,	/* runs of ascending columns in the user's order */
	MAX_TESTS = 64,		/* comparisons of one --where */
	POOL_SIZE = 2048,	/* bytes of all strings of a --where together; a power of two, for the verifier */
	STAMP_SIZE = 512,
	MAX_COLUMNS = 64,
	NAME_SIZE = 64,
	IDENTITY_BYTES = 256,	/* text of the columns by which a table's rows are told apart (changes.h) */
	MAX_STATES = 4096,	/* of the automaton of a --where's regular expressions, 512 bytes each */
	MAX_AGGREGATES = 6,
	GROUP_BYTES = 160,	/* aggregates and text of a group in one entry of the map `groups` */
	GROUP_REST = 1 << 30,	/* marks the record of the rows whose groups found no room (groups.h) */

	/* where a test may jump besides to another test */
	ACCEPT = MAX_TESTS,
	REJECT = MAX_TESTS + 1,

	/* test.flags */
	TEST_NEGATE = 1,	/* the test holds when the comparison fails; never for an absent value */
	TEST_ABSENT = 2,	/* the test holds for an absent value only */
	TEST_START = 4,		/* a string's pattern, pool[offset .. offset + length), matches at its start only */
	TEST_END = 8,		/* ... at its end only; with both flags, the pattern is the whole string */
	TEST_PAIR = 16,		/* compares two numbers, this column's times lo and that of column `offset` times hi; `length` says how */
	TEST_REGEX = 32,	/* a string takes the automaton from state lo to one that is at least hi (regex.h) */

	/* test.length of a TEST_PAIR */
	PAIR_LESS = 1,		/* the first product is below the other one; without this bit, they are equal */
	PAIR_SIGNED = 2,	/* the first column has a sign */
	PAIR_OTHER_SIGNED = 4,	/* the other column has one */

	/* query.flags */
	QUERY_BLOCKS = 1,	/* text of stacks: the block of lines of the tutorial, not columns */
	QUERY_STAMP = 2,	/* jsonl: each object starts with "t", the time, and what follows the time in stamp[] */
	QUERY_SHARED = 4,	/* several readers may run the program at once (pinned) */
	QUERY_PREPARE = 8,	/* the program `prepare` runs to its end before each pass */
	QUERY_FINISH = 16,	/* the program `finish` runs over the map `groups` after each pass */
	QUERY_COUNT = 32,	/* rows are not written but counted by groups (groups.h) */
	QUERY_CHANGES = 64,	/* only rows that are new, changed or gone are written (changes.h) */
	QUERY_LINES = 128,	/* JSON: rows are lines (jsonl), not elements of an array */
	QUERY_NAMES = 256,	/* jsonl of a full program: names[] in place of the columns' own names */

	/* aggregate.kind */
	AGGREGATE_SUM = 0,
	AGGREGATE_SUM_SIGNED = 1,
	AGGREGATE_MAX = 2,
	AGGREGATE_MIN = 3,
	AGGREGATE_DISTINCT = 4,
};

/* One comparison. Numbers: lo <= value <= hi, biased by 1 << 63 where the column is signed, so that all compare unsigned. */
struct test {
	__u64 lo, hi;
	__u16 offset, length;
	__u8 column, flags;
	__u8 next[2];		/* the next test when this one fails, and when it holds; or REJECT, ACCEPT */
};

/* What to compute of the values of a column in each group, besides the count. */
struct aggregate {
	__u8 column, kind;
};

struct query {
	__u64 pass[MAX_PASSES];	/* columns to write, one bit each: one mask for each run of ascending columns; 0 ends the list */
	__u64 where;		/* columns that the tests read */
	__u32 flags;
	__u32 tests;		/* number of tests */
	__u32 cell_max;		/* bytes of output after which a string cell is cut */
	__u8 last;		/* the last column of a row, which text does not pad */
	__u8 page_shift;	/* log2 of the page size; libbpf-shim fills it in */
	__u16 cpus;		/* possible CPUs: the values in an element of a per-CPU map; libbpf-shim turns 1 into what this machine has */
	__u32 groups_max;	/* max_entries of the map `groups`; 0 counts as 1 */
	__u32 owners_max;	/* max_entries of the map `owners`, in the same way; libbpf-shim turns 1 into what this machine needs */
	__u32 automaton_max;	/* max_entries of the map `automaton`, in the same way */
	__u32 nodes;		/* one more than the highest number of a NUMA node, as cpus */
	__u32 owner_pid;	/* of a socket's owners the process to show, if it is one (owners.h); 0 for none */
	__u32 texts_max;	/* max_entries of the map `texts`, of the owners' texts, as owners_max */
	__u32 distinct_max;	/* max_entries of the map `distinct`, in the same way */
	__u32 aggregates;	/* number of aggregates */
	__u64 noted;		/* columns that the aggregates read */
	__u64 hash_key[2];	/* random: names cannot be chosen so that rows or groups have the same hash */
	struct aggregate aggregate[8];	/* MAX_AGGREGATES of them are used */
	__u32 changes_max;	/* max_entries of the map `changes`, in the same way */
	__u64 identity;		/* columns of a row's identity, which come first */
	__u64 identity_last;	/* the number of the last one of them */
	struct test test[MAX_TESTS];
	__u8 pool[POOL_SIZE + 8];	/* the tests' strings, and of a pinned query, its description (pin.c); 8 spare bytes: strings are read eight bytes at a time */
};

/* Another name of a column in jsonl: the text from the comma to the colon. */
struct name {
	char text[NAME_SIZE - 1];
	__u8 length;
};

/*
 * How the elements of a map are written, for the full program of elems: a list of steps (bpf/subjects/shape.h), which user space
 * makes of the map's BTF (src/query/elements.ts).
 */
enum {
	MAX_STEPS = 2048,	/* a power of two, as those below, for the verifier */
	MAX_ENUMERATORS = 1024,
	MAX_LOOPS = 8,		/* arrays inside each other */
	MAX_TURNS = 1 << 16,	/* steps taken for one element */
	TEXTS_SIZE = 32768,	/* bytes of all texts together */
	STEP_TEXT_MAX = 511,	/* bytes of one text; all bits are set */
	STEP_TEXT_SPARE = 512,

	/* step.kind */
	STEP_END = 0,
	STEP_TEXT = 1,		/* nothing but the text */
	STEP_NUMBER = 2,
	STEP_BOOL = 3,
	STEP_ENUM = 4,		/* `argument` is the first of its enumerators */
	STEP_STRING = 5,	/* `argument` bytes, up to a NUL */
	STEP_DIGITS = 6,	/* `argument` hexadecimal digits */
	STEP_LOOP = 7,		/* begins `argument` turns, at least one */
	STEP_NEXT = 8,		/* ends a turn; `at` is the size of a turn's element, and the text stands between two */

	/* step.flags */
	STEP_IS_SIGNED = 1,
	STEP_DOUBLES = 2,	/* a quote in the string is doubled after its escape (CSV) */
};

struct step {
	__u32 text;		/* index in texts[] of what is written first */
	__u16 text_length;
	__u8 kind, flags;
	__u32 at;		/* offset in the element, or in that of the innermost loop */
	__u32 argument;
	__u8 bytes, shift, bits, unused; /* bytes to read; lowest bit in them; number of bits */
};

/* A list of enumerators ends with one without a text. */
struct enumerator {
	__s64 value;
	__u32 text, length;
};

struct shape {
	__u32 first[4];		/* step that begins a key, a value, and both again for the predicate; 0 for digits */
	struct step step[MAX_STEPS];
	struct enumerator enumerator[MAX_ENUMERATORS];
	char texts[TEXTS_SIZE + STEP_TEXT_SPARE]; /* read by pieces of at most STEP_TEXT_MAX bytes */
};

/* The progress of a pass. User space maps it from .bss, and writes `stamp`. */
struct progress {
	__u64 seq_num;		/* the last element; ~0 before the first */
	__u64 walked;		/* elements seen */
	__u64 rows;		/* rows of earlier elements */
	__u64 shown;		/* 1 when the last element made a row: the kernel may run the program again for that element */
	char stamp[STAMP_SIZE];	/* JSON text of the snapshot's time, with its quotes; further members may follow */
	__u64 stamp_length;
	__u64 lost;		/* owners, and parts of their texts, that the maps had no room for */
	__u64 pass;		/* number of the pass, from 1 on; user space counts */
	__u64 forgotten;	/* rows for which `changes` had no room */
	__u64 held;		/* rows that `changes` remembers */
	__u64 met;		/* of these, rows that the pass has met; user space clears it */
	__u64 cut;		/* 1 when the program ended a walk before its end: another iterator goes on */
};

#endif
