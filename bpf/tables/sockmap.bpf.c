/* SPDX-License-Identifier: GPL-2.0-only */
/* sockmap.bpf.c -- the sockets in one BPF map, one row each */
#include "../engine/table.h"
#include "../subjects/bytes.h"
#include "../subjects/socket.h"

/* Unix and vsock sockets have no address here; the family is the only field that every socket has. */
#define SOCKMAP_FAMILIES(W) W(1, UNIX) W(2, INET) W(10, INET6) W(40, VSOCK)

#define COLUMNS(COL, MORE)                                                   \
	COL(key, BYTES, 16, KEY_BYTES(map, key), "Key, two hexadecimal digits for each byte.") \
	COL(family, ENUM(SOCKMAP_FAMILIES), 6, sk->__sk_common.skc_family, "Address family.") \
	COL(state, ENUM(SOCKET_STATES), 11, sk->__sk_common.skc_state, "State, with the names of TCP's for all protocols.") \
	COL(local_addr, TEXT, 15, address_of(&sk->__sk_common, false), "Local address; none in families other than INET and INET6.") \
	COL(local_port, U64, 10, is_inet(sk) ? sk->__sk_common.skc_num : ABSENT, "Local port.") \
	COL(remote_addr, TEXT, 15, address_of(&sk->__sk_common, true), "Remote address.") \
	COL(remote_port, U64, 11, is_inet(sk) ? remote_port_of(&sk->__sk_common) : ABSENT, "Remote port.") \
	MORE(ino, U64, 10, socket_ino(sk) ?: ABSENT, "Inode number of the socket.")

#define IDENTITY(I) I(key)

TABLE(sockmap, "sockmap", "5.10", "sockets", "Sockets in one BPF map of type sockmap or sockhash (--map).")

DEFINE_WORDS(SOCKMAP_FAMILIES);
DEFINE_WORDS(SOCKET_STATES);

static __always_inline bool is_inet(struct sock *sk)
{
	u32 family = sk->__sk_common.skc_family;

	return family == FAMILY_INET || family == FAMILY_INET6;
}

/* A slot of a sockmap may be empty: the element then has a key and no socket. */
SEC("iter/sockmap")
int dump(struct bpf_iter__sockmap *ctx)
{
	struct seq_file *seq = ctx->meta->seq;
	struct bpf_map *map = ctx->map;
	void *key = ctx->key;
	struct sock *sk = ctx->sk;

	if (!map || !key || !sk)
		return 0;
	START_WALK(ctx);
	RETURN_UNLESS_KEPT;
	WRITE_ROW;
	return 0;
}
