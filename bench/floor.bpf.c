/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * floor.bpf.c -- walks that print nothing: what no program that reads the same table can be faster than
 *
 * Each is built alone, with -DFLOOR_NAME and -DITERATOR="NAME": most are the walk of that iterator and nothing else. `query` and
 * `progress` are there because the shim, which loads it, sets them.
 */
#include "../bpf/engine/kernel.h"
#include "../bpf/engine/query.h"
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

const volatile struct query query = {};
struct progress progress;

#if defined(FLOOR_task_stack)	/* unwinds */

unsigned long frames[64];

SEC("iter/task")
int dump(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;

	if (task)
		bpf_get_task_stack(task, frames, sizeof(frames), 0);
	return 0;
}

#elif defined(FLOOR_task_file_path)	/* asks for the file's path */

char path[4096];

SEC("iter/task_file")
int dump(struct bpf_iter__task_file *ctx)
{
	struct file *file = ctx->file;

	if (file)
		bpf_d_path(&file->f_path, path, sizeof(path));
	return 0;
}

#else

SEC("iter/" ITERATOR)
int dump(void *ctx)
{
	return 0;
}

#endif
