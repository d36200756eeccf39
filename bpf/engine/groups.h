/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * groups.h -- rows that are alike, counted in a hash map while the table is walked
 *
 * A row's cells are written to row[] as in every query. The bytes of the cells decide the row's group: their hash of 128 bits is
 * the key in `groups`. The value has the count, the aggregates and the first bytes of the text; a longer text continues in
 * further parts of the same map, so that memory follows the length of the text. After the walk `finish` writes each group once.
 *
 * The walk writes no output, so the kernel never runs the program twice for an element, and every row is counted once.
 *
 * The hash is SipHash-1-3 with two random words of the query as its key: nobody can choose names whose rows fall into one group.
 */
#ifndef TASK_ITER_GROUPS_H
#define TASK_ITER_GROUPS_H

#include "where.h"
#include "symbol.h"

#define IS_COUNT (query.flags & QUERY_COUNT)

struct group_key {
	u64 hash[2];
	u64 part;
};

/*
 * With its key and the kernel's 48 bytes for an element this is 256 bytes, one of the sizes that the kernel allocates. `bytes`
 * begins with 16 bytes for each aggregate, after them comes the text; the bytes of later parts are text only.
 */
struct group {
	u64 count;
	u32 length;		/* bytes of the whole text */
	u32 seen;		/* bit i: aggregate i has seen a value */
	char bytes[GROUP_BYTES];
};

/* Groups come and go while the table is walked: without preallocation an unused map takes no time and no memory. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1);	/* query.groups_max */
	__type(key, struct group_key);
	__type(value, struct group);
} groups SEC(".maps");

/* The values that an AGGREGATE_DISTINCT has seen: the hash of the group, the aggregate and the value. */
struct distinct_key {
	u64 hash[2];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1);	/* query.distinct_max */
	__type(key, struct distinct_key);
	__type(value, u64);
} distinct SEC(".maps");

#define GROUP_PARTS ((ROW_MASK + 1) / GROUP_BYTES + 1)
#define AGGREGATES_SIZE (query.aggregates * 16)

#ifndef TEXT_SHAPE
#define TEXT_SHAPE 0
#endif

/* --- the hash --- */

u64 hash[2];			/* the result */
u64 sip[4];		/* the state */
static u32 hash_at, hash_end;	/* bytes to hash, in row or in source */

#define ROTATE(x, bits) ((x) << (bits) | (x) >> (64 - (bits)))

static __always_inline void sip_round(u64 *v)
{
	v[0] += v[1];
	v[2] += v[3];
	v[1] = ROTATE(v[1], 13) ^ v[0];
	v[3] = ROTATE(v[3], 16) ^ v[2];
	v[0] = ROTATE(v[0], 32) + v[3];
	v[2] += v[1];
	v[1] = ROTATE(v[1], 17) ^ v[2];
	v[3] = ROTATE(v[3], 21) ^ v[0];
	v[2] = ROTATE(v[2], 32);
}

static __always_inline void sip_word(u64 *v, u64 word)
{
	v[3] ^= word;
	sip_round(v);
	v[0] ^= word;
}

#define SIP_LOAD u64 v[4] = { sip[0], sip[1], sip[2], sip[3] }
#define SIP_STORE do { sip[0] = v[0], sip[1] = v[1], sip[2] = v[2], sip[3] = v[3]; } while (0)

static __always_inline void hash_begin(void)
{
	u64 k0 = query.hash_key[0], k1 = query.hash_key[1];

	sip[0] = k0 ^ 0x736f6d6570736575ull;
	sip[1] = k1 ^ 0x646f72616e646f6dull ^ 0xee;
	sip[2] = k0 ^ 0x6c7967656e657261ull;
	sip[3] = k1 ^ 0x7465646279746573ull;
}

