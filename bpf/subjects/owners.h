/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * owners.h -- the processes that hold sockets or BPF objects: which one, by which descriptor, and how many descriptors there are
 *
 * A socket does not know who holds it. So `prepare` walks all descriptors before each pass and notes the owner of each socket in
 * the map `owners`, where the table's own walk finds it. Of several descriptors the owner is that of the lowest process number, and
 * of its descriptors the lowest; a process that the query names (owner_pid) comes first.
 *
 * The map is an array: an owner's place follows from its object's address, and one line of memory has all that most rows show. A
 * hash of the kernel's takes 1 µs to put an owner into, in lines of the entry, the bucket and the memory that entries come from.
 *
 * The table has SOCKET_OWNER_COLUMNS among its columns, DEFINE_OWNERS after TABLE, and FIND_OWNER in its walk. A table of BPF objects
 * has OBJECT_OWNER_COLUMNS, and before this file it defines HELD, the name of such an object's anonymous inode, and HELD_ID(object),
 * the object's ID.
 */
#ifndef TASK_ITER_OWNERS_H
#define TASK_ITER_OWNERS_H

#define SHARED files
#include "task.h"
#include "first_sharer.h"

#define OWNED(value) (who ? (value) : ABSENT)

/* Where the owner runs. */
#define OWNER_PLACE_COLUMNS(MORE)                                            \
	MORE(container, FULL(COSTLY_STR), 12, who ? owner_text(who->tid, OWNER_CONTAINER) : NO_STRING, "Its container: the ID's first 12 digits, or the name where the runtime uses names.") \
	MORE(pod, FULL(COSTLY_STR), 36, who ? owner_text(who->tid, OWNER_POD) : NO_STRING, "UID of its Kubernetes pod.") \
	MORE(ns_pid, FULL(U64), 8, OWNED(who->ns_pid ?: ABSENT), "Its process ID inside its own pid namespace.")

#define SOCKET_OWNER_COLUMNS(MORE)                                           \
	MORE(pid, FULL(U64), 8, OWNED(who->pid), "Process that holds the socket; of several, the one with the lowest number. None in time-wait, after close(2), before accept(2), or outside the pid namespace.") \
	MORE(comm, FULL(STR), 16, who ? comm_of_owner(who) : NO_STRING, "Name of that process's thread.") \
	MORE(fd, FULL(U64), 6, OWNED(who->fd), "Its descriptor; of several, the lowest.") \
	MORE(owners, FULL(U64), 6, who ? who->owners : 0, "Number of descriptors that hold the socket, in all processes.") \
	MORE(ppid, FULL(U64), 8, OWNED(who->ppid), "Parent of the process that holds the socket.") \
	MORE(task_uid, FULL(U64), 8, OWNED(who->uid), "Effective user ID of that process.") \
	MORE(exe, FULL(LONG), 32, who ? owner_text(who->tid, OWNER_EXE) : NO_STRING, "Path of its executable file.") \
	MORE(cgroup, FULL(LONG), 32, who ? owner_text(who->tid, OWNER_CGROUP) : NO_STRING, "Path of its control group (v2).") \
	OWNER_PLACE_COLUMNS(MORE)

/* Fewer: a link has a control group of its own. */
#define OBJECT_OWNER_COLUMNS(MORE)                                           \
	MORE(pid, FULL(U64), 8, OWNED(who->pid), "Process with a descriptor of it; of several, the one with the lowest number. None where only pins or other BPF objects hold it, or outside the pid namespace.") \
	MORE(comm, FULL(STR), 16, who ? comm_of_owner(who) : NO_STRING, "Name of that process's thread.") \
	MORE(fd, FULL(U64), 6, OWNED(who->fd), "Its descriptor; of several, the lowest.") \
	MORE(owners, FULL(U64), 6, who ? who->owners : 0, "Number of descriptors of it, in all processes.") \
	MORE(exe, FULL(LONG), 32, who ? owner_text(who->tid, OWNER_EXE) : NO_STRING, "Path of the process's executable file.") \
	OWNER_PLACE_COLUMNS(MORE)

