/* SPDX-License-Identifier: GPL-2.0-only */
/* maps.bpf.c -- BPF maps, one row each */
#include "../engine/table.h"
#define HELD "bpf-map"
#define HELD_ID(map) BPF_CORE_READ((struct bpf_map *)(map), id)
#include "../subjects/owners.h"
#ifdef FULL_COLUMNS
#include "../subjects/per_cpu.h"
#endif

/* The words of bpftool. */
#define MAP_TYPES(W) W(0, unspec) W(1, hash) W(2, array) W(3, prog_array) W(4, perf_event_array) W(5, percpu_hash) \
	W(6, percpu_array) W(7, stack_trace) W(8, cgroup_array) W(9, lru_hash) W(10, lru_percpu_hash) W(11, lpm_trie) \
	W(12, array_of_maps) W(13, hash_of_maps) W(14, devmap) W(15, sockmap) W(16, cpumap) W(17, xskmap) W(18, sockhash) \
	W(19, cgroup_storage) W(20, reuseport_sockarray) W(21, percpu_cgroup_storage) W(22, queue) W(23, stack) \
	W(24, sk_storage) W(25, devmap_hash) W(26, struct_ops) W(27, ringbuf) W(28, inode_storage) W(29, task_storage) \
	W(30, bloom_filter) W(31, user_ringbuf) W(32, cgrp_storage) W(33, arena) W(34, insn_array)

#define COLUMNS(COL, MORE)                                                   \
	COL(id, U64, 6, map->id, "ID of the map.")                           \
	COL(type, ENUM(MAP_TYPES), 16, map->map_type, "Type, as bpftool names it.") \
	COL(name, NAME, 15, name_of(map), "Name, at most 15 bytes; empty for a map without one.") \
	COL(key_size, U64, 8, map->key_size, "Size of a key in bytes.")      \
	COL(value_size, U64, 10, map->value_size, "Size of a value in bytes; of a per-CPU map, on each CPU.") \
	COL(max_entries, U64, 11, map->max_entries, "Elements that it has room for; of a ring buffer, bytes.") \
	COL(flags, U64, 6, map->map_flags, "Flags it was made with (BPF_F_* bits).") \
	MORE(refcnt, U64, 6, refcnt_of(map), "References: file descriptors, pins, programs, other maps.") \
	MORE(frozen, BOOL, 6, map->frozen, "Whether user space may write to it no more.") \
	MORE(btf_id, U64, 6, map->btf->id ?: ABSENT, "ID of the BTF that describes its keys and values.") \
	MORE(memory, FULL(COSTLY), 12, ({ s64 bytes = memory_of(map); bytes < 0 ? ABSENT : bytes; }), "Bytes of memory, memlock in its fdinfo. Since Linux 6.4 a type of map counts its own; null then but for arrays of any kind and hashes of any kind but hashes of maps.") \
	OBJECT_OWNER_COLUMNS(MORE)

#define IDENTITY(I) I(id)

TABLE(maps, "bpf_map", "5.8", "BPF maps", "BPF maps in the kernel.")

DEFINE_OWNERS

DEFINE_WORDS(MAP_TYPES);

#define name_of(map) name_text(WORD((map)->name), WORD((map)->name + 8))

/* Without the reference that the iterator itself holds to the current map. */
#define refcnt_of(map) ((map)->refcnt.counter - 1)

#ifdef FULL_COLUMNS

#define HAS(type, field) bpf_core_field_exists(((struct type *)0)->field)

/* Before 5.11: what the kernel accounted for the map. */
static __noinline s64 accounted_memory(struct bpf_map___5_10 *map)
{
	return (u64)BPF_CORE_READ(map, memory.pages) << query.page_shift;
}

static __always_inline bool is_per_cpu(u32 type)
{
	return type == BPF_MAP_TYPE_PERCPU_HASH || type == BPF_MAP_TYPE_LRU_PERCPU_HASH || type == BPF_MAP_TYPE_PERCPU_ARRAY;
}

static __always_inline u64 round_up(u64 value, u64 to)
{
	return (value + to - 1) & -to;
}

#define BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE_ 21

/* 5.11 to 6.3: bpf_map_memory_footprint(), the same for all types. */
static __noinline s64 footprint(u32 type, u64 key_size, u64 value_size, u64 entries)
{
	if (is_per_cpu(type) || type == BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE_)
		value_size = round_up(value_size, 8) * query.cpus;
	else if (type == BPF_MAP_TYPE_PROG_ARRAY || type == BPF_MAP_TYPE_PERF_EVENT_ARRAY || type == BPF_MAP_TYPE_CGROUP_ARRAY ||
		 type == BPF_MAP_TYPE_ARRAY_OF_MAPS || type == BPF_MAP_TYPE_HASH_OF_MAPS)
		value_size = sizeof(u32);
	return round_up(entries * round_up(key_size + value_size, 8), 1ull << query.page_shift);
}

