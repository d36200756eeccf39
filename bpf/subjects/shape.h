/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * shape.h -- keys and values of BPF maps as JSON, by a list of steps
 *
 * User space makes the list from the map's BTF (src/query/elements.ts) and writes it into `shape` after the load. A step
 * appends a piece of text and then, mostly, one number or string of the element; a loop repeats steps for the elements of an
 * array. What the list cannot write, or what would overfill the cell, is shown as digits (bytes.h).
 */
#ifndef TASK_ITER_SHAPE_H
#define TASK_ITER_SHAPE_H

#include "bytes.h"

struct shape shape;

/* Other formats have other escapes, but what a cell contains is JSON in all of them. */
#ifdef JSON_ESCAPE
#define json_escapes escapes
#else
#define JSON_SHORT(letter) (2ull << 56 | (u64)(letter) << 8 | '\\')
#define JSON_ESCAPE(b)                                                       \
	((b) == '\n' ? JSON_SHORT('n') : (b) == '\t' ? JSON_SHORT('t') :     \
	 (b) == '\r' ? JSON_SHORT('r') : (b) == '"' || (b) == '\\' ? JSON_SHORT(b) : \
	 (b) < ' ' || (b) == 0x7f ? 6ull << 56 | HEX(b) << 40 | HEX((b) >> 4) << 32 | 0x3030755c : PLAIN(b))
static const u64 json_escapes[256] = EVERY_BYTE(JSON_ESCAPE);
#endif

/* Where the list is being followed. */
static u32 step_at, step_limit, step_more;	/* the step; where the cell is full; whether the list goes on */
static u64 step_base, step_first;		/* addresses of the part that a step's offset starts from, and of the element */
static u32 loop_depth;
static struct {
	u64 base;
	u32 begin, left;
} loops[MAX_LOOPS];

/* Shared by the loop over a string's bytes. */
static u32 json_length, json_doubles;
static u8 json_before;

BODY(put_json_byte)
{
	u32 at = row_len;
	u8 byte = *SOURCE(i);
	u64 text = json_escapes[byte];

	if (i >= json_length || !byte || at >= step_limit)
		return 1;
	if (json_before == 0xc2 && (byte & 0xe0) == 0x80) {
		text = 6ull << 56 | HEX(byte) << 40 | HEX(byte >> 4) << 32 | 0x3030755c;
		at--;
	}
	if (json_doubles && byte == '"')
		text = 3ull << 56 | '"' << 16 | '"' << 8 | '\\';
	WORD(ROW(at)) = text;
	row_len = at + (text >> 56);
	if (COUNTS_NARROW)
		cell_narrow += (byte & 0xc0) == 0x80 && text >> 56 == 1;
	json_before = byte;
	return 0;
}

/* Writes the bytes at `address` up to a NUL as the inside of a string. */
GLOBAL int put_json_string(u64 address, u32 length)
{
	bool cut = length > SOURCE_MASK;

	if (cut)
		length = SOURCE_MASK;
	barrier_var(length);
	bpf_probe_read_kernel(source, length & SOURCE_MASK, (void *)address);
	*SOURCE(length) = 0;
	json_length = length;
	json_before = 0;
	LOOP(SOURCE_MASK + 1, put_json_byte);
	if (cut)
		LITERAL("\xe2\x80\xa6");
	return 0;
}

static u64 word_wanted;
static u32 word_first, word_found;

BODY(find_enumerator)
{
	const struct enumerator *enumerator = &shape.enumerator[(word_first + i) & (MAX_ENUMERATORS - 1)];

	if (!enumerator->length)
		return 1;
	if ((u64)enumerator->value != word_wanted)
		return 0;
	word_found = (word_first + i) & (MAX_ENUMERATORS - 1);
	return 1;
}

#define NOT_FOUND (~0u)

/* Appends `length` bytes of the texts. */
GLOBAL int put_piece(u32 from, u32 length)
{
	u32 at = row_len & ROW_MASK;

	length &= STEP_TEXT_MAX;
	barrier_var(length);
	bpf_probe_read_kernel(row + at, length & STEP_TEXT_MAX, shape.texts + (from & (TEXTS_SIZE - 1)));
	row_len = at + (length & STEP_TEXT_MAX);
	return 0;
}

static u64 hidden_at;
static u32 hidden_size, hidden_hit;

BODY(hits_hidden)
{
	u32 from = hidden_from[i & (MAX_HIDDEN - 1)], to = hidden_to[i & (MAX_HIDDEN - 1)];

	if (i >= hidden)
		return 1;
	hidden_hit |= hidden_at < to && hidden_at + hidden_size > from;
	return 0;
}

/* Whether these bytes of an element belong to a kernel object. */
static __noinline bool is_hidden(u64 address, u32 size)
{
	u32 stride = (bytes_size + 7) & ~7u;

	if (!hidden || !stride)
		return false;
	hidden_at = (address - step_first) % stride;
	hidden_size = size;
	hidden_hit = 0;
	LOOP(MAX_HIDDEN, hits_hidden);
	return hidden_hit;
}

/* The low `bits` bits of a number, extended by its sign. */
static __always_inline u64 sign_extended(u64 value, u32 bits)
{
	u32 shift = (64 - bits) & 63;

	return (s64)(value << shift) >> shift;
}

