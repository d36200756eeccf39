/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * row.h -- from values to the bytes of one row
 *
 * A program builds a row in row[] and hands row[] to the seq_file with one bpf_seq_write: 20 ms for 35,000 rows, against 37 ms
 * with BPF_SEQ_PRINTF. A string is first read into source[].
 *
 * Writers are global functions: not static, and they return a number. The verifier checks a global function once and alone,
 * however often the program calls it. The functions are weak: the compiler then assumes nothing about their results that the
 * verifier cannot know. Linux 5.10 allows only numbers as their arguments, so writers share their state in global variables.
 *
 * The body of a loop is a function too, and its state is global, so that LOOP can use bpf_loop (5.17). The verifier checks that
 * body once: a whole program takes 2 ms instead of 24. A program for older kernels has bounded loops that only call the body,
 * which is a global function there. Each turn then costs the verifier six instructions, whatever the body does, and the compiler
 * cannot move a check out of the body into the loop, where those kernels forget the result of the check. Short functions
 * without a loop are static: unused ones disappear.
 */
#ifndef TASK_ITER_ROW_H
#define TASK_ITER_ROW_H

#if defined(FULL_QUERY) || defined(WIDE_QUERY)
#define FULL_COLUMNS 1		/* the program has those of type FULL (table.h) */
#endif
#if defined(PLAIN_QUERY) || defined(WIDE_QUERY)
#define NO_PREDICATE 1
#endif

#include "kernel.h"
#include "query.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

#define GLOBAL __attribute__((noinline, weak))

/* The verifier checks a global function that no query calls, too. So an expensive one begins with the condition of its callers. */
#define ONLY_IF(condition)                                                   \
	if (!(condition))                                                    \
		return 0

#define CHUNK 64

/*
 * BODY(name) { ... } is the body of a loop for the turn `i`; it returns 1 to end the loop. LOOP(times, name) runs it for i below
 * `times`, a constant. A bounded loop ends at 8000: the verifier keeps a branch for each turn of all loops of a function, at most
 * 8192 branches.
 */
#ifdef BOUNDED_LOOPS
#define BODY(name) GLOBAL int name(u32 i)
#define LOOP(times, body)                                                    \
	do {                                                                 \
		for (u32 loop_ = 0; loop_ < (times) && loop_ < 8000; loop_++) \
			if (body(loop_))                                     \
				break;                                       \
	} while (0)
#define TIGHT_LOOP LOOP
#else
#define BODY(name) static __noinline long name(u32 i, void *unused)
/*
 * Where the kernel knows that the last argument is 0, it puts the loop in place of the call. For that it copies what it knows of
 * every instruction of the program, a fifth of the load of a full program. So only a loop with many short turns in each row is
 * given a 0 that the kernel knows: it saves 5 to 10 ns a turn.
 */
static u64 loop_flags;
#define LOOP(times, body) bpf_loop(times, body, NULL, *(volatile u64 *)&loop_flags)
#define TIGHT_LOOP(times, body) bpf_loop(times, body, NULL, 0)
#endif

#define ROW_MASK 0x7fff		/* a row must be shorter than the kernel's 32 KiB seq buffer */
#define SOURCE_MASK 0xfff	/* PATH_MAX */
#define SOURCE_SPARE 320	/* a name in a path (NAME_MAX), and some words */

char LICENSE[] SEC("license") = "GPL";

const volatile struct query query = {};

struct progress progress;

char row[ROW_MASK + 1 + SOURCE_MASK + 1 + CHUNK];
u32 row_len;			/* bytes used of row */
u32 cell_start;			/* index in row of the current cell's value */
u32 cell_narrow;		/* bytes of the value that take no place on a screen: continuation bytes of UTF-8 */

char source[SOURCE_MASK + 1 + SOURCE_SPARE];

/* x86 and arm64 load and store eight bytes at any address. BPF programs may do so too on these machines. */
#define WORD(p) (*(u64 *)(p))
#define REPEAT(byte) (0x0101010101010101ull * (byte))
#define ROW(at) (row + ((at) & ROW_MASK))
#define SOURCE(at) (source + ((at) & SOURCE_MASK))

/*
 * Loads a value that the column `name` needs later. The processor then waits for the memory of several values at once, and writes
 * the first columns meanwhile: it does not look ahead as far as the columns are apart.
 */
