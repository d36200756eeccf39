/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * unix.bpf.c -- Unix domain sockets
 *
 * The kernel walks over a hash table, bucket by bucket. Since Linux 5.18 a read whose rows are enough ends the bucket too: the next
 * read begins at another bucket, and what is left of the first one gets lost. So the program ends the walk at that place, and user
 * space starts another walk, which skips the sockets of earlier walks. In a bucket sockets keep their order, and new ones come first.
 */
#include "../engine/table.h"
#include "../subjects/socket.h"
#include "../subjects/owners.h"

#define UNIX_TYPES(W) W(1, STREAM) W(2, DGRAM) W(5, SEQPACKET)

#define COLUMNS(COL, MORE)                                                   \
	COL(type, ENUM(UNIX_TYPES), 9, sk->sk_type, "Type of socket.")       \
	COL(state, ENUM(SOCKET_STATES), 11, common->skc_state, "LISTEN, ESTABLISHED, or CLOSE when not connected.") \
	COL(path, STR, 40, bound_path_of(un), "Path it is bound to; an abstract name has @ for each NUL, the first one too.") \
	COL(ino, U64, 10, socket_ino(sk) ?: ABSENT, "Inode number of the socket; none before it is accepted.") \
	COL(peer_ino, U64, 10, peer_ino_of(un) ?: ABSENT, "Inode number of the socket it is connected to.") \
	COL(uid, U64, 6, ctx->uid, "User ID of the socket's owner.")         \
	MORE(rx_queue, U64, 8, rx_queue_of(sk), "Bytes to be read, of a DGRAM socket those of the first message; of a listener, connections not accepted.") \
	MORE(backlog, U64, 7, LISTENS ? sk->sk_max_ack_backlog : ABSENT, "Of a listener, how many connections may wait to be accepted.") \
	MORE(netns, U64, 10, netns_of(common) ?: ABSENT, "Inode number of the network namespace.") \
	SOCKET_OWNER_COLUMNS(MORE)

#define IDENTITY(I) I(ino)

TABLE(unix, "unix", "5.15", "Unix sockets", "Unix domain sockets.")

DEFINE_WORDS(UNIX_TYPES);
DEFINE_WORDS(SOCKET_STATES);
DEFINE_OWNERS

#define LISTENS (sk->__sk_common.skc_state == STATE_LISTEN)
#define FAMILY_SIZE 2	/* bytes of the family, which the length of a name includes */
#define NAME_MAX 108

/* Writes the name to source: a path without its NUL, or an abstract name with '@' for each NUL, as ss and /proc/net/unix do. */
static __always_inline long bound_path_of(struct unix_sock *un)
{
	struct unix_address *name = un->addr;
	u32 length;

	if (!name)
		return NO_STRING;
	length = name->len - FAMILY_SIZE;
	if (!length || length > NAME_MAX + 1)
		return NO_STRING;
	barrier_var(length);	/* the compiler would leave out the loop's other limit, and kernels before 6.2 forget this one */
	bpf_probe_read_kernel(source, length & 127, &name->name[0].sun_path);
	if (source[0])
		return length - 1;
	for (u32 i = 0; i < 112; i += 8) {
		u64 word = WORD(source + i);

		if (i >= length)
			break;
		WORD(source + i) = word | ~(((word & REPEAT(0x7f)) + REPEAT(0x7f)) | word | REPEAT(0x7f)) >> 1;
	}
	return length;
}

static __always_inline u64 peer_ino_of(struct unix_sock *un)
{
	struct sock *peer = un->peer;

	return peer ? socket_ino(peer) : 0;
}

static u64 queue_head, queue_next, queue_bytes;

BODY(add_length)
{
	struct sk_buff *skb = (void *)queue_next;
	struct unix_skb_parms *parms;

	if (!queue_next || queue_next == queue_head)
		return 1;
	parms = (void *)&skb->cb;
	queue_bytes += BPF_CORE_READ(skb, len) - BPF_CORE_READ(parms, consumed);
	queue_next = (u64)BPF_CORE_READ(skb, next);
	return 0;
}

