/* SPDX-License-Identifier: GPL-2.0-only */
/* maps.bpf.c -- BPF maps, one row each */
#include "../engine/table.h"

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
	MORE(btf_id, U64, 6, map->btf->id ?: ABSENT, "ID of the BTF that describes its keys and values.")

TABLE(maps, "bpf_map", "5.8", "BPF maps", "BPF maps in the kernel.")

DEFINE_WORDS(MAP_TYPES);

#define name_of(map) name_text(WORD((map)->name), WORD((map)->name + 8))

/* Without the reference that the iterator itself holds to the current map. */
#define refcnt_of(map) ((map)->refcnt.counter - 1)

SEC("iter/bpf_map")
int dump(struct bpf_iter__bpf_map *ctx)
{
	struct seq_file *seq = ctx->meta->seq;
	struct bpf_map *map = ctx->map;

	if (!map)
		return 0;
	START_WALK(ctx);
	RETURN_UNLESS_KEPT;
	WRITE_ROW;
	return 0;
}