#define FETCH(name, value)                                                   \
	do {                                                                 \
		if (query.pass[0] & COLUMN_BIT(name))                        \
			asm volatile("" : : "r"((u64)(value)));              \
	} while (0)

/*
 * The value does not exist. A column's expression says ABSENT. A function cannot: one that leaves a string in source[] and
 * returns its length returns NO_STRING, or what a helper gives below 0.
 */
#define ABSENT ({ absent = true; 0; })
#define NO_STRING (-1)

static __always_inline u64 literal_word(const char *text, u32 from, u32 size)
{
	u64 word = 0;

	for (u32 i = 0; i < 8; i++)
		if (from + i < size)
			word |= (u64)(u8)text[from + i] << (i * 8);
	return word;
}

/* Writes a constant string of at most 32 bytes as whole words, which are immediate operands. */
static __always_inline void put_literal(const char *text, u32 size)
{
	char *to = ROW(row_len);

	WORD(to) = literal_word(text, 0, size);
	if (size > 8)
		WORD(to + 8) = literal_word(text, 8, size);
	if (size > 16)
		WORD(to + 16) = literal_word(text, 16, size);
	if (size > 24)
		WORD(to + 24) = literal_word(text, 24, size);
	row_len += size;
}

#define LITERAL(text)                                                        \
	do {                                                                 \
		_Static_assert(sizeof(text) <= 33, "put_literal: too long"); \
		put_literal(text, sizeof(text) - 1);                         \
	} while (0)

/*
 * Returns the eight decimal digits of value < 10^8 as bytes, the first digit in the lowest byte. A division would take 20 cycles.
 */
static __always_inline u64 eight_digits(u64 value)
{
	u64 high = value * 109951163 >> 40;	/* value / 10000; exact below 4 * 10^8 */
	u64 fours = high | (value - high * 10000) << 32;
	u64 hundreds = fours * 10486 >> 20 & 0x0000007f0000007full;
	u64 twos = hundreds | (fours - hundreds * 100) << 16;
	u64 tens = twos * 103 >> 10 & 0x000f000f000f000full;

	return tens | (twos - tens * 10) << 8 | REPEAT('0');
}

/* Number of a word's bytes below its lowest set bit, 8 when no bit is set. The verifier would walk both ways of a branch. */
static __always_inline u32 bytes_below(u64 word)
{
	u64 below = (word & -word) - 1;

	return (below >> 7 & REPEAT(1)) * REPEAT(1) >> 56;
}

/* 1 for value > limit, by the sign bit: the verifier would walk both ways of a branch. */
static __always_inline u32 above(u64 value, u64 limit)
{
	u64 difference = limit - value;

	barrier_var(difference);
	return difference >> 63;
}

/* Number of leading zeros in eight digits; the last digit always counts. */
static __always_inline u32 leading_zeros(u64 digits)
{
	return bytes_below((digits ^ REPEAT('0')) | 1ull << 56);
}

#define E8 100000000ull

/* Writes eight digits of a longer number, with their leading zeros. */
GLOBAL int put_eight_digits(u64 value)
{
	u32 at = row_len;

	WORD(ROW(at)) = eight_digits(value);
	row_len = at + 8;
	return 0;
}

GLOBAL int put_u64(u64 value)
{
	u32 at = row_len, zeros;
	u64 head = value, digits;

	if (value >= E8)
		head = value >= E8 * E8 ? value / (E8 * E8) : value / E8;
	digits = eight_digits(head);
	zeros = leading_zeros(digits);
	WORD(ROW(at)) = digits >> (zeros * 8 & 63);
	row_len = at + 8 - zeros;
	if (value >= E8 * E8)
		put_eight_digits(value / E8 % E8);
	if (value >= E8)
		put_eight_digits(value % E8);
	return 0;
}

/*
 * Writes a number, a short one without a call. Where the kernel guards returns against speculation, the processor mispredicts
 * each of them, and a call takes as long as eight digits.
 */
static __always_inline void put_number(u64 value)
{
	u32 at = row_len, zeros;
	u64 digits;

	if (value >= E8) {
		put_u64(value);
		return;
	}
	digits = eight_digits(value);
	zeros = leading_zeros(digits);
	WORD(ROW(at)) = digits >> (zeros * 8 & 63);
	row_len = at + 8 - zeros;
}

static __noinline void put_s64(s64 value)
{
	if (value < 0) {
		LITERAL("-");
		value = -value;
	}
	put_u64(value);
}

