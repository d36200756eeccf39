/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * changes.h -- only the rows that are new, changed or gone since the pass before
 *
 * A row begins with its identity: the columns by which its table tells rows apart. The map `changes` has an entry for each identity
 * with the hash of the row's other cells. A pass writes a row only when it has no entry ("+") or when the hashes differ ("~"). After
 * the pass the program `gone` visits the map, and writes the identities that the pass has not seen ("-").
 *
 * Some identities are not unique: of sockets without an inode, for example. The first row of an identity has the entry whose key
 * ends with zeros. Any other row has an entry of its own, whose key ends with the hash of its cells: such rows come and go, but do
 * not change, and their order does not matter.
 *
 * Most rows of most passes are as in the pass before. For them the array `seen` has what a row needs, in one line of memory, where a
 * look-up in the hash waits for three: such a row leaves its entry alone, which is then some passes behind.
 *
 * The kernel runs the program again for a row that did not fit its buffer. So an entry changes only when its row is written, or
 * where doing so twice makes no difference.
 */
#ifndef TASK_ITER_CHANGES_H
#define TASK_ITER_CHANGES_H

#include "groups.h"

#define IS_CHANGES (query.flags & QUERY_CHANGES)

struct change_key {
	u64 identity[2];
	u64 cells[2];		/* zeros for the first row of an identity */
};

struct change {
	u64 pass;		/* the last pass that has seen a row of the identity */
	u64 cells[2];		/* hash of the cells besides the identity */
	u32 before, rows;	/* rows of this entry in the pass before `pass`, and so far in `pass` */
	u32 others_before, others;	/* of the entry with zeros: rows of other entries of the identity, in the same way */
	u32 vacant;		/* of that entry: its row is gone, but other rows of the identity are there */
	u32 length;
	char text[IDENTITY_BYTES];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1);	/* query.changes_max */
	__type(key, struct change_key);
	__type(value, struct change);
} changes SEC(".maps");

/* The last unique row with an identity of this place in `seen`. */
struct seen {
	u64 identity, cells;	/* half of each hash; an identity of 0 says that there is none */
	u64 pass;		/* in which the row was there */
	u64 unused;		/* two of these are a line of memory */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);	/* query.changes_max */
	__type(key, u32);
	__type(value, struct seen);
} seen SEC(".maps");

u32 cells_from, identity_end;	/* indexes in row: of the first cell, and after the identity */
u32 op_at;			/* index in row of the byte "+", "~" or "-" */

/*
 * AGING is the name of a column that changes with the time alone, as an age: no row changes by that column. It comes last in the
 * row, from aging_from on, and has fewer than CHUNK bytes (src/query/plan.ts).
 */
#ifndef AGING
#define AGING ""
#endif
u32 aging_from;
u64 aging_cell[CHUNK / 8];
u64 change_identity[2];		/* the current row's hash */
struct change fresh_change;	/* too large for the stack */

/* Remembers the identity, which is the end of row so far. */
GLOBAL int end_identity(void)
{
	ONLY_IF(IS_CHANGES);

	identity_end = row_len;
	hash_row(cells_from, 0);
	change_identity[0] = hash[0];
	change_identity[1] = hash[1];
	return 0;
}

static __always_inline struct seen *seen_of(const u64 *identity)
{
	u32 place = (identity[1] >> 32) * query.changes_max >> 32;

	return bpf_map_lookup_elem(&seen, &place);
}

/* Whether the row of the identity's first entry was there in that pass; `false` may also say that another row has the place. */
static __always_inline bool is_seen(const struct seen *seen, const u64 *identity, u64 pass)
{
	return seen && seen->identity == identity[0] && seen->pass == pass;
}

/* Notes the row, unless the place has another one of this pass, whose entry does not know that it was there. */
static __always_inline void note_seen(struct seen *seen, const u64 *identity, u64 cells, u64 pass)
{
	if (!seen || (seen->pass == pass && seen->identity != identity[0]))
		return;
	seen->identity = identity[0];
	seen->cells = cells;
	seen->pass = pass;
}

