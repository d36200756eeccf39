// SPDX-License-Identifier: BSD-2-Clause
/*
 * pack.c -- build tool: turns a BPF object into the program file that light.c loads: pack NAME OBJECT PROGRAM
 *
 * libbpf writes a loader program and its data, as for a light skeleton. This tool adds the indexes of maps and programs, and from
 * the object's BTF the offsets of `query` and `progress`. NAME is the first part of the names of the program's maps.
 */
#include "place.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void refuse(const char *what)
{
	fprintf(stderr, "pack: %s: %s\n", what, errno ? strerror(errno) : "not as light.c needs it");
	exit(1);
}

/* That an object has no lines of the source is as it should be (bpf/tidy.c). */
static int say(enum libbpf_print_level level, const char *format, va_list arguments)
{
	return level == LIBBPF_DEBUG || strstr(format, "line info") ? 0 : vfprintf(stderr, format, arguments);
}

/* Finds the index of the map among the object's maps, and the offset of `variable` in the map. */
static struct bpf_map *find(struct bpf_object *object, const char *section, const char *variable, __u32 *index, __u32 *offset)
{
	struct bpf_map *map, *found = bpf_object__find_map_by_name(object, section);
	struct place place = place_of(object, section, variable);

	if (!found || !place.size)
		refuse(variable);
	*offset = place.at;
	*index = 0;
	bpf_object__for_each_map(map, object) {
		if (map == found)
			return found;
		(*index)++;
	}
	return NULL;
}

/*
 * When a step fails, the loader closes what the steps before have opened: it looks at one place of its stack for each function of
 * the object, as if each were a program. It has places for 32, and more would make it read above its stack. The real programs,
 * the first of these, are fewer: the loader needs no code for the rest.
 */
static void forget_functions(struct bpf_insn *insns, __u32 size)
{
	static const struct bpf_insn next = { .code = BPF_JMP | BPF_JA };

	for (__u32 i = 0; i + 2 < size / sizeof(*insns); i++)
		if (insns[i].code == (BPF_LDX | BPF_MEM | BPF_W) && insns[i].src_reg == BPF_REG_10 && insns[i].off >= 0)
			insns[i] = insns[i + 1] = insns[i + 2] = next;	/* load, jump unless positive, call of bpf_sys_close */
}

/*
 * The loader's data have the initial contents of each map of variables. Those of .bss are zeroes, half of all data, and an array is
 * zeroed when it is made. So the loader is generated for a .bss of a few bytes, makes one of the real size, and does not fill it.
 */
#define FEW 40		/* no other map's size */

static void make_whole(struct bpf_insn *insns, __u32 insns_size, char *data, __u32 data_size, __u32 size, int number)
{
	static const struct bpf_insn nothing = { .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0 };
	const __u32 few[] = { BPF_MAP_TYPE_ARRAY, 4, FEW, 1 };	/* the attributes of BPF_MAP_CREATE begin with these */
	int updates = 0, made = 0;

	for (__u32 i = 0; i + 4 < insns_size / sizeof(*insns); i++)
		if (insns[i].code == (BPF_ALU64 | BPF_MOV | BPF_K) && insns[i].dst_reg == BPF_REG_1 &&
		    insns[i].imm == BPF_MAP_UPDATE_ELEM && insns[i + 4].code == (BPF_JMP | BPF_CALL) &&
		    insns[i + 4].imm == BPF_FUNC_sys_bpf && updates++ == number)
			insns[i + 4] = nothing;
	for (__u32 at = 0; at + sizeof(few) <= data_size; at += 8)
		if (!memcmp(data + at, few, sizeof(few))) {
			memcpy(data + at + 2 * sizeof(__u32), &size, sizeof(size));
			made++;
		}
	if (made != 1 || updates <= number)
		refuse(".bss");
}

static const struct btf *types;
static int backwards;

/* By the name of the type, then by the instruction. */
static int compare_relocations(const void *left, const void *right)
{
	const struct bpf_core_relo *a = left, *b = right;
	int order = strcmp(btf__name_by_offset(types, btf__type_by_id(types, a->type_id)->name_off),
			   btf__name_by_offset(types, btf__type_by_id(types, b->type_id)->name_off));

	if (!order)
		return a->insn_off < b->insn_off ? -1 : 1;
	return backwards ? -order : order;
}

/*
 * For each name of a type the kernel searches all of its types, a quarter of a millisecond, unless the name is in a cache of 31 places
 * by a hash of the name. Relocations in the order of instructions make names take each other's place again and again. In the order
 * of names each is searched once for a program at most, and the last names of one program are the first of the next.
 */