/* Writes a number below 10^8 to source[at ..], for strings that contain numbers. Returns the index after the number. */
static __noinline u32 source_number(u32 at, u32 value)
{
	u64 digits = eight_digits(value);
	u32 zeros = leading_zeros(digits);

	WORD(SOURCE(at)) = digits >> (zeros * 8 & 63);
	return (at + 8 - zeros) & SOURCE_MASK;
}

/* Does the same for a number below 10^16. */
static __noinline u32 source_long_number(u32 at, u64 value)
{
	at = source_number(at, value < E8 ? value : value / E8);
	if (value < E8)
		return at;
	WORD(SOURCE(at)) = eight_digits(value % E8);
	return (at + 8) & SOURCE_MASK;
}

/*
 * A string of at most 16 bytes in two words, which need no buffer. Of a longer string source[] has the bytes, and the words mean
 * nothing.
 */
struct text {
	u64 low, high;
	s64 length;
};

/* `yes` where the bit is set in flags, else `no`, without a branch: four of them would be sixteen ways for the verifier. */
static __always_inline u64 letter_of(u64 flags, u64 bit, char yes, char no)
{
	u64 set = above(flags & bit, 0);

	barrier_var(set);
	return no + set * (yes - no);
}

/* Appends a string of at most 16 bytes to the row without escapes. */
static __always_inline void put_text(struct text text)
{
	u32 at = row_len;

	WORD(ROW(at)) = text.low;
	WORD(ROW(at) + 8) = text.high;
	row_len = at + text.length;
}

static __always_inline void text_to_source(struct text text)
{
	if (text.length > 16)
		return;
	WORD(source) = text.low;
	WORD(source + 8) = text.high;
}

/* Appends `spaces` spaces to the row, at most 64. */
static __noinline void put_spaces(u32 spaces)
{
	u32 at = row_len;

	for (u32 i = 0; i < 64; i += 8)
		WORD(ROW(at + i)) = REPEAT(' ');
	row_len = at + (spaces > 64 ? 64 : spaces);
}

/* Appends source[0 .. length) to the row without escapes. */
GLOBAL int put_source(u32 length)
{
	u32 at = row_len & ROW_MASK;

	if (length > SOURCE_MASK + 1)
		return 0;
	if (length <= CHUNK) {
		/* Nearly all strings are short: eight words take less time than a helper. */
		for (u32 i = 0; i < CHUNK; i += 8)
			WORD(row + at + i) = WORD(source + i);
	} else {
		bpf_probe_read_kernel(row + at, length, source);
	}
	row_len = at + length;
	return 0;
}

/*
 * Strings. A format names the bytes that need an escape twice. is_special() looks at eight bytes at a time and finds the strings
 * without such a byte, which are nearly all. escapes[] says how to write each byte of the other strings.
 */
#define PLAIN(byte) (1ull << 56 | (byte))	/* an entry: up to seven bytes of text and, highest, their number */
#define HEX(nibble) ((u64)(((nibble) & 15) + '0' + (((nibble) & 15) + 6 >> 4) * ('a' - '0' - 10)))	/* no branch */
#define FOUR(E, b) E(b), E((b) + 1), E((b) + 2), E((b) + 3)
#define SIXTEEN(E, b) FOUR(E, b), FOUR(E, (b) + 4), FOUR(E, (b) + 8), FOUR(E, (b) + 12)
#define SIXTY_FOUR(E, b) SIXTEEN(E, b), SIXTEEN(E, (b) + 16), SIXTEEN(E, (b) + 32), SIXTEEN(E, (b) + 48)
#define EVERY_BYTE(E) { SIXTY_FOUR(E, 0), SIXTY_FOUR(E, 64), SIXTY_FOUR(E, 128), SIXTY_FOUR(E, 192) }

/*
 * Sets the high bit of each byte below a number. Bytes after the first hit may be wrong; callers need the first hit only.
 * UNDER and LIKE are for several numbers in a row, all below 128: their high bits count in bytes that have none themselves.
 */
#define BELOW(word, byte) (UNDER(word, byte) & ~(word) & REPEAT(0x80))
#define UNDER(word, byte) ((word) - REPEAT(byte))
#define LIKE(word, byte) UNDER((word) ^ REPEAT(byte), 1)

#include FORMAT_HEADER

#ifndef SHAPED
#define SHAPED 0	/* the flags of queries whose cells are all written anew */
#endif