static __always_inline struct change *find_change(struct change_key *key, u64 pass)
{
	struct change *change = bpf_map_lookup_elem(&changes, key);

	if (change && change->pass != pass) {
		/* Other rows have always brought the entry up to date. */
		change->others_before = change->pass == pass - 1 ? change->others : 0;
		change->pass = pass;
		change->before = change->rows;
		change->rows = 0;
		change->others = 0;
	}
	return change;
}

/* What a row is. The first two have the entry of their identity, the other two an entry of their own. */
enum { ROW_SAME, ROW_NEW, ROW_CHANGED, ROW_OTHER_NEW, ROW_OTHER_MORE };
u32 row_kind;

/* Hashes the cells besides the identity. The hash leaves zeros after them, so the aging cell is put back. */
static __always_inline void hash_cells(void)
{
	u32 end = row_len, from = aging_from;

	if (sizeof(AGING) == 1 || !from) {
		hash_row(identity_end, 0);
		return;
	}
	for (u32 word = 0; word < CHUNK; word += 8)
		aging_cell[word / 8] = WORD(ROW(from) + word);
	row_len = from;
	hash_row(identity_end, 0);
	for (u32 word = 0; word < CHUNK; word += 8)
		WORD(ROW(from) + word) = aging_cell[word / 8];
	row_len = end;
}

/* Sets row_kind for the finished row, and its byte of the row. */
GLOBAL int compare_row(void)
{
	ONLY_IF(IS_CHANGES);

	struct change_key key = { { change_identity[0], change_identity[1] }, {} };
	struct change *first, *other;
	struct seen *seen = seen_of(change_identity);
	u64 pass = progress.pass;

	hash_cells();
	row_kind = ROW_SAME;
	if (is_seen(seen, change_identity, pass - 1) && seen->cells == hash[0]) {
		seen->pass = pass;
		progress.met++;
		return ROW_SAME;
	}
	first = find_change(&key, pass);
	if (first && is_seen(seen, change_identity, pass))
		first->rows = 1;
	if (!first) {
		row_kind = ROW_NEW;
	} else if (!first->rows && !first->vacant && first->cells[0] == hash[0] && first->cells[1] == hash[1]) {
		first->rows = 1;
		note_seen(seen, change_identity, hash[0], pass);
		progress.met++;
	} else if (!first->rows && !first->others_before) {
		row_kind = first->vacant ? ROW_NEW : ROW_CHANGED;
	} else {
		key.cells[0] = hash[0];
		key.cells[1] = hash[1];
		other = find_change(&key, pass);
		if (!other) {
			row_kind = ROW_OTHER_NEW;
		} else if (other->rows >= other->before) {
			row_kind = ROW_OTHER_MORE;
		} else {
			other->rows++;
			first->others++;
			progress.met++;
		}
	}
	*ROW(op_at) = row_kind == ROW_CHANGED ? '~' : '+';
	return row_kind;
}

/* Remembers the row that has been written. */
GLOBAL int remember_row(void)
{
	ONLY_IF(IS_CHANGES);

	struct change_key key = { { change_identity[0], change_identity[1] }, {} };
	struct change *change = bpf_map_lookup_elem(&changes, &key);
	u32 kind = row_kind;

	if (kind == ROW_OTHER_NEW || kind == ROW_OTHER_MORE) {
		if (change)
			change->others++;
		key.cells[0] = hash[0];
		key.cells[1] = hash[1];
		change = bpf_map_lookup_elem(&changes, &key);
	} else {
		note_seen(seen_of(change_identity), change_identity, hash[0], progress.pass);
	}
	progress.met++;
	progress.held += kind != ROW_CHANGED;
	if (change) {
		change->cells[0] = hash[0];
		change->cells[1] = hash[1];
		change->vacant = 0;
		change->rows++;
		return 0;
	}
	fresh_change.pass = progress.pass;
	fresh_change.cells[0] = hash[0];
	fresh_change.cells[1] = hash[1];
	fresh_change.rows = 1;
	fresh_change.length = identity_end - cells_from;
	bpf_probe_read_kernel(fresh_change.text, IDENTITY_BYTES, ROW(cells_from));
	if (fresh_change.length > IDENTITY_BYTES || bpf_map_update_elem(&changes, &key, &fresh_change, BPF_NOEXIST))
		progress.forgotten++;
	return 0;
}

