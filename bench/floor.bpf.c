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

#elif defined(FLOOR_task_file_type)	/* waits for the memory of each file and its inode */

SEC("iter/task_file")
int dump(struct bpf_iter__task_file *ctx)
{
	struct file *file = ctx->file;

	if (file)
		asm volatile("" : : "r"((u64)file->f_inode->i_mode), "r"(file->f_inode->i_sb->s_magic));
	return 0;
}

#elif defined(FLOOR_netlink_rows)	/* writes zeroes: the kernel walks from the beginning for each buffer that is full */

#define ROW 107		/* bytes of a row of JSON, as the load makes them */

char zeroes[ROW];

SEC("iter/netlink")
int dump(struct bpf_iter__netlink *ctx)
{
	if (ctx->sk)
		bpf_seq_write(ctx->meta->seq, zeroes, ROW);
	return 0;
}

#elif defined(FLOOR_cgroup_rows)	/* likewise; a walk goes on after as many groups as earlier ones have written */

#define ROW 89

char zeroes[ROW];
u64 seen;

SEC("iter/cgroup")
int dump(struct bpf_iter__cgroup *ctx)
{
	struct seq_file *seq = ctx->meta->seq;

	if (!ctx->cgroup)
		return 0;
	if (!ctx->meta->seq_num)
		seen = 0;
	if (++seen <= progress.walked)
		return 0;
	bpf_seq_write(seq, zeroes, ROW);
	progress.walked += seq->count != seq->size;
	return 0;
}

#else

SEC("iter/" ITERATOR)
int dump(void *ctx)
{
	return 0;
}

#endif
