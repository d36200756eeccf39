// SPDX-License-Identifier: BSD-2-Clause
/*
 * light.c -- loads one program by its light skeleton: the kernel relocates it, no BTF is parsed here (Linux 5.17 and later)
 *
 * Built once for each program, PROGRAM, into a library of its own: a run copies and maps the one it needs, not all of them.
 */
#include <errno.h>
#include <linux/types.h>
#include <string.h>
#include <unistd.h>

/* the types that the skeleton's picture of .bss uses */
typedef __u8 u8;
typedef __u32 u32;
typedef __u64 u64;
#include "internal.h"
#include SKELETON

#define JOIN(a, b) JOIN_(a, b)
#define JOIN_(a, b) a##b
#define NAME_(name) #name
#define NAME(name) NAME_(name)
#define SKEL(verb) JOIN(PROGRAM, __##verb)

int loader_open(struct task_iter *it, const char *program)
{
	struct PROGRAM *skel;

	if (strcmp(program, NAME(PROGRAM)))
		return -ENOENT;
	skel = SKEL(open)();
	if (!skel)
		return -ENOMEM;
	it->object = skel;
	it->query = &skel->rodata->query;
	return 0;
}

int loader_load(struct task_iter *it)
{
	struct PROGRAM *skel = it->object;
	int error, tries = 100;

	if (it->log) {
		skel->ctx.log_level = it->log_level;
		skel->ctx.log_size = LOG_SIZE;
		skel->ctx.log_buf = (unsigned long)it->log;
	}
	/* EAGAIN: the process was stopped or continued, which cannot be blocked. libbpf tries again as well, five times. */
	do
		error = SKEL(load)(skel);
	while (error == -EAGAIN && --tries);
	if (error < 0)
		return error;
	it->prog_fd = skel->progs.dump.prog_fd;
	it->progress = &skel->bss->progress;
	return 0;
}

void loader_free(struct task_iter *it)
{
	SKEL(destroy)(it->object);
}
