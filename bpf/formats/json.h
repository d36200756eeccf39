/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * json.h -- rows as objects (RFC 8259), one on each line; also jsonl, which only lacks the brackets and commas of an array
 *
 * Every row of an array begins with ",\n", the first row too, so that the kernel can run the program again without state; user
 * space replaces the first byte of the output by "[". In the same way every cell begins with a comma, and "{" replaces the first.
 */
#define QUOTES(needed) true
#define ESCAPE_C1 1
#define COUNTS_NARROW 0

static __always_inline u64 is_special(u64 word)
{
	return BELOW(word, ' ') | EQUAL(word, '"') | EQUAL(word, '\\') | EQUAL(word, 0x7f) | (word & REPEAT(0x80));
}

#define JSON_SHORT(letter) (2ull << 56 | (u64)(letter) << 8 | '\\')
#define JSON_ESCAPE(b)                                                       \
	((b) == '\n' ? JSON_SHORT('n') : (b) == '\t' ? JSON_SHORT('t') :     \
	 (b) == '\r' ? JSON_SHORT('r') : (b) == '"' || (b) == '\\' ? JSON_SHORT(b) : \
	 (b) < ' ' || (b) == 0x7f ? 6ull << 56 | HEX(b) << 40 | HEX((b) >> 4) << 32 | 0x3030755c : PLAIN(b))

static const u64 escapes[256] = EVERY_BYTE(JSON_ESCAPE);

#ifdef FORMAT_JSON
#define ROW_BEGIN LITERAL(",\n")
#define ROW_OPEN (row[2] = '{')
#define ROW_END LITERAL("}")
#else
GLOBAL int put_stamp(void)
{
	LITERAL("{\"t\":");
	for (u32 i = 0; i < STAMP_SIZE; i += 8)
		WORD(ROW(row_len + i)) = WORD(progress.stamp + i);
	row_len += progress.stamp_length & (STAMP_SIZE - 1);
	return 0;
}

#define ROW_BEGIN do { if (query.flags & QUERY_STAMP) put_stamp(); } while (0)
#define ROW_OPEN do { if (!(query.flags & QUERY_STAMP)) row[0] = '{'; } while (0)
#define ROW_END LITERAL("}\n")
#endif

#define ROW_FROM 0
#define CELL_BEGIN(name, width) LITERAL(",\"" #name "\":")
#define CELL_END(name, width) do { } while (0)
#define WORD_BEGIN(name, width) LITERAL(",\"" #name "\":\"")
#define WORD_END "\""
#define PUT_TOKEN(length) do { *SOURCE(length) = '"'; put_source((length) + 1); } while (0)
#define PUT_ABSENT(width) LITERAL("null")
#define PUT_NUMBER(value, width) put_u64(value)
#define PUT_SIGNED(value, width) put_s64(value)
#define PUT_QUOTE LITERAL("\"")
#define LIST_BEGIN LITERAL("[\"")
#define LIST_NEXT "\",\""
#define LIST_END LITERAL("\"]")
#define LIST_EMPTY LITERAL("[]")
