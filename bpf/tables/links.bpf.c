/* SPDX-License-Identifier: GPL-2.0-only */
/* links.bpf.c -- BPF links, one row each */
#include "../engine/table.h"

/* The words of bpftool. */
#define LINK_TYPES(W) W(0, unspec) W(1, raw_tracepoint) W(2, tracing) W(3, cgroup) W(4, iter) W(5, netns) W(6, xdp) \
	W(7, perf_event) W(8, kprobe_multi) W(9, struct_ops) W(10, netfilter) W(11, tcx) W(12, uprobe_multi) W(13, netkit) \
	W(14, sockmap)

#define COLUMNS(COL, MORE)                                                   \
	COL(id, U64, 6, link->id, "ID of the link.")                         \
	COL(type, ENUM(LINK_TYPES), 14, link->type, "Type, as bpftool names it.") \
	COL(prog_id, U64, 7, link->prog->aux->id ?: ABSENT, "ID of its program; a struct_ops link has none.")

TABLE(links, "bpf_link", "5.19", "BPF links", "BPF links: what ties programs to where they run.")

DEFINE_WORDS(LINK_TYPES);

SEC("iter/bpf_link")
int dump(struct bpf_iter__bpf_link *ctx)
{
	struct seq_file *seq = ctx->meta->seq;
	struct bpf_link *link = ctx->link;

	if (!link)
		return 0;
	START_WALK(ctx);
	RETURN_UNLESS_KEPT;
	WRITE_ROW;
	return 0;
}
