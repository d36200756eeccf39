/* SPDX-License-Identifier: GPL-2.0-only */
/* task.h -- columns of tasks that several tables have */
#ifndef TASK_ITER_TASK_H
#define TASK_ITER_TASK_H

#define TASK_STATES(W) W(0, R) W(1, S) W(2, D) W(3, T) W(4, t) W(5, X) W(6, Z) W(7, P) W(8, I)

#include "../engine/row.h"

static u32 reader_level;	/* the depth of the reader's pid namespace, 0 being the initial one */

/* Notes the reader's pid namespace at a walk's first element; where several readers share the program, at every element. */
static __always_inline void know_reader(void)
{
	struct task_struct *reader;

	if (progress.seq_num && !(query.flags & QUERY_SHARED))
		return;
	reader = (void *)bpf_get_current_task();
	reader_level = BPF_CORE_READ(reader, thread_pid, level);
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

	if (query.flags & (QUERY_SHARED | QUERY_STAMP | SHAPED))
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
