/* SPDX-License-Identifier: GPL-2.0-only */
/* routes.bpf.c -- IPv6 routes of all tables */
#include "../engine/table.h"
#include "../subjects/socket.h"

#define COLUMNS(COL, MORE)                                                   \
	COL(dst, TOKEN, 24, IPV6_TO_SOURCE(DIRECT, route, fib6_dst.addr), "Destination; :: with prefix_len 0 is the default.") \
	COL(prefix_len, U64, 10, route->fib6_dst.plen, "Length of its prefix in bits.") \
	COL(gateway, TOKEN, 24, gateway_of(route), "Address of the next hop, where there is one.") \
	COL(device, STR, 15, device_of(route), "Name of the network device.") \
	COL(metric, U64, 10, route->fib6_metric, "Metric: among equal destinations, the lowest wins.") \
	COL(flags, HEX, 10, flags_of(route), "Flags, as in /proc/net/ipv6_route (RTF_* bits).")

#define IDENTITY(I) I(dst) I(prefix_len) I(gateway) I(device) I(metric)

TABLE(routes, "ipv6_route", "5.8", "routes", "IPv6 routes of all routing tables.")

#define DIRECT(pointer, field) ((pointer)->field)
#define RTF_GATEWAY 2

/* The route's own next hop, or its nexthop object's; the first one of a group, as in /proc. */
static __always_inline struct fib_nh_common *hop_of(struct fib6_info *route)
{
	struct nexthop *nexthop = route->nh;
	struct nh_info *info;

	if (!nexthop)
		return &route->fib6_nh[0].nh_common;
	if (BPF_CORE_READ(nexthop, is_group))
		nexthop = BPF_CORE_READ(nexthop, nh_grp, nh_entries[0].nh);
	info = BPF_CORE_READ(nexthop, nh_info);
	return &info->fib6_nh.nh_common;
}

static __always_inline long gateway_of(struct fib6_info *route)
{
	struct fib_nh_common *hop = hop_of(route);

	if (!BPF_CORE_READ(hop, nhc_gw_family))
		return NO_STRING;
	return IPV6_TO_SOURCE(BPF_CORE_READ, hop, nhc_gw.ipv6);
}

static __always_inline long device_of(struct fib6_info *route)
{
	struct net_device *device = BPF_CORE_READ(hop_of(route), nhc_dev);

	if (!device)
		return NO_STRING;
	return bpf_probe_read_kernel_str(source, 16, device->name) - 1;
}

static __always_inline u32 flags_of(struct fib6_info *route)
{
	return route->fib6_flags | (BPF_CORE_READ(hop_of(route), nhc_gw_family) ? RTF_GATEWAY : 0);
}

SEC("iter/ipv6_route")
int dump(struct bpf_iter__ipv6_route *ctx)
{
	struct seq_file *seq = ctx->meta->seq;
	struct fib6_info *route = ctx->rt;

	if (!route)
		return 0;
	START_WALK(ctx);
	RETURN_UNLESS_KEPT;
	WRITE_ROW;
	return 0;
}