/* Adds the last word, and leaves the result in hash[]. */
static __always_inline void hash_finish(u64 last)
{
	SIP_LOAD;

	sip_word(v, last);
	v[2] ^= 0xee;
	sip_round(v);
	sip_round(v);
	sip_round(v);
	hash[0] = v[0] ^ v[1] ^ v[2] ^ v[3];
	v[1] ^= 0xdd;
	sip_round(v);
	sip_round(v);
	sip_round(v);
	hash[1] = v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* A place in row or source. The compiler knows that some places are near the beginning, and would leave the mask out. */
#define FIXED(PLACE, at) ({ u32 at_ = (at); barrier_var(at_); PLACE(at_); })

/* Adds 64 bytes. */
static __always_inline void hash_chunk(const char *from)
{
	SIP_LOAD;

	for (u32 word = 0; word < CHUNK; word += 8)
		sip_word(v, WORD(from + word));
	SIP_STORE;
}

/* The body of a loop that adds all bytes up to hash_end; the bytes of the last chunk behind the end are zeros. */
#define HASH_BODY(name, PLACE)                                               \
	BODY(name)                                                           \
	{                                                                    \
		ONLY_IF(query.flags & (QUERY_COUNT | QUERY_CHANGES));        \
                                                                             \
		u32 at = hash_at;                                            \
                                                                             \
		if (at >= hash_end)                                          \
			return 1;                                            \
		hash_chunk(FIXED(PLACE, at));                                \
		hash_at = at + CHUNK;                                        \
		return 0;                                                    \
	}
HASH_BODY(hash_row_chunk, ROW)
HASH_BODY(hash_source_chunk, SOURCE)

static __always_inline void clear_chunk(char *from)
{
	for (u32 word = 0; word < CHUNK; word += 8)
		WORD(from + word) = 0;
}

/* Hashes row[from .. row_len) and one more word. What follows in row[] becomes zeros. */
GLOBAL int hash_row(u32 from, u64 more)
{
	ONLY_IF(query.flags & (QUERY_COUNT | QUERY_CHANGES));

	u32 end = row_len, length = end - from;

	clear_chunk(FIXED(ROW, end));
	hash_begin();
	if (length <= CHUNK) {
		hash_chunk(FIXED(ROW, from));	/* most rows; a call of bpf_loop takes longer than the chunk */
	} else {
		hash_at = from;
		hash_end = end;
		LOOP((ROW_MASK + 1) / CHUNK, hash_row_chunk);
	}
	hash_finish(more ^ (u64)length << 32);
	return 0;
}

/* Hashes the string source[0 .. length). */
GLOBAL int hash_source(u32 length)
{
	ONLY_IF(IS_COUNT);

	if (length > SOURCE_MASK)
		length = SOURCE_MASK;
	clear_chunk(FIXED(SOURCE, length));
	hash_begin();
	hash_at = 0;
	hash_end = length;
	LOOP((SOURCE_MASK + 1) / CHUNK, hash_source_chunk);
	hash_finish(length);
	return 0;
}

/* --- the aggregates --- */

/*
 * What the columns of the aggregates say of the current row: a number, biased where the column is signed; of a string, its hash.
 * Bit i of noted_seen: aggregate i has a value.
 */
u64 noted[8][2];
u64 noted_seen;

#define AGGREGATE(i) (&query.aggregate[(i) & 7])

#define EACH_AGGREGATE(i)                                                    \
	_Pragma("clang loop unroll(disable)")                                \
	for (u32 i = 0; i < MAX_AGGREGATES && i < query.aggregates; i++)

static __always_inline void note(u32 column, u64 low, u64 high, u64 exists)
{
	EACH_AGGREGATE(i) {
		if (AGGREGATE(i)->column != column)
			continue;
		noted[i & 7][0] = low;
		noted[i & 7][1] = high;
		noted_seen |= exists << i;
	}
}

/* A number, or a string in source[]; a negative length says that the string is absent. */
#define NOTE_NUMBER(column_number, value, absent)                            \
	if (query.noted >> (column_number) & 1)                              \
		note(column_number, value, 0, !(absent))
#define NOTE_STRING(column_number, length)                                   \
	if (query.noted >> (column_number) & 1 && (length) >= 0) {           \
		hash_source(length);                                         \
		note(column_number, hash[0], hash[1], 1);                    \
	}

u64 group_hash[2];	/* of the current row's group */

enum { DISTINCT_KNOWN, DISTINCT_NEW, DISTINCT_LOST };

/* Remembers the current row's value for aggregate i in its group. */
GLOBAL int add_distinct(u32 i)
{
	ONLY_IF(IS_COUNT);

	struct distinct_key key;
	u64 one = 1;
	long error;

	hash_begin();
	{
		SIP_LOAD;

		sip_word(v, noted[i & 7][0]);
		sip_word(v, noted[i & 7][1]);
		sip_word(v, group_hash[0]);
		sip_word(v, group_hash[1]);
		SIP_STORE;
	}
	hash_finish(i);
	key.hash[0] = hash[0];
	key.hash[1] = hash[1];
	error = bpf_map_update_elem(&distinct, &key, &one, BPF_NOEXIST);
	if (!error)
		return DISTINCT_NEW;
	return error == -EEXIST ? DISTINCT_KNOWN : DISTINCT_LOST;
}

/* 1 when a + b is 2^64 or more, and 1 when a - b is below 0. Without branches: each would double the verifier's work. */
static __always_inline u64 carries(u64 a, u64 b)
{
	return ((a & b) | ((a | b) & ~(a + b))) >> 63;
}

static __always_inline u64 borrows(u64 a, u64 b)
{
	return ((~a & b) | ((~a | b) & (a - b))) >> 63;
}

/*
 * Adds the row's values to a group's aggregates, 16 bytes each: a sum of 128 bits; the largest or, with all bits inverted, the
 * smallest value; the number of distinct values, and of rows whose value found no room in `distinct`.
 */
static __always_inline void aggregate_row(struct group *group, bool is_rest)
{
	u64 seen = noted_seen;

	EACH_AGGREGATE(i) {
		u64 *cell = (u64 *)(group->bytes + (i & 7) * 16), exists = seen >> i & 1, value = noted[i & 7][0], high = 0;
		u32 kind = AGGREGATE(i)->kind;

		if (kind == AGGREGATE_DISTINCT) {
			u32 found = exists && !is_rest ? add_distinct(i) : DISTINCT_KNOWN;

			cell[0] += found & DISTINCT_NEW;
			cell[1] += found >> 1 & 1;
			continue;
		}
		if (kind == AGGREGATE_SUM || kind == AGGREGATE_SUM_SIGNED) {
			if (kind == AGGREGATE_SUM_SIGNED) {
				value ^= SIGNED_BIAS;
				high = (s64)value >> 63;
			}
			value &= -exists;
			cell[1] += (high & -exists) + carries(cell[0], value);
			cell[0] += value;
			continue;
		}
		if (kind == AGGREGATE_MIN)
			value = ~value;
		value &= -exists;
		cell[0] ^= (cell[0] ^ value) & -borrows(cell[0], value);
	}
	group->seen |= seen;
}

/* --- the groups --- */

struct group fresh;	/* a new group, or a further part of its text; on the stack it would take a third of the space */
struct group rest;	/* the rows whose groups found no room */
static u32 groups_used;	/* entries of `groups` */

/*
 * The groups of recent rows with short texts. Most rows repeat one of them, and comparing eight words takes a third of the time of
 * the hash and the look-up. The counts of such rows are added to their groups when another text takes the place, or in `finish`.
 */
#define RECENT_BITS 6

struct recent {
	u64 words[CHUNK / 8];
	u64 shape;
	u64 length;		/* of the text, and 1; 0: the place is empty */
	u64 pending;		/* rows to be added to the group's count */
	u64 hash[2];
};

struct recent recents[1 << RECENT_BITS];
#define RECENT(slot) (&recents[(slot) & ((1 << RECENT_BITS) - 1)])

/* Adds the pending rows of a place to their group. */
static __always_inline void settle_slot(u32 slot)
{
	struct recent *recent = RECENT(slot);
	struct group_key key = { { recent->hash[0], recent->hash[1] }, 0 };
	struct group *group;

	if (!recent->pending)
		return;
	group = bpf_map_lookup_elem(&groups, &key);
	if (group)
		group->count += recent->pending;
	recent->pending = 0;
}

BODY(settle)
{
	ONLY_IF(IS_COUNT);

	settle_slot(i);
	return 0;
}

/* How many bytes of text are in the first part of a group. */
#define FIRST_BYTES (GROUP_BYTES - AGGREGATES_SIZE)

u32 part_failed;

/* Stores part i + 1 of the text of a new group, row[CELLS_FROM .. row_len). */
BODY(keep_part)
{
	ONLY_IF(IS_COUNT);

	u32 from = CELLS_FROM + FIRST_BYTES + i * GROUP_BYTES;
	struct group_key key = { { group_hash[0], group_hash[1] }, i + 1 };

	if (from >= row_len)
		return 1;
	bpf_probe_read_kernel(fresh.bytes, GROUP_BYTES, ROW(from));
	part_failed = bpf_map_update_elem(&groups, &key, &fresh, BPF_ANY) != 0;
	return part_failed;
}

/* Makes the current row's group, with a count of 0. Nothing is made where the group with all its text finds no room. */
static __always_inline void make_group(struct group_key *key, u32 length)
{
	u32 parts = (length + AGGREGATES_SIZE + GROUP_BYTES - 1) / GROUP_BYTES ?: 1;

	if (groups_used + parts > query.groups_max)
		return;
	part_failed = 0;
	if (length > FIRST_BYTES)
		LOOP(GROUP_PARTS, keep_part);
	if (part_failed)
		return;
	fresh.count = 0;
	fresh.length = length;
	fresh.seen = 0;
	for (u32 word = 0; word < MAX_AGGREGATES * 16; word += 8)
		WORD(fresh.bytes + word) = 0;
	bpf_probe_read_kernel(fresh.bytes + AGGREGATES_SIZE, FIRST_BYTES, ROW(CELLS_FROM));
	if (!bpf_map_update_elem(&groups, key, &fresh, BPF_NOEXIST))
		groups_used += parts;
}

/* Counts the row in row[0 .. row_len) in its group. */
GLOBAL int add_to_group(void)
{
	ONLY_IF(IS_COUNT);

	u32 length = row_len - CELLS_FROM, slot = 0;
	const char *text = row + CELLS_FROM;
	u64 shape = TEXT_SHAPE, mix = shape, difference = 1;
	struct group_key key = {};
	struct recent *recent;
	struct group *group;

	if (length <= CHUNK) {
		clear_chunk(FIXED(ROW, row_len));
		for (u32 word = 0; word < CHUNK; word += 8)
			mix += WORD(text + word) * (0x9e3779b97f4a7c15ull + word * 0x1000100010001000ull);
		slot = SLOT(mix ^ mix >> 32, RECENT_BITS);
		recent = RECENT(slot);
		difference = (recent->shape ^ shape) | (recent->length ^ (length + 1));
		for (u32 word = 0; word < CHUNK; word += 8)
			difference |= recent->words[word / 8] ^ WORD(text + word);
		if (!difference && !query.aggregates) {
			recent->pending++;
			return 0;
		}
		group_hash[0] = recent->hash[0];
		group_hash[1] = recent->hash[1];
	}
	if (difference) {
		hash_row(CELLS_FROM, shape);
		group_hash[0] = hash[0];
		group_hash[1] = hash[1];
	}
	key.hash[0] = group_hash[0];
	key.hash[1] = group_hash[1];
	group = bpf_map_lookup_elem(&groups, &key);
	if (!group) {
		make_group(&key, length);
		group = bpf_map_lookup_elem(&groups, &key);
	}
	if (!group) {
		rest.count++;
		aggregate_row(&rest, true);
		return 0;
	}
	group->count++;
	aggregate_row(group, false);
	if (length <= CHUNK && difference) {
		settle_slot(slot);
		recent = RECENT(slot);
		for (u32 word = 0; word < CHUNK; word += 8)
			recent->words[word / 8] = WORD(text + word);
		recent->shape = shape;
		recent->length = length + 1;
		recent->hash[0] = key.hash[0];
		recent->hash[1] = key.hash[1];
	}
	return 0;
}

/* --- a map as output --- */

/*
 * VISITOR(name, MAP, begin) { ... } is a program that runs `begin`, an expression, and then its body for each element of MAP. The
 * body has `seq`, `key` and `value`; before it writes `size` bytes by its only bpf_seq_write, MAKE_ROOM(size) makes it return
 * where they do not fit. Another iterator then goes on, so the body deletes what it has written.
 *
 * The program visits the map by a helper, in the first element of a walk over something else: some hosts refuse all iterators over
 * the elements of maps. The helper is younger (5.13) than a program for kernels without bpf_loop may ask for, whose iterator walks
 * over the map itself; there the kernel makes the room.
 */
#ifdef BOUNDED_LOOPS
#define MAKE_ROOM(size) do { } while (0)
#define FORGET_GROUP(key) do { } while (0)	/* the iterator could then miss the next one */
#define VISITOR(name, MAP, begin)                                            \
	static __always_inline int name##_visit(struct seq_file *seq, void *key, void *value); \
	SEC("iter/bpf_map_elem")                                             \
	int name(struct bpf_iter__bpf_map_elem *ctx)                         \
	{                                                                    \
		struct seq_file *seq = ctx->meta->seq;                       \
		void *key = ctx->key, *value = ctx->value;                   \
                                                                             \
		if (!key || !value)                                          \
			return 0;                                            \
		if (!ctx->meta->seq_num)                                     \
			begin;                                               \
		return name##_visit(seq, key, value);                        \
	}                                                                    \
	static __always_inline int name##_visit(struct seq_file *seq, void *key, void *value)
#else
static u32 visited_bytes;	/* written by this run of the program */

#define MAKE_ROOM(size)                                                      \
	do {                                                                 \
		if (visited_bytes && visited_bytes + (size) > ROW_MASK) {    \
			progress.cut = 1;                                    \
			return 1;                                            \
		}                                                            \
		visited_bytes += (size);                                     \
	} while (0)
#define FORGET_GROUP(key) bpf_map_delete_elem(&groups, key)
#define VISITOR(name, MAP, begin)                                            \
	static __always_inline int name##_visit(struct seq_file *seq, void *key, void *value); \
	static __noinline long name##_element(void *map, void *key, void *value, struct seq_file **seq) \
	{                                                                    \
		return name##_visit(*seq, key, value);                       \
	}                                                                    \
	SEC("iter/bpf_map")                                                  \
	int name(struct bpf_iter__bpf_map *ctx)                              \
	{                                                                    \
		struct seq_file *seq = ctx->meta->seq;                       \
                                                                             \
		if (!ctx->map || ctx->meta->seq_num)                         \
			return 0;                                            \
		visited_bytes = 0;                                           \
		begin;                                                       \
		progress.cut = 0;                                            \
		bpf_for_each_map_elem(&MAP, name##_element, &seq, 0);        \
		return 0;                                                    \
	}                                                                    \
	static __always_inline int name##_visit(struct seq_file *seq, void *key, void *value)
#endif

/*
 * A group as user space reads it (src/groups.ts), in the byte order of the machine: its size in bytes with GROUP_REST for the
 * rows whose groups found no room, `seen`, the count, the aggregates, the text.
 */
#define GROUP_HEAD 16

static u32 record_size;

/* Appends part i + 1 of a text to the record in row[]. */
BODY(append_part)
{
	ONLY_IF(IS_COUNT);

	struct group_key key = { { group_hash[0], group_hash[1] }, i + 1 };
	u32 at = GROUP_HEAD + (i + 1) * GROUP_BYTES;
	struct group *group;

	if (at >= record_size)
		return 1;
	group = bpf_map_lookup_elem(&groups, &key);
	if (!group)
		return 1;
	bpf_probe_read_kernel(ROW(at), GROUP_BYTES, group->bytes);
	return 0;
}

/* Begins a record. The bytes are those of an entry of the map, or of `rest`. */
static __always_inline void begin_record(u32 length, u32 mark, u32 seen, u64 count, u64 bytes)
{
	record_size = GROUP_HEAD + AGGREGATES_SIZE + length;
	WORD(row) = record_size | mark | (u64)seen << 32;
	WORD(row + 8) = count;
	bpf_probe_read_kernel(row + GROUP_HEAD, GROUP_BYTES, (void *)bytes);
}

static __always_inline long begin_groups(struct seq_file *seq)
{
	u32 size;

	if (progress.cut)
		return 0;
	LOOP(1 << RECENT_BITS, settle);
	begin_record(0, GROUP_REST, rest.seen, rest.count, ADDRESS(rest.bytes));
	size = record_size;
	if (size > ROW_MASK)
		return 0;
	MAKE_ROOM(size);
	bpf_seq_write(seq, row, size);
	return 0;
}

VISITOR(finish, groups, begin_groups(seq))
{
	struct group_key entry = *(struct group_key *)key;
	struct group *group = value;
	u32 size;

	ONLY_IF(IS_COUNT && !entry.part);
	group_hash[0] = entry.hash[0];
	group_hash[1] = entry.hash[1];
	begin_record(group->length, 0, group->seen, group->count, ADDRESS(group->bytes));
	if (record_size > GROUP_HEAD + GROUP_BYTES)
		LOOP(GROUP_PARTS, append_part);
	size = record_size;
	if (size > ROW_MASK)
		return 0;
	MAKE_ROOM(size);
	if (!bpf_seq_write(seq, row, size))
		FORGET_GROUP(&entry);
	return 0;
}

#endif
