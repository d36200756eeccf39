/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * owners.h -- the processes that hold sockets or BPF objects: which one, by which descriptor, and how many descriptors there are
 *
 * A socket does not know who holds it. So `prepare` walks all descriptors before each pass and notes the owner of each socket in
 * the map `owners`, where the table's own walk finds it. Of several descriptors the owner is that of the lowest process number, and
 * of its descriptors the lowest; a process that the query names (owner_pid) comes first.
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
	MORE(container, FULL(COSTLY_STR), 12, who ? owner_text(who->tid, OWNER_CONTAINER, who->length[OWNER_CONTAINER]) : NO_STRING, "Its container: the ID's first 12 digits, or the name where the runtime uses names.") \
	MORE(pod, FULL(COSTLY_STR), 36, who ? owner_text(who->tid, OWNER_POD, who->length[OWNER_POD]) : NO_STRING, "UID of its Kubernetes pod.") \
	MORE(ns_pid, FULL(U64), 8, OWNED(who->ns_pid ?: ABSENT), "Its process ID inside its own pid namespace.")

#define SOCKET_OWNER_COLUMNS(MORE)                                           \
	MORE(pid, FULL(U64), 8, OWNED(who->pid), "Process that holds the socket; of several, the one with the lowest number. None in time-wait, after close(2), before accept(2), or outside the pid namespace.") \
	MORE(comm, FULL(STR), 16, who ? comm_of_owner(who) : NO_STRING, "Name of that process's thread.") \
	MORE(fd, FULL(U64), 6, OWNED(who->fd), "Its descriptor; of several, the lowest.") \
	MORE(owners, FULL(U64), 6, who ? who->owners : 0, "Number of descriptors that hold the socket, in all processes.") \
	MORE(ppid, FULL(U64), 8, OWNED(who->ppid), "Parent of the process that holds the socket.") \
	MORE(task_uid, FULL(U64), 8, OWNED(who->uid), "Effective user ID of that process.") \
	MORE(exe, FULL(LONG), 32, who ? owner_text(who->tid, OWNER_EXE, who->length[OWNER_EXE]) : NO_STRING, "Path of its executable file.") \
	MORE(cgroup, FULL(LONG), 32, who ? owner_text(who->tid, OWNER_CGROUP, who->length[OWNER_CGROUP]) : NO_STRING, "Path of its control group (v2).") \
	OWNER_PLACE_COLUMNS(MORE)

/* Fewer: a link has a control group of its own. */
#define OBJECT_OWNER_COLUMNS(MORE)                                           \
	MORE(pid, FULL(U64), 8, OWNED(who->pid), "Process with a descriptor of it; of several, the one with the lowest number. None where only pins or other BPF objects hold it, or outside the pid namespace.") \
	MORE(comm, FULL(STR), 16, who ? comm_of_owner(who) : NO_STRING, "Name of that process's thread.") \
	MORE(fd, FULL(U64), 6, OWNED(who->fd), "Its descriptor; of several, the lowest.") \
	MORE(owners, FULL(U64), 6, who ? who->owners : 0, "Number of descriptors of it, in all processes.") \
	MORE(exe, FULL(LONG), 32, who ? owner_text(who->tid, OWNER_EXE, who->length[OWNER_EXE]) : NO_STRING, "Path of the process's executable file.") \
	OWNER_PLACE_COLUMNS(MORE)

#ifdef FULL_COLUMNS

enum { OWNER_EXE, OWNER_CGROUP, OWNER_CONTAINER, OWNER_POD, OWNER_TEXTS };

/*
 * A socket by its address and, because an address may be used again, its inode's number; a BPF object by its address and ID; or a part
 * of a text, by text_object().
 */
struct owner_key {
	u64 object, number;
};

/* What is known of an owner, or a part of a text of the owner. */
struct owner {
	u32 pid, fd, owners;
	u32 tid;		/* of the thread, in the initial pid namespace: the key of its texts */
	u32 ppid, uid, ns_pid;
	s16 length[OWNER_TEXTS];	/* of its texts; negative without one */
	u64 comm[2];
};
#define TEXT_PART sizeof(struct owner)
_Static_assert(TEXT_PART % 8 == 0, "a text's parts are whole words");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1);		/* query.owners_max */
	__type(key, struct owner_key);
	__type(value, struct owner);
} owners SEC(".maps");

/* No address is so small. */
static __always_inline u64 text_object(u32 tid, u32 kind)
{
	return (u64)tid << 2 | kind;
}

/* Shared by the loops over a text's parts. */
static struct owner_key text_key;
static struct owner text_part;
static u32 text_length;

/*
 * The kernel hands out memory for entries from a small stock, which it refills after an interrupt, with PREEMPT_RT a moment later
 * in a thread. So the walk stops at the descriptor, and the next read(2) begins there again.
 */
#define MAX_RETRIES 10000
u32 short_of_memory, retries;

