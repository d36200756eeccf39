/* SPDX-License-Identifier: GPL-2.0-only */
/* sk-storage.bpf.c -- the values that one BPF map stores for sockets, one row for each socket */
#include "../engine/table.h"
#include "../subjects/bytes.h"

#define COLUMNS(COL, MORE)                                                   \
	COL(ino, U64, 10, inode_of(sk) ?: ABSENT, "Inode number of the socket; none for one without a descriptor (not accepted yet, orphaned).") \
	COL(value, BYTES, 32, VALUE_BYTES(map, value, 1), "Value, two hexadecimal digits for each byte; cut where it would overfill the row.")

#define IDENTITY(I) I(ino)

TABLE(sk-storage, "bpf_sk_storage_map", "5.9", "sockets", "Values that one BPF map of type sk_storage (--map) keeps for sockets.")

/* As in socket.h, which would bring more functions than a light skeleton can hold. The inode follows the socket in memory. */
static __always_inline u64 inode_of(struct sock *sk)
{
	struct socket_alloc *both = (void *)sk->sk_socket;

	return both ? BPF_CORE_READ(both, vfs_inode.i_ino) : 0;
}

SEC("iter/bpf_sk_storage_map")
int dump(struct bpf_iter__bpf_sk_storage_map *ctx)
{
	struct seq_file *seq = ctx->meta->seq;
	struct bpf_map *map = ctx->map;
	struct sock *sk = ctx->sk;
	void *value = ctx->value;

	if (!map || !sk || !value)
		return 0;
	START_WALK(ctx);
	RETURN_UNLESS_KEPT;
	WRITE_ROW;
	return 0;
}
