/* SPDX-License-Identifier: GPL-2.0-only */
/* udp.bpf.c -- UDP sockets */
#include "../engine/table.h"
#include "../subjects/socket.h"
#include "../subjects/owners.h"

#define COLUMNS(COL, MORE)                                                   \
	COL(family, ENUM(FAMILIES), 6, common->skc_family, "Address family.") \
	COL(state, ENUM(SOCKET_STATES), 11, common->skc_state, "ESTABLISHED when it has a remote address, CLOSE when not.") \
	COL(local_addr, TEXT, 15, address_of(common, false), "Local address.") \
	COL(local_port, U64, 10, common->skc_num, "Local port.")             \
	COL(remote_addr, TEXT, 15, address_of(common, true), "Remote address.") \
	COL(remote_port, U64, 11, remote_port_of(common), "Remote port; 0 for none.") \
	COL(rx_queue, U64, 8, rx_queue_of(udp), "Memory in bytes of what was received and not read.") \
	COL(tx_queue, U64, 8, send_bytes(sk), "Memory in bytes of what is still to be sent.") \
	COL(uid, U64, 6, ctx->uid, "User ID of the socket's owner.")         \
	COL(ino, U64, 10, socket_ino(sk) ?: ABSENT, "Inode number of the socket.") \
	MORE(netns, U64, 10, netns_of(common) ?: ABSENT, "Inode number of the network namespace.") \
	MORE(cgroup_id, U64, 9, cgroup_of(sk) ?: ABSENT, "ID of the control group (version 2) that made it.") \
	MORE(drops, U64, 8, drops_of(sk), "Datagrams dropped, for want of room or for a wrong checksum.") \
	SOCKET_OWNER_COLUMNS(MORE)

#define IDENTITY(I) I(local_addr) I(local_port) I(remote_addr) I(remote_port) I(ino)

TABLE(udp, "udp", "5.9", "UDP sockets", "UDP sockets.")

DEFINE_WORDS(FAMILIES);
DEFINE_WORDS(SOCKET_STATES);
DEFINE_OWNERS

/*
 * The kernel returns memory in batches: the bytes of forward_deficit, a part of receive_bytes(), have been read already. That
 * field is in a part of the socket that nothing else of a row is in: an idle socket's row would wait longest for its memory.
 */
static __always_inline u32 rx_queue_of(struct udp_sock *udp)
{
	u32 bytes = receive_bytes(&udp->inet.sk);

	return bytes ? bytes - udp->forward_deficit : 0;
}

SEC("iter/udp")
int dump(struct bpf_iter__udp *ctx)
{
	struct seq_file *seq = ctx->meta->seq;
	struct udp_sock *udp = ctx->udp_sk;
	struct sock_common *common;
	struct sock *sk;

	if (!udp)
		return 0;
	sk = &udp->inet.sk;
	common = &sk->__sk_common;
	START_WALK(ctx);
	FIND_OWNER(sk->sk_socket, socket_ino(sk));
	RETURN_UNLESS_KEPT;
	WRITE_ROW;
	return 0;
}
