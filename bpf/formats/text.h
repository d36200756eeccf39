/* SPDX-License-Identifier: GPL-2.0-only */
/* text.h -- rows for people: columns one space apart, numbers right-aligned, every control character escaped */
#define QUOTES(needed) false
#define ESCAPE_C1 1
#define COUNTS_NARROW 1

static __always_inline u64 is_special(u64 word)
{
	return (UNDER(word, ' ') | LIKE(word, '\\') | LIKE(word, 0x7f) | word) & REPEAT(0x80);
}

#define TEXT_SHORT(letter) (2ull << 56 | (letter) << 8 | '\\')
#define TEXT_ESCAPE(b)                                                       \
	((b) == '\n' ? TEXT_SHORT('n') : (b) == '\t' ? TEXT_SHORT('t') :     \
	 (b) == '\r' ? TEXT_SHORT('r') : (b) == '\\' ? TEXT_SHORT('\\') :    \
	 (b) < ' ' || (b) == 0x7f ? 4ull << 56 | HEX(b) << 24 | HEX((b) >> 4) << 16 | 0x785c : PLAIN(b))

static const u64 escapes[256] = EVERY_BYTE(TEXT_ESCAPE);

static __noinline void pad_after(u32 width)
{
	u32 used = row_len - cell_start - cell_narrow;

	if (used < width)
		put_spaces(width - used);
}

static __always_inline u32 digits_of(u64 value)
{
	u32 below = value < E8 ? 0 : value < E8 * E8 ? 8 : 16;

	return below + 8 - leading_zeros(eight_digits(below == 0 ? value : below == 8 ? value / E8 : value / (E8 * E8)));
}

GLOBAL int put_right(u64 value, u32 width)
{
	u32 digits = digits_of(value);

	if (digits < width)
		put_spaces(width - digits);
	put_u64(value);
	return 0;
}

static __noinline void put_right_signed(s64 value, u32 width)
{
	u32 digits = digits_of(value < 0 ? -value : value) + (value < 0);

	if (digits < width)
		put_spaces(width - digits);
	put_s64(value);
}

/*
 * Text of different cells may be the same: of "a  b" and "a" beside "b", of an absent string and "-". A count also compares this
 * number, which says where the cells begin and which are absent.
 */
#ifdef FULL_QUERY
u64 row_shape;
#define TEXT_SHAPE row_shape
#define SHAPED QUERY_COUNT	/* cells of an earlier row would leave the shape as it is */
#define NOTE_SHAPE(absent)                                                   \
	do {                                                                 \
		if (query.flags & QUERY_COUNT)                               \
			row_shape = (row_shape + row_len * 2 + (absent)) * 0x9e3779b97f4a7c15ull; \
	} while (0)
#define ROW_BEGIN (row_shape = 0)
#else
#define NOTE_SHAPE(absent) do { } while (0)
#define ROW_BEGIN do { } while (0)
#endif

#define ROW_OPEN do { } while (0)
#define ROW_FROM 1	/* the first cell's blank */
#define CELLS_FROM 0
#define PUT_OP do { op_at = row_len + 1; LITERAL(" +"); } while (0)
#define ROW_END LITERAL("\n")
#define CELL_BEGIN(name, width) do { NOTE_SHAPE(0); LITERAL(" "); cell_start = row_len; cell_narrow = 0; } while (0)
#define CELL_END(name, width) do { if (query.last != COLUMN_##name) pad_after(width); } while (0)
#define WORD_BEGIN(name, width) CELL_BEGIN(name, width)
#define WORD_END
#define PUT_TOKEN(length) put_source(length)
#define PUT_ABSENT(width) do { NOTE_SHAPE(1); if ((width) > 1) put_spaces((width) - 1); LITERAL("-"); } while (0)
#define PUT_NUMBER(value, width) put_right(value, width)
#define PUT_SIGNED(value, width) put_right_signed(value, width)
#define PUT_QUOTE do { } while (0)
#define LIST_BEGIN do { } while (0)
#define LIST_NEXT ";"
#define LIST_END do { } while (0)
#define LIST_EMPTY LITERAL("-")
#define NUMBERS_BEGIN do { } while (0)
#define NUMBERS_NEXT ';'
#define NUMBERS_END do { } while (0)
