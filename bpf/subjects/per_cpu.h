/* SPDX-License-Identifier: GPL-2.0-only */
/* per_cpu.h -- where each CPU has its own part of an object */
#ifndef TASK_ITER_PER_CPU_H
#define TASK_ITER_PER_CPU_H

#include "../engine/symbol.h"

/*
 * The distance from a per-CPU pointer to a CPU's own part is the same for every object, and helpers give both ends of it for a map
 * of this program (5.19). The kernel's own variables would do too, but only where it keeps symbols of data
 * (CONFIG_KALLSYMS_ALL).
 */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u64);
} parts SEC(".maps");

#define HAVE_PARTS bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_map_lookup_percpu_elem)

/* What to add to a per-CPU pointer for the part of that CPU; 0 for a CPU that does not exist. */
static __noinline u64 offset_of_cpu(u32 cpu)
{
	u64 array = ADDRESS(&parts), shared = 0;
	void *part = NULL;
	u32 zero = 0;

	bpf_probe_read_kernel(&shared, sizeof(shared), (void *)array + bpf_core_field_offset(struct bpf_array, pptrs));
	if (HAVE_PARTS)
		part = bpf_map_lookup_percpu_elem(&parts, &zero, cpu);
	return part ? ADDRESS(part) - shared : 0;
}

#endif
