/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * row.h -- from values to the bytes of one row
 *
 * A row is put together in row[] and handed to the seq_file with one bpf_seq_write: 20 ms for 35,000 rows against 37 with
 * BPF_SEQ_PRINTF. Strings come by way of source[].
 *
 * Writers are global functions (not static, returning a number): every kernel verifies them once each, on their own, whatever
 * the number of calls; weak, so that the compiler does not carry into callers what the verifier cannot know of them. Their
 * arguments are numbers only, as 5.10 demands; what they share is global.
 *
 * The body of a loop is a function too, and what it keeps is global, so that LOOP can be bpf_loop (5.17), whose body is verified
 * once: 2 ms for a whole program instead of 24. Programs for older kernels have bounded loops that do nothing but call the body,
 * a global function there: each turn costs the verifier six instructions, whatever the body does, and the compiler cannot move
 * a check of the body's out of a loop, where those kernels lose track of what it said. Short functions without a loop are
 * static: those not used disappear, and a light skeleton can hold no more than 32 (libbpf 1.1, MAX_USED_PROGS).
 */
#ifndef TASK_ITER_ROW_H
#define TASK_ITER_ROW_H

#include "kernel.h"
#include "query.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

#define GLOBAL __attribute__((noinline, weak))

#define CHUNK 64

/*
 * BODY(name) { ... } is the body of a loop for the turn `i`; it returns 1 to end the loop. LOOP(times, name) runs it for i below
 * `times`, a constant. A bounded loop ends at 8000: the verifier keeps a branch for each turn of all loops of a function, and 8192
 * are its limit.
 */
#ifdef BOUNDED_LOOPS
#define BODY(name) GLOBAL int name(u32 i)
#define LOOP(times, body)                                                    \
	do {                                                                 \
		for (u32 loop_ = 0; loop_ < (times) && loop_ < 8000; loop_++) \
			if (body(loop_))                                     \
				break;                                       \
	} while (0)
#else
#define BODY(name) static __noinline long name(u32 i, void *unused)
#define LOOP(times, body) bpf_loop(times, body, NULL, 0)
#endif

#define ROW_MASK 0x7fff		/* a row must be shorter than the kernel's 32 KiB seq buffer */
#define SOURCE_MASK 0xfff	/* PATH_MAX */
#define SOURCE_SPARE 320	/* a name in a path (NAME_MAX), and some words */

char LICENSE[] SEC("license") = "GPL";

const volatile struct query query = {};

struct progress progress;

char row[ROW_MASK + 1 + SOURCE_MASK + 1 + CHUNK];
u32 row_len;			/* bytes used of row */
u32 cell_start;			/* where in row the current cell's value begins */
u32 cell_narrow;		/* bytes of it that take no place on a screen: continuation bytes of UTF-8 */

char source[SOURCE_MASK + 1 + SOURCE_SPARE];

/* x86 and arm64 load and store eight bytes at any address; so do the kernels' BPF programs there. */
#define WORD(p) (*(u64 *)(p))
#define REPEAT(byte) (0x0101010101010101ull * (byte))
#define ROW(at) (row + ((at) & ROW_MASK))
#define SOURCE(at) (source + ((at) & SOURCE_MASK))

/*
 * The value does not exist. A column's expression says ABSENT. A function cannot: one that leaves a string in source[] and returns its
 * length returns NO_STRING, or what a helper gives below 0.
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

/* A string known when this is compiled, at most 32 bytes: whole words stored as immediates. */
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

/* The eight decimal digits of value < 10^8 as bytes, the first digit lowest: no branch, and no division, which takes 20 cycles. */
static __always_inline u64 eight_digits(u64 value)
{
	u64 high = value * 109951163 >> 40;	/* value / 10000; exact below 4 * 10^8 */
	u64 fours = high | (value - high * 10000) << 32;
	u64 hundreds = fours * 10486 >> 20 & 0x0000007f0000007full;
	u64 twos = hundreds | (fours - hundreds * 100) << 16;
	u64 tens = twos * 103 >> 10 & 0x000f000f000f000full;

	return tens | (twos - tens * 10) << 8 | REPEAT('0');
}

/* How many of a word's bytes are below its lowest bit, 8 when there is none; without a branch, which the verifier walks both ways. */
static __always_inline u32 bytes_below(u64 word)
{
	u64 below = (word & -word) - 1;

	return (below >> 7 & REPEAT(1)) * REPEAT(1) >> 56;
}

/* Of eight digits, the zeros before the number; its last digit is none. */
static __always_inline u32 leading_zeros(u64 digits)
{
	return bytes_below((digits ^ REPEAT('0')) | 1ull << 56);
}