/* A number of the element: `size` bytes, of which the step may want some bits. */
static __always_inline u64 number_of_step(const struct step *step, u64 address)
{
	u32 size = step->bytes, bits = step->bits, shift = step->shift & 7;
	u64 words[2] = {}, value;

	size = size < 9 ? size : 9;
	barrier_var(size);
	bpf_probe_read_kernel(words, size & 15, (void *)address);
	value = words[0] >> shift;
	if (shift)
		value |= words[1] << ((64 - shift) & 63);
	if (bits && bits < 64)
		value &= (1ull << (bits & 63)) - 1;
	return step->flags & STEP_IS_SIGNED && bits ? sign_extended(value, bits) : value;
}

GLOBAL int put_word_of(u64 value, u32 first, u32 is_signed)
{
	u32 found;

	word_wanted = value;
	word_first = first;
	word_found = NOT_FOUND;
	LOOP(MAX_ENUMERATORS, find_enumerator);
	found = word_found;
	if (found == NOT_FOUND) {
		if (is_signed)
			put_s64(value);
		else
			put_u64(value);
		return 0;
	}
	return put_piece(shape.enumerator[found & (MAX_ENUMERATORS - 1)].text, shape.enumerator[found & (MAX_ENUMERATORS - 1)].length);
}

GLOBAL int put_digits(u64 value, u32 digits)
{
	u32 at = row_len;

	value <<= (64 - digits * 4) & 63;
	WORD(ROW(at)) = eight_hex(value >> 32);
	WORD(ROW(at + 8)) = eight_hex(value);
	row_len = at + (digits & 31);
	return 0;
}

/* Begins a loop, or goes back to its beginning. */
static __noinline int turn_loop(u32 kind, u32 count, u32 stride)
{
	u32 depth = loop_depth;

	if (kind == STEP_LOOP) {
		loops[depth & (MAX_LOOPS - 1)].base = step_base;
		loops[depth & (MAX_LOOPS - 1)].begin = step_at;
		loops[depth & (MAX_LOOPS - 1)].left = count;
		loop_depth = depth + 1;
		return 0;
	}
	depth--;
	if (--loops[depth & (MAX_LOOPS - 1)].left) {
		step_base += stride;
		step_at = loops[depth & (MAX_LOOPS - 1)].begin;
		return 1;
	}
	step_base = loops[depth & (MAX_LOOPS - 1)].base;
	loop_depth = depth;
	return 0;
}

BODY(take_step)
{
	const struct step *step = &shape.step[step_at & (MAX_STEPS - 1)];
	u32 kind = step->kind, argument = step->argument;
	u64 address, value;

	step_at++;
	if (kind == STEP_NEXT) {
		/* The text stands between two elements. */
		if (turn_loop(kind, argument, step->at))
			put_piece(step->text, step->text_length);
		return 0;
	}
	put_piece(step->text, step->text_length);
	if (kind == STEP_LOOP) {
		turn_loop(kind, argument, 0);
		return 0;
	}
	if (kind == STEP_END) {
		step_more = 0;
		return 1;
	}
	if (row_len >= step_limit)
		return 1;
	address = step_base + step->at;
	if (kind == STEP_TEXT)
		return 0;
	if (is_hidden(address, kind == STEP_STRING ? argument : step->bytes)) {
		LITERAL("null");
		return 0;
	}
	if (kind == STEP_STRING) {
		json_doubles = step->flags & STEP_DOUBLES;
		if (json_doubles)
			LITERAL("\"\"");
		else
			LITERAL("\"");
		put_json_string(address, argument);
		if (json_doubles)
			LITERAL("\"\"");
		else
			LITERAL("\"");
		return 0;
	}
	value = number_of_step(step, address);
	if (kind == STEP_ENUM)
		put_word_of(value, argument, step->flags & STEP_IS_SIGNED);
	else if (kind == STEP_DIGITS)
		put_digits(value, argument);
	else if (kind == STEP_BOOL && value)
		LITERAL("true");
	else if (kind == STEP_BOOL)
		LITERAL("false");
	else if (step->flags & STEP_IS_SIGNED)
		put_s64(value);
	else
		put_u64(value);
	return 0;
}

/* Appends the element at `address` to the row, as the list that begins at step `first` says. Returns whether the list came to its end. */
GLOBAL int follow_shape(u64 address, u32 first, u32 limit)
{
	step_base = step_first = address;
	step_at = first;
	step_limit = limit;
	step_more = 1;
	loop_depth = 0;
	LOOP(MAX_TURNS, take_step);
	return !*(volatile u32 *)&step_more && row_len <= limit;
}

GLOBAL int put_element(u64 address, u32 which)
{
	u32 from = row_len, limit = from + query.cell_max, first = shape.first[which & 3];

	if (first && follow_shape(address, first, limit))
		return 0;
	row_len = from;
	cell_narrow = 0;
	PUT_QUOTE;
	put_bytes(address, row_len + query.cell_max);
	PUT_QUOTE;
	return 0;
}

/* For the predicate, which compares what JSON shows, in every format. */
GLOBAL int element_to_source(u64 address, u32 which)
{
	u32 first = shape.first[which & 3], length;

	row_len = 0;
	if (!first || !follow_shape(address, first, query.cell_max))
		return bytes_to_source(address);
	length = row_len;
	if (length > SOURCE_MASK)
		length = SOURCE_MASK;
	bpf_probe_read_kernel(source, length, row);
	return length;
}

#endif
