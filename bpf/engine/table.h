/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * table.h -- turns a table's list of columns into its program and, for the generator, into its description
 *
 * A table defines COLUMNS(COL, MORE): COL for a column shown by default, MORE for one shown when asked for.
 *
 *	COL(name, type, width, expression, "Documentation.")
 *
 * `width` is its least width in text. The expression may say ABSENT. Types:
 *
 *	U64 S64 BOOL	numbers; HEX, one written as a string of hexadecimal digits; COSTLY, a U64 that takes long to get
 *	ENUM(WORDS)	a number written as a word where WORDS(W) has one: W(1, FIFO)
 *	TOKEN STR LONG	strings: the expression leaves them in source[] and gives the length, NO_STRING without one. A TOKEN has
 *			nothing to escape; a LONG one is costly to get, or may fill the row
 *	TEXT NAME	short strings, as a struct text (row.h): a TEXT has nothing to escape; a NAME has at most 16 bytes
 *	SYMBOL		a kernel symbol, as a TOKEN
 *	COSTLY_STR	a short string that takes long to get
 *	FRAMES		kernel addresses in frames[]; the expression gives their number
 *	NUMBERS		a list of numbers below 10^16 in listed[]; the expression gives their number
 *	BYTES		memory as hexadecimal digits, cut like a LONG string: the expression, of bytes.h, gives its address
 *	ELEMENT(which)	a key (KEY) or value (VALUE) of a map, in the same way; the full program writes it as JSON (shape.h)
 *	FULL(TYPE)	a column that only the full and the wide program have, because each load would pay for its types and functions
 *
 * The walk begins with START_WALK, or with START_TASK_WALK (task.h) where the table shows pids; then RETURN_UNLESS_KEPT leaves
 * the program when the predicate does not hold, and WRITE_ROW writes the row. The last two do not compile without the first.
 *
 * With -DPLAIN_QUERY the program knows nothing but the columns shown by default and no predicate, with -DWIDE_QUERY all columns and
 * no predicate. The verifier drops what a query does not need, but only after the kernel has relocated and checked it: the plain
 * programs of files and tasks load in a third of the time, the wide ones in two thirds.
 */
#ifndef TASK_ITER_TABLE_H
#define TASK_ITER_TABLE_H

#include "where.h"
#include "symbol.h"
#include "turn.h"
#ifdef FULL_QUERY
#include "changes.h"
#define begin_changes()                                                      \
	do {                                                                 \
		PUT_OP;                                                      \
		cells_from = row_len;                                        \
		aging_from = 0;                                              \
	} while (0)