/* As ss computes it (unix_inq_len). The default buffer takes 278 messages; the 1,024th is the last one that counts. */
GLOBAL int queued_bytes(u64 head, u64 first)
{
	queue_head = head;
	queue_next = first;
	queue_bytes = 0;
	LOOP(1024, add_length);
	return 0;
}

static __always_inline u64 rx_queue_of(struct sock *sk)
{
	if (LISTENS)
		return sk->sk_receive_queue.qlen;
	if (sk->sk_type != SOCKET_STREAM && sk->sk_type != SOCKET_SEQPACKET)
		return sk->sk_receive_queue.qlen ? BPF_CORE_READ(sk, sk_receive_queue.next, len) : 0;
	if (sk->sk_receive_queue.qlen)
		queued_bytes(ADDRESS(&sk->sk_receive_queue), ADDRESS(sk->sk_receive_queue.next));
	else
		queue_bytes = 0;
	return queue_bytes;
}

#define DROPS_BUCKETS (bpf_core_type_exists(struct bpf_unix_iter_state) && !(query.flags & QUERY_SHARED))
#define PASSED_MAX 1024

/* The last bucket of a walk, and of its sockets that the program has worked on the last ones. */
static u64 passed[PASSED_MAX];
static u32 passed_bucket, passed_count;
static u64 walk_session, passed_sought;
/* Not static: the compiler would shrink a flag to a byte, its BTF would not say so, and the kernel would refuse the program. */
u32 walk_wrote, walk_passing, passed_met, passed_found;

BODY(compare_passed)
{
	if (i >= passed_count)
		return 1;
	passed_found = passed[i & (PASSED_MAX - 1)] == passed_sought;
	return passed_found;
}

/* Whether an earlier walk has worked on the socket. Of a bucket's sockets that passed[] no longer has, all come before those it has. */
GLOBAL int is_passed(u64 address, u32 bucket)
{
	if (bucket != passed_bucket)
		return bucket < passed_bucket;
	passed_sought = address;
	passed_found = 0;
	LOOP(PASSED_MAX, compare_passed);
	passed_met |= passed_found;
	return passed_found || (passed_count > PASSED_MAX && !passed_met);
}

/* Begins a walk with its first element, and says whether the kernel has begun another read since a row was written. */
static __always_inline bool is_cut(struct bpf_iter_meta *meta)
{
	if (meta->session_id != walk_session) {
		walk_session = meta->session_id;
		walk_passing = progress.cut;
		progress.cut = 0;
		walk_wrote = passed_met = 0;
		if (!walk_passing)
			passed_count = passed_bucket = 0;
	}
	progress.cut = walk_wrote && !meta->seq->count;
	return progress.cut;
}

static __always_inline bool is_skipped(struct sock *sk)
{
	u32 bucket = sk->__sk_common.skc_hash;

	if (walk_passing) {
		if (is_passed(ADDRESS(sk), bucket))
			return true;
		if (bucket != passed_bucket)
			walk_passing = 0;
	}
	if (bucket != passed_bucket)
		passed_count = 0;
	passed_bucket = bucket;
	passed[passed_count++ & (PASSED_MAX - 1)] = ADDRESS(sk);
	return false;
}

SEC("iter/unix")
int dump(struct bpf_iter__unix *ctx)
{
	struct seq_file *seq = ctx->meta->seq;
	struct unix_sock *un = ctx->unix_sk;
	struct sock_common *common;
	struct sock *sk;

	if (DROPS_BUCKETS && is_cut(ctx->meta))
		return 1;
	if (!un)
		return 0;
	sk = &un->sk;
	if (DROPS_BUCKETS && is_skipped(sk))
		return 0;
	common = &sk->__sk_common;
	FETCH(peer_ino, peer_ino_of(un));
	FETCH(state, common->skc_state);
	FETCH(path, un->addr->len);
	START_WALK(ctx);
	FIND_OWNER(sk->sk_socket, socket_ino(sk));
	RETURN_UNLESS_KEPT;
	WRITE_ROW;
	walk_wrote = 1;
	/* The row did not fit. */
	if (seq->count == seq->size) {
		passed_count--;
		progress.shown = 0;
	}
	return 0;
}
