/* SPDX-License-Identifier: GPL-2.0-only */
/* tcp.bpf.c -- TCP sockets, including half-open and time-wait connections, which belong to no process */
#include "../engine/table.h"
#include "../subjects/socket.h"
#include "../subjects/owners.h"

#define COLUMNS(COL, MORE)                                                   \
	COL(family, ENUM(FAMILIES), 6, sk->skc_family, "Address family.")    \
	COL(state, ENUM(SOCKET_STATES), 11, shown_state_of(sk), "State.")    \
	COL(local_addr, TEXT, 15, address_of(sk, false), "Local address.")  \
	COL(local_port, U64, 10, sk->skc_num, "Local port.")                 \
	COL(remote_addr, TEXT, 15, address_of(sk, true), "Remote address.") \
	COL(remote_port, U64, 11, remote_port_of(sk), "Remote port; 0 for none.") \
	COL(rx_queue, U64, 8, tcp ? rx_queue_of(TCP) : 0, "Bytes received and not read; of a listener, connections not accepted.") \
	COL(tx_queue, U64, 8, tcp ? unacknowledged(TCP) : 0, "Bytes sent or to be sent, and not acknowledged.") \
	COL(uid, U64, 6, sk->skc_state == STATE_TIME_WAIT ? ABSENT : ctx->uid, "User ID of the socket's owner.") \
	COL(ino, U64, 10, (tcp ? socket_ino(TCP_SOCK) : 0) ?: ABSENT, "Inode number of the socket; none where no process has it.") \
	MORE(netns, U64, 10, netns_of(sk) ?: ABSENT, "Inode number of the network namespace.") \
	MORE(cgroup_id, U64, 9, (tcp ? cgroup_of(TCP_SOCK) : 0) ?: ABSENT, "ID of the control group (version 2) that made it.") \
	MORE(retrans, U64, 7, CONNECTED ? TCP->total_retrans : ABSENT, "Segments sent again, in all.") \
	MORE(srtt_us, U64, 8, (CONNECTED ? TCP->srtt_us >> 3 : 0) ?: ABSENT, "Smoothed round-trip time in microseconds.") \
	MORE(snd_cwnd, U64, 8, CONNECTED ? TCP->snd_cwnd : ABSENT, "Congestion window in segments.") \
	MORE(bytes_sent, U64, 12, CONNECTED ? TCP->bytes_sent : ABSENT, "Bytes of data sent, also those sent again.") \
	MORE(bytes_received, U64, 14, CONNECTED ? TCP->bytes_received : ABSENT, "Bytes of data received.") \
	MORE(backlog, U64, 7, tcp && LISTENS ? TCP_SOCK->sk_max_ack_backlog : ABSENT, "Of a listener, how many connections may wait to be accepted.") \
	SOCKET_OWNER_COLUMNS(MORE)

#define IDENTITY(I) I(local_addr) I(local_port) I(remote_addr) I(remote_port) I(ino)

TABLE(tcp, "tcp", "5.9", "TCP sockets", "TCP sockets.")

DEFINE_WORDS(FAMILIES);
DEFINE_WORDS(SOCKET_STATES);
DEFINE_OWNERS

/* `tcp` where it is not NULL: the compiler must not add an offset to it earlier, in every turn of the loop over columns. */
#define TCP ({ struct tcp_sock *full = tcp; barrier_var(full); full; })
#define TCP_SOCK (&TCP->inet_conn.icsk_inet.sk)
#define LISTENS (sk->skc_state == STATE_LISTEN)
#define CONNECTED (tcp && !LISTENS)

/* As in /proc/net/tcp and ss: a socket in time-wait may have the state FIN_WAIT2, and a request has the state SYN_RECV. */
static __always_inline u32 shown_state_of(struct sock_common *sk)
{
	u32 state = sk->skc_state;
	struct tcp_timewait_sock *timewait;

	if (state == STATE_NEW_SYN_RECV)
		return STATE_SYN_RECV;
	if (state != STATE_TIME_WAIT)
		return state;
	timewait = bpf_skc_to_tcp_timewait_sock(sk);
	return timewait ? timewait->tw_sk.tw_substate : state;
}

/* Another processor may have read more since the load of rcv_nxt; the result is never negative. */
static __always_inline u32 rx_queue_of(struct tcp_sock *tcp)
{
	struct sock *sk = &tcp->inet_conn.icsk_inet.sk;
	__s32 bytes;

	if (sk->__sk_common.skc_state == STATE_LISTEN)
		return sk->sk_ack_backlog;
	bytes = tcp->rcv_nxt - tcp->copied_seq;
	return bytes > 0 ? bytes : 0;
}

static __always_inline u32 unacknowledged(struct tcp_sock *tcp)
{
	return tcp->write_seq - tcp->snd_una;
}

SEC("iter/tcp")
int dump(struct bpf_iter__tcp *ctx)
{
	struct seq_file *seq = ctx->meta->seq;
	struct sock_common *sk = ctx->sk_common;
	struct tcp_sock *tcp;

	if (!sk)
		return 0;
	START_WALK(ctx);
	tcp = bpf_skc_to_tcp_sock(sk);
	FIND_OWNER(tcp ? TCP_SOCK->sk_socket : NULL, socket_ino(TCP_SOCK));
	RETURN_UNLESS_KEPT;
	WRITE_ROW;
	return 0;
}
