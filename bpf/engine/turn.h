/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * turn.h -- one reader at a time
 *
 * A pinned program may be run by several readers at once, but row[] and what the loops share are one for all. So a reader takes
 * a turn for each element and ends it when the program returns. Only a query with QUERY_SHARED pays for this: for any other the
 * verifier throws it away.
 *
 * A turn takes microseconds, yet a preempted reader may hold it for a time slice or two. The wait is bounded, as everything in
 * a program is; when it was in vain the program returns 1, and the reader's read fails with EAGAIN or ends early.
 */
#ifndef TASK_ITER_TURN_H
#define TASK_ITER_TURN_H

#include "row.h"

#ifdef BOUNDED_LOOPS

/*
 * Before 5.12 there is no atomic exchange, and an unknown instruction is refused even where it is never reached; 5.10 refuses an
 * iterator spin locks as well. The key of a hash, though, is inserted by one only.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u32);
} turns SEC(".maps");

/* Whether somebody else had the turn; 0 ends one's own. */
GLOBAL int exchange_turn(u32 taken)
{
	u32 zero = 0;

	if (!taken)
		return bpf_map_delete_elem(&turns, &zero);
	return bpf_map_update_elem(&turns, &zero, &zero, BPF_NOEXIST) != 0;
}

/* Four levels of 64: 16 million tries, of which the verifier sees 256. */
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

/* What is the reader's own is on its stack: nothing is shared yet. */
static __noinline long try_turn(u32 i, void *taken)
{
	if (*(volatile u32 *)&turn_taken || exchange_turn(1))
		return 0;
	*(u32 *)taken = 1;
	return 1;
}

#define MAX_TRIES (1 << 23)	/* what bpf_loop allows, some 50 ms */

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

/* Holds the turn until the function returns, wherever it does. */
#define TAKE_TURN                                                            \
	if (query.flags & QUERY_SHARED && !take_turn())                      \
		return 1;                                                    \
	u32 turn __attribute__((cleanup(end_turn), unused)) = 1

#endif
