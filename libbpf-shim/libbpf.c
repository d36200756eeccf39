// SPDX-License-Identifier: BSD-2-Clause
/*
 * libbpf.c -- loads a program from its ELF object with libbpf, which relocates the program in this process: for Linux before 5.17
 */
#include "place.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

/* libbpf has one print function for the process; the handle that is loading sets its destination, for its thread. */
static __thread char *print_to;

/* Accepts all levels: libbpf prints the verifier's log of a good load at the level for debugging. */
static int print(enum libbpf_print_level level, const char *format, va_list arguments)
{
	size_t used;

	(void)level;
	if (!print_to)
		return 0;
	used = strlen(print_to);
	return vsnprintf(print_to + used, LOG_SIZE - used, format, arguments);
}

int loader_open(struct task_iter *it, const void *bytes, size_t length)
{
	LIBBPF_OPTS(bpf_object_open_opts, options, .object_name = "task_iter");
	struct bpf_object *object;
	struct bpf_map *map;
	struct place place;
	char *start;
	size_t size;

	libbpf_set_print(print);
	/* libbpf has made copies of the bytes. */
	object = bpf_object__open_mem(bytes, length, &options);
	if (!object)
		return -errno;
	map = bpf_object__find_map_by_name(object, ".rodata");
	start = map ? (char *)bpf_map__initial_value(map, &size) : NULL;
	place = place_of(object, ".rodata", "query");
	if (!start || place.size != sizeof(struct query) || place.at + sizeof(struct query) > size) {
		bpf_object__close(object);
		return -EINVAL;
	}
	it->object = object;
	it->query = (struct query *)(start + place.at);
	return 0;
}

int loader_load(struct task_iter *it)
{
	static const char *const stages[] = STAGE_NAMES, *const sized[] = SIZED_NAMES, *const filled[] = FILL_NAMED;
	struct bpf_map *bss = bpf_object__find_map_by_name(it->object, ".bss"), *map;
	struct place progress = place_of(it->object, ".bss", "progress");
	struct bpf_program *programs[STAGES];
	char *start;
	int error;

	for (int i = 0; i < STAGES; i++) {
		programs[i] = bpf_object__find_program_by_name(it->object, stages[i]);
		if (!programs[i])
			continue;
		bpf_program__set_autoload(programs[i], needs_stage(it->query, i));
		if (it->log)
			bpf_program__set_log_level(programs[i], it->log_level);
	}
	for (int i = 0; i < SIZED_MAPS; i++) {
		map = bpf_object__find_map_by_name(it->object, sized[i]);
		if (map)
			bpf_map__set_max_entries(map, max_entries(it->query, i));
	}
	if (!programs[STAGE_DUMP] || !bss || progress.size != sizeof(struct progress))
		return -EINVAL;
	print_to = it->log;
	error = bpf_object__load(it->object);
	print_to = NULL;
	if (error)
		return error;
	start = mmap(NULL, bpf_map__value_size(bss), PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(bss), 0);
	if (start == MAP_FAILED)
		return -errno;
	it->bss = start;
	it->progress = (struct progress *)(start + progress.at);
	for (int i = 0; i < FILLS; i++)
		it->fill[i] = place_of(it->object, ".bss", filled[i]);
	for (int i = 0; i < STAGES; i++)
		if (programs[i] && needs_stage(it->query, i))
			it->prog_fd[i] = bpf_program__fd(programs[i]);
	for (int i = 0; i < SIZED_MAPS; i++)
		it->map_fd[i] = bpf_object__find_map_fd_by_name(it->object, sized[i]);
	return 0;
}

void loader_free(struct task_iter *it)
{
	struct bpf_map *bss = bpf_object__find_map_by_name(it->object, ".bss");

	if (it->bss)
		munmap(it->bss, bpf_map__value_size(bss));
	bpf_object__close(it->object);
}
