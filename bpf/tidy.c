// SPDX-License-Identifier: BSD-2-Clause
/*
 * tidy.c -- build tool: makes the BTF of an object the same in every build, and smaller: tidy OBJECT [lines]
 *
 * clang writes forward declarations in the order of addresses in its own memory: they are put into the order of their names. The
 * lines of the source are a third of an object, for the verifier's log, and 5 % of its load: only with `lines` they stay.
 */
#include <bpf/btf.h>
#include <elf.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

/* The beginning of .BTF.ext, which no header of libbpf shows. */
struct btf_ext_header {
	__u16 magic;
	__u8 version, flags;
	__u32 hdr_len, func_info_off, func_info_len, line_info_off, line_info_len;
};

static struct btf *btf;

static struct btf_type *type_of(__u32 id)
{
	return (struct btf_type *)btf__type_by_id(btf, id);
}

static int by_name(const void *a, const void *b)
{
	const struct btf_type *one = type_of(*(const __u32 *)a), *other = type_of(*(const __u32 *)b);
	int names = strcmp(btf__name_by_offset(btf, one->name_off), btf__name_by_offset(btf, other->name_off));

	return names ? names : btf_kflag(one) - btf_kflag(other);
}

/* The kinds whose `type` is the identifier of another type; clang declares forward only what a pointer, const or volatile needs. */
static int derived(const struct btf_type *type)
{
	return btf_is_mod(type) || btf_is_ptr(type) || btf_is_typedef(type);
}

static void order_forwards(void)
{
	__u32 types = btf__type_cnt(btf), count = 0;
	__u32 *forward = calloc(types, sizeof(*forward)), *sorted = calloc(types, sizeof(*sorted)), *place = calloc(types, sizeof(*place));
	struct btf_type *moved = calloc(types, sizeof(*moved));

	for (__u32 id = 1; id < types; id++)
		if (btf_is_fwd(type_of(id)))
			forward[count++] = id;
	memcpy(sorted, forward, count * sizeof(*sorted));
	qsort(sorted, count, sizeof(*sorted), by_name);
	for (__u32 i = 0; i < count; i++) {
		place[sorted[i]] = forward[i];
		moved[i] = *type_of(sorted[i]);
	}
	for (__u32 i = 0; i < count; i++)
		*type_of(forward[i]) = moved[i];
	for (__u32 id = 1; id < types; id++)
		if (derived(type_of(id)) && place[type_of(id)->type])
			type_of(id)->type = place[type_of(id)->type];
}

int main(int count, char **arguments)
{
	int file = count >= 2 ? open(arguments[1], O_RDWR) : -1;
	bool lines = count == 3 && !strcmp(arguments[2], "lines");
	const Elf64_Shdr *section;
	struct stat status;
	const Elf64_Ehdr *elf;
	const char *names;
	char *object;
	__u32 size;

	if (file < 0 || fstat(file, &status))
		return perror("tidy OBJECT"), 1;
	object = mmap(NULL, status.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	if (object == MAP_FAILED)
		return perror(arguments[1]), 1;
	elf = (void *)object;
	section = (void *)(object + elf->e_shoff);
	names = object + section[elf->e_shstrndx].sh_offset;
	for (int left = elf->e_shnum; left > 0; left--, section++) {
		char *data = object + section->sh_offset;

		if (!strcmp(names + section->sh_name, ".BTF.ext") && !lines)
			((struct btf_ext_header *)data)->line_info_len = 0;
		if (strcmp(names + section->sh_name, ".BTF"))
			continue;
		btf = btf__new(data, section->sh_size);
		if (!btf)
			return perror(arguments[1]), 1;
		order_forwards();
		memcpy(data, btf__raw_data(btf, &size), section->sh_size);
	}
	return btf ? 0 : (fprintf(stderr, "%s: no BTF\n", arguments[1]), 1);
}
