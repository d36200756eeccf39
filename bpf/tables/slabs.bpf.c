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
	MORE(order, U64, 5, s->oo.x >> OO_SHIFT, "A slab takes two to the power of this of pages.")

TABLE(slabs, "kmem_cache", "6.13", "slab caches", "Caches of the kernel's slab allocator.")

SEC("iter/kmem_cache")
int dump(struct bpf_iter__kmem_cache *ctx)
{
	struct seq_file *seq = ctx->meta->seq;
	struct kmem_cache *s = ctx->s;

	if (!s)
		return 0;
	START_WALK(ctx);
	RETURN_UNLESS_KEPT;
	WRITE_ROW;
	return 0;
}
