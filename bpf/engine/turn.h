/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * turn.h -- one reader at a time
 *
 * Several readers may run a pinned program at once, but they share row[] and the variables of the loops. So a reader takes a turn
 * for each element and ends the turn when the program returns. The verifier removes this code from a query without QUERY_SHARED.
 *
 * A turn takes microseconds, but a preempted reader may hold the turn for a time slice or two. The wait is bounded, as all loops
 * of a BPF program are. When the wait ends without a turn, the program returns 1, and the reader's read fails with EAGAIN or
 * ends early.
 */
#ifndef TASK_ITER_TURN_H
#define TASK_ITER_TURN_H

#include "row.h"

#ifdef BOUNDED_LOOPS

/*
 * Linux before 5.12 has no atomic exchange, and refuses an unknown instruction even in code that never runs. Linux 5.10 refuses
 * spin locks in iterators too. But only one reader can insert the key of a hash.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u32);
} turns SEC(".maps");

/* Returns whether another reader had the turn; an argument of 0 ends this reader's turn. */
GLOBAL int exchange_turn(u32 taken)
{
	u32 zero = 0;

	if (!taken)
		return bpf_map_delete_elem(&turns, &zero);
	return bpf_map_update_elem(&turns, &zero, &zero, BPF_NOEXIST) != 0;
}

/* Four levels of 64 turns: 16 million tries. The verifier walks 256 of them. */
#define WAIT(name, try)                                                      \
	GLOBAL int name(void)                                                \
	{                                                                    \
		for (u32 i = 0; i < 64; i++)                                 \
			if (try)                                             \
				return 1;                                    \
		return 0;                                                    \
	}
WAIT(wait_for_turn_1, !exchange_turn(1))
WAIT(wait_for_turn_2, wait_for_turn_1())
WAIT(wait_for_turn_3, wait_for_turn_2())
WAIT(take_turn, wait_for_turn_3())

#else

static u32 turn_taken;

#define exchange_turn(taken) __sync_lock_test_and_set(&turn_taken, taken)

/* The variables are on the stack: without a turn the reader must not write global variables. */
static __noinline long try_turn(u32 i, void *taken)
{
	if (*(volatile u32 *)&turn_taken || exchange_turn(1))
		return 0;
	*(u32 *)taken = 1;
	return 1;
}

#define MAX_TRIES (1 << 23)	/* the limit of bpf_loop, about 50 ms */

static __always_inline u32 take_turn(void)
{
	u32 taken = 0;

	bpf_loop(MAX_TRIES, try_turn, &taken, 0);
	return taken;
}

#endif

static __always_inline void end_turn(u32 *unused)
{
	if (query.flags & QUERY_SHARED)
		exchange_turn(0);
}

/* Holds the turn until the function returns, at any of its return statements. */
#define TAKE_TURN                                                            \
	if (query.flags & QUERY_SHARED && !take_turn())                      \
		return 1;                                                    \
	u32 turn __attribute__((cleanup(end_turn), unused)) = 1

#endif
