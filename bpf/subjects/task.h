/* SPDX-License-Identifier: GPL-2.0-only */
/* task.h -- columns of tasks that several tables have */
#ifndef TASK_ITER_TASK_H
#define TASK_ITER_TASK_H

#define TASK_STATES(W) W(0, R) W(1, S) W(2, D) W(3, T) W(4, t) W(5, X) W(6, Z) W(7, P) W(8, I)

#include "../engine/row.h"
#include "file.h"
#include "cgroup.h"
#ifdef FULL_COLUMNS
#include "container.h"
#endif

/*
 * The task's own columns, which every table of tasks has. tasks writes some of them in each of its programs (EVERY); the others
 * write all of them in the full and the wide program only. In files, `uid` is the file's owner, so the table says how it calls the task's.
 */
#define PPID_COLUMN(MORE, IN)                                                \
	MORE(ppid, IN(U64), 8, PPID_OF(task), "Process ID of the parent; 0 where it is outside the pid namespace.")
#define UID_COLUMN(MORE, IN, name)                                           \
	MORE(name, IN(U64), 6, BPF_CORE_READ(task, real_cred, euid.val), "Effective user ID of the task.")
#define EXE_COLUMN(MORE, IN)                                                 \
	MORE(exe, IN(LONG), 32, exe_of(task), "Path of the executable file, as /proc/PID/exe.")
#define CGROUP_COLUMN(MORE, IN)                                              \
	MORE(cgroup, IN(LONG), 32, cgroup_path(node_of(task)), "Path of its control group (v2), as in /proc/PID/cgroup.")
#define NET_NS_COLUMN(MORE, IN)                                              \
	MORE(net_ns, IN(U64), 10, net_ns_of(NSPROXY), "Inode number of its network namespace.")
#define CONTAINER_COLUMNS(MORE)                                              \
	MORE(container, FULL(COSTLY_STR), 12, group_name_of(ADDRESS(task), CONTAINER), "Container, by the names of its control groups: the ID's first 12 digits, or the name where the runtime uses names.") \
	MORE(pod, FULL(COSTLY_STR), 36, group_name_of(ADDRESS(task), POD), "UID of its Kubernetes pod.") \
	MORE(ns_pid, FULL(U64), 8, ns_pid_of(task) ?: ABSENT, "Process ID inside its own pid namespace.")
#define TASK_COLUMNS(MORE, uid)                                              \
	PPID_COLUMN(MORE, FULL)                                              \
	UID_COLUMN(MORE, FULL, uid)                                          \
	EXE_COLUMN(MORE, FULL)                                               \
	CGROUP_COLUMN(MORE, FULL)                                            \
	NET_NS_COLUMN(MORE, FULL)                                            \
	CONTAINER_COLUMNS(MORE)

static u32 reader_level;	/* the depth of the reader's pid namespace, 0 being the initial one */

static __always_inline u32 level_of_reader(void)
{
	struct task_struct *reader = (void *)bpf_get_current_task();

	return BPF_CORE_READ(reader, thread_pid, level);
}

/* Notes the reader's pid namespace at a walk's first element; where several readers share the program, at every element. */
static __always_inline void know_reader(void)
{
	if (progress.seq_num && !(query.flags & QUERY_SHARED))
		return;
	reader_level = level_of_reader();
}

/* A pid as /proc shows it to the reader: the number in the reader's own pid namespace; 0 for a pid outside that namespace. */
static __noinline u32 number_in_reader(struct pid *pid)
{
	u32 level = reader_level, number = 0;

	if (BPF_CORE_READ(pid, level) >= level)
		bpf_probe_read_kernel(&number, sizeof(number),
				      (void *)&pid->numbers + level * bpf_core_type_size(struct upid));
	return number;
}

/* Begins the walk of a table that shows numbers of tasks. NUMBER_OF and the macros after it do not compile without this. */
#define START_TASK_WALK(ctx)                                                 \
	START_WALK(ctx);                                                     \
	know_reader();                                                       \
	const bool task_walk_started = true

#define NUMBER_OF(pid) ({ (void)task_walk_started; number_in_reader(pid); })

/*
 * In the initial namespace these numbers are fields of the task. In another namespace helpers fetch the pointers: for each
 * pointer loaded directly out of a trusted task the verifier of 6.3 and later searches all of the kernel's types up to four
 * times, 0.2 ms each time.
 */
#define PID_OF(task) (reader_level ? NUMBER_OF(BPF_CORE_READ(task, group_leader, thread_pid)) : ((void)task_walk_started, (task)->tgid))
#define TID_OF(task) (reader_level ? NUMBER_OF(BPF_CORE_READ(task, thread_pid)) : ((void)task_walk_started, (task)->pid))
#define PPID_OF(task)                                                        \
	(reader_level ? NUMBER_OF(BPF_CORE_READ(task, real_parent, group_leader, thread_pid)) : BPF_CORE_READ(task, real_parent, tgid))

/* A function of its own: the compiler must not move the access into code that newer kernels run. */
static __noinline u32 state_before_5_14(struct task_struct___5_13 *task)
{
	return BPF_CORE_READ(task, state);
}

