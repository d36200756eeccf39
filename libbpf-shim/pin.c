// SPDX-License-Identifier: BSD-2-Clause
/* pin.c -- finds what a pinned link reads: the constant query in .rodata of its program ends with a description */
#include "internal.h"
#include <errno.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_MAPS 16
#define MAX_RODATA (1 << 20)

/* Maps and programs have another structure of information; the name of their descriptor does not contain "link". */
static int is_link(int fd)
{
	char path[32], target[64] = "";

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return readlink(path, target, sizeof(target) - 1) > 0 && strstr(target, "link");
}

/* Copies the description, if this map holds it. */
static int search_map(__u32 id, char *out, __u32 size)
{
	struct bpf_map_info info = {};
	union bpf_attr attr = {};
	int fd, length = 0;
	__u32 zero = 0;
	char *value, *text;

	attr.map_id = id;
	fd = sys_bpf(BPF_MAP_GET_FD_BY_ID, &attr);
	if (fd < 0)
		return -errno;
	if (info_of(fd, &info, sizeof(info)) < 0 || info.type != BPF_MAP_TYPE_ARRAY || info.max_entries != 1 ||
	    info.value_size > MAX_RODATA || !strstr(info.name, ".rodata"))
		goto out_fd;
	value = calloc(1, info.value_size + 8);
	if (!value)
		goto out_fd;
	memset(&attr, 0, sizeof(attr));
	attr.map_fd = fd;
	attr.key = (unsigned long)&zero;
	attr.value = (unsigned long)value;
	if (!sys_bpf(BPF_MAP_LOOKUP_ELEM, &attr)) {
		text = memmem(value, info.value_size, DESCRIPTION, sizeof(DESCRIPTION) - 1);
		if (text)
			length = snprintf(out, size, "%s", text + sizeof(DESCRIPTION) - 1);
	}
	free(value);
out_fd:
	close(fd);
	return length;
}

int task_iter_pinned(const char *path, char *out, __u32 size)
{
	struct bpf_link_info link = {};
	struct bpf_prog_info prog = {};
	union bpf_attr attr = {};
	__u32 maps[MAX_MAPS] = {};
	int fd, result = 0;

	if (!path || !out || !size)
		return -EINVAL;
	attr.pathname = (unsigned long)path;
	fd = sys_bpf(BPF_OBJ_GET, &attr);
	if (fd < 0)
		return -errno;
	if (!is_link(fd) || info_of(fd, &link, sizeof(link)) < 0 || link.type != BPF_LINK_TYPE_ITER)
		goto out_fd;
	close(fd);
	memset(&attr, 0, sizeof(attr));
	attr.prog_id = link.prog_id;
	fd = sys_bpf(BPF_PROG_GET_FD_BY_ID, &attr);
	if (fd < 0)
		return -errno;
	prog.map_ids = (unsigned long)maps;
	prog.nr_map_ids = MAX_MAPS;
	if (info_of(fd, &prog, sizeof(prog)) < 0)
		goto out_fd;
	for (__u32 i = 0; i < prog.nr_map_ids && i < MAX_MAPS && result <= 0; i++)
		result = search_map(maps[i], out, size);
out_fd:
	close(fd);
	return result;
}