#define NOTE_AGING(name)                                                     \
	do {                                                                 \
		if (IS_CHANGES && !__builtin_strcmp(#name, AGING))           \
			aging_from = row_len;                                \
	} while (0)
#else
#define IS_CHANGES false
#define NOTE_AGING(name) do { } while (0)
#define begin_changes() do { } while (0)
#define end_identity() do { } while (0)
#define compare_row() 1
#define remember_row() do { } while (0)
#define DEFINE_GONE
#endif

#ifdef FULL_QUERY
#include "groups.h"
#define COLUMNS_READ (query.where | query.noted)
#define COLUMNS_NOTED query.noted
#define CLEAR_NOTES (noted_seen = 0)
#else
#define NOTE_NUMBER(column_number, value, absent) do { } while (0)
#define NOTE_STRING(column_number, length) do { } while (0)
#define IS_COUNT false
#define COLUMNS_READ query.where
#define COLUMNS_NOTED 0
#define CLEAR_NOTES do { } while (0)
#define add_to_group() do { } while (0)
#endif

/*
 * TABLE(name, "iterator", "since", "plural", "doc"), after COLUMNS and IDENTITY(I), the columns by which --changes tells rows apart,
 * whose values stay the same: I(pid) I(fd). With -DDESCRIBE the preprocessor prints the table's
 * description between two marks, where scripts/generate.ts cuts it out and makes src/query/schema.gen.ts of it.
 */
#ifdef DESCRIBE
#define DESCRIBE_WORD(number, word) [number, #word],
#define DESCRIBE_COLUMN(name, shown, type, width, doc) [#name, shown, width, doc, OF_TYPE_(OF_TYPE(DESCRIPTION, type))],
#define DESCRIBE_COL(name, type, width, expression, doc) DESCRIBE_COLUMN(name, 1, type, width, doc)
#define DESCRIBE_MORE(name, type, width, expression, doc) DESCRIBE_COLUMN(name, 0, type, width, doc)
#define TABLE(name, iterator, since, plural, doc)                            \
	DESCRIPTION_BEGIN [#name, iterator, since, plural, doc, [COLUMNS(DESCRIBE_COL, DESCRIBE_MORE) 0], [IDENTITY(DESCRIBE_IDENTITY) 0]] DESCRIPTION_END
#define DESCRIBE_IDENTITY(name) #name,
#else
#define TABLE(name, iterator, since, plural, doc)                            \
	enum { COLUMNS(COLUMN_NUMBER, COLUMN_NUMBER) };                      \
	ASSERT_OWNER                                                         \
	DEFINE_GONE
#endif

/* The row's beginning is kept from one row to the next: the owner's columns have to be the first ones, without a gap (task.h). */
#ifdef OWNER
#define ASSERT_OWNER _Static_assert((OWNER & (OWNER + 1)) == 0, "another column stands before or between those of OWNER");
#else
#define ASSERT_OWNER
#endif

#define COLUMN_NUMBER(name, type, width, expression, doc) COLUMN_##name,
#define COLUMN_BIT(name) (1ull << COLUMN_##name)

struct word {
	char text[31];
	u8 length;
};

#define WORD_ENTRY(number, word) [number] = { #word WORD_END, sizeof(#word WORD_END) - 1 },
#define DEFINE_WORDS(WORDS) static const struct word words_##WORDS[] __attribute__((unused)) = { WORDS(WORD_ENTRY) }

/* --- the types of columns --- */

/*
 * A type is one line: (its name in the schema; its cost; the macro that compares it, with an argument; the macro that writes its
 * cell, with an argument; the words of an enum). Costs: 0 is computed first, 1 takes long to get, 2 is costly or may fill the
 * row.
 *
 * The macros compute the column's expression once. They declare `absent`; ABSENT (row.h) in the expression sets it, and the value
 * does not matter then.
 */
#define OF_TYPE(field, type) OF_TYPE_(TYPE_##field TYPE_##type)
#define OF_TYPE_(...) __VA_ARGS__
#define TYPE_DESCRIPTION(name, cost, compare, compare_with, write, write_with, ...) name, __VA_ARGS__
#define TYPE_SCHEMA(name, ...) name
#define TYPE_COST(name, cost, ...) cost
#define TYPE_COMPARE(name, cost, compare, compare_with, ...) compare, compare_with
#define TYPE_WRITE(name, cost, compare, compare_with, write, write_with, ...) write, write_with

/* TYPED(handler, argument, ...) is handler(argument, ...). */
#define TYPED(...) TYPED_(__VA_ARGS__)
#define TYPED_(handler, argument, ...) handler(argument, __VA_ARGS__)

/* Numbers. Signed ones are compared with a bias, so that all compare unsigned. */
#define TYPE_U64 ("number", 0, COMPARE_NUMBER, 0, WRITE_NUMBER, PUT_NUMBER, 0)
#define TYPE_COSTLY ("number", 1, COMPARE_NUMBER, 0, WRITE_NUMBER, PUT_NUMBER, 0)
#define TYPE_S64 ("signed", 0, COMPARE_NUMBER, SIGNED_BIAS, WRITE_NUMBER, PUT_SIGNED, 0)

#define COMPARE_NUMBER(bias, name, expression)                               \
	u64 cell_value = (expression);                                       \
	TEST_NUMBER(COLUMN_##name, cell_value ^ (bias), absent)              \
	KEEP_NUMBER(COLUMN_##name, cell_value);
#define WRITE_NUMBER(put, name, width, expression)                           \
	u64 cell_value = (expression);                                       \
	CELL_BEGIN(name, width);                                             \
	if (absent)                                                          \
		PUT_ABSENT(width);                                           \
	else                                                                 \
		put(cell_value, width);

/* A number as a string of hexadecimal digits: JSON's numbers are exact up to 53 bits only. */
#define TYPE_HEX ("hex", 0, COMPARE_NUMBER, 0, WRITE_HEX, 0, 0)

/* Sixteen digits, the first lowest: two words, the nibbles of each half spread to bytes. */
static __always_inline u64 eight_hex(u32 half)
{
	u64 spread = half, tens;

	spread = (spread << 16 | spread) & 0x0000ffff0000ffffull;
	spread = (spread << 8 | spread) & 0x00ff00ff00ff00ffull;
	spread = (spread << 4 | spread) & REPEAT(0x0f);
	tens = (spread + REPEAT(6)) >> 4 & REPEAT(1);
	return __builtin_bswap64(spread + REPEAT('0') + tens * ('a' - '0' - 10));
}

static __always_inline void put_hex(u64 value)
{
	u64 high = eight_hex(value >> 32), low = eight_hex(value);
	u32 zeros = bytes_below(high ^ REPEAT('0')), at;

	PUT_QUOTE;
	LITERAL("0x");
	at = row_len;
	/* The first eight digits without their leading zeros, which may be all eight; then the others, likewise where they are first. */
	WORD(ROW(at)) = high >> (zeros * 4 & 63) >> (zeros * 4 & 63);
	at += 8 - zeros;
	zeros = (zeros >> 3) * leading_zeros(low);
	WORD(ROW(at)) = low >> (zeros * 8 & 63);
	row_len = at + 8 - zeros;
	PUT_QUOTE;
}

#define WRITE_HEX(unused, name, width, expression)                           \
	u64 cell_value = (expression);                                       \
	CELL_BEGIN(name, width);                                             \
	if (absent)                                                          \
		PUT_ABSENT(0);                                               \
	else                                                                 \
		put_hex(cell_value);                                         \
	CELL_END(name, width);

/* true and false */
#define TYPE_BOOL ("boolean", 0, COMPARE_BOOL, 0, WRITE_BOOL, 0, 0)

#define COMPARE_BOOL(unused, name, expression)                               \
	bool cell_value = (expression);                                      \
	TEST_NUMBER(COLUMN_##name, cell_value, absent)
#define WRITE_BOOL(unused, name, width, expression)                          \
	bool cell_value = (expression);                                      \
	CELL_BEGIN(name, width);                                             \
	if (absent)                                                          \
		PUT_ABSENT(0);                                               \
	else if (cell_value)                                                 \
		LITERAL("true");                                             \
	else                                                                 \
		LITERAL("false");                                            \
	CELL_END(name, width);

/* A number that is written as a word, where WORDS has one for that number. */
#define TYPE_ENUM(WORDS) ("enum", 0, COMPARE_WORD, 0, WRITE_WORD, words_##WORDS, [WORDS(DESCRIBE_WORD) 0])

static __always_inline void put_word(const struct word *word)
{
	char *to = ROW(row_len);

	for (u32 i = 0; i < 32; i += 8)
		WORD(to + i) = WORD(word->text + i);
	row_len += word->length;
}

#define COMPARE_WORD(unused, name, expression)                               \
	u32 cell_value = (expression);                                       \
	TEST_NUMBER(COLUMN_##name, cell_value, absent)
/* 64 bits and a barrier: until 6.2 or so the verifier forgets a comparison in a 32-bit copy of the number. */
#define WRITE_WORD(words, name, width, expression)                           \
	u64 cell_value = (u32)(expression);                                  \
	barrier_var(cell_value);                                             \
	if (!absent && cell_value < sizeof(words) / sizeof(words[0]) && words[cell_value].length) { \
		WORD_BEGIN(name, width);                                     \
		put_word(&words[cell_value]);                                \
	} else {                                                             \
		CELL_BEGIN(name, width);                                     \
		if (absent)                                                  \
			PUT_ABSENT(0);                                       \
		else                                                         \
			put_u64(cell_value);                                 \
	}                                                                    \
	CELL_END(name, width);

/* Strings, which the expression leaves in source[]. Nothing in a TOKEN or a SYMBOL needs an escape. */
#define TYPE_TOKEN ("string", 0, COMPARE_STRING, 0, WRITE_TOKEN, 0, 0)
#define TYPE_SYMBOL ("symbol", 1, COMPARE_STRING, 0, WRITE_TOKEN, 0, 0)
#define TYPE_STR ("string", 0, COMPARE_STRING, 0, WRITE_STRING, 0, 0)
#define TYPE_COSTLY_STR ("string", 1, COMPARE_STRING, 0, WRITE_STRING, 0, 0)
#define TYPE_LONG ("long", 2, COMPARE_STRING, 0, WRITE_STRING, 0, 0)

#define COMPARE_STRING(unused, name, expression)                             \
	s64 cell_length = (expression);                                      \
	if (absent)                                                          \
		cell_length = NO_STRING;                                     \
	TEST_STRING(COLUMN_##name, cell_length)
#define WRITE_STRING(unused, name, width, expression)                        \
	s64 cell_length = (expression);                                      \
	CELL_BEGIN(name, width);                                             \
	if (cell_length < 0 || absent)                                       \
		PUT_ABSENT(0);                                               \
	else                                                                 \
		put_string(cell_length);                                     \
	CELL_END(name, width);
#define WRITE_TOKEN(unused, name, width, expression)                         \
	s64 cell_length = (expression);                                      \
	if (cell_length < 0 || absent) {                                     \
		CELL_BEGIN(name, width);                                     \
		PUT_ABSENT(0);                                               \
	} else {                                                             \
		WORD_BEGIN(name, width);                                     \
		PUT_TOKEN(cell_length);                                      \
	}                                                                    \
	CELL_END(name, width);

/* Short strings, which need no source[] but for a comparison. */
#define TYPE_TEXT ("string", 0, COMPARE_TEXT, 0, WRITE_TEXT, 0, 0)
#define TYPE_NAME ("string", 0, COMPARE_TEXT, 0, WRITE_NAME, 0, 0)

#define COMPARE_TEXT(unused, name, expression)                               \
	struct text cell_text = (expression);                                \
	s64 cell_length = cell_text.length;                                  \
	text_to_source(cell_text);                                           \
	TEST_STRING(COLUMN_##name, cell_length)
#define WRITE_TEXT(unused, name, width, expression)                          \
	struct text cell_text = (expression);                                \
	if (cell_text.length < 0) {                                          \
		CELL_BEGIN(name, width);                                     \
		PUT_ABSENT(0);                                               \
	} else {                                                             \
		WORD_BEGIN(name, width);                                     \
		if (cell_text.length <= 16)                                  \
			put_text(cell_text);                                 \
		else                                                         \
			put_source(cell_text.length);                        \
		PUT_QUOTE;                                                   \
	}                                                                    \
	CELL_END(name, width);
#define WRITE_NAME(unused, name, width, expression)                          \
	struct text cell_text = (expression);                                \
	if (is_plain_name(cell_text)) {                                      \
		WORD_BEGIN(name, width);                                     \
		put_text(cell_text);                                         \
		PUT_QUOTE;                                                   \
	} else {                                                             \
		CELL_BEGIN(name, width);                                     \
		put_short_string(cell_text);                                 \
	}                                                                    \
	CELL_END(name, width);

/* The kernel addresses in frames[], as a list of symbols (frames.h) */
#define TYPE_FRAMES ("frames", 2, COMPARE_FRAMES, 0, WRITE_FRAMES, 0, 0)

#define COMPARE_FRAMES(unused, name, expression)                             \
	s64 cell_length = frames_to_source(expression);                      \
	TEST_STRING(COLUMN_##name, cell_length)
#define WRITE_FRAMES(unused, name, width, expression)                        \
	s64 cell_depth = (expression);                                       \
	CELL_BEGIN(name, width);                                             \
	PUT_FRAMES(cell_depth);                                              \
	CELL_END(name, width);

/* The numbers in listed[], as a list */
#define TYPE_NUMBERS ("numbers", 1, COMPARE_NUMBERS, 0, WRITE_NUMBERS, 0, 0)

#define MAX_LISTED 64
static u64 listed[MAX_LISTED];
static u32 listed_count;

BODY(put_one_number)
{
	if (i >= listed_count)
		return 1;
	if (i) {
		*ROW(row_len) = NUMBERS_NEXT;
		row_len++;
	}
	put_u64(listed[i & (MAX_LISTED - 1)]);
	return 0;
}

static u32 listed_end;

BODY(join_number)
{
	u32 at = listed_end;

	if (i >= listed_count)
		return 1;
	if (i) {
		*SOURCE(at) = ';';
		at++;
	}
	listed_end = source_long_number(at, listed[i & (MAX_LISTED - 1)]);
	return 0;
}

/* For the predicate: writes the numbers to source, joined by ";". */
static __noinline s64 listed_to_source(u32 count)
{
	listed_count = count;
	listed_end = 0;
	LOOP(MAX_LISTED, join_number);
	return listed_end;
}

#define COMPARE_NUMBERS(unused, name, expression)                            \
	s64 cell_length = listed_to_source(expression);                     \
	TEST_STRING(COLUMN_##name, cell_length)
#define WRITE_NUMBERS(unused, name, width, expression)                       \
	listed_count = (expression);                                        \
	CELL_BEGIN(name, width);                                             \
	if (listed_count) {                                                 \
		NUMBERS_BEGIN;                                               \
		LOOP(MAX_LISTED, put_one_number);                           \
		NUMBERS_END;                                                 \
	} else {                                                             \
		LIST_EMPTY;                                                  \
	}                                                                    \
	CELL_END(name, width);

/* Memory as hexadecimal digits (bytes.h) */
#define TYPE_BYTES ("long", 2, COMPARE_BYTES, 0, WRITE_BYTES, 0, 0)

#define COMPARE_BYTES(unused, name, expression)                              \
	s64 cell_length = bytes_to_source(expression);                       \
	TEST_STRING(COLUMN_##name, cell_length)
#define WRITE_BYTES(unused, name, width, expression)                         \
	u64 cell_address = (expression);                                     \
	CELL_BEGIN(name, width);                                             \
	PUT_QUOTE;                                                           \
	put_bytes(cell_address, row_len + query.cell_max);                   \
	PUT_QUOTE;                                                           \
	CELL_END(name, width);

/* The same memory as JSON, where the full program has a list of steps for it (shape.h) */
#ifdef FULL_QUERY
#define TYPE_ELEMENT(which) ("json", 2, COMPARE_ELEMENT, which, WRITE_ELEMENT, which, 0)
#else
#define TYPE_ELEMENT(which) ("json", 2, COMPARE_BYTES, 0, WRITE_BYTES, 0, 0)
#endif

#define COMPARE_ELEMENT(which, name, expression)                             \
	s64 cell_length = element_to_source(expression, COMPARED_##which);   \
	TEST_STRING(COLUMN_##name, cell_length)
#define WRITE_ELEMENT(which, name, width, expression)                        \
	u64 cell_address = (expression);                                     \
	CELL_BEGIN(name, width);                                             \
	put_element(cell_address, WRITTEN_##which);                          \
	CELL_END(name, width);

enum { WRITTEN_KEY, WRITTEN_VALUE, COMPARED_KEY, COMPARED_VALUE };

/* A column that every program has, where the list of columns is one that says so of each. */
#define TYPE_EVERY(type) TYPE_##type

/* A column that only the full and the wide program have: in the others nothing asks for it, and its expression is not compiled. */
#ifdef DESCRIBE
#define TYPE_FULL(type) DESCRIBE_TUPLE(TYPE_##type)
#define DESCRIBE_TUPLE(tuple) DESCRIBE_FULL tuple
#define DESCRIBE_FULL(name, cost, compare, compare_with, write, write_with, ...) \
	(name, cost, NOTHING, 0, NOTHING, 0, __VA_ARGS__, 1)
#elif defined(FULL_COLUMNS)
#define TYPE_FULL(type) TYPE_##type
#else
#define TYPE_FULL(type) ("", 0, NOTHING, 0, NOTHING, 0, 0)
#endif
#define NOTHING(...)

/* --- the predicate --- */

#define WHERE_COLUMN(cost, name, type, expression)                           \
	if (OF_TYPE(COST, type) == cost && COLUMNS_READ & COLUMN_BIT(name)) { \
		bool absent = false;                                         \
		TYPED(OF_TYPE(COMPARE, type), name, expression)                        \
		(void)absent;                                                \
	}
#define WHERE_COST_0(name, type, width, expression, doc) WHERE_COLUMN(0, name, type, expression)
#define WHERE_COST_1(name, type, width, expression, doc) WHERE_COLUMN(1, name, type, expression)
#define WHERE_COST_2(name, type, width, expression, doc) WHERE_COLUMN(2, name, type, expression)

#define BIT_COST_0(name, type, width, expression, doc) | (OF_TYPE(COST, type) == 0 ? COLUMN_BIT(name) : 0)
#define BIT_COST_1(name, type, width, expression, doc) | (OF_TYPE(COST, type) == 1 ? COLUMN_BIT(name) : 0)
#define BIT_COST_2(name, type, width, expression, doc) | (OF_TYPE(COST, type) == 2 ? COLUMN_BIT(name) : 0)

/*
 * Nothing is computed when cheaper columns have decided: no, whatever the others are; or yes, whatever they are, unless a count
 * wants the values of others.
 */
#define RETURN_AFTER_COST(cost)                                                    \
	if (COLUMNS_READ & (0 COLUMNS(BIT_COST_##cost, BIT_COST_##cost)) &&  \
	    (COLUMNS_NOTED & (0 COLUMNS(BIT_COST_##cost, BIT_COST_##cost)) || !(made && decide(truth)))) { \
		COLUMNS(WHERE_COST_##cost, WHERE_COST_##cost)                \
		TEST_PAIRS                                                   \
		if (!decide(truth | ~made))                                  \
			return 0;                                            \
	}

#ifdef NO_PREDICATE
#define RETURN_UNLESS_KEPT (void)walk_started
#else
#define RETURN_UNLESS_KEPT                                                   \
	do {                                                                 \
		(void)walk_started;                                          \
		u64 truth = 0, made = 0, known = 0, missing = 0;             \
		(void)known, (void)missing;                                  \
		CLEAR_NOTES;                                                 \
		RETURN_AFTER_COST(0)                                               \
		RETURN_AFTER_COST(1)                                               \
		RETURN_AFTER_COST(2)                                               \
	} while (0)
#endif

/* --- the row --- */

/* The owner's columns (task.h) are the first of a row that has them all or some: of the first pass. */
#if defined(OWNER) && !defined(BOUNDED_LOOPS)
#define BEGIN                                                                \
	bool owned = query.pass[0] && is_owner(task);                        \
	if (owned)                                                           \
		row_len = owner_end;                                         \
	else                                                                 \
		ROW_BEGIN
#define IN_PLACE(name) (OWNER & COLUMN_BIT(name) && i == 0 && owned)
#define AFTER_CELL(name)                                                     \
	if (COLUMN_BIT(name) > OWNER >> 1 && COLUMN_BIT(name) & OWNER && i == 0) \
		owner_end = row_len;
#else
#define BEGIN ROW_BEGIN
#define IN_PLACE(name) false
#define AFTER_CELL(name)
#endif

/*
 * KEPT has the bits of columns, without a gap, whose text in the first pass is kept for the next row: where SAME, an expression,
 * says that their values are the same, the text is copied.
 */
#if defined(KEPT) && !defined(BOUNDED_LOOPS)
#define KEPT_MAX 128
char kept[KEPT_MAX];
u32 kept_length, kept_from;	/* bytes of kept; where in row they begin */

/* Keeps row[kept_from .. row_len), unless it is too long. */
GLOBAL int keep(void)
{
	u32 length = row_len - kept_from;

	kept_length = length <= KEPT_MAX ? length : 0;
	for (u32 i = 0; i < KEPT_MAX; i += 8)
		WORD(kept + i) = WORD(ROW(kept_from) + i);
	return 0;
}

GLOBAL int put_kept(void)
{
	u32 at = row_len;

	for (u32 i = 0; i < KEPT_MAX; i += 8)
		WORD(ROW(at) + i) = WORD(kept + i);
	row_len = at + kept_length;
	return 0;
}

#define BEGIN_KEPT bool same = (SAME) && kept_length && !(query.flags & (QUERY_SHARED | QUERY_CHANGES | SHAPED))
#define BEFORE_CELL(name)                                                    \
	if (i == 0 && COLUMN_BIT(name) == (KEPT & -KEPT)) {                  \
		if (same)                                                    \
			put_kept();                                          \
		else                                                         \
			kept_from = row_len;                                 \
	}
#define IS_KEPT(name) (KEPT & COLUMN_BIT(name) && i == 0 && same)
#define KEEP_CELL(name)                                                      \
	if (i == 0 && COLUMN_BIT(name) > KEPT >> 1 && COLUMN_BIT(name) & KEPT && !same) \
		keep();
#else
#define BEGIN_KEPT do { } while (0)
#define BEFORE_CELL(name)
#define IS_KEPT(name) false
#define KEEP_CELL(name)
#endif

#define CELL(name, type, width, expression, doc)                             \
	BEFORE_CELL(name)                                                    \
	if (pass & COLUMN_BIT(name) && !IN_PLACE(name) && !IS_KEPT(name)) {  \
		bool absent = false;                                         \
		NOTE_AGING(name);                                            \
		TYPED(OF_TYPE(WRITE, type), name, width, expression)                  \
		(void)absent;                                                \
	}                                                                    \
	AFTER_CELL(name)                                                     \
	KEEP_CELL(name)                                                      \
	if (IS_CHANGES && pass & COLUMN_BIT(name) && query.identity_last == COLUMN_##name) \
		end_identity();

#ifdef PLAIN_QUERY
#define CELL_MORE(name, type, width, expression, doc)
#else
#define CELL_MORE CELL
#endif

u32 row_flushed;

#define FLUSH                                                                \
	do {                                                                 \
		u32 row_from = row_flushed ? 0 : ROW_FROM;                   \
		u32 row_size = row_len - row_from;                           \
		if (!row_flushed)                                            \
			ROW_OPEN;                                            \
		if (row_size <= ROW_MASK)                                    \
			bpf_seq_write(seq, row + row_from, row_size);        \
		row_len = 0;                                                 \
		row_flushed = 1;                                             \
	} while (0)

/* Nothing to write is a count: rows are counted all the same. */
#define WRITE_ROW                                                            \
	do {                                                                 \
		(void)walk_started;                                          \
		progress.shown = 1;                                          \
		if (!query.pass[0] && !IS_COUNT)                             \
			return 0;                                            \
		row_len = 0;                                                 \
		row_flushed = 0;                                             \
		BEGIN_KEPT;                                                  \
		BEGIN;                                                       \
		if (IS_CHANGES)                                              \
			begin_changes();                                     \
		_Pragma("clang loop unroll(disable)")                        \
		for (u32 i = 0; i < MAX_PASSES; i++) {                       \
			u64 pass = query.pass[i];                            \
			if (!pass)                                           \
				break;                                       \
			COLUMNS(CELL, CELL_MORE)                             \
		}                                                            \
		if (IS_COUNT) {                                              \
			add_to_group();                                      \
			return 0;                                            \
		}                                                            \
		if (IS_CHANGES && !compare_row()) {                          \
			progress.shown = 0;                                  \
			return 0;                                            \
		}                                                            \
		ROW_END;                                                     \
		if (IS_CHANGES) {                                            \
			u32 row_size = row_len - ROW_FROM;                   \
			ROW_OPEN;                                            \
			if (row_size <= ROW_MASK && !bpf_seq_write(seq, row + ROW_FROM, row_size)) \
				remember_row();                              \
			break;                                               \
		}                                                            \
		FLUSH;                                                       \
	} while (0)

/* Begins the work on an element, before anything is kept in a global. */
#define START_WALK(ctx)                                                      \
	TAKE_TURN;                                                           \
	count_element((ctx)->meta);                                          \
	const bool walk_started = true

static u64 element_index;	/* of the last element */

/*
 * The kernel runs the program again for an element whose row did not fit: the number and the index are the same then. When a walk is
 * at the end of its table and a new element appears, the new one has the number of the last one too, but another index.
 */
static __always_inline void count_element(struct bpf_iter_meta *meta)
{
	u64 seq_num = meta->seq_num, index = meta->seq->index;

	if (seq_num != progress.seq_num || index != element_index) {
		progress.seq_num = seq_num;
		element_index = index;
		progress.walked++;
		progress.rows += progress.shown;
	}
	progress.shown = 0;
}

#endif