/* Returns whether the entry was there, which BPF_NOEXIST leaves as it is. */
static __noinline int put_owner(struct owner_key *key, struct owner *value, u64 flags)
{
	long error = bpf_map_update_elem(&owners, key, value, flags);

	if (error == -EEXIST)
		return 1;
	if (error == -ENOMEM && retries < MAX_RETRIES)
		short_of_memory = 1;
	else if (error)
		progress.lost++;
	return 0;
}

BODY(keep_text_part)
{
	ONLY_IF(query.flags & QUERY_PREPARE);

	u32 at = i * TEXT_PART;

	if (at >= text_length)
		return 1;
	text_key.number = i;
	for (u32 j = 0; j < TEXT_PART; j += 8)
		WORD((char *)&text_part + j) = WORD(SOURCE(at + j));
	put_owner(&text_key, &text_part, BPF_ANY);
	return 0;
}

BODY(fetch_text_part)
{
	ONLY_IF(query.flags & QUERY_PREPARE);

	u32 at = i * TEXT_PART;
	struct owner *part;

	if (at >= text_length)
		return 1;
	text_key.number = i;
	part = bpf_map_lookup_elem(&owners, &text_key);
	if (!part)
		return 1;
	for (u32 j = 0; j < TEXT_PART; j += 8)
		WORD(SOURCE(at + j)) = WORD((char *)part + j);
	return 0;
}

#define MAX_PARTS ((SOURCE_MASK + 1) / TEXT_PART + 1)

/* Keeps source[0 .. length) as a text of the thread. */
GLOBAL int keep_text(u32 tid, u32 kind, u32 length)
{
	ONLY_IF(query.flags & QUERY_PREPARE);

	if (length > SOURCE_MASK)
		return 0;
	text_key.object = text_object(tid, kind);
	text_length = length;
	LOOP(MAX_PARTS, keep_text_part);
	return 0;
}

/* Writes a text of the thread to source. Returns its length, which is negative without one. */
GLOBAL int owner_text(u32 tid, u32 kind, s32 length)
{
	ONLY_IF(query.flags & QUERY_PREPARE);

	if (length < 0 || length > SOURCE_MASK)
		return NO_STRING;
	text_key.object = text_object(tid, kind);
	text_length = length;
	LOOP(MAX_PARTS, fetch_text_part);
	return length;
}

static __always_inline long comm_of_owner(struct owner *who)
{
	struct text name = name_text(who->comm[0], who->comm[1]);

	text_to_source(name);
	return name.length;
}

/* A socket's inode follows the socket in memory. */
#ifndef HELD
#define HELD_ID(socket) BPF_CORE_READ((struct socket_alloc *)(socket), vfs_inode.i_ino)
#endif

/* The owner of a BPF object, or of a socket given its struct socket, which it lacks when no process can hold it. */
static __always_inline struct owner *owner_of(void *object)
{
	struct owner_key key = {};

	if (!(query.flags & QUERY_PREPARE) || !object)
		return NULL;
	key.object = ADDRESS(object);
	key.number = HELD_ID(object);
	return bpf_map_lookup_elem(&owners, &key);
}

/* The thread whose descriptors are being walked, and what to note of it as an owner. */
static struct owner holder;
static u64 holder_task, holder_ids;
static u64 held_operations;	/* of the files behind these objects; 0 until the first one is found */

static __always_inline void note_text(s64 length, u32 kind)
{
	holder.length[kind] = length < 0 || length > SOURCE_MASK ? -1 : length;
	if (length >= 0)
		keep_text(holder.tid, kind, length);
}

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
			note_text(cgroup_path(node_of(task)), OWNER_CGROUP); \
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
			note_text(exe_of(task), OWNER_EXE);                  \
		if (columns & COLUMN_BIT(container))                         \
			note_text(group_name_of(ADDRESS(task), CONTAINER), OWNER_CONTAINER); \
		if (columns & COLUMN_BIT(pod))                               \
			note_text(group_name_of(ADDRESS(task), POD), OWNER_POD); \
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

static __always_inline void note_held(void *object, u32 fd)
{
	struct owner_key key = { .object = ADDRESS(object), .number = HELD_ID(object) };
	struct owner *known;
	u32 count;

	holder.fd = fd;
	holder.owners = 1;
	if (!put_owner(&key, &holder, BPF_NOEXIST))	/* most have one descriptor */
		return;
	known = bpf_map_lookup_elem(&owners, &key);
	if (!known)
		return;
	count = known->owners + 1;
	if (comes_before(holder.pid, fd, known)) {
		holder.owners = count;
		put_owner(&key, &holder, BPF_ANY);
	} else {
		known->owners = count;
	}
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
			note_held(file->private_data, ctx->fd);              \
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
	reader_level = level_of_reader();
}

#else
#define DEFINE_OWNERS
#define owner_of(object) NULL
#endif

/* Declares `who`, the owner of owner_of(): NULL without one, and where the query does not ask. */
#define FIND_OWNER(object) struct owner *who __attribute__((unused)) = owner_of(object)

#endif
