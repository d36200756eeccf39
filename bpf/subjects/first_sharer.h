/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * first_sharer.h -- the first of the threads that share files or memory, so that each shared file or mapping has one row
 *
 * The kernel's walk over files and mappings leaves out threads that share their leader's file table. A leader that has exited has
 * no file table, so the kernel visits every thread, with the same rows for each. SHARED is the field of task_struct that threads
 * share: only the first thread with the same value makes rows.
 */
#ifndef TASK_ITER_FIRST_SHARER_H
#define TASK_ITER_FIRST_SHARER_H

#include "../engine/row.h"
#include "../engine/symbol.h"

/* Limit of threads without the field that the search passes over; after that every thread makes rows. */
#ifdef BOUNDED_LOOPS
#define MAX_THREADS (1 << 12)
#else
#define MAX_THREADS (1 << 16)
#endif

static u64 thread_at, threads_end, threads_share, thread_found;

BODY(find_sharer)
{
	struct task_struct *thread;

	if (thread_at == threads_end)
		return 1;
	thread = (void *)(thread_at - bpf_core_field_offset(struct task_struct, thread_node));
	if ((u64)BPF_CORE_READ(thread, SHARED) == threads_share) {
		thread_found = (u64)thread;
		return 1;
	}
	thread_at = (u64)BPF_CORE_READ(thread, thread_node.next);
	return 0;
}

/* Finds the first thread of the group with the same field. */
GLOBAL u64 first_sharer(u64 signal, u64 share)
{
	struct signal_struct *group = (void *)signal;

	threads_end = signal + bpf_core_field_offset(struct signal_struct, thread_head);
	thread_at = (u64)BPF_CORE_READ(group, thread_head.next);
	threads_share = share;
	thread_found = 0;
	LOOP(MAX_THREADS, find_sharer);
	return thread_found;
}

static __always_inline bool is_first(struct task_struct *task)
{
	u64 share, first;

	if (task->pid == task->tgid)
		return true;
	share = (u64)BPF_CORE_READ(task, SHARED);
	if ((u64)BPF_CORE_READ(task, group_leader, SHARED) == share)
		return false;
	first = first_sharer((u64)BPF_CORE_READ(task, signal), share);
	return !first || first == ADDRESS(task);
}

#endif
