/* SPDX-License-Identifier: GPL-2.0-only */
/* links.bpf.c -- BPF links, one row each */
#include "../engine/table.h"
#define HELD "bpf_link"
#define HELD_ID(link) BPF_CORE_READ((struct bpf_link *)(link), id)
#include "../subjects/owners.h"

/* The words of bpftool. */
#define LINK_TYPES(W) W(0, unspec) W(1, raw_tracepoint) W(2, tracing) W(3, cgroup) W(4, iter) W(5, netns) W(6, xdp) \
	W(7, perf_event) W(8, kprobe_multi) W(9, struct_ops) W(10, netfilter) W(11, tcx) W(12, uprobe_multi) W(13, netkit) \
	W(14, sockmap)

/* The words of libbpf. */
#define ATTACH_TYPES(W) W(0, cgroup_inet_ingress) W(1, cgroup_inet_egress) W(2, cgroup_inet_sock_create) W(3, cgroup_sock_ops) \
	W(4, sk_skb_stream_parser) W(5, sk_skb_stream_verdict) W(6, cgroup_device) W(7, sk_msg_verdict) W(8, cgroup_inet4_bind) \
	W(9, cgroup_inet6_bind) W(10, cgroup_inet4_connect) W(11, cgroup_inet6_connect) W(12, cgroup_inet4_post_bind) \
	W(13, cgroup_inet6_post_bind) W(14, cgroup_udp4_sendmsg) W(15, cgroup_udp6_sendmsg) W(16, lirc_mode2) \
	W(17, flow_dissector) W(18, cgroup_sysctl) W(19, cgroup_udp4_recvmsg) W(20, cgroup_udp6_recvmsg) \
	W(21, cgroup_getsockopt) W(22, cgroup_setsockopt) W(23, trace_raw_tp) W(24, trace_fentry) W(25, trace_fexit) \
	W(26, modify_return) W(27, lsm_mac) W(28, trace_iter) W(29, cgroup_inet4_getpeername) W(30, cgroup_inet6_getpeername) \
	W(31, cgroup_inet4_getsockname) W(32, cgroup_inet6_getsockname) W(33, xdp_devmap) W(34, cgroup_inet_sock_release) \
	W(35, xdp_cpumap) W(36, sk_lookup) W(37, xdp) W(38, sk_skb_verdict) W(39, sk_reuseport_select) \
	W(40, sk_reuseport_select_or_migrate) W(41, perf_event) W(42, trace_kprobe_multi) W(43, lsm_cgroup) W(44, struct_ops) \
	W(45, netfilter) W(46, tcx_ingress) W(47, tcx_egress) W(48, trace_uprobe_multi) W(49, cgroup_unix_connect) \
	W(50, cgroup_unix_sendmsg) W(51, cgroup_unix_recvmsg) W(52, cgroup_unix_getpeername) W(53, cgroup_unix_getsockname) \
	W(54, netkit_primary) W(55, netkit_peer) W(56, trace_kprobe_session) W(57, trace_uprobe_session) W(58, trace_fsession)

#define COLUMNS(COL, MORE)                                                   \
	COL(id, U64, 6, link->id, "ID of the link.")                         \
	COL(type, ENUM(LINK_TYPES), 14, link->type, "Type, as bpftool names it.") \
	COL(prog_id, U64, 7, link->prog->aux->id ?: ABSENT, "ID of its program; a struct_ops link has none.") \
	MORE(attach_type, FULL(ENUM(ATTACH_TYPES)), 22, ({ u32 type = attach_type_of(link); type == NO_TYPE ? ABSENT : type; }), "Where a tracing, cgroup, netns, tcx, netkit or sockmap link is attached, as libbpf names it.") \
	MORE(target, FULL(STR), 24, target_of(link), "What it is attached to: function, tracepoint, iterator, event or file of probes, network device, map.") \
	MORE(target_id, FULL(U64), 9, target_id_of(link) ?: ABSENT, "ID of the program or BTF that has the function (tracing), or of the map (iter, struct_ops, sockmap).") \
	MORE(ifindex, FULL(U64), 7, ({ struct net_device *dev = device_of_link(link); dev ? BPF_CORE_READ(dev, ifindex) : ABSENT; }), "Index of the network device (xdp, tcx, netkit); 0 once the device has gone.") \
	MORE(cgroup_id, FULL(U64), 10, IS(LINK_CGROUP) ? BPF_CORE_READ((struct bpf_cgroup_link *)link, cgroup, kn, id) ?: ABSENT : ABSENT, "ID of the control group.") \
	MORE(netns_ino, FULL(U64), 10, IS(LINK_NETNS) ? BPF_CORE_READ((struct bpf_netns_link *)link, net, ns.inum) ?: ABSENT : ABSENT, "Inode number of the network namespace.") \
	MORE(pf, FULL(U64), 3, IS_NETFILTER ? hook_of(link, OFFSET(struct bpf_nf_link, hook_ops.pf)) & 0xff : ABSENT, "Protocol family of a netfilter link (NFPROTO_*): 2 is IPv4, 10 IPv6.") \
	MORE(hook, FULL(U64), 4, IS_NETFILTER ? hook_of(link, OFFSET(struct bpf_nf_link, hook_ops.hooknum)) : ABSENT, "Hook of a netfilter link (NF_INET_*).") \
	MORE(priority, FULL(S64), 8, IS_NETFILTER ? (s32)hook_of(link, OFFSET(struct bpf_nf_link, hook_ops.priority)) : ABSENT, "Priority of a netfilter link.") \
	OBJECT_OWNER_COLUMNS(MORE)