#ifdef FULL_COLUMNS

enum { OWNER_EXE, OWNER_CGROUP, OWNER_CONTAINER, OWNER_POD, OWNER_TEXTS };

/* What is known of an owner: one line of memory. */
struct owner {
	u64 object;		/* what it holds, by its address */
	u32 number;		/* and by its inode's number or its ID, for an address may be used again */
	u32 pass;		/* the pass that this was noted in: what an earlier one has left is free */
	u32 pid, fd, owners;
	u32 tid;		/* of the thread, in the initial pid namespace: the key of its texts */
	u32 ppid, uid, ns_pid, unused;
	u64 comm[2];
};
_Static_assert(sizeof(struct owner) == 64, "an owner is not one line of memory");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);		/* query.owners_max */
	__type(key, u32);
	__type(value, struct owner);
} owners SEC(".maps");

static u32 owners_pass;

#define OWNER_AT(place) (struct owner *)bpf_map_lookup_elem(&owners, place)

/* Shared by the loop over places. */
static u64 sought_object;
static u32 sought_number, sought_place, sought_found;

static __always_inline bool is_sought(struct owner *owner)
{
	return owner->pass != owners_pass || (owner->object == sought_object && owner->number == sought_number);
}

BODY(look_at_next)
{
	struct owner *owner;
	u32 place;

	ONLY_IF(query.flags & QUERY_PREPARE);
	place = sought_place + 1 < query.owners_max ? sought_place + 1 : 0;
	sought_place = place;
	owner = OWNER_AT(&place);
	sought_found = owner && is_sought(owner);
	return sought_found;
}

#define MAX_PLACES 1024		/* where four of five places are taken, the longest run is some 500 */

/* The owner of the object, or the free place for it; NULL when there is neither. */
static __always_inline struct owner *place_of(u64 object, u32 number)
{
	u32 place = (object * 0x9e3779b97f4a7c15ull >> 32) * query.owners_max >> 32;
	struct owner *owner = OWNER_AT(&place);

	sought_object = object;
	sought_number = number;
	if (!owner || is_sought(owner))
		return owner;
	sought_place = place;
	sought_found = 0;
	LOOP(MAX_PLACES, look_at_next);
	place = sought_place;
	return sought_found ? OWNER_AT(&place) : NULL;
}

/* Texts of threads, in parts: a part's key is the thread, the kind of text, and the part's number. */
struct owner_text {
	u64 length;		/* of the whole text */
	char part[56];
};
#define TEXT_PART sizeof(((struct owner_text *)0)->part)
#define TEXT_KEY(tid, kind) ((u64)(tid) << 16 | (kind) << 8)

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1);		/* query.texts_max */
	__type(key, u64);
	__type(value, struct owner_text);
} texts SEC(".maps");

/* Shared by the loops over a text's parts. */
static u64 text_key;
static struct owner_text text_part;

/*
 * The kernel hands out memory for entries from a small stock, which it refills after an interrupt, with PREEMPT_RT a moment later
 * in a thread. So the walk stops at the descriptor, and the next read(2) begins there again.
 */
#define MAX_RETRIES 10000
u32 short_of_memory, retries;

BODY(keep_text_part)
{
	ONLY_IF(query.flags & QUERY_PREPARE);

	u32 at = i * TEXT_PART;
	u64 key = text_key + i;
	long error;

	for (u32 j = 0; j < TEXT_PART; j += 8)
		WORD(text_part.part + j) = WORD(SOURCE(at + j));
	error = bpf_map_update_elem(&texts, &key, &text_part, BPF_ANY);
	if (error == -ENOMEM && retries < MAX_RETRIES)
		short_of_memory = 1;
	else if (error)
		progress.lost++;
	return at + TEXT_PART >= text_part.length;
}

