/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * json.h -- rows as objects (RFC 8259), one on each line: elements of an array, or jsonl, which only lacks its brackets and commas
 *
 * Every row of an array begins with ",\n", the first row too, so that the kernel can run the program again without state; user
 * space replaces the first byte of the output by "[". In the same way every cell begins with a comma, and "{" replaces the first.
 */
#define QUOTES(needed) true
#define ESCAPE_C1 1
#define COUNTS_NARROW 0

static __always_inline u64 is_special(u64 word)
{
	return (UNDER(word, ' ') | LIKE(word, '"') | LIKE(word, '\\') | LIKE(word, 0x7f) | word) & REPEAT(0x80);
}

#define JSON_SHORT(letter) (2ull << 56 | (u64)(letter) << 8 | '\\')
#define JSON_ESCAPE(b)                                                       \
	((b) == '\n' ? JSON_SHORT('n') : (b) == '\t' ? JSON_SHORT('t') :     \
	 (b) == '\r' ? JSON_SHORT('r') : (b) == '"' || (b) == '\\' ? JSON_SHORT(b) : \
	 (b) < ' ' || (b) == 0x7f ? 6ull << 56 | HEX(b) << 40 | HEX((b) >> 4) << 32 | 0x3030755c : PLAIN(b))

static const u64 escapes[256] = EVERY_BYTE(JSON_ESCAPE);

#define IN_LINES (query.flags & QUERY_LINES)
#define IS_STAMPED (IN_LINES && query.flags & QUERY_STAMP)

GLOBAL int put_stamp(void)
{
	ONLY_IF(IS_STAMPED);

	u32 length = progress.stamp_length & (STAMP_SIZE - 1);

	LITERAL("{\"t\":");
	if (length <= CHUNK) {
		for (u32 i = 0; i < CHUNK; i += 8)
			WORD(ROW(row_len + i)) = WORD(progress.stamp + i);
	} else {
		bpf_probe_read_kernel(ROW(row_len), length, progress.stamp);
	}
	row_len += length;
	return 0;
}

#define ROW_BEGIN                                                            \
	do {                                                                 \
		if (IS_STAMPED)                                              \
			put_stamp();                                         \
		else if (!IN_LINES)                                          \
			LITERAL(",\n");                                      \
	} while (0)
#define CELLS_FROM (IN_LINES ? 0 : 2)
#define ROW_OPEN                                                             \
	do {                                                                 \
		if (!IS_STAMPED)                                             \
			row[CELLS_FROM] = '{';                               \
	} while (0)
#define ROW_END                                                              \
	do {                                                                 \
		if (IN_LINES)                                                \
			LITERAL("}\n");                                      \
		else                                                         \
			LITERAL("}");                                        \
	} while (0)

#define ROW_FROM 0
#define PUT_OP do { op_at = row_len + 7; LITERAL(",\"op\":\"+\""); } while (0)

#ifdef FULL_QUERY
struct name names[MAX_COLUMNS];	/* user space fills them */

GLOBAL int put_name(u32 column)
{
	struct name *name = &names[column & (MAX_COLUMNS - 1)];

	for (u32 i = 0; i < NAME_SIZE; i += 8)
		WORD(ROW(row_len + i)) = WORD(name->text + i);
	row_len += name->length;
	return 0;
}

#define HAS_NAMES (query.flags & QUERY_NAMES)
#else
#define put_name(column) do { } while (0)
#define HAS_NAMES false
#endif

#define CELL_BEGIN(name, width)                                              \
	do {                                                                 \
		if (HAS_NAMES)                                               \
			put_name(COLUMN_##name);                             \
		else                                                         \
			LITERAL(",\"" #name "\":");                          \
	} while (0)
#define CELL_END(name, width) do { } while (0)
#define WORD_BEGIN(name, width)                                              \
	do {                                                                 \
		if (HAS_NAMES) {                                             \
			put_name(COLUMN_##name);                             \
			LITERAL("\"");                                       \
		} else {                                                     \
			LITERAL(",\"" #name "\":\"");                        \
		}                                                            \
	} while (0)
#define WORD_END "\""
#define PUT_TOKEN(length) do { *SOURCE(length) = '"'; put_source((length) + 1); } while (0)
#define PUT_ABSENT(width) LITERAL("null")
#define PUT_NUMBER(value, width) put_number(value)
#define PUT_SIGNED(value, width) put_s64(value)
#define PUT_QUOTE LITERAL("\"")
#define LIST_BEGIN LITERAL("[\"")
#define LIST_NEXT "\",\""
#define LIST_END LITERAL("\"]")
#define LIST_EMPTY LITERAL("[]")
#define NUMBERS_BEGIN LITERAL("[")
#define NUMBERS_NEXT ','
#define NUMBERS_END LITERAL("]")
