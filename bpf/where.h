/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * where.h -- the predicate: a flat list of comparisons, each with a forward jump for false and for true, as in classic BPF
 *
 * A table computes each column that the predicate names once, cheap ones first, and test_number() or test_string() keeps what
 * its comparisons said as bits of `truth`. A comparison not made yet counts as true, and negation is part of a comparison
 * (src/query/where.ts pushes it there), so when decide() says no, no costlier column can turn that into a yes.
 */
#ifndef TASK_ITER_WHERE_H
#define TASK_ITER_WHERE_H

#include "row.h"

#define SIGNED_BIAS (1ull << 63)

u64 truth;

/* A volatile read keeps the compiler from joining loads of the constant query into something the verifier cannot follow. */
static __always_inline void set_truth(u32 i, bool holds)
{
	truth = (truth & ~(1ull << (i & 63))) | (u64)holds << (i & 63);
}

/* What the loops over tests share. */
static u32 test_column, test_absent;
static u64 test_value;
static s64 test_length;
static u32 match_at, match_last, match_offset, match_length, match_found;

BODY(compare_number)
{
	const volatile struct test *test = &query.test[i & (MAX_TESTS - 1)];
	u32 flags, holds;

	if (i >= query.tests)
		return 1;
	if (test->column != test_column)
		return 0;
	flags = test->flags;
	if (flags & TEST_ABSENT)
		holds = test_absent ^ (flags & TEST_NEGATE);
	else
		holds = ((test_value - test->lo <= test->hi - test->lo) ^ (flags & TEST_NEGATE)) & !test_absent;
	set_truth(i, holds);
	return 0;
}

/* The tests of `column` on a number. */
GLOBAL int test_number(u32 column, u64 value, u32 absent)
{
	test_column = column;
	test_value = value;
	test_absent = !!absent;
	LOOP(MAX_TESTS, compare_number);
	return 0;
}

BODY(match_word)
{
	u32 at = i * 8, pool = (match_offset + at) & (POOL_SIZE - 1);
	u64 difference;

	if (at >= match_length)
		return 1;
	difference = WORD(SOURCE(match_at + at)) ^ *(const volatile u64 *)(query.pool + pool);
	if (match_length - at < 8)
		difference <<= 64 - (match_length - at) * 8 & 63;
	if (difference)
		return match_found = 0, 1;
	return 0;
}

/* Whether source[at ..] begins with the pattern. */
GLOBAL int matches(u32 at)
{
	match_at = at;
	match_found = 1;
	LOOP(POOL_SIZE / 8, match_word);
	return match_found;
}

/* Whether the pattern is anywhere in source, up to the last place where it fits. */
BODY(match_one)
{
	return i > match_last || matches(i);
}

GLOBAL int test_pattern(u32 i)
{
	const volatile struct test *test = &query.test[i & (MAX_TESTS - 1)];
	u32 flags = test->flags, size = test_length;
	s64 last = test_length - test->length;

	match_offset = test->offset;
	match_length = test->length;
	match_last = last;
	match_found = 0;
	if (last < 0 || size > SOURCE_MASK)
		;
	else if (flags & TEST_START)
		match_found = (!(flags & TEST_END) || !last) && matches(0);
	else if (flags & TEST_END)
		match_found = matches(last);
	else
		LOOP(SOURCE_MASK + 1, match_one);
	return match_found;
}

BODY(compare_string)
{
	const volatile struct test *test = &query.test[i & (MAX_TESTS - 1)];
	u32 flags;

	if (i >= query.tests)
		return 1;
	if (test->column != test_column)
		return 0;
	flags = test->flags;
	if (flags & TEST_ABSENT)
		set_truth(i, (test_length < 0) ^ (flags & TEST_NEGATE));
	else
		set_truth(i, (test_pattern(i) ^ (flags & TEST_NEGATE)) & (test_length >= 0));
	return 0;
}

/* The tests of `column` on source[0 .. length); an absent value has a negative length. */
GLOBAL int test_string(u32 column, s64 length)
{
	test_column = column;
	test_length = length;
	LOOP(MAX_TESTS, compare_string);
	return 0;
}

static u32 test_next;

BODY(jump)
{
	u32 at = test_next & (MAX_TESTS - 1);

	test_next = query.test[at].next[truth >> at & 1];
	return test_next >= MAX_TESTS;
}

/* Whether a row may still be, or with every column tested is, one to keep. */
GLOBAL int decide(void)
{
	test_next = 0;
	LOOP(MAX_TESTS, jump);
	return test_next == ACCEPT;
}

#endif
