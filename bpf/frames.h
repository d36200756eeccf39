/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * frames.h -- kernel stacks
 *
 * Threads sleep in few places: the text of a whole stack is kept and copied, which makes a thread that sleeps where another
 * one does cost its unwinding and little more.
 */
#ifndef TASK_ITER_FRAMES_H
#define TASK_ITER_FRAMES_H

#define MAX_FRAMES 64	/* as /proc/PID/stack */

#ifndef DESCRIBE

#include "symbol.h"

u64 frames[MAX_FRAMES];

#define KEPT_STACKS 128
#define KEPT_TEXT 2048
#define KEPT_FRAMES 32

struct stack {
	u64 key;		/* depth and style; 0: empty */
	u64 length;
	u64 frames[KEPT_FRAMES];
	char text[KEPT_TEXT];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, KEPT_STACKS);
	__type(key, u32);
	__type(value, struct stack);
} stacks SEC(".maps");

/* How put_frames() writes: a list of the format, or the tutorial's numbered lines. */
enum { FRAMES_LIST = 1, FRAMES_LINES };
#ifdef FORMAT_TEXT
#define IS_LINES(style) ((style) == FRAMES_LINES)
#else
#define IS_LINES(style) false
#endif

/* A thread that is exiting has no stack left: no frames. */
static __always_inline long frames_of(struct task_struct *task)
{
	long size = bpf_get_task_stack(task, frames, sizeof(frames), 0);

	return size < 0 ? 0 : size / sizeof(frames[0]);
}

static __always_inline u64 frame_at(long depth)
{
	return depth > 0 ? frames[0] : 0;
}

/* What the loops over frames share. */
static u32 frames_depth, frames_style;
static u64 frames_hash, frames_difference;
static u32 frames_slot;

BODY(hash_frame)
{
	if (i >= frames_depth)
		return 1;
	frames_hash = (frames_hash ^ frames[i & (MAX_FRAMES - 1)]) * 0x9e3779b97f4a7c15ull;
	return 0;
}

BODY(compare_frame)
{
	struct stack *kept = bpf_map_lookup_elem(&stacks, &frames_slot);

	if (i >= frames_depth || !kept)
		return 1;
	frames_difference |= kept->frames[i & (KEPT_FRAMES - 1)] ^ frames[i & (MAX_FRAMES - 1)];
	return frames_difference != 0;
}

/* The kept text of this stack to the row; 0 when there is none. */
GLOBAL int put_kept_frames(void)
{
	struct stack *kept = bpf_map_lookup_elem(&stacks, &frames_slot);
	u32 length, at = row_len & ROW_MASK;

	if (!kept || kept->key != (frames_depth << 2 | frames_style))
		return 0;
	frames_difference = 0;
	LOOP(KEPT_FRAMES, compare_frame);
	length = kept->length;
	if (frames_difference || length > KEPT_TEXT)
		return 0;
	bpf_probe_read_kernel(row + at, length, kept->text);
	row_len = at + length;
	return 1;
}

GLOBAL int keep_frames(u32 from)
{
	struct stack *kept = bpf_map_lookup_elem(&stacks, &frames_slot);
	u32 length = row_len - from;

	if (!kept || length > KEPT_TEXT)
		return 0;
	bpf_probe_read_kernel(kept->frames, sizeof(kept->frames), frames);
	bpf_probe_read_kernel(kept->text, length, ROW(from));
	kept->length = length;
	kept->key = frames_depth << 2 | frames_style;
	return 0;
}

BODY(put_frame)
{
	int length;

	if (i >= frames_depth)
		return 1;
	length = symbol_of(frames[i & (MAX_FRAMES - 1)], SYMBOL_OFFSET);

	if (IS_LINES(frames_style)) {
		if (i < 10)
			LITERAL("  [ ");
		else
			LITERAL("  [");
		put_u64(i);
		LITERAL("] ");
	} else if (i) {
		LITERAL(LIST_NEXT);
	}
	if (length < 0)
		LITERAL("[unknown]");
	else
		put_source(length);
	if (IS_LINES(frames_style))
		LITERAL("\n");
	return 0;
}

GLOBAL int put_frames(u32 depth, u32 style)
{
	u32 from = row_len;

	frames_depth = depth;
	frames_style = style;
	frames_hash = depth;
	if (depth <= KEPT_FRAMES) {
		LOOP(KEPT_FRAMES, hash_frame);
		frames_slot = frames_hash >> 32 & (KEPT_STACKS - 1);
		if (put_kept_frames())
			return 0;
	}
	if (!IS_LINES(style))
		LIST_BEGIN;
	LOOP(MAX_FRAMES, put_frame);
	if (!IS_LINES(style))
		LIST_END;
	if (depth <= KEPT_FRAMES)
		keep_frames(from);
	return 0;
}

BODY(join_frame)
{
	if (i >= frames_depth)
		return 1;
	if (i) {
		*ROW(row_len) = ';';
		row_len++;
	}
	put_source(symbol_of(frames[i & (MAX_FRAMES - 1)], SYMBOL_OFFSET));
	return 0;
}

/* For the predicate: the symbols joined by ";", in source; what does not fit is not compared. */
GLOBAL int frames_to_source(u32 depth)
{
	u32 length;

	row_len = 0;
	frames_depth = depth;
	LOOP(MAX_FRAMES, join_frame);
	length = row_len;
	if (length > SOURCE_MASK)
		length = SOURCE_MASK;
	bpf_probe_read_kernel(source, length, row);
	return length;
}

/* Before 5.13 the symbols are printed one by one, between the pieces of the row. */
#define PUT_FRAMES(depth)                                                    \
	if ((depth) <= 0) {                                                  \
		LIST_EMPTY;                                                  \
	} else if (HAVE_SNPRINTF) {                                          \
		put_frames(depth, FRAMES_LIST);                              \
	} else {                                                             \
		LIST_BEGIN;                                                  \
		FLUSH;                                                       \
		for (u32 i = 0; i < MAX_FRAMES; i++) {                       \
			if (i >= (depth))                                    \
				break;                                       \
			if (i)                                               \
				BPF_SEQ_PRINTF(seq, LIST_NEXT "%pB", frames[i]); \
			else                                                 \
				BPF_SEQ_PRINTF(seq, "%pB", frames[i]);       \
		}                                                            \
		LIST_END;                                                    \
	}

#endif
#endif
