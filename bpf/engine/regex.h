/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * regex.h -- regular expressions: one look-up a byte in the rows of an automaton, whatever the expression
 *
 * src/query/regex.ts makes the automaton, deterministic and minimal; user space fills the map after the load. The expressions of a
 * query share the map. A test has the state to begin with and the first of its states that accept.
 */
#ifndef TASK_ITER_REGEX_H
#define TASK_ITER_REGEX_H

#include "row.h"

/* Nothing leads away from these states: no string, or every string, matches. */
enum { STATE_NEVER, STATE_ALWAYS };

struct state {
	u16 next[256];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct state);
} automaton SEC(".maps");

/* Shared by the loop over source. */
u32 regex_state, regex_length;

#define TAKE_BYTE(at)                                                        \
	if ((at) < left) {                                                   \
		row = bpf_map_lookup_elem(&automaton, &state);               \
		if (!row)                                                    \
			return 1;                                            \
		state = row->next[word >> (at) * 8 & 0xff];                  \
	}

/* Takes eight bytes, or those up to the string's end. */
BODY(take_bytes)
{
	ONLY_IF(query.automaton_max);

	u32 state = regex_state, left = regex_length - i * 8;
	u64 word = WORD(SOURCE(i * 8));
	struct state *row;

	TAKE_BYTE(0) TAKE_BYTE(1) TAKE_BYTE(2) TAKE_BYTE(3)
	TAKE_BYTE(4) TAKE_BYTE(5) TAKE_BYTE(6) TAKE_BYTE(7)
	regex_state = state;
	return state <= STATE_ALWAYS || left <= 8;
}

/* Whether source[0 .. length) takes the automaton from state `start` to `accepting` or a later one. */
GLOBAL int accepts(u32 start, u32 accepting, u32 length)
{
	ONLY_IF(query.automaton_max);

	regex_state = start;
	regex_length = length;
	if (length && length <= SOURCE_MASK)
		TIGHT_LOOP((SOURCE_MASK + 1) / 8, take_bytes);
	return regex_state == STATE_ALWAYS || regex_state >= accepting;
}

#endif