BODY(fetch_text_part)
{
	ONLY_IF(query.flags & QUERY_PREPARE);

	u32 at = i * TEXT_PART;
	u64 key = text_key + i;
	struct owner_text *text = bpf_map_lookup_elem(&texts, &key);

	if (!text)
		return 1;
	for (u32 j = 0; j < TEXT_PART; j += 8)
		WORD(SOURCE(at + j)) = WORD(text->part + j);
	return at + TEXT_PART >= text->length;
}

#define MAX_PARTS ((SOURCE_MASK + 1) / TEXT_PART + 1)

/* Keeps source[0 .. length) as a text of the thread. */
GLOBAL int keep_text(u32 tid, u32 kind, s32 length)
{
	ONLY_IF(query.flags & QUERY_PREPARE);

	if (length < 0 || length > SOURCE_MASK)
		return 0;
	text_key = TEXT_KEY(tid, kind);
	text_part.length = length;
	LOOP(MAX_PARTS, keep_text_part);
	return 0;
}

/* Writes a text of the thread to source. Returns its length, which is negative without one. */
GLOBAL int owner_text(u32 tid, u32 kind)
{
	ONLY_IF(query.flags & QUERY_PREPARE);

	u64 key = TEXT_KEY(tid, kind);
	struct owner_text *text = bpf_map_lookup_elem(&texts, &key);

	if (!text || text->length > SOURCE_MASK)
		return NO_STRING;
	text_key = key;
	LOOP(MAX_PARTS, fetch_text_part);
	return text->length;
}

static __always_inline long comm_of_owner(struct owner *who)
{
	struct text name = name_text(who->comm[0], who->comm[1]);

	text_to_source(name);
	return name.length;
}

/* The owner of an object, which a row may lack. */
static __always_inline struct owner *owner_of(u64 object, u32 number)
{
	struct owner *owner = place_of(object, number);

	return owner && owner->pass == owners_pass ? owner : NULL;
}

/* The thread whose descriptors are being walked, and what to note of it as an owner. */
static struct owner holder;
static u64 holder_task, holder_ids;
static u64 held_operations;	/* of the files behind these objects; 0 until the first one is found */

/* Which of two owners the row shows. */
static __always_inline bool comes_before(u32 pid, u32 fd, struct owner *other)
{
	bool named = query.owner_pid && pid == query.owner_pid, other_named = query.owner_pid && other->pid == query.owner_pid;

	if (named != other_named)
		return named;
	return pid < other->pid || (pid == other->pid && fd < other->fd);
}

/* Columns that the query writes, compares or counts. The verifier computes this. */
static __always_inline u64 asked_for(void)
{
	u64 columns = query.where | query.noted;

	_Pragma("clang loop unroll(disable)")
	for (u32 i = 0; i < MAX_PASSES; i++) {
		if (!query.pass[i])
			break;
		columns |= query.pass[i];
	}
	return columns;
}

#ifdef HELD
#define NOTE_MORE do { } while (0)
#else
#define NOTE_MORE                                                            \
	do {                                                                 \
		if (columns & COLUMN_BIT(ppid))                              \
			holder.ppid = PPID_OF(task);                         \
		if (columns & COLUMN_BIT(task_uid))                          \
			holder.uid = BPF_CORE_READ(task, real_cred, euid.val); \
		if (columns & COLUMN_BIT(cgroup))                            \
			keep_text(holder.tid, OWNER_CGROUP, cgroup_path(node_of(task))); \
	} while (0)
#endif

/* Text that a row does not show is not read. */
#define NOTE_HOLDER                                                          \
	do {                                                                 \
		u64 columns = asked_for();                                   \
		holder.pid = PID_OF(task);                                   \
		holder.tid = task->pid;                                      \
		holder.comm[0] = WORD(task->comm);                           \
		holder.comm[1] = WORD(task->comm + 8);                       \
		NOTE_MORE;                                                   \
		if (columns & COLUMN_BIT(ns_pid))                            \
			holder.ns_pid = ns_pid_of(task);                     \
		if (columns & COLUMN_BIT(exe))                               \
			keep_text(holder.tid, OWNER_EXE, exe_of(task));                  \
		if (columns & COLUMN_BIT(container))                         \
			keep_text(holder.tid, OWNER_CONTAINER, group_name_of(ADDRESS(task), CONTAINER)); \
		if (columns & COLUMN_BIT(pod))                               \
			keep_text(holder.tid, OWNER_POD, group_name_of(ADDRESS(task), POD)); \
	} while (0)