#define E8 100000000ull

/* Of a longer number, the eight digits below others. */
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

static __noinline void put_s64(s64 value)
{
	if (value < 0) {
		LITERAL("-");
		value = -value;
	}
	put_u64(value);
}

/* A number below 10^8 into source[at ..]; the index after it. For strings that have numbers in them. */
static __noinline u32 source_number(u32 at, u32 value)
{
	u64 digits = eight_digits(value);
	u32 zeros = leading_zeros(digits);

	WORD(SOURCE(at)) = digits >> (zeros * 8 & 63);
	return (at + 8 - zeros) & SOURCE_MASK;
}

/* The same of one below 10^16. */
static __noinline u32 source_long_number(u32 at, u64 value)
{
	at = source_number(at, value < E8 ? value : value / E8);
	if (value < E8)
		return at;
	WORD(SOURCE(at)) = eight_digits(value % E8);
	return (at + 8) & SOURCE_MASK;
}

/* `spaces` at the end of the row; at most 64. */
static __noinline void put_spaces(u32 spaces)
{
	u32 at = row_len;

	for (u32 i = 0; i < 64; i += 8)
		WORD(ROW(at + i)) = REPEAT(' ');
	row_len = at + (spaces > 64 ? 64 : spaces);
}

/* source[0 .. length) to the end of the row as it is. */
GLOBAL int put_source(u32 length)
{
	u32 at = row_len & ROW_MASK;

	if (length > SOURCE_MASK + 1)
		return 0;
	if (length <= CHUNK) {
		/* Nearly all: a helper would take longer than the eight words. */
		for (u32 i = 0; i < CHUNK; i += 8)
			WORD(row + at + i) = WORD(source + i);
	} else {
		bpf_probe_read_kernel(row + at, length, source);
	}
	row_len = at + length;
	return 0;
}

/*
 * Strings. What a format must not write as it is, it names twice: is_special(), eight bytes at a time, finds the strings that
 * need no care at all, nearly all of them; escapes[] says byte by byte how the others are written.
 */
#define PLAIN(byte) (1ull << 56 | (byte))	/* an entry: up to seven bytes of text and, highest, their number */
#define HEX(nibble) ((u64)(((nibble) & 15) + '0' + (((nibble) & 15) + 6 >> 4) * ('a' - '0' - 10)))	/* no branch */
#define FOUR(E, b) E(b), E((b) + 1), E((b) + 2), E((b) + 3)
#define SIXTEEN(E, b) FOUR(E, b), FOUR(E, (b) + 4), FOUR(E, (b) + 8), FOUR(E, (b) + 12)
#define SIXTY_FOUR(E, b) SIXTEEN(E, b), SIXTEEN(E, (b) + 16), SIXTEEN(E, (b) + 32), SIXTEEN(E, (b) + 48)
#define EVERY_BYTE(E) { SIXTY_FOUR(E, 0), SIXTY_FOUR(E, 64), SIXTY_FOUR(E, 128), SIXTY_FOUR(E, 192) }

/* In a word, the high bit of bytes below / equal to a number: exact below the first hit, which is all that is asked. */
#define BELOW(word, byte) (((word) - REPEAT(byte)) & ~(word) & REPEAT(0x80))
#define EQUAL(word, byte) BELOW((word) ^ REPEAT(byte), 1)

#include FORMAT_HEADER

/* What the loops over source share. */
u32 source_length;
u32 cell_limit;		/* where in row the cell is cut */
u32 cell_cut;		/* it was */
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
 * One byte. U+0080 to U+009F (c2 80 to c2 9f) are control characters too: the c2 is taken back and the whole written as \u00XX.
 * A cut does not split a character.
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

/* source[0 .. length) as a string of the format, at most query.cell_max bytes and a mark where it was cut. */
GLOBAL int put_string(u32 length)
{
	bool quoted;

	if (length > SOURCE_MASK)
		length = SOURCE_MASK;
	barrier_var(length);	/* that the mask of SOURCE() remains: older states of this register are not known to be small */
	WORD(SOURCE(length)) = REPEAT('a');	/* what follows the end is not special */
	source_length = length;
	special_found = 0;
	if (length <= 16) {
		/* Names of threads, in every row: a call of bpf_loop costs more than the two words. */
		special_found = is_special(WORD(source));
		if (length > 8)
			special_found |= is_special(WORD(source + 8));
	} else {
		LOOP((SOURCE_MASK + 1) / 8, find_special);
	}
	length = *(volatile u32 *)&source_length;	/* the verifier forgets the three cases, and walks what follows once */
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

#endif
