/* SPDX-License-Identifier: GPL-2.0-only */
/* socket.h -- columns of sockets that several tables have, and the text of addresses */
#ifndef TASK_ITER_SOCKET_H
#define TASK_ITER_SOCKET_H

#define FAMILIES(W) W(2, INET) W(10, INET6)

/* The kernel's words, for all protocols; ss says UNCONN for CLOSE. */
#define SOCKET_STATES(W)                                                     \
	W(1, ESTABLISHED) W(2, SYN_SENT) W(3, SYN_RECV) W(4, FIN_WAIT1) W(5, FIN_WAIT2) W(6, TIME_WAIT) W(7, CLOSE) \
	W(8, CLOSE_WAIT) W(9, LAST_ACK) W(10, LISTEN) W(11, CLOSING) W(13, BOUND_INACTIVE)

#include "../engine/table.h"
#include <bpf/bpf_endian.h>

enum {
	FAMILY_UNIX = 1,
	FAMILY_INET = 2,
	FAMILY_INET6 = 10,
	FAMILY_VSOCK = 40,

	SOCKET_STREAM = 1,
	SOCKET_RAW = 3,
	SOCKET_SEQPACKET = 5,

	STATE_SYN_RECV = 3,
	STATE_TIME_WAIT = 6,
	STATE_LISTEN = 10,
	STATE_NEW_SYN_RECV = 12,
};

/*
 * Reads a field of a socket directly, where the verifier knows the pointer's type. A table that has only a socket's address
 * defines this macro to read with a helper.
 */
#ifndef SOCKET_FIELD
#define SOCKET_FIELD(sk, field) ((sk)->field)
#endif

/* --- addresses: RFC 5952, and IPv4 in IPv6 as ss shows it: ::ffff:192.0.2.1, ::192.0.2.1 --- */

static u8 address[16];
static u32 groups_at, groups_end;	/* end of the text in source; the first group that is not written as hex */
static u32 zeros_start, zeros_end;	/* the longest run of zero groups, which is written as :: */

/* Bit i: the i-th of four groups is zero. Sums that carry into no neighbour, and one product that collects the high bits. */
static __always_inline u32 zero_groups(u64 groups)
{
	u64 low = 0x7fff7fff7fff7fffull;
	u64 zero = ~(((groups & low) + low) | groups | low);

	return (zero >> 15) * 0x0001000200040008ull >> 48 & 15;
}

/* Finds the first of the longest runs of two zero groups or more. The verifier would walk all code after a branch twice. */
static __always_inline void find_zeros(u32 zeros)
{
	u32 runs = zeros, kept = 0, length = 0, first;

	for (u32 i = 1; i < 8; i++) {
		u32 some;

		runs &= zeros >> i;
		some = above(runs, 0);
		kept = (kept & (some - 1)) | runs;
		length += some << (i == 1);
	}
	first = kept & -kept;
	zeros_start = above(first, 1) + above(first, 2) + above(first, 4) + above(first, 8) + above(first, 16) +
		      above(first, 32) + above(first, 64);
	zeros_end = zeros_start + length;
}

/*
 * Writes a colon and a group. In the run of zeros the first group becomes two colons, the others nothing. The function is global,
 * not the body of a loop: the verifier checks its branches once, not for each combination of groups.
 */
GLOBAL int put_group(u32 i)
{
	u32 group = address[i * 2 & 15] << 8 | address[(i * 2 + 1) & 15];
	u64 digits = eight_hex(group);
	u32 at = groups_at, zeros = leading_zeros(digits), colon;

	if (i >= zeros_start && i < zeros_end) {
		if (i == zeros_start) {
			WORD(SOURCE(at)) = REPEAT(':');
			groups_at = at + 2;
		}
		return 0;
	}
	colon = i > 0 && i != zeros_end;
	*SOURCE(at) = ':';
	WORD(SOURCE(at + colon)) = digits >> (zeros * 8 & 63);
	groups_at = at + colon + 8 - zeros;
	return 0;
}

#define EACH_LANE(number) (0x0001000100010001ull * (number))

/* One of the four numbers and a dot, without leading zeros: `more` is how many digits it has besides the last one. */
static __always_inline u64 octet_text(u64 hundreds, u64 tens, u64 ones, u32 more, u32 shift)
{
	u64 digits = (hundreds >> shift & 0xff) | (tens >> shift & 0xff) << 8 | (ones >> shift & 0xff) << 16;

	return (digits | 0x2e303030) >> (16 - more * 8);
}

/* An IPv4 address, which is in network order. The four numbers are in four lanes of 16 bits, and their digits come at once. */
static __always_inline struct text ipv4_text(u32 ipv4)
{
	u64 spread = ((u64)ipv4 << 16 | ipv4) & 0x0000ffff0000ffffull;
	u64 lanes = (spread << 8 | spread) & 0x00ff00ff00ff00ffull;
	u64 hundreds = lanes * 41 >> 12 & EACH_LANE(3);		/* lanes / 100, exact below 1100 */
	u64 rest = lanes - hundreds * 100;
	u64 tens = rest * 103 >> 10 & EACH_LANE(15), ones = rest - tens * 10;
	u64 more = (((lanes + EACH_LANE(0x8000 - 10)) >> 15 & EACH_LANE(1)) + ((lanes + EACH_LANE(0x8000 - 100)) >> 15 & EACH_LANE(1)));
	u32 m0 = more & 3, m1 = more >> 16 & 3, m2 = more >> 32 & 3, m3 = more >> 48 & 3;
	u64 first = octet_text(hundreds, tens, ones, m0, 0) | octet_text(hundreds, tens, ones, m1, 16) << (m0 * 8 + 16);
	u64 second = octet_text(hundreds, tens, ones, m2, 32) | octet_text(hundreds, tens, ones, m3, 48) << (m2 * 8 + 16);
	u32 size = m0 + m1 + 4;		/* of the first two numbers with their dots: 4 to 8 */
	struct text text = {
		.low = first | second << (size * 8 - 8) << 8,
		.high = second >> (64 - size * 8),
		.length = size + m2 + m3 + 3,
	};

	return text;
}

