/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * frames.h -- kernel stacks
 *
 * Unwinding a stack takes two microseconds, and thousands of threads sleep in few places. So the program keeps the frames of a
 * stack and their text, with the words of the stack that the unwinder used. A thread with the same words in the same places of
 * its stack then costs a copy and a comparison.
 */
#ifndef TASK_ITER_FRAMES_H
#define TASK_ITER_FRAMES_H

#define MAX_FRAMES 64	/* as /proc/PID/stack */

#include "../engine/symbol.h"

u64 frames[MAX_FRAMES];

/* How put_frames() writes: a list of the format, or the tutorial's numbered lines. */
enum { FRAMES_LIST = 1, FRAMES_LINES };
#ifdef FORMAT_TEXT
#define IS_LINES(style) ((style) == FRAMES_LINES)
#else
#define IS_LINES(style) false
#endif

/* Shared by the loops over frames. */
static u32 frames_depth, frames_style;

/* The place of a stack's words depends on the architecture; bpf_task_pt_regs came in 5.15. */
#if defined(ARCH_x86_64) && !defined(BOUNDED_LOOPS)
#define KEEPS_STACKS

#define KEPT_BITS 7
#define KEPT_WORDS 40
#define KEPT_FRAMES 32
#define KEPT_TEXT 1024		/* a power of two */

struct stack {
	u64 words;		/* 0: nothing is kept */
	u64 depth;
	u64 length;		/* length of the text; 0 when the text is not kept */
	u16 at[KEPT_WORDS];	/* where in source[] */
	u64 word[KEPT_WORDS];
	u64 frames[KEPT_FRAMES];
	char text[KEPT_TEXT];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1 << KEPT_BITS);
	__type(key, u32);
	__type(value, struct stack);
} stacks SEC(".maps");

/*
 * source[] holds a sleeping thread's stack. A task switch leaves six registers and the return address into the scheduler at its
 * beginning. After its end are the registers of user space; the sixteenth is the number of the system call.
 */
#define SWITCH_RETURN (6 * 8)
#define NEAR 0x8000		/* distance of the scheduler's functions from that return address */
#define PT_REGS (21 * 8)
#define ORIG_AX (15 * 8)
#define OUTERMOST (SOURCE_MASK - 7)	/* a copy of the outermost return address, the last word of the stack */

/*
 * The stack of the thread, or the kept stack in its place; its size in bytes; whether it is the thread's own. (Not static: the
 * compiler would shrink a variable with only two values to a byte, and its BTF would not say so.)
 */
static u32 stack_slot, stack_size;
u32 stack_kept;
static u64 stack_difference;

/* State of note_word(): the numbers of words and frames found, and the place of the innermost frame. */
static u32 stack_words, stack_frames, stack_innermost;

/*
 * The place of the innermost frame in most stacks, which are stacks of threads that call the scheduler themselves. Other stacks
 * have a function of the scheduler there. The place is found by majority vote; usual_voices is its lead over other places.
 */
static u32 usual_innermost, usual_voices;

BODY(compare_word)
{
	struct stack *kept = bpf_map_lookup_elem(&stacks, &stack_slot);

	if (!kept || i >= KEPT_WORDS || i >= kept->words)
		return 1;
	stack_difference = WORD(SOURCE(kept->at[i])) ^ kept->word[i];
	return stack_difference != 0;
}

/*
 * The unwinder begins at the return address of the task switch. A return address names the function of the next frame, hence the
 * frame's size, hence the place of the next return address. So stacks with the same return addresses in the same places have the
 * same frames. The words to keep are the addresses in frames[], in their order, and before them the return addresses into the
 * scheduler, which frames[] leaves out: the scheduler's functions lie close together. The frame of do_syscall_64 has another size
 * at each call (randomize_kstack_offset), so the last return address is compared at the stack's end.
 *
 * Nothing is kept when a frame is not found (a tracer has replaced its return address), or when its address is found again before
 * the next frame's: one of the two may be left over in a buffer from an earlier call. When places are wrong, the last one is.
 */
BODY(note_word)
{
	struct stack *kept = bpf_map_lookup_elem(&stacks, &stack_slot);
	u32 at = i * 8, words = stack_words, found = stack_frames;
	u64 word = WORD(SOURCE(at));

	if (at >= stack_size || !kept || words >= KEPT_WORDS)
		return 1;
	if (word == frames[found & (MAX_FRAMES - 1)]) {
		stack_frames = found + 1;
		if (!found)
			stack_innermost = at;
	} else if (found) {
		if (word != frames[(found - 1) & (MAX_FRAMES - 1)])
			return 0;
		stack_frames = 0;
		return 1;
	} else if (word - WORD(SOURCE(SWITCH_RETURN)) + NEAR >= 2 * NEAR) {
		return 0;
	}
	kept->at[words] = at + 8 == stack_size ? OUTERMOST : at;
	kept->word[words] = word;
	stack_words = words + 1;
	return 0;
}

