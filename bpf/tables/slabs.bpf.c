/* SPDX-License-Identifier: GPL-2.0-only */
/* slabs.bpf.c -- slab caches, one row each */
#include "../engine/table.h"

/* slub.c: the order of a slab's pages in the high bits, the number of its objects in the low bits */
#define OO_SHIFT 16

#define COLUMNS(COL, MORE)                                                   \
	COL(name, STR, 24, bpf_probe_read_kernel_str(source, 256, s->name) - 1, "Name of the cache.") \
	COL(object_size, U64, 11, s->object_size, "Size of an object in bytes.") \
	COL(size, U64, 8, s->size, "Bytes that an object takes, with what surrounds it.") \
	COL(align, U64, 5, s->align, "Alignment of an object in bytes.")     \
	COL(objects_per_slab, U64, 16, s->oo.x & ((1 << OO_SHIFT) - 1), "Objects of a slab.") \
	MORE(flags, U64, 10, s->flags, "Flags (SLAB_* bits).")               \
	MORE(order, U64, 5, s->oo.x >> OO_SHIFT, "A slab takes two to the power of this of pages.") \
	MORE(active_objs, FULL(COSTLY), 11, (count_slabs(ADDRESS(s)), num_objs - free_objs), "Objects in use, as in /proc/slabinfo: those kept free for one processor count as in use.") \
	MORE(num_objs, FULL(COSTLY), 10, (count_slabs(ADDRESS(s)), num_objs), "Objects that there is memory for.") \
	MORE(num_slabs, FULL(COSTLY), 9, (count_slabs(ADDRESS(s)), num_slabs), "Slabs, as in /proc/slabinfo, where all of them are active.") \
	MORE(memory, FULL(COSTLY), 12, (count_slabs(ADDRESS(s)), num_slabs << (s->oo.x >> OO_SHIFT) << query.page_shift), "Bytes of memory that its slabs take.")

#define IDENTITY(I) I(name)

TABLE(slabs, "kmem_cache", "6.13", "slab caches", "Caches of the kernel's slab allocator.")

/* The counts of the current cache, once they are known. */
static u64 num_objs, num_slabs, free_objs;
u32 slabs_counted;

/* Shared by the loops over nodes and their slabs. */
static u64 counted_cache, partial_at;
static u32 partial_left;

/* A slab on the list of those with free objects. The list is not locked here: the walk ends after as many as there were. */
BODY(count_partial)
{
	struct slab *slab;
	void *next = NULL;

	if (i >= partial_left)
		return 1;
	bpf_probe_read_kernel(&next, sizeof(next), (void *)partial_at);
	if (!next)
		return 1;
	partial_at = ADDRESS(next);
	slab = next - bpf_core_field_offset(struct slab, slab_list);
	free_objs += BPF_CORE_READ_BITFIELD_PROBED(slab, objects) - BPF_CORE_READ_BITFIELD_PROBED(slab, inuse);
	return 0;
}

/* Since 7.2 a cache has a structure for each node, not a pointer. */
static __always_inline u64 node_place(struct kmem_cache *s, u32 node)
{
	if (bpf_core_field_exists(s->node))
		return OFFSET(struct kmem_cache, node) + node * sizeof(void *);
	return OFFSET(struct kmem_cache___7_2, per_node) + node * bpf_core_type_size(struct kmem_cache_per_node_ptrs) +
	       OFFSET(struct kmem_cache_per_node_ptrs, node);
}

BODY(count_node)
{
	struct kmem_cache_node *node = NULL;
	struct kmem_cache *s = (void *)counted_cache;

	if (i >= query.nodes)
		return 1;
	bpf_probe_read_kernel(&node, sizeof(node), (void *)s + node_place(s, i));
	if (!node)
		return 0;
	num_slabs += BPF_CORE_READ(node, nr_slabs.counter);
	num_objs += BPF_CORE_READ(node, total_objects.counter);
	partial_left = BPF_CORE_READ(node, nr_partial);
	partial_at = ADDRESS(node) + bpf_core_field_offset(struct kmem_cache_node, partial);
	LOOP(1 << 20, count_partial);
	return 0;
}

/* As get_slabinfo() of the kernel counts. Global: the verifier walks the loop once, not for each column. */
GLOBAL int count_slabs(u64 cache)
{
	if (slabs_counted)
		return 0;
	slabs_counted = 1;
	num_slabs = num_objs = free_objs = 0;
	counted_cache = cache;
	LOOP(1024, count_node);	/* MAX_NUMNODES */
	if (free_objs > num_objs)
		free_objs = num_objs;
	return 0;
}

SEC("iter/kmem_cache")
int dump(struct bpf_iter__kmem_cache *ctx)
{
	struct seq_file *seq = ctx->meta->seq;
	struct kmem_cache *s = ctx->s;

	if (!s)
		return 0;
	START_WALK(ctx);
	slabs_counted = 0;
	RETURN_UNLESS_KEPT;
	WRITE_ROW;
	return 0;
}