/* Appends an identity to row. */
GLOBAL int put_identity(u64 text, u32 length)
{
	ONLY_IF(IS_CHANGES);

	u32 at = row_len;

	bpf_probe_read_kernel(ROW(at), IDENTITY_BYTES, (void *)text);
	if (length <= IDENTITY_BYTES)
		row_len = at + length;
	return 0;
}

/* How many rows of the entry are gone; one is written at each visit, until none is left. */
static __always_inline bool is_gone(const struct change_key *key, const struct change *change, u64 pass)
{
	if (!key->cells[0] && !key->cells[1])
		return !change->vacant && (change->pass != pass || !change->rows) && !is_seen(seen_of(key->identity), key->identity, pass);
	return change->pass != pass ? change->rows : change->rows < change->before;
}

/* Whether the other rows of an identity, for which its vacant entry was there, are gone too. */
static __always_inline bool is_unused(const struct change_key *key, const struct change *change, u64 pass)
{
	return !key->cells[0] && !key->cells[1] && change->vacant && change->pass != pass;
}

/* Notes that a row of the entry is written as gone. */
static __always_inline void forget_row(struct change_key *key, u64 pass)
{
	struct change *change = bpf_map_lookup_elem(&changes, key);

	if (!change)
		return;
	progress.held--;
	if (!key->cells[0] && !key->cells[1]) {
		struct seen *seen = seen_of(key->identity);

		if (seen && seen->identity == key->identity[0])
			seen->identity = 0;
		change->vacant = 1;
		change->rows = 0;
		if (!change->others || change->pass != pass)
			bpf_map_delete_elem(&changes, key);
	} else if (change->pass == pass) {
		change->before--;
	} else if (--change->rows == 0) {
		bpf_map_delete_elem(&changes, key);
	}
}

/* The other cells of a row that is gone are absent; in text numbers are on the right of their columns. */
#define IS_RIGHT(type) (!__builtin_strcmp(OF_TYPE(SCHEMA, type), "number") || !__builtin_strcmp(OF_TYPE(SCHEMA, type), "signed"))

#define ABSENT_CELL(name, type, width, expression, doc)                      \
	if (pass & COLUMN_BIT(name) && !(query.identity & COLUMN_BIT(name))) { \
		CELL_BEGIN(name, width);                                     \
		PUT_ABSENT(IS_RIGHT(type) ? (width) : 0);                    \
		CELL_END(name, width);                                       \
	}

#define DEFINE_GONE                                                          \
	VISITOR(gone, changes, (void)0)                                      \
	{                                                                    \
		struct change_key entry = *(struct change_key *)key;         \
		struct change *change = value;                               \
		u32 size;                                                    \
                                                                             \
		ONLY_IF(IS_CHANGES);                                         \
		if (is_unused(&entry, change, progress.pass))                \
			bpf_map_delete_elem(&changes, &entry);               \
		if (!is_gone(&entry, change, progress.pass))                 \
			return 0;                                            \
		row_len = 0;                                                 \
		ROW_BEGIN;                                                   \
		PUT_OP;                                                      \
		*ROW(op_at) = '-';                                           \
		put_identity(ADDRESS(change->text), change->length);         \
		_Pragma("clang loop unroll(disable)")                        \
		for (u32 i = 0; i < MAX_PASSES; i++) {                       \
			u64 pass = query.pass[i];                            \
			if (!pass)                                           \
				break;                                       \
			COLUMNS(ABSENT_CELL, ABSENT_CELL)                    \
		}                                                            \
		ROW_END;                                                     \
		size = row_len - ROW_FROM;                                   \
		if (size > ROW_MASK)                                         \
			return 0;                                            \
		MAKE_ROOM(size);                                             \
		if (!bpf_seq_write(seq, row + ROW_FROM, size))               \
			forget_row(&entry, progress.pass);                   \
		return 0;                                                    \
	}

#endif
