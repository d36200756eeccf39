// SPDX-License-Identifier: BSD-2-Clause
/*
 * light.c -- loads a program by the loader program that pack.c put into its file: the kernel relocates the program, so this
 * process parses no BTF (Linux 5.17 and later)
 */
#include "internal.h"
/* skel_internal.h uses these headers, but does not include them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <bpf/skel_internal.h>

/* The loader program's input and output: its context, then a bpf_map_desc for each map, then a bpf_prog_desc for each program. */
struct light {
	struct image *image;
	struct bpf_loader_ctx *ctx;
};

static struct bpf_map_desc *maps_of(const struct light *light)
{
	return (struct bpf_map_desc *)(light->ctx + 1);
}

static const struct bpf_prog_desc *programs_of(const struct light *light)
{
	return (struct bpf_prog_desc *)(maps_of(light) + light->image->maps);
}

static int are_inside(const struct image *image)
{
	for (int i = 0; i < FILLS; i++)
		if ((__u64)image->fill[i].at + image->fill[i].size > image->bss_size)
			return 0;
	return 1;
}

/* Returns whether the `length` bytes are a whole program file with all offsets inside the file. */
static int is_image(const struct image *image, size_t length)
{
	if (length < sizeof(*image) || image->magic != IMAGE_MAGIC || image->layout != LAYOUT ||
	    image->head != sizeof(*image))
		return 0;
	if (length != (__u64)sizeof(*image) + image->insns_size + image->data_size + image->rodata_size)
		return 0;
	for (int i = 0; i < STAGES; i++)
		if (image->stage[i] >= image->programs && (i == STAGE_DUMP || image->stage[i] != NONE))
			return 0;
	for (int i = 0; i < SIZED_MAPS; i++)
		if (image->sized[i] >= image->maps && image->sized[i] != NONE)
			return 0;
	return image->maps <= IMAGE_MAX_MAPS && image->programs <= IMAGE_MAX_PROGRAMS && image->rodata < image->maps &&
	       image->bss < image->maps &&
	       (__u64)image->query + sizeof(struct query) <= image->rodata_size && image->query % 8 == 0 &&
	       (__u64)image->progress + sizeof(struct progress) <= image->bss_size && are_inside(image);
}

static char *insns_of(const struct light *light)
{
	return (char *)(light->image + 1);
}

static char *data_of(const struct light *light)
{
	return insns_of(light) + light->image->insns_size;
}

static char *rodata_of(const struct light *light)
{
	return data_of(light) + light->image->data_size;
}

int loader_open(struct task_iter *it, const void *bytes, size_t length)
{
	struct image header;
	struct light *light;

	/* A copy, because the caller's bytes may have any alignment and may change after this call. */
	if (length < sizeof(header))
		return -EINVAL;
	memcpy(&header, bytes, sizeof(header));
	if (!is_image(&header, length))
		return -EINVAL;
	light = calloc(1, sizeof(*light));
	if (!light)
		return -ENOMEM;
	it->object = light;
	light->image = malloc(length);
	light->ctx = calloc(1, sizeof(*light->ctx) + header.maps * sizeof(struct bpf_map_desc) +
				       header.programs * sizeof(struct bpf_prog_desc));
	if (!light->image || !light->ctx) {
		loader_free(it);
		it->object = NULL;
		return -ENOMEM;
	}
	memcpy(light->image, bytes, length);
	light->ctx->sz = (char *)(programs_of(light) + header.programs) - (char *)light->ctx;
	/* The loader's data hold the initial contents of the other maps. */
	maps_of(light)[header.rodata].initial_value = (unsigned long)rodata_of(light);
	it->query = (struct query *)(rodata_of(light) + header.query);
	return 0;
}

int loader_load(struct task_iter *it)
{
	struct light *light = it->object;
	const struct image *image = light->image;
	struct bpf_load_and_run_opts options = {
		.ctx = light->ctx,
		.data = data_of(light),
		.data_sz = image->data_size,
		.insns = insns_of(light),
		.insns_sz = image->insns_size,
	};
	int error, tries = 100;
	char *start;

	for (int i = 0; i < SIZED_MAPS; i++)
		if (image->sized[i] != NONE)
			maps_of(light)[image->sized[i]].max_entries = max_entries(it->query, i);

	if (it->log) {
		light->ctx->log_level = it->log_level;
		light->ctx->log_size = LOG_SIZE;
		light->ctx->log_buf = (unsigned long)it->log;
	}
	/* EAGAIN: the process was stopped or continued, and these signals cannot be blocked. libbpf too tries five times. */
	do
		error = bpf_load_and_run(&options);
	while (error == -EAGAIN && --tries);
	if (error < 0)
		return error;
	start = mmap(NULL, image->bss_size, PROT_READ | PROT_WRITE, MAP_SHARED, maps_of(light)[image->bss].map_fd, 0);
	if (start == MAP_FAILED)
		return -errno;
	for (int i = 0; i < STAGES; i++)
		if (image->stage[i] != NONE)
			it->prog_fd[i] = programs_of(light)[image->stage[i]].prog_fd;
	for (int i = 0; i < SIZED_MAPS; i++)
		if (image->sized[i] != NONE)
			it->map_fd[i] = maps_of(light)[image->sized[i]].map_fd;
	it->bss = start;
	it->progress = (struct progress *)(start + image->progress);
	memcpy(it->fill, image->fill, sizeof(it->fill));
	return 0;
}

void loader_free(struct task_iter *it)
{
	struct light *light = it->object;

	if (it->bss)
		munmap(it->bss, light->image->bss_size);
	if (light->image && light->ctx) {
		for (__u32 i = 0; i < light->image->maps; i++)
			skel_closenz(maps_of(light)[i].map_fd);
		for (__u32 i = 0; i < light->image->programs; i++)
			skel_closenz(programs_of(light)[i].prog_fd);
	}
	free(light->ctx);
	free(light->image);
	free(light);
}