/* An address's sixteen bytes as two words, in the order of memory. */
GLOBAL int ipv6_to_source(u64 first, u64 second)
{
	struct text ipv4;
	u32 at;

	WORD(address) = first;
	WORD(address + 8) = second;
	find_zeros(zero_groups(first) | zero_groups(second) << 4);
	groups_end = 8;
	if ((!first && (u32)second == 0xffff0000) || (zeros_start == 0 && zeros_end == 6))
		groups_end = 6;
	groups_at = 0;
	for (u32 i = 0; i < 8; i++)
		if (i < groups_end)
			put_group(i);
	at = groups_at;
	if (groups_end == 8)
		return at & SOURCE_MASK;
	*SOURCE(at) = ':';
	at = (at + (zeros_end != 6)) & SOURCE_MASK;
	ipv4 = ipv4_text(second >> 32);
	WORD(SOURCE(at)) = ipv4.low;
	WORD(SOURCE(at) + 8) = ipv4.high;
	return at + ipv4.length;
}

#define IPV6_TO_SOURCE(FIELD, pointer, field)                                \
	ipv6_to_source((u64)FIELD(pointer, field.in6_u.u6_addr32[0]) |       \
			       (u64)FIELD(pointer, field.in6_u.u6_addr32[1]) << 32, \
		       (u64)FIELD(pointer, field.in6_u.u6_addr32[2]) |       \
			       (u64)FIELD(pointer, field.in6_u.u6_addr32[3]) << 32)

/* Kernels without IPv6 lack these fields: see state_before_5_14 in task.h. */
static __noinline long ipv6_of(struct sock_common *sk, bool remote)
{
	if (remote)
		return IPV6_TO_SOURCE(SOCKET_FIELD, sk, skc_v6_daddr);
	return IPV6_TO_SOURCE(SOCKET_FIELD, sk, skc_v6_rcv_saddr);
}

static __always_inline struct text address_of(struct sock_common *sk, bool remote)
{
	u32 family = SOCKET_FIELD(sk, skc_family);
	struct text text = { .length = NO_STRING };

	if (family == FAMILY_INET)
		return ipv4_text(remote ? SOCKET_FIELD(sk, skc_daddr) : SOCKET_FIELD(sk, skc_rcv_saddr));
	if (family == FAMILY_INET6 && bpf_core_field_exists(sk->skc_v6_daddr)) {
		text.length = ipv6_of(sk, remote);
		text.low = WORD(source);
		text.high = WORD(source + 8);
	}
	return text;
}

static __always_inline u32 remote_port_of(struct sock_common *sk)
{
	return bpf_ntohs(SOCKET_FIELD(sk, skc_dport));
}

/* --- the rest --- */

/*
 * Returns the inode number of a socket; 0 for orphans and connections not accepted yet. Before 6.18 the number is only in the
 * inode, which follows the socket in memory.
 */
static __always_inline u64 socket_ino(struct sock *sk)
{
	struct socket *socket;

	if (bpf_core_field_exists(sk->sk_ino))
		return *(u64 *)((void *)sk + OFFSET(struct sock, sk_ino));
	socket = sk->sk_socket;
	return socket ? BPF_CORE_READ((struct socket_alloc *)socket, vfs_inode.i_ino) : 0;
}

static __noinline u32 netns_in(struct sock_common *sk)
{
	return sk->skc_net.net->ns.inum;
}

/* Returns the inode number of the socket's network namespace; 0 in a kernel without network namespaces. */
static __always_inline u32 netns_of(struct sock_common *sk)
{
	return bpf_core_field_exists(sk->skc_net.net) ? netns_in(sk) : 0;
}

static __noinline u64 cgroup_before_5_15(struct sock *sk)
{
	struct sock_cgroup_data___5_14 *data = (void *)&sk->sk_cgrp_data;
	u64 cgroup = BPF_CORE_READ(data, val);

	return cgroup && !(cgroup & 1) ? BPF_CORE_READ((struct cgroup *)cgroup, kn, id) : 1;
}

static __noinline u64 cgroup_since_5_15(struct sock *sk)
{
	return sk->sk_cgrp_data.cgroup->kn->id;
}

/* Returns the ID of the socket's control group (version 2); 0 in a kernel that does not store it. */
static __always_inline u64 cgroup_of(struct sock *sk)
{
	if (!bpf_core_field_exists(sk->sk_cgrp_data))
		return 0;
	if (bpf_core_field_exists(sk->sk_cgrp_data.cgroup))
		return cgroup_since_5_15(sk);
	return cgroup_before_5_15(sk);
}

static __noinline u32 numa_drops(struct sock *sk)
{
	struct numa_drop_counters *drops = sk->sk_drop_counters;

	return drops ? drops->drops0.counter + drops->drops1.counter : 0;
}

static __always_inline u32 drops_of(struct sock *sk)
{
	u32 drops = bpf_core_field_exists(sk->sk_drop_counters) ? numa_drops(sk) : 0;

	return drops + sk->sk_drops.counter;
}

/* Bytes received and not read, in the kernel's accounting; bytes written and not yet sent. */
static __always_inline u32 receive_bytes(struct sock *sk)
{
	return sk->sk_backlog.rmem_alloc.counter;
}

static __always_inline u32 send_bytes(struct sock *sk)
{
	return sk->sk_wmem_alloc.refs.counter - 1;
}

#endif