#define IDENTITY(I) I(id)

TABLE(links, "bpf_link", "5.19", "BPF links", "BPF links: what ties programs to where they run.")

DEFINE_OWNERS

DEFINE_WORDS(LINK_TYPES);
DEFINE_WORDS(ATTACH_TYPES);

#ifdef FULL_COLUMNS

/* Types of links that the build machine's header may not know. */
enum {
	LINK_RAW_TRACEPOINT = 1, LINK_TRACING, LINK_CGROUP, LINK_ITER, LINK_NETNS, LINK_XDP, LINK_PERF_EVENT, LINK_KPROBE_MULTI,
	LINK_STRUCT_OPS, LINK_NETFILTER, LINK_TCX, LINK_UPROBE_MULTI, LINK_NETKIT, LINK_SOCKMAP
};

#define NO_TYPE (~0u)

/* A field of what a link is part of, where this kernel has it. */
#define HAS(type, field) bpf_core_field_exists(((struct type *)0)->field)
#define READ_FIELD(to, type, field) bpf_probe_read_kernel(&(to), sizeof(to), (void *)link + OFFSET(struct type, field))

/* The same types on every kernel: since 6.17 all links have one. */
static __noinline u32 attach_type_of(struct bpf_link *link)
{
	u32 type = link->type, found = NO_TYPE;
	bool has_one = HAS(bpf_link, attach_type);

	if (type != LINK_TRACING && type != LINK_CGROUP && type != LINK_NETNS && type != LINK_TCX && type != LINK_NETKIT &&
	    type != LINK_SOCKMAP)
		return NO_TYPE;
	if (has_one)
		READ_FIELD(found, bpf_link, attach_type);
	else if (type == LINK_TRACING && HAS(bpf_tracing_link___6_16, attach_type))
		READ_FIELD(found, bpf_tracing_link___6_16, attach_type);
	else if (type == LINK_CGROUP && HAS(bpf_cgroup_link___6_16, type))
		READ_FIELD(found, bpf_cgroup_link___6_16, type);
	else if (type == LINK_NETNS && HAS(bpf_netns_link___6_16, type))
		READ_FIELD(found, bpf_netns_link___6_16, type);
	else if (type == LINK_TCX && HAS(tcx_link___6_16, location))
		READ_FIELD(found, tcx_link___6_16, location);
	else if (type == LINK_NETKIT && HAS(netkit_link___6_16, location))
		READ_FIELD(found, netkit_link___6_16, location);
	else if (type == LINK_SOCKMAP && HAS(sockmap_link___6_16, attach_type))
		READ_FIELD(found, sockmap_link___6_16, attach_type);
	return found;
}

static __noinline struct net_device *device_of_link(struct bpf_link *link)
{
	struct net_device *device = NULL;
	u32 type = link->type;

	if (type == LINK_XDP && HAS(bpf_xdp_link, dev))
		READ_FIELD(device, bpf_xdp_link, dev);
	else if (type == LINK_TCX && HAS(tcx_link, dev))
		READ_FIELD(device, tcx_link, dev);
	else if (type == LINK_NETKIT && HAS(netkit_link, dev))
		READ_FIELD(device, netkit_link, dev);
	return device;
}

static __noinline struct bpf_map *map_of_link(struct bpf_link *link)
{
	struct bpf_map *map = NULL;
	u32 type = link->type;

	if (type == LINK_ITER && HAS(bpf_iter_link, aux.map))
		READ_FIELD(map, bpf_iter_link, aux.map);
	else if (type == LINK_STRUCT_OPS && HAS(bpf_struct_ops_link, map))
		READ_FIELD(map, bpf_struct_ops_link, map);
	else if (type == LINK_SOCKMAP && HAS(sockmap_link, map))
		READ_FIELD(map, sockmap_link, map);
	return map;
}