/* Bits of the bytes before the first NUL. */
static __always_inline u64 before_nul(u64 word)
{
	u64 nul = BELOW(word, 1);

	return ((nul & -nul) >> 7) - 1;
}

/* The string in two words, at most up to a NUL; old bytes may follow the NUL (comm on 5.10: "init\0er/0"). */
static __always_inline struct text name_text(u64 low, u64 high)
{
	u64 low_bits = before_nul(low), high_bits = before_nul(high);
	struct text text;

	barrier_var(low_bits);	/* the compiler would make a branch of its sign, and the verifier walk both ways */
	high_bits &= (s64)low_bits >> 63;
	/* Bytes after the end must not look special. */
	text.low = (low & low_bits) | (REPEAT('a') & ~low_bits);
	text.high = (high & high_bits) | (REPEAT('a') & ~high_bits);
	text.length = ((low_bits & REPEAT(1)) + (high_bits & REPEAT(1))) * REPEAT(1) >> 56;
	return text;
}

/* Whether the format may need more for a name of at most 16 bytes than quotes that it always has. */
static __always_inline bool is_plain_name(struct text name)
{
	return !(is_special(name.low) | is_special(name.high)) && (name.length || QUOTES(true) == QUOTES(false));
}

/* Shared by the loops over source. */
u32 source_length;
u32 cell_limit;		/* index in row at which the cell is cut */
u32 cell_cut;		/* whether the cell was cut */
u64 special_found;
u8 byte_before;

BODY(find_special)
{
	if (i * 8 >= source_length)
		return 1;
	special_found |= is_special(WORD(SOURCE(i * 8)));
	return 0;
}

/*
 * Writes one byte. U+0080 to U+009F (c2 80 to c2 9f) are control characters too: the function removes the c2 from the row and
 * writes both bytes as \u00XX. A cut does not split a character.
 */
BODY(put_byte)
{
	u32 at = row_len;
	u8 byte = *SOURCE(i);
	bool inside = (byte & 0xc0) == 0x80;
	u64 text = escapes[byte];

	if (i >= source_length)
		return 1;
	if (at >= cell_limit && !inside) {
		cell_cut = 1;
		return 1;
	}
	if (ESCAPE_C1 && byte_before == 0xc2 && inside && byte < 0xa0) {
		text = 6ull << 56 | HEX(byte) << 40 | HEX(byte >> 4) << 32 | 0x3030755c;
		at--;
	}
	WORD(ROW(at)) = text;
	row_len = at + (text >> 56);
	if (COUNTS_NARROW)
		cell_narrow += inside && text >> 56 == 1;
	byte_before = byte;
	return 0;
}

/* Writes source[0 .. length) as a string of the format. After query.cell_max bytes a mark replaces the rest. */
GLOBAL int put_string(u32 length)
{
	bool quoted;

	if (length > SOURCE_MASK)
		length = SOURCE_MASK;
	barrier_var(length);	/* keeps the mask of SOURCE(): the verifier may not know a limit of this register */
	/* Bytes after the end must not look special. */
	WORD(SOURCE(length)) = REPEAT('a');
	WORD(SOURCE(length) + 8) = REPEAT('a');
	source_length = length;
	special_found = 0;
	if (length <= CHUNK) {
		/* Nearly all strings are short, and bpf_loop calls a function for each word. */
		u64 found = 0;

		for (u32 i = 0; i < CHUNK; i += 16) {
			if (i >= length)
				break;
			found |= is_special(WORD(source + i)) | is_special(WORD(source + i + 8));
		}
		special_found = found;
	} else {
		LOOP((SOURCE_MASK + 1) / 8, find_special);
	}
	length = *(volatile u32 *)&source_length;	/* the verifier forgets the three cases, and walks the code below once */
	quoted = QUOTES(special_found || !length);
	if (quoted)
		LITERAL("\"");
	if (!special_found && length <= query.cell_max) {
		put_source(length);
	} else {
		cell_limit = row_len + query.cell_max;
		cell_cut = 0;
		byte_before = 0;
		LOOP(SOURCE_MASK + 1, put_byte);
		if (cell_cut)
			LITERAL("\xe2\x80\xa6");
	}
	if (quoted)
		LITERAL("\"");
	return 0;
}

static __always_inline void put_short_string(struct text name)
{
	text_to_source(name);
	put_string(name.length);
}

#endif
