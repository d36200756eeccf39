/* SPDX-License-Identifier: GPL-2.0-only */
/* stacks.bpf.c -- kernel stacks, one row for each thread */
#include "../engine/table.h"
#include "../subjects/task.h"
#include "../subjects/frames.h"

#define COLUMNS(COL, MORE)                                                   \
	COL(comm, NAME, 16, comm_of(task), "Name of the thread.")             \
	COL(pid, U64, 8, PID_OF(task), "Process ID.")                        \
	COL(tid, U64, 8, TID_OF(task), "Thread ID.")                         \
	COL(frames, FRAMES, 40, DEPTH, "Kernel stack, innermost frame first: symbol+0xoffset/0xsize.") \
	MORE(state, ENUM(TASK_STATES), 5, state_of(task), "State, as ps shows it.") \
	MORE(depth, COSTLY, 5, DEPTH, "Number of frames, at most 64.")          \
	MORE(wchan, SYMBOL, 24, symbol_of(frame_at(DEPTH), SYMBOL_NAME), "Kernel function that the thread sleeps in.") \
	TASK_COLUMNS(MORE, uid)

#define IDENTITY(I) I(tid)

TABLE(stacks, "task", "5.8", "task stacks", "Kernel stacks of all threads.")

DEFINE_WORDS(TASK_STATES);

/* The program takes the stack once per thread, when the first column needs it. */
#define DEPTH ({ if (depth < 0) depth = frames_of(task); depth; })

/* A block of lines for each stack, as in the tutorial. */
#ifdef FORMAT_TEXT
#define WRITE_BLOCK                                                          \
	do {                                                                 \
		u32 size;                                                    \
		progress.shown = 1;                                          \
		row_len = 0;                                                 \
		LITERAL("=== Task: ");                                       \
		put_short_string(comm_of(task));                             \
		LITERAL(" (pid=");                                           \
		put_u64(PID_OF(task));                                       \
		LITERAL(", tid=");                                           \
		put_u64(TID_OF(task));                                       \
		LITERAL(") ===\nStack depth: ");                             \
		put_u64(DEPTH);                                              \
		LITERAL(" frames\n");                                        \
		if (HAVE_SNPRINTF) {                                         \
			put_frames(depth, FRAMES_LINES);                     \
		} else {                                                     \
			row_flushed = 1;                                     \
			FLUSH;                                               \
			for (u32 i = 0; i < MAX_FRAMES; i++) {               \
				if (i >= depth)                              \
					break;                               \
				BPF_SEQ_PRINTF(seq, "  [%2d] %pB\n", i, frames[i]); \
			}                                                    \
		}                                                            \
		LITERAL("\n");                                               \
		size = row_len;                                              \
		if (size <= ROW_MASK)                                        \
			bpf_seq_write(seq, row, size);                       \
	} while (0)
#endif

SEC("iter/task")
int dump(struct bpf_iter__task *ctx)
{
	struct seq_file *seq = ctx->meta->seq;
	struct task_struct *task = ctx->task;
	long depth = -1;

	if (!task)
		return 0;
	START_TASK_WALK(ctx);
	RETURN_UNLESS_KEPT;
#ifdef FORMAT_TEXT
	if (query.flags & QUERY_BLOCKS) {
		WRITE_BLOCK;
		return 0;
	}
#endif
	WRITE_ROW;
	return 0;
}