static __noinline u32 target_id_of(struct bpf_link *link)
{
	if (link->type == LINK_TRACING)
		return BPF_CORE_READ((struct bpf_tracing_link *)link, trampoline, key) >> 32;
	return BPF_CORE_READ(map_of_link(link), id);
}

/* The name of an event of perf_event_open(2), the file for probes of user space; NULL for events of hardware and the like. */
static __noinline const char *event_name(struct bpf_link *link)
{
	struct perf_event *event = BPF_CORE_READ((struct bpf_perf_link *)link, perf_file, private_data);
	struct trace_event_call *call = BPF_CORE_READ(event, tp_event);
	u32 flags = BPF_CORE_READ(call, flags);
	/* 6.9 removed the first of these flags (TRACE_EVENT_FL_FILTERED), and 5.15 had added one before those of probes. */
	u32 tracepoint = HAS(trace_event_call___6_8, filter) ? 16 : 8;
	void *probe;

	if (!call)
		return NULL;
	if (flags & tracepoint)
		return BPF_CORE_READ(call, tp, name);
	if (!(flags & tracepoint << 3) || !HAS(trace_uprobe, filename))
		return BPF_CORE_READ(call, name);
	probe = BPF_CORE_READ((struct trace_probe_event *)((void *)call - bpf_core_field_offset(struct trace_probe_event, call)), probes.next);
	probe -= bpf_core_field_offset(struct trace_uprobe, tp) + bpf_core_field_offset(struct trace_probe, list);
	return BPF_CORE_READ((struct trace_uprobe *)probe, filename);
}

/* The function of a link of many probes, where there is one: the first of them. */
static __noinline long first_probe(struct bpf_link *link)
{
	u64 *addresses = NULL, address = 0;

	if (HAS(bpf_kprobe_multi_link, addrs))
		READ_FIELD(addresses, bpf_kprobe_multi_link, addrs);
	bpf_probe_read_kernel(&address, sizeof(address), addresses);
	return address ? symbol_of(address, SYMBOL_NAME) : NO_STRING;
}

static __noinline const void *file_of_probes(struct bpf_link *link)
{
	struct dentry *dentry = NULL;

	if (HAS(bpf_uprobe_multi_link, path.dentry))
		bpf_probe_read_kernel(&dentry, sizeof(dentry), (void *)link - OFFSET(struct bpf_uprobe_multi_link, link) +
				      OFFSET(struct bpf_uprobe_multi_link, path.dentry));
	return BPF_CORE_READ(dentry, d_name.name);
}

static __noinline long target_of(struct bpf_link *link)
{
	const void *name = NULL;
	struct bpf_map *map;

	switch ((u32)link->type) {
	case LINK_RAW_TRACEPOINT:
		name = BPF_CORE_READ((struct bpf_raw_tp_link *)link, btp, tp, name);
		break;
	case LINK_TRACING:
		name = BPF_CORE_READ(link, prog, aux, attach_func_name);
		break;
	case LINK_ITER:
		name = BPF_CORE_READ((struct bpf_iter_link *)link, tinfo, reg_info, target);
		break;
	case LINK_PERF_EVENT:
		name = event_name(link);
		break;
	case LINK_KPROBE_MULTI:
		return first_probe(link);
	case LINK_UPROBE_MULTI:
		name = file_of_probes(link);
		break;
	case LINK_XDP:
	case LINK_TCX:
	case LINK_NETKIT:
		name = device_of_link(link);
		name = name ? name + bpf_core_field_offset(struct net_device, name) : NULL;
		break;
	case LINK_STRUCT_OPS:
	case LINK_SOCKMAP:
		map = map_of_link(link);
		name = map ? (void *)map + bpf_core_field_offset(struct bpf_map, name) : NULL;
		break;
	}
	return name ? bpf_probe_read_kernel_str(source, 256, name) - 1 : NO_STRING;
}

#define IS(kind) (link->type == kind)
#define IS_NETFILTER (IS(LINK_NETFILTER) && HAS(bpf_nf_link, hook_ops))

static __always_inline u32 hook_of(struct bpf_link *link, u64 offset)
{
	u32 word = 0;

	bpf_probe_read_kernel(&word, sizeof(word), (void *)link + offset);
	return word;
}

#endif

SEC("iter/bpf_link")
int dump(struct bpf_iter__bpf_link *ctx)
{
	struct seq_file *seq = ctx->meta->seq;
	struct bpf_link *link = ctx->link;

	if (!link)
		return 0;
	START_WALK(ctx);
	FIND_OWNER(link, HELD_ID(link));
	RETURN_UNLESS_KEPT;
	WRITE_ROW;
	return 0;
}