/* An index of TASK_STATES, as fs/proc computes it (include/linux/sched.h, __task_state_index). */
static __always_inline u32 state_of(struct task_struct *task)
{
	u32 state;

	if (bpf_core_field_exists(task->__state))
		state = task->__state;
	else
		state = state_before_5_14((void *)task);
	if ((state & 0x402) == 0x402)	/* TASK_IDLE */
		return 8;
	if (state & 0x9000)		/* TASK_RTLOCK_WAIT, TASK_FROZEN */
		state |= 2;
	state = (state | task->exit_state) & 0x7f;
	return above(state, 0) + above(state, 1) + above(state, 3) + above(state, 7) + above(state, 15) + above(state, 31) +
	       above(state, 63);
}

/* Reads whole words, where the helper would go byte by byte. */
static __always_inline struct text comm_of(struct task_struct *task)
{
	return name_text(WORD(task->comm), WORD(task->comm + 8));
}

#define PF_KTHREAD 0x00200000

/* A kernel thread may borrow a process's memory, which is not its own. */
static __always_inline struct mm_struct *mm_of(struct task_struct *task)
{
	return task->flags & PF_KTHREAD ? NULL : BPF_CORE_READ(task, mm);
}

/* When one of these is NULL, its fields read as 0, and the value is absent. */
#define MM ({ struct mm_struct *mm_ = mm_of(task); if (!mm_) ABSENT; mm_; })
#define NSPROXY ({ struct nsproxy *nsproxy_ = BPF_CORE_READ(task, nsproxy); if (!nsproxy_) ABSENT; nsproxy_; })

static __noinline long exe_of(struct task_struct *task)
{
	struct mm_struct *mm;
	struct file *file;
	long length = NO_STRING;

	if (!mm_of(task))
		return NO_STRING;
	RCU_LOCK;
	mm = task->mm;
	file = mm ? mm->exe_file : NULL;
	if (file)
		length = path_of(file);
	RCU_UNLOCK;
	return length;
}

static __always_inline u32 net_ns_of(struct nsproxy *nsproxy)
{
	return BPF_CORE_READ(nsproxy, net_ns, ns.inum);
}

/* A function of its own, as pid_ns_of() of tasks.bpf.c is. */
static __noinline u64 node_of(struct task_struct *task)
{
	return (u64)BPF_CORE_READ(task, cgroups, dfl_cgrp, kn);
}

enum { PIDTYPE_TGID = 1, PIDTYPE_PGID = 2, PIDTYPE_SID = 3 };

/* The number of the process in the innermost of its pid namespaces, as the last one of NStgid in /proc/PID/status. */
static __noinline u32 ns_pid_of(struct task_struct *task)
{
	struct pid *pid = BPF_CORE_READ(task, signal, pids[PIDTYPE_TGID]);
	struct upid *upid = (void *)&pid->numbers + BPF_CORE_READ(pid, level) * bpf_core_type_size(struct upid);

	return BPF_CORE_READ(upid, nr);
}

#ifdef FULL_COLUMNS
/*
 * Writes the path of the task's working or root directory. chdir(2) or the task's end may free the directory at any time, and
 * bpf_d_path would follow pointers into freed memory; what the walk read counts when the directory is still the same afterwards.
 */
GLOBAL int directory_of(u64 address, u32 is_root)
{
	struct task_struct *task = (void *)address;
	u64 entry, mount;
	int length;

	for (u32 i = 0; i < 2; i++) {
		struct fs_struct *fs = BPF_CORE_READ(task, fs);

		if (!fs)
			break;
		entry = (u64)(is_root ? BPF_CORE_READ(fs, root.dentry) : BPF_CORE_READ(fs, pwd.dentry));
		mount = (u64)(is_root ? BPF_CORE_READ(fs, root.mnt) : BPF_CORE_READ(fs, pwd.mnt));
		length = way_from_root(entry, mount);
		if (fs == BPF_CORE_READ(task, fs) &&
		    entry == (u64)(is_root ? BPF_CORE_READ(fs, root.dentry) : BPF_CORE_READ(fs, pwd.dentry)) &&
		    mount == (u64)(is_root ? BPF_CORE_READ(fs, root.mnt) : BPF_CORE_READ(fs, pwd.mnt)))
			return length;
	}
	return NO_STRING;
}
#endif

/*
 * A table with many rows for a task begins with the task's columns; OWNER has their bits. When the previous row belongs to the
 * same task, row[] still holds the text of these columns, up to owner_end. So no other code of such a table may write to row[],
 * the predicate included.
 */
u64 owner, owner_ids, owner_comm[2];
u32 owner_end;

/*
 * A task may get another name or, by execve, another number at any time. The values for the later comparison are read before the
 * text is written: a change in between makes the comparison for the next row fail.
 */
static __always_inline bool is_owner(struct task_struct *task)
{
	u64 ids = (u64)task->tgid << 32 | task->pid, *comm = (u64 *)task->comm;

	if (query.flags & (QUERY_SHARED | QUERY_STAMP | QUERY_CHANGES | SHAPED))
		return false;
	if (owner == ADDRESS(task) && owner_ids == ids && owner_comm[0] == comm[0] && owner_comm[1] == comm[1])
		return true;
	owner = ADDRESS(task);
	owner_ids = ids;
	owner_comm[0] = comm[0];
	owner_comm[1] = comm[1];
	return false;
}

#endif
