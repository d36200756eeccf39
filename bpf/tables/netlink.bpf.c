/* SPDX-License-Identifier: GPL-2.0-only */
/* netlink.bpf.c -- netlink sockets, including the kernel's own */
#include "../engine/table.h"
#include "../subjects/socket.h"
#include "../subjects/owners.h"

/* include/uapi/linux/netlink.h */
#define NETLINK_PROTOCOLS(W)                                                 \
	W(0, ROUTE) W(2, USERSOCK) W(3, FIREWALL) W(4, SOCK_DIAG) W(5, NFLOG) W(6, XFRM) W(7, SELINUX) W(8, ISCSI) W(9, AUDIT) \
	W(10, FIB_LOOKUP) W(11, CONNECTOR) W(12, NETFILTER) W(13, IP6_FW) W(14, DNRTMSG) W(15, KOBJECT_UEVENT) W(16, GENERIC) \
	W(18, SCSITRANSPORT) W(19, ECRYPTFS) W(20, RDMA) W(21, CRYPTO) W(22, SMC)

#define COLUMNS(COL, MORE)                                                   \
	COL(protocol, ENUM(NETLINK_PROTOCOLS), 14, sk->sk_protocol, "Protocol.") \
	COL(portid, U64, 10, netlink->portid, "Port ID, often a process ID; 0 for the kernel's own sockets.") \
	COL(groups, HEX, 10, groups_of(netlink), "Multicast groups 1 to 64 that it has joined, a bit each.") \
	COL(rx_queue, U64, 8, receive_bytes(sk), "Memory in bytes of what was received and not read.") \
	COL(tx_queue, U64, 8, send_bytes(sk), "Memory in bytes of what is still to be sent.") \
	COL(drops, U64, 8, drops_of(sk), "Messages dropped for want of room.") \
	COL(ino, U64, 10, socket_ino(sk) ?: ABSENT, "Inode number of the socket.") \
	MORE(netns, U64, 10, netns_of(&sk->__sk_common) ?: ABSENT, "Inode number of the network namespace.") \
	SOCKET_OWNER_COLUMNS(MORE)

#define IDENTITY(I) I(protocol) I(portid)

TABLE(netlink, "netlink", "5.8", "netlink sockets", "Netlink sockets.")

DEFINE_WORDS(NETLINK_PROTOCOLS);
DEFINE_OWNERS

static __always_inline u64 groups_of(struct netlink_sock *netlink)
{
	unsigned long *groups = netlink->groups, first = 0;

	if (groups)
		bpf_probe_read_kernel(&first, sizeof(first), groups);
	return first;
}

SEC("iter/netlink")
int dump(struct bpf_iter__netlink *ctx)
{
	struct seq_file *seq = ctx->meta->seq;
	struct netlink_sock *netlink = ctx->sk;
	struct sock *sk;

	if (!netlink)
		return 0;
	sk = &netlink->sk;
	START_WALK(ctx);
	FIND_OWNER(sk->sk_socket, socket_ino(sk));
	RETURN_UNLESS_KEPT;
	WRITE_ROW;
	return 0;
}