static void order_relocations(char *data, __u32 data_size, __u32 programs)
{
	const size_t attr_size = offsetof(union bpf_attr, core_relo_rec_size) + sizeof(__u32);
	__u32 found = 0;

	for (__u32 at = 0; at + attr_size <= data_size; at += 8) {
		const union bpf_attr *attr = (union bpf_attr *)(data + at);
		struct bpf_core_relo *relocations;

		if (attr->prog_type != BPF_PROG_TYPE_TRACING || attr->expected_attach_type != BPF_TRACE_ITER ||
		    attr->func_info_rec_size != sizeof(struct bpf_func_info) || attr->core_relo_rec_size != sizeof(*relocations))
			continue;
		/* The attributes of BPF_PROG_LOAD follow what they lead to, the relocations last. */
		if (attr->core_relo_cnt > at / sizeof(*relocations))
			refuse("relocations");
		relocations = (struct bpf_core_relo *)(data + at) - attr->core_relo_cnt;
		for (__u32 i = 0; i < attr->core_relo_cnt; i++)
			if (relocations[i].insn_off >= attr->insn_cnt * sizeof(struct bpf_insn) ||
			    !btf__type_by_id(types, relocations[i].type_id) || (i && relocations[i].insn_off < relocations[i - 1].insn_off))
				refuse("relocations");
		qsort(relocations, attr->core_relo_cnt, sizeof(*relocations), compare_relocations);
		backwards ^= attr->core_relo_cnt > 0;
		found++;
	}
	if (found != programs)
		refuse("relocations");
}

int main(int count, char **arguments)
{
	LIBBPF_OPTS(bpf_object_open_opts, options);
	LIBBPF_OPTS(gen_loader_opts, loader);
	static const char *const stages[] = STAGE_NAMES, *const sized[] = SIZED_NAMES, *const filled[] = FILL_NAMED;
	struct image image = { .magic = IMAGE_MAGIC, .layout = LAYOUT, .head = sizeof(image) };
	struct bpf_program *program;
	struct bpf_object *object;
	struct bpf_map *rodata, *bss, *map;
	int before_bss = 0;
	size_t size;
	const void *initial;
	FILE *file;

	if (count != 4)
		refuse("NAME OBJECT PROGRAM");
	libbpf_set_print(say);
	options.object_name = arguments[1];
	object = bpf_object__open_file(arguments[2], &options);
	if (!object)
		refuse(arguments[2]);
	rodata = find(object, ".rodata", "query", &image.rodata, &image.query);
	bss = find(object, ".bss", "progress", &image.bss, &image.progress);
	for (int i = 0; i < STAGES; i++)
		image.stage[i] = NONE;
	for (int i = 0; i < SIZED_MAPS; i++)
		image.sized[i] = NONE;
	bpf_object__for_each_map(map, object) {
		for (int i = 0; i < SIZED_MAPS; i++)
			if (!strcmp(bpf_map__name(map), sized[i]))
				image.sized[i] = image.maps;
		image.maps++;
	}
	for (int i = 0; i < FILLS; i++)
		image.fill[i] = place_of(object, ".bss", filled[i]);
	bpf_object__for_each_program(program, object) {
		int i = 0;

		while (i < STAGES && strcmp(bpf_program__name(program), stages[i]))
			i++;
		if (i == STAGES)
			refuse(bpf_program__name(program));
		image.stage[i] = image.programs++;
	}
	if (image.stage[STAGE_DUMP] == NONE || image.programs > IMAGE_MAX_PROGRAMS)
		refuse("programs");
	for (map = bpf_object__next_map(object, NULL); map != bss; map = bpf_object__next_map(object, map))
		before_bss += bpf_map__is_internal(map);
	image.bss_size = bpf_map__value_size(bss);
	if (bpf_map__set_value_size(bss, FEW) || bpf_object__gen_loader(object, &loader) || bpf_object__load(object))
		refuse("gen_loader");
	forget_functions((struct bpf_insn *)loader.insns, loader.insns_sz);
	make_whole((struct bpf_insn *)loader.insns, loader.insns_sz, (char *)loader.data, loader.data_sz, image.bss_size, before_bss);
	types = bpf_object__btf(object);
	order_relocations((char *)loader.data, loader.data_sz, image.programs);
	initial = bpf_map__initial_value(rodata, &size);
	image.rodata_size = size;
	image.data_size = loader.data_sz;
	image.insns_size = loader.insns_sz;

	file = fopen(arguments[3], "w");
	if (!file || fwrite(&image, sizeof(image), 1, file) != 1 || fwrite(loader.insns, loader.insns_sz, 1, file) != 1 ||
	    fwrite(loader.data, loader.data_sz, 1, file) != 1 || fwrite(initial, size, 1, file) != 1 || fclose(file))
		refuse(arguments[3]);
	bpf_object__close(object);
	return 0;
}