/* Returns the number of frames of a kept stack. 0 means no such stack is kept: the caller may keep this one at stack_slot. */
GLOBAL int find_stack(u64 from, u64 size)
{
	struct stack *kept;

	if (size <= SWITCH_RETURN || size > OUTERMOST - PT_REGS)
		return 0;
	if (bpf_probe_read_kernel(source, size + PT_REGS, (void *)from))
		return 0;
	WORD(SOURCE(OUTERMOST)) = WORD(SOURCE(size - 8));
	stack_slot = SLOT(WORD(SOURCE(usual_innermost)) ^ WORD(SOURCE(size + ORIG_AX)) << 32, KEPT_BITS);
	stack_size = size;
	stack_difference = 1;
	TIGHT_LOOP(KEPT_WORDS, compare_word);
	kept = bpf_map_lookup_elem(&stacks, &stack_slot);
	if (!kept || stack_difference)
		return 0;
	stack_kept = 1;
	bpf_probe_read_kernel(frames, sizeof(kept->frames), kept->frames);
	return kept->depth;
}

GLOBAL int keep_stack(u32 depth)
{
	struct stack *kept = bpf_map_lookup_elem(&stacks, &stack_slot);

	if (!kept || !depth || depth > KEPT_FRAMES)
		return 0;
	kept->words = 0;
	stack_words = 0;
	stack_frames = 0;
	LOOP((SOURCE_MASK + 1) / 8, note_word);
	if (stack_frames != depth)
		return 0;
	if (stack_innermost == usual_innermost)
		usual_voices++;
	else if (usual_voices)
		usual_voices--;
	else
		usual_innermost = stack_innermost;
	kept->words = stack_words;
	kept->depth = depth;
	kept->length = 0;
	bpf_probe_read_kernel(kept->frames, sizeof(kept->frames), frames);
	stack_kept = 1;
	return 0;
}

#define IS_OFF_CPU(task) (bpf_core_field_exists((task)->on_cpu) && !(task)->on_cpu)

#endif

/* Writes the task's frames to frames[] and returns their number. An exiting thread has no stack, hence no frames. */
static __noinline u32 frames_of(struct task_struct *task)
{
	long size;
	u32 depth;

#ifdef KEEPS_STACKS
	u64 switches = task->nvcsw + task->nivcsw;

	stack_kept = 0;
	stack_size = 0;
	if (IS_OFF_CPU(task)) {
		depth = find_stack(task->thread.sp, ADDRESS(bpf_task_pt_regs(task)) - task->thread.sp);
		if (depth)
			return depth;
	}
#endif
	size = bpf_get_task_stack(task, frames, sizeof(frames), 0);
	depth = size < 0 ? 0 : size / sizeof(frames[0]);
#ifdef KEEPS_STACKS
	/* When the thread ran in between, the words may differ from the words that the unwinder used. */
	if (stack_size && IS_OFF_CPU(task) && switches == task->nvcsw + task->nivcsw)
		keep_stack(depth);
#endif
	return depth;
}

static __always_inline u64 frame_at(long depth)
{
	return depth > 0 ? frames[0] : 0;
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

static __always_inline void put_each_frame(u32 depth, u32 style)
{
	frames_depth = depth;
	frames_style = style;
	if (!IS_LINES(style))
		LIST_BEGIN;
	LOOP(MAX_FRAMES, put_frame);
	if (!IS_LINES(style))
		LIST_END;
}

GLOBAL int put_frames(u32 depth, u32 style)
{
#ifdef KEEPS_STACKS
	struct stack *kept = bpf_map_lookup_elem(&stacks, &stack_slot);
	u32 from = row_len & ROW_MASK, length;

	if (!kept)
		return 0;
	length = kept->length;
	if (stack_kept && length) {
		bpf_probe_read_kernel(row + from, length & (KEPT_TEXT - 1), kept->text);
		row_len = from + length;
		return 0;
	}
	put_each_frame(depth, style);
	length = row_len - from;
	if (stack_kept && length < KEPT_TEXT) {
		bpf_probe_read_kernel(kept->text, length & (KEPT_TEXT - 1), row + from);
		kept->length = length;
	}
#else
	put_each_frame(depth, style);
#endif
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

/* For the predicate: writes the symbols to source, joined by ";". Symbols that do not fit are not compared. */
GLOBAL int frames_to_source(u32 depth)
{
	u32 length;

	if (!HAVE_SNPRINTF)
		return NO_STRING;
	row_len = 0;
	frames_depth = depth;
	LOOP(MAX_FRAMES, join_frame);
	length = row_len;
	if (length > SOURCE_MASK)
		length = SOURCE_MASK;
	bpf_probe_read_kernel(source, length, row);
	return length;
}

/* Before 5.13 the program writes the row in pieces and prints each symbol between two pieces. */
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
