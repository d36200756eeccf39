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

/* The snapshot's time, without the quotes of JSON. */
static __noinline void put_time(void)
{
	u32 at = row_len;

	for (u32 i = 0; i < CHUNK; i += 8)
		WORD(ROW(at) + i) = WORD(progress.stamp + 1 + i);
	row_len = at + ((progress.stamp_length - 2) & (CHUNK - 1));
}

#define ROW_BEGIN do { } while (0)
#define ROW_OPEN do { } while (0)
#define ROW_FROM 1	/* the first cell's comma */
#define CELLS_FROM 0
#define PUT_OP do { op_at = row_len + 1; LITERAL(",+,"); put_time(); } while (0)
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
