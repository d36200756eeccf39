/* SPDX-License-Identifier: GPL-2.0-only */
/* csv.h -- rows as RFC 4180 records with LF line ends; quoted where needed, an empty string always, an absent value never */
#define QUOTES(needed) (needed)
#define ESCAPE_C1 0
#define COUNTS_NARROW 0

static __always_inline u64 is_special(u64 word)
{
	return (LIKE(word, '"') | LIKE(word, ',') | LIKE(word, '\n') | LIKE(word, '\r')) & ~word & REPEAT(0x80);
}

#define CSV_ESCAPE(b) ((b) == '"' ? 2ull << 56 | '"' << 8 | '"' : PLAIN(b))

static const u64 escapes[256] = EVERY_BYTE(CSV_ESCAPE);

#define ROW_BEGIN do { } while (0)
#define ROW_OPEN do { } while (0)
#define ROW_FROM 1	/* the first cell's comma */
#define CELLS_FROM 0
#define ROW_END LITERAL("\n")
#define CELL_BEGIN(name, width) LITERAL(",")
#define CELL_END(name, width) do { } while (0)
#define WORD_BEGIN(name, width) CELL_BEGIN(name, width)
#define WORD_END
#define PUT_TOKEN(length) put_source(length)
#define PUT_ABSENT(width) do { } while (0)
#define PUT_NUMBER(value, width) put_number(value)
#define PUT_SIGNED(value, width) put_s64(value)
#define PUT_QUOTE do { } while (0)
#define LIST_BEGIN do { } while (0)
#define LIST_NEXT ";"
#define LIST_END do { } while (0)
#define LIST_EMPTY do { } while (0)
#define NUMBERS_BEGIN do { } while (0)
#define NUMBERS_NEXT ';'
#define NUMBERS_END do { } while (0)
