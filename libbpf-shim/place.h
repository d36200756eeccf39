/* SPDX-License-Identifier: BSD-2-Clause */
/* place.h -- where a variable is in a section, by the object's BTF: for what uses libbpf, pack.c and libbpf.c */
#ifndef TASK_ITER_PLACE_H
#define TASK_ITER_PLACE_H

#include "internal.h"
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <string.h>

/* Returns where the variable is in its section: a size of 0 where the section has no such variable. */
static inline struct place place_of(struct bpf_object *object, const char *section, const char *variable)
{
	const struct btf *btf = bpf_object__btf(object);
	const struct btf_type *type = btf__type_by_id(btf, btf__find_by_name_kind(btf, section, BTF_KIND_DATASEC));
	const struct btf_var_secinfo *info = type ? btf_var_secinfos(type) : NULL;

	for (int i = 0; type && i < btf_vlen(type); i++) {
		if (!strcmp(btf__name_by_offset(btf, btf__type_by_id(btf, info[i].type)->name_off), variable))
			return (struct place){ info[i].offset, info[i].size };
	}
	return (struct place){};
}

#endif
