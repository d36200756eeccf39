/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * where.h -- the predicate: a flat list of comparisons, each with a forward jump for false and for true, as in classic BPF
 *
 * A table computes each column of the predicate once, cheap columns first, and keeps the results of its comparisons as bits of
 * `truth`. The predicate has no negation but inside a comparison (src/query/where.ts moves it there). So when decide() says no
 * with all open comparisons taken as true, no costlier column can make it yes; when decide() says yes with all open comparisons
 * taken as false, no costlier column can make it no.
 *
 * The verifier knows `i` and the query, so the loops over comparisons have no branch for the verifier. Code that depends on other
 * values has no branches either: each would double the verifier's work.
 */
#ifndef TASK_ITER_WHERE_H
#define TASK_ITER_WHERE_H

#include "row.h"
#ifndef NO_PREDICATE
#include "regex.h"
#endif

#define SIGNED_BIAS (1ull << 63)

#define TEST(i) (&query.test[(i) & (MAX_TESTS - 1)])

#define EACH_TEST(i)                                                         \
	_Pragma("clang loop unroll(disable)")                                \
	for (u32 i = 0; i < MAX_TESTS && i < query.tests; i++)

/* Compares with a number: 1 when the test holds. width - above borrows when value is not between lo and hi. */
static __always_inline u64 compare_number(u32 i, u64 value, u64 absent)
{
	u64 lo = TEST(i)->lo, width = TEST(i)->hi - lo, above = value - lo;
	u64 outside = ((~width & above) | ((~width | above) & (width - above))) >> 63;
	u32 flags = TEST(i)->flags;

	if (flags & TEST_ABSENT)
		return absent ^ (flags & TEST_NEGATE);
	return (outside ^ 1 ^ (flags & TEST_NEGATE)) & (absent ^ 1);
}

/* The pattern to look for, its first eight bytes, and a mask of the bits that count. (A static flag may shrink to a bit.) */
u32 match_offset, match_length, match_last, match_at, match_found;
u64 match_first, match_mask;

/* Returns eight bytes of the pattern from byte `at` on. */
#define PATTERN(at) (*(const volatile u64 *)(query.pool + ((match_offset + (at)) & (POOL_SIZE - 1))))

BODY(match_word)
{
	u32 at = i * 8;
	u64 difference;

	if (at >= match_length)
		return 1;
	difference = WORD(SOURCE(match_at + at)) ^ PATTERN(at);
	if (match_length - at < 8)
		difference <<= 64 - (match_length - at) * 8 & 63;
	if (difference)
		return match_found = 0, 1;
	return 0;
}

/* Whether source[at ..] begins with the pattern. */
GLOBAL int matches(u32 at)
{
	if ((WORD(SOURCE(at)) ^ match_first) & match_mask)
		return 0;
	if (match_length <= 8)
		return 1;
	match_at = at;
	match_found = 1;
	LOOP(POOL_SIZE / 8, match_word);
	return match_found;
}

/* Whether the pattern is anywhere in source, up to the last place where it fits. */
BODY(match_here)
{
	if (i > match_last)
		return 1;
	if ((WORD(SOURCE(i)) ^ match_first) & match_mask || !matches(i))
		return 0;
	return match_found = 1;
}

/* Compares with the string source[0 .. length), without the test's negation. */
GLOBAL int compare_string(u32 i, u32 length)
{
	u32 flags = TEST(i)->flags, size = TEST(i)->length, last = length - size;

#ifndef NO_PREDICATE
	if (flags & TEST_REGEX)
		return accepts(TEST(i)->lo, TEST(i)->hi, length);
#endif
	if (length > SOURCE_MASK || size > length || (flags & TEST_START && flags & TEST_END && last))
		return 0;
	match_offset = TEST(i)->offset;
	match_length = size;
	match_first = PATTERN(0);
	match_mask = size >= 8 ? ~0ull : (1ull << (size * 8 & 63)) - 1;
	if (flags & TEST_START)
		return matches(0);
	if (flags & TEST_END)
		return matches(last);
	match_last = last;
	match_found = 0;
	LOOP(SOURCE_MASK + 1, match_here);
	return match_found;
}

/*
 * Two numbers, each with its factor. Only the full program compares them: it keeps the numbers of columns until both are known, for
 * the second one may cost more to get. The products are exact, of 128 bits.
 */
#ifdef FULL_QUERY
#define IS_PAIR(i) (TEST(i)->flags & TEST_PAIR)

u64 numbers[64];		/* of the columns that the predicate reads */

