/* SPDX-License-Identifier: GPL-2.0-only */
/* task.h -- what several tables say of a task */
#ifndef TASK_ITER_TASK_H
#define TASK_ITER_TASK_H

#define TASK_STATES(W) W(0, R) W(1, S) W(2, D) W(3, T) W(4, t) W(5, X) W(6, Z) W(7, P) W(8, I)
#ifndef DESCRIBE

#include "row.h"

/* A pid as /proc shows it to the reader: the number in the reader's own pid namespace. */
static __always_inline u32 number_of(struct pid *pid)
{
	struct task_struct *reader = (void *)bpf_get_current_task();
	u32 level = BPF_CORE_READ(reader, thread_pid, level), number = 0;

	if (BPF_CORE_READ(pid, level) >= level)	/* else it is outside: 0 */
		bpf_probe_read_kernel(&number, sizeof(number),
				      (void *)&pid->numbers + level * bpf_core_type_size(struct upid));
	return number;
}

/*
 * Pointers of a task are fetched by BPF_CORE_READ, not loaded: for each pointer loaded the verifier searches all of the kernel's
 * types for what it may trust, half a millisecond.
 */
#define pid_of(task) number_of(BPF_CORE_READ(task, group_leader, thread_pid))
#define tid_of(task) number_of(BPF_CORE_READ(task, thread_pid))

/* In a function of its own, out of which the compiler does not move the access that newer kernels must not see. */
static __noinline u32 state_before_5_14(struct task_struct___5_13 *task)
{
	return BPF_CORE_READ(task, state);
}

/* An index of TASK_STATES, as fs/proc computes it (include/linux/sched.h, __task_state_index). */
static __always_inline u32 state_of(struct task_struct *task)
{
	u32 state, index = 0;

	if (bpf_core_field_exists(task->__state))
		state = task->__state;
	else
		state = state_before_5_14((void *)task);
	if ((state & 0x402) == 0x402)	/* TASK_IDLE */
		return 8;
	if (state & 0x9000)		/* TASK_RTLOCK_WAIT, TASK_FROZEN */
		state |= 2;
	state = (state | task->exit_state) & 0x7f;
	for (u32 i = 0; i < 7; i++)
		index = state >> i & 1 ? i + 1 : index;
	return index;
}

/* Stale bytes may follow the NUL (5.10: "init\0er/0"). */
#define comm_of(task) (bpf_probe_read_kernel_str(source, 16, (task)->comm) - 1)

#endif
#endif