/* Most descriptors are of other files: one comparison, in the part of the file that the kernel has just read. */
#ifdef HELD
static __always_inline bool is_held(struct file *file)
{
	if (ADDRESS(file->f_op) == held_operations)
		return true;
	if (!is_anonymous(file, HELD))	/* links have two kinds of operations */
		return false;
	held_operations = ADDRESS(file->f_op);
	return true;
}
#else
static __always_inline bool is_held(struct file *file)
{
	if (held_operations)
		return ADDRESS(file->f_op) == held_operations;
	/* A descriptor opened with O_PATH has no socket. */
	if (file->f_inode->i_sb->s_magic != SOCKFS_MAGIC || !file->private_data)
		return false;
	held_operations = ADDRESS(file->f_op);
	return true;
}
#endif

/* What tells two objects apart that have had the same address. */
#ifdef HELD
#define NUMBER_OF_HELD HELD_ID(file->private_data)
#else
#define NUMBER_OF_HELD file->f_inode->i_ino
#endif

static __always_inline void note_held(struct file *file, u32 fd)
{
	u64 object = ADDRESS(file->private_data);
	u32 number = NUMBER_OF_HELD, owners_before = 0;
	struct owner *owner = place_of(object, number);

	if (!owner) {
		progress.lost++;
		return;
	}
	if (owner->pass == owners_pass) {
		owners_before = owner->owners;
		owner->owners = owners_before + 1;
		if (!comes_before(holder.pid, fd, owner))
			return;
	}
	holder.object = object;
	holder.number = number;
	holder.fd = fd;
	holder.owners = owners_before + 1;
	*owner = holder;
}

#define DEFINE_OWNERS                                                        \
	SEC("iter/task_file")                                                \
	int prepare(struct bpf_iter__task_file *ctx)                         \
	{                                                                    \
		struct task_struct *task = ctx->task;                        \
		struct file *file = ctx->file;                               \
		const bool task_walk_started = true;                         \
		u64 ids;                                                     \
                                                                             \
		if (!(query.flags & QUERY_PREPARE) || !task || !file)        \
			return 0;                                            \
		if (!ctx->meta->seq_num)                                     \
			begin_owners();                                      \
		if (!is_held(file) || !is_first(task))                       \
			return 0;                                            \
		ids = (u64)task->tgid << 32 | task->pid;                     \
		if (holder_task != ADDRESS(task) || holder_ids != ids) {     \
			holder_task = ADDRESS(task);                         \
			holder_ids = ids;                                    \
			NOTE_HOLDER;                                         \
		}                                                            \
		if (!short_of_memory)                                        \
			note_held(file, ctx->fd);                            \
		return out_of_memory();                                      \
	}

/* Whether the walk has to come back to this descriptor. */
static __always_inline int out_of_memory(void)
{
	u32 wait = short_of_memory;

	if (wait) {
		short_of_memory = 0;
		holder_task = 0;	/* its texts may be incomplete */
		retries++;
	}
	return wait & 1;
}

static __always_inline void begin_owners(void)
{
	holder_task = 0;
	short_of_memory = retries = 0;
	progress.lost = 0;
	holder.pass = ++owners_pass;
	reader_level = level_of_reader();
}

/* Declares `who`, the owner of the object: NULL without one, where the query does not ask, and without an object. */
#define FIND_OWNER(object, number)                                           \
	struct owner *who __attribute__((unused)) =                          \
		query.flags & QUERY_PREPARE && (object) ? owner_of(ADDRESS(object), number) : NULL

#else
#define DEFINE_OWNERS
#define FIND_OWNER(object, number) do { } while (0)
#endif

#endif
