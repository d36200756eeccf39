/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * bytes.h -- keys and values of BPF maps as hexadecimal digits
 *
 * A kernel object in a value (a lock, timer, kptr, list ...) contains kernel addresses. The digits show zeroes in its place, as
 * bpf(2) does.
 */
#ifndef TASK_ITER_BYTES_H
#define TASK_ITER_BYTES_H

#include "../engine/row.h"
#include "../engine/table.h"

/* What put_bytes() writes, besides the address of the first byte. Not static: the compiler would shrink a variable with only two
 * values to a byte, and its BTF would not say so. */
u32 bytes_size;			/* of one value */
u32 bytes_count;		/* values, each at the next multiple of eight bytes */

/* Kernel objects inside a value: offsets of the first byte and the one after the last. */
#define MAX_HIDDEN 16		/* BTF_FIELDS_MAX is 11 */
u32 hidden, hidden_from[MAX_HIDDEN], hidden_to[MAX_HIDDEN];
u64 hidden_record;

static __always_inline void hide(u32 i, u32 from, u32 size)
{
	hidden_from[i & (MAX_HIDDEN - 1)] = from;
	hidden_to[i & (MAX_HIDDEN - 1)] = from + size;
}

/*
 * Linux 6.2 and 6.3 store no sizes: a lock takes 4 bytes, a pointer 8, any other object 16. This is a function of its own,
 * because a kernel verifies the body of a bounded loop even when nothing calls it, and kernels without these structures would
 * refuse it.
 */
static __noinline int hide_field_of(u32 i)
{
	u64 at = hidden_record + bpf_core_field_offset(struct btf_record, fields) +
		 i * bpf_core_type_size(struct btf_field);
	u32 from = 0, type = 0, size = 0;

	if (i >= hidden)
		return 1;
	bpf_probe_read_kernel(&from, sizeof(from), (void *)at + bpf_core_field_offset(struct btf_field, offset));
	bpf_probe_read_kernel(&type, sizeof(type), (void *)at + bpf_core_field_offset(struct btf_field, type));
	size = type & 1 ? 4 : type & 0xc ? 8 : 16;
	if (bpf_core_field_exists(struct btf_field, size))
		bpf_probe_read_kernel(&size, sizeof(size), (void *)at + bpf_core_field_offset(struct btf_field, size));
	hide(i, from, size);
	return 0;
}

BODY(hide_field)
{
	return !bpf_core_type_exists(struct btf_field) || hide_field_of(i);
}

static __noinline int hide_record(struct bpf_map *map)
{
	struct btf_record *record = BPF_CORE_READ(map, record);

	hidden = BPF_CORE_READ(record, cnt);
	hidden_record = ADDRESS(record);
	LOOP(MAX_HIDDEN, hide_field);
	return 0;
}

static __noinline int hide_6_1(struct bpf_map___6_1 *map)
{
	struct {
		u32 count, from[10];
		u8 size[10];
	} fields = {};	/* struct bpf_map_off_arr */

	bpf_probe_read_kernel(&fields, sizeof(fields), BPF_CORE_READ(map, off_arr));
	for (u32 i = 0; i < sizeof(fields.size); i++)
		hide(i, fields.from[i], fields.size[i]);
	hidden = fields.count;
	return 0;
}

static __noinline int hide_5_18(struct bpf_map___5_18 *map)
{
	int at = BPF_CORE_READ(map, timer_off);

	hidden = at >= 0;
	hide(0, at, 16);
	return 0;
}

static u64 hidden_map;
static u32 hidden_kept;

/* Finds the kernel objects in values of the map, which is the same one for all elements of a walk. */
static __always_inline void hide_objects(struct bpf_map *map)
{
	if (hidden_map == ADDRESS(map)) {
		hidden = hidden_kept;
		return;
	}
	hidden = 0;
	if (bpf_core_field_exists(map->record))
		hide_record(map);
	else if (bpf_core_field_exists(((struct bpf_map___6_1 *)map)->off_arr))
		hide_6_1((void *)map);
	else if (bpf_core_field_exists(((struct bpf_map___5_18 *)map)->timer_off))
		hide_5_18((void *)map);
	hidden_kept = hidden;
	hidden_map = ADDRESS(map);
}