/* After TEST_NUMBER. */
#define KEEP_NUMBER(column_number, value)                                    \
	do {                                                                 \
		numbers[column_number] = (value);                            \
		known |= 1ull << (column_number);                            \
		missing |= tested_absent << (column_number);                 \
	} while (0)

struct product {
	u64 high, low;
};

static __always_inline struct product multiply(u64 a, u64 b)
{
	u64 low = (u64)(u32)a * (u32)b, one = (a >> 32) * (u32)b, other = (u32)a * (b >> 32);
	u64 middle = (low >> 32) + (u32)one + (u32)other;

	return (struct product){ (a >> 32) * (b >> 32) + (one >> 32) + (other >> 32) + (middle >> 32), middle << 32 | (u32)low };
}

static __always_inline bool is_below(struct product a, struct product b)
{
	return a.high < b.high || (a.high == b.high && a.low < b.low);
}

/* Makes the test i, without its negation. Factors are above 0, so a product has the sign of its number. */
GLOBAL int compare_pair(u32 i)
{
	u64 a = numbers[TEST(i)->column & 63], b = numbers[TEST(i)->offset & 63];
	u32 how = TEST(i)->length;
	bool a_negative = how & PAIR_SIGNED && (s64)a < 0, b_negative = how & PAIR_OTHER_SIGNED && (s64)b < 0;
	struct product one = multiply(a_negative ? -a : a, TEST(i)->lo), other = multiply(b_negative ? -b : b, TEST(i)->hi);

	if (!(how & PAIR_LESS))
		return a_negative == b_negative && one.high == other.high && one.low == other.low;
	if (a_negative != b_negative)
		return a_negative;
	return a_negative ? is_below(other, one) : is_below(one, other);
}

/* Makes the tests of pairs whose second number has become known. */
#define TEST_PAIRS                                                           \
	EACH_TEST(i) {                                                       \
		u64 both = 1ull << (TEST(i)->column & 63) | 1ull << (TEST(i)->offset & 63); \
		if (!IS_PAIR(i) || made >> i & 1 || (known & both) != both)  \
			continue;                                            \
		made |= 1ull << i;                                           \
		if (!(missing & both))                                       \
			truth |= (u64)(compare_pair(i) ^ (TEST(i)->flags & TEST_NEGATE)) << i; \
	}
#else
#define IS_PAIR(i) false
#define KEEP_NUMBER(column_number, value) do { } while (0)
#define TEST_PAIRS
#endif

/*
 * The value to test, a number or the length of a string. It passes through memory, so that the verifier forgets by which way the
 * program came to the value, and walks the tests once.
 */
static volatile u64 tested, tested_absent;

/* Makes every test of a column: of a number, or of a string in source. A negative length means that the string is absent. */
#define TEST_NUMBER(column_number, value, absent)                            \
	tested = (value);                                                    \
	tested_absent = (absent);                                            \
	NOTE_NUMBER(column_number, tested, tested_absent);                   \
	EACH_TEST(i) {                                                       \
		if (TEST(i)->column != (column_number) || IS_PAIR(i))        \
			continue;                                            \
		made |= 1ull << i;                                           \
		truth |= compare_number(i, tested, tested_absent) << i;      \
	}
#define TEST_STRING(column_number, length)                                   \
	NOTE_STRING(column_number, length);                                  \
	tested = (length);                                                   \
	EACH_TEST(i) {                                                       \
		u64 holds = tested >> 63;                                    \
		if (TEST(i)->column != (column_number))                      \
			continue;                                            \
		made |= 1ull << i;                                           \
		if (TEST(i)->flags & TEST_ABSENT)                            \
			holds ^= TEST(i)->flags & TEST_NEGATE;               \
		else                                                         \
			holds = (holds ^ 1) & (compare_string(i, tested) ^ (TEST(i)->flags & TEST_NEGATE)); \
		truth |= holds << i;                                         \
	}

/*
 * Follows the jumps from the first test to the end. A test jumps only to a later test. So no test jumps to test 0, and after test
 * 0 its bit is free for ACCEPT (MAX_TESTS, which is 0 in six bits). REJECT sets no bit.
 */
GLOBAL int decide(u64 truth)
{
	u64 reached = 1;

	EACH_TEST(i) {
		u64 now = reached >> i & 1, holds = now & truth >> i;
		u32 yes = TEST(i)->next[1], no = TEST(i)->next[0];

		if (!i)
			reached = 0;
		if (yes <= ACCEPT)
			reached |= holds << (yes & 63);
		if (no <= ACCEPT)
			reached |= (now ^ holds) << (no & 63);
	}
	return reached & 1;
}

#endif
