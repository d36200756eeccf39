// SPDX-License-Identifier: BSD-2-Clause
/*
 * libbpf.c -- loads a program from its ELF object with libbpf, which relocates the program in this process: for Linux before 5.17
 */
#include "internal.h"
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

/* libbpf has one print function for the process; the handle that is loading sets its destination. */
static char *print_to;

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

/* Returns the offset of the variable in its section, or -1. */
static long offset_of(struct bpf_object *object, const char *section, const char *variable)
{
	const struct btf *btf = bpf_object__btf(object);
	const struct btf_type *type = btf__type_by_id(btf, btf__find_by_name_kind(btf, section, BTF_KIND_DATASEC));
	const struct btf_var_secinfo *info;

	if (!type)
		return -1;
	info = btf_var_secinfos(type);
	for (int i = 0; i < btf_vlen(type); i++) {
		if (!strcmp(btf__name_by_offset(btf, btf__type_by_id(btf, info[i].type)->name_off), variable))
			return info[i].offset;
	}
	return -1;
}

int loader_open(struct task_iter *it, const void *bytes, size_t length)
{
	LIBBPF_OPTS(bpf_object_open_opts, options, .object_name = "task_iter");
	struct bpf_object *object;
	struct bpf_map *map;
	long offset;
	char *start;
	size_t size;

	libbpf_set_print(print);
	/* libbpf has made copies of the bytes. */
	object = bpf_object__open_mem(bytes, length, &options);
	if (!object)
		return -errno;
	map = bpf_object__find_map_by_name(object, ".rodata");
	start = map ? (char *)bpf_map__initial_value(map, &size) : NULL;
	offset = offset_of(object, ".rodata", "query");
	if (!start || offset < 0 || offset + sizeof(struct query) > size) {
		bpf_object__close(object);
		return -EINVAL;
	}
	it->object = object;
	it->query = (struct query *)(start + offset);
	return 0;
}

int loader_load(struct task_iter *it)
{
	static const char *const stages[] = STAGE_NAMES, *const sized[] = SIZED_NAMES;
	struct bpf_map *bss = bpf_object__find_map_by_name(it->object, ".bss"), *map;
	long offset = offset_of(it->object, ".bss", "progress");
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
	if (!programs[STAGE_DUMP] || !bss || offset < 0)
		return -EINVAL;
	print_to = it->log;
	error = bpf_object__load(it->object);
	print_to = NULL;
	if (error)
		return error;
	start = mmap(NULL, bpf_map__value_size(bss), PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(bss), 0);
	if (start == MAP_FAILED)
		return -errno;
	it->progress = (struct progress *)(start + offset);
	for (int i = 0; i < STAGES; i++)
		if (programs[i] && needs_stage(it->query, i))
			it->prog_fd[i] = bpf_program__fd(programs[i]);
	it->groups_fd = bpf_object__find_map_fd_by_name(it->object, sized[GROUPS]);
	return 0;
}

void loader_free(struct task_iter *it)
{
	struct bpf_map *bss = bpf_object__find_map_by_name(it->object, ".bss");

	if (it->progress)
		munmap((char *)it->progress - offset_of(it->object, ".bss", "progress"), bpf_map__value_size(bss));
	bpf_object__close(it->object);
}