/* array_map_mem_usage() */
static __noinline s64 memory_of_array(struct bpf_array *array, u32 type, u32 flags, u64 entries)
{
	u64 usage = bpf_core_type_size(struct bpf_array), page = 1ull << query.page_shift;
	u64 bytes = entries * BPF_CORE_READ(array, elem_size);

	if (type == BPF_MAP_TYPE_PERCPU_ARRAY)
		return usage + entries * sizeof(void *) + bytes * query.cpus;
	if (flags & BPF_F_MMAPABLE)
		return round_up(usage, page) + round_up(bytes, page);
	return usage + bytes;
}

static s64 counter_sum;
static u64 counters;

BODY(add_counter)
{
	s32 count = 0;

	if (i >= query.cpus)
		return 1;
	bpf_probe_read_kernel(&count, sizeof(count), (void *)counters + offset_of_cpu(i));
	counter_sum += count;
	return 0;
}

/* The number of elements of a hash that is not allocated in advance; negative where CPUs cannot be summed up. */
static __noinline s64 elements_of(struct bpf_htab *hash)
{
	if (!BPF_CORE_READ(hash, use_percpu_counter))
		return (u32)BPF_CORE_READ(hash, count.counter);
	counter_sum = BPF_CORE_READ(hash, pcount.count);
	counters = (u64)BPF_CORE_READ(hash, pcount.counters);
	LOOP(4096, add_counter);
	return counter_sum;
}

/* htab_map_mem_usage() */
static __noinline s64 memory_of_hash(struct bpf_htab *hash, u32 type, u32 flags, u32 value_size, u64 entries)
{
	bool per_cpu = is_per_cpu(type), lru = type == BPF_MAP_TYPE_LRU_HASH || type == BPF_MAP_TYPE_LRU_PERCPU_HASH;
	u64 usage = bpf_core_type_size(struct bpf_htab) + bpf_core_type_size(struct bucket) * BPF_CORE_READ(hash, n_buckets);
	u64 element = BPF_CORE_READ(hash, elem_size), node = sizeof(void *);

	usage += sizeof(u32) * 8 * query.cpus;	/* HASHTAB_MAP_LOCK_COUNT, counted also since 6.16 dropped these locks */
	if (per_cpu)
		element += round_up(value_size, 8) * query.cpus;
	if (flags & BPF_F_NO_PREALLOC) {
		element += node;	/* struct llist_node, and for values of each CPU another one and a pointer */
		if (per_cpu)
			element += node + sizeof(void *);
		return usage + element * elements_of(hash);
	}
	if (!per_cpu && !lru) {
		/* A spare element for each CPU, and the pointer to it. */
		usage += sizeof(void *) * query.cpus;
		entries += query.cpus;
	}
	return usage + element * entries;
}

static __noinline s64 memory_of(struct bpf_map *map)
{
	u32 type = map->map_type;

	if (HAS(bpf_map___5_10, memory))
		return accounted_memory((void *)map);
	if (!HAS(bpf_map_ops, map_mem_usage))
		return footprint(type, map->key_size, map->value_size, map->max_entries);
	switch (type) {
	case BPF_MAP_TYPE_ARRAY:
	case BPF_MAP_TYPE_PERCPU_ARRAY:
	case BPF_MAP_TYPE_PROG_ARRAY:
	case BPF_MAP_TYPE_PERF_EVENT_ARRAY:
	case BPF_MAP_TYPE_CGROUP_ARRAY:
	case BPF_MAP_TYPE_ARRAY_OF_MAPS:
		return memory_of_array((void *)map, type, map->map_flags, map->max_entries);
	case BPF_MAP_TYPE_HASH:
	case BPF_MAP_TYPE_PERCPU_HASH:
	case BPF_MAP_TYPE_LRU_HASH:
	case BPF_MAP_TYPE_LRU_PERCPU_HASH:
		return memory_of_hash((void *)map, type, map->map_flags, map->value_size, map->max_entries);
	}
	return -1;
}

#endif

SEC("iter/bpf_map")
int dump(struct bpf_iter__bpf_map *ctx)
{
	struct seq_file *seq = ctx->meta->seq;
	struct bpf_map *map = ctx->map;

	if (!map)
		return 0;
	START_WALK(ctx);
	FIND_OWNER(map, HELD_ID(map));
	RETURN_UNLESS_KEPT;
	WRITE_ROW;
	return 0;
}
