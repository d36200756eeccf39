/* SPDX-License-Identifier: GPL-2.0-only */
/* elems.bpf.c -- elements of one BPF map, one row each */
#include "../engine/table.h"
#ifdef FULL_QUERY
#include "../subjects/shape.h"
#else
#include "../subjects/bytes.h"
#endif

#define COLUMNS(COL, MORE)                                                   \
	COL(key, ELEMENT(KEY), 16, KEY_BYTES(map, key), "Key as JSON, by the map's BTF; without BTF, two hexadecimal digits for each byte, cut where they would overfill the row.") \
	COL(value, ELEMENT(VALUE), 32, VALUE_BYTES(map, value, values_of(map)), "Value, likewise; of a per-CPU map a list, one for each possible CPU, and digits joined by \";\".")

#define IDENTITY(I) I(key)

TABLE(elems, "bpf_map_elem", "5.9", "elements", "Elements of one BPF map (--map): a hash or an array, also per CPU.")

static __always_inline u32 values_of(struct bpf_map *map)
{
	switch (map->map_type) {
	case BPF_MAP_TYPE_PERCPU_HASH:
	case BPF_MAP_TYPE_LRU_PERCPU_HASH:
	case BPF_MAP_TYPE_PERCPU_ARRAY:
		return query.cpus;
	default:
		return 1;
	}
}

SEC("iter/bpf_map_elem")
int dump(struct bpf_iter__bpf_map_elem *ctx)
{
	struct seq_file *seq = ctx->meta->seq;
	struct bpf_map *map = ctx->map;
	void *key = ctx->key, *value = ctx->value;

	if (!map || !key || !value)
		return 0;
	START_WALK(ctx);
	RETURN_UNLESS_KEPT;
	WRITE_ROW;
	return 0;
}