/* Shared by the loops over bytes. */
u64 hex_from, hex_word;
u32 hex_at, hex_more, hex_limit;

/* 1 when a < b, without a branch. */
static __always_inline u64 is_less(u64 a, u64 b)
{
	return (a - b) >> 63;
}

/* Kernel objects begin and end at multiples of four bytes. */
BODY(hide_part)
{
	u64 from = hidden_from[i & (MAX_HIDDEN - 1)], to = hidden_to[i & (MAX_HIDDEN - 1)], at = hex_at;
	u64 low = ~is_less(at, from) & is_less(at, to), high = ~is_less(at + 4, from) & is_less(at + 4, to);

	if (i >= hidden)
		return 1;
	hex_word &= ~(low * 0xffffffff | high * 0xffffffff << 32);
	return 0;
}

/* Writes eight bytes as sixteen digits, and a ";" between two values. */
BODY(put_eight)
{
	u32 at = row_len, left = bytes_size - hex_at, size = left < 8 ? left : 8;
	u64 words[2] = {}, word;

	if (at >= hex_limit)
		return 1;
	/* A mask: until 6.2 or so the verifier forgets that it compared a copy of the number. */
	barrier_var(size);
	bpf_probe_read_kernel(words, size & 15, (void *)hex_from);
	hex_word = words[0];
	if (hidden)
		LOOP(MAX_HIDDEN, hide_part);
	word = hex_word;
	WORD(ROW(at)) = eight_hex(__builtin_bswap32(word));
	WORD(ROW(at + 8)) = eight_hex(__builtin_bswap32(word >> 32));
	at += size * 2;
	hex_from += 8;
	hex_at += 8;
	if (left <= 8) {
		if (!--hex_more) {
			row_len = at;
			return 1;
		}
		hex_at = 0;
		*ROW(at) = ';';
		at++;
	}
	row_len = at;
	return 0;
}

/* More bytes than a row holds, except for one-byte values on thousands of CPUs. */
#define MAX_WORDS 4096

/* Appends the bytes at `address` to the row, up to row[limit], where a mark replaces the rest. */
GLOBAL int put_bytes(u64 address, u32 limit)
{
	u32 at = row_len, size = bytes_size;

	/* Nearly all keys and values are short: one read, and no function for each word. */
	if (size <= CHUNK && bytes_count == 1 && !hidden && at + size * 2 <= limit) {
		barrier_var(size);
		bpf_probe_read_kernel(source, size & 127, (void *)address);
		for (u32 i = 0; i < CHUNK; i += 8) {
			u64 word = WORD(source + i);

			if (i >= size)
				break;
			WORD(ROW(at) + i * 2) = eight_hex(__builtin_bswap32(word));
			WORD(ROW(at) + i * 2 + 8) = eight_hex(__builtin_bswap32(word >> 32));
		}
		row_len = at + size * 2;
		return 0;
	}
	hex_from = address;
	hex_at = 0;
	hex_more = bytes_size ? bytes_count : 0;
	hex_limit = limit;
	if (hex_more)
		LOOP(MAX_WORDS, put_eight);
	if (hex_more) {
		if (row_len > limit)
			row_len = limit;
		LITERAL("\xe2\x80\xa6");
	}
	return 0;
}

/* For the predicate: writes the digits to source. Digits that do not fit are not compared. */
GLOBAL int bytes_to_source(u64 address)
{
	u32 length;

	row_len = 0;
	put_bytes(address, SOURCE_MASK);
	length = row_len;
	if (length > SOURCE_MASK)
		length = SOURCE_MASK;
	bpf_probe_read_kernel(source, length, row);
	return length;
}

/* For a column's expression: one key of the map, one value, the values of all CPUs. */
#define KEY_BYTES(map, key)                                                  \
	({                                                                   \
		bytes_size = (map)->key_size;                                \
		bytes_count = 1;                                             \
		hidden = 0;                                                  \
		ADDRESS(key);                                                \
	})
#define VALUE_BYTES(map, value, count)                                       \
	({                                                                   \
		bytes_size = (map)->value_size;                              \
		bytes_count = (count);                                       \
		hide_objects(map);                                           \
		ADDRESS(value);                                              \
	})

#endif
