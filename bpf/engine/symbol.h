/* SPDX-License-Identifier: GPL-2.0-only */
/* symbol.h -- kernel addresses as symbols, never as numbers; each address is looked up once */
#ifndef TASK_ITER_SYMBOL_H
#define TASK_ITER_SYMBOL_H

#include "row.h"

/*
 * bpf_snprintf came in 5.13. Before, only bpf_seq_printf writes symbols (%pB alone), and a program cannot read its output back.
 * So a program for these kernels writes the row of a stack in pieces, with bpf_seq_printf for each symbol. Symbols in other
 * columns are absent, and user space refuses a query that compares symbols.
 */
#ifdef BOUNDED_LOOPS
#define HAVE_SNPRINTF bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_snprintf)
#else
#define HAVE_SNPRINTF true
#endif

/* A kernel pointer as a number: a global function takes only numbers. */
static volatile u64 plain;
#define ADDRESS(pointer) ({ plain = (u64)(pointer); plain; })

/*
 * The offset of a field that some kernels lack. The compiler must not move the offset out of its branch. (A light skeleton has no
 * room for a function for each such field.)
 */
#define OFFSET(...) ({ u64 offset_ = bpf_core_field_offset(__VA_ARGS__); asm volatile("" : "+r"(offset_)); offset_; })

/* Maps a key to one of 2^bits places. */
#define SLOT(key, bits) ((key) * 0x9e3779b97f4a7c15ull >> (64 - (bits)))

#define SYMBOL_BITS 8
#define SYMBOL_MAX 128		/* KSYM_NAME_LEN was 128 until 6.1; the cache does not keep longer names */
#define SYMBOL_KEPT 64

struct symbol {
	u64 key;
	u64 length;
	char text[SYMBOL_KEPT];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1 << SYMBOL_BITS);
	__type(key, u32);
	__type(value, struct symbol);
} symbols SEC(".maps");

enum { SYMBOL_NAME, SYMBOL_OFFSET };	/* tcp_sendmsg, tcp_sendmsg+0x1b/0x30 */

/* Makes symbol_of() give source[0 .. length) from now on, or no symbol for a length of 0. */
static __always_inline void keep_symbol(u64 key, u32 length)
{
	u32 slot = SLOT(key, SYMBOL_BITS);
	struct symbol *symbol = bpf_map_lookup_elem(&symbols, &slot);

	if (!symbol || length > SYMBOL_KEPT)
		return;
	for (u32 i = 0; i < SYMBOL_KEPT; i += 8)
		WORD(symbol->text + i) = WORD(source + i);
	symbol->length = length;
	symbol->key = key;
}

/* Writes the symbol to source. Returns its length, or NO_STRING where the kernel has no symbol and would print the address. */
GLOBAL int symbol_of(u64 address, u32 kind)
{
	u64 key = address ^ (u64)kind << 63;	/* that bit is set in every kernel address */
	u32 slot = SLOT(key, SYMBOL_BITS);
	struct symbol *symbol = bpf_map_lookup_elem(&symbols, &slot);
	static const char with_offset[] = "%pB", without[] = "%ps";
	long length;

	if (!symbol || !address || !HAVE_SNPRINTF)
		return NO_STRING;
	if (symbol->key != key) {
		if (kind == SYMBOL_OFFSET)
			length = bpf_snprintf(source, SYMBOL_MAX, with_offset, &address, sizeof(address)) - 1;
		else
			length = bpf_snprintf(source, SYMBOL_MAX, without, &address, sizeof(address)) - 1;
		if (length < 0 || source[0] == '0')
			length = 0;
		if (length >= SYMBOL_MAX)
			length = SYMBOL_MAX - 1;
		keep_symbol(key, length);
		return length ?: NO_STRING;
	}
	if (!symbol->length)
		return NO_STRING;
	for (u32 i = 0; i < SYMBOL_KEPT; i += 8)
		WORD(source + i) = WORD(symbol->text + i);
	return symbol->length;
}

#endif
