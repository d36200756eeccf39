/* SPDX-License-Identifier: GPL-2.0-only */
/* files.bpf.c -- open file descriptors, one row each */
#define SOCKET_FIELD(sk, field) BPF_CORE_READ(sk, field)
#define OWNER (COLUMN_BIT(comm) | COLUMN_BIT(pid) | COLUMN_BIT(tid))
#include "../engine/table.h"
#include "../subjects/task.h"
#include "../subjects/socket.h"
#include "../subjects/file.h"
#define SHARED files
#include "../subjects/first_sharer.h"

#define FILE_TYPES(W) W(0, ANON) W(1, FIFO) W(2, CHR) W(4, DIR) W(6, BLK) W(8, REG) W(10, LNK) W(12, SOCK)

/* Protocols of INET and INET6 come after the address families; a family stands for the protocols of any other socket. */
#define PROTOCOLS(W)                                                         \
	W(1, UNIX) W(2, INET) W(10, INET6) W(15, KEY) W(16, NETLINK) W(17, PACKET) W(21, RDS) W(24, PPPOX) W(26, LLC) W(29, CAN) \
	W(30, TIPC) W(31, BLUETOOTH) W(32, IUCV) W(33, RXRPC) W(38, ALG) W(39, NFC) W(40, VSOCK) W(41, KCM) W(42, QIPCRTR) \
	W(43, SMC) W(44, XDP) W(45, MCTP)                                    \
	W(48, TCP) W(49, UDP) W(50, RAW) W(51, ICMP) W(52, ICMPV6) W(53, SCTP) W(54, UDPLITE) W(55, MPTCP)

#define COLUMNS(COL, MORE)                                                   \
	COL(comm, NAME, 16, comm_of(task), "Name of the thread that holds the descriptor table.") \
	COL(pid, U64, 8, PID_OF(task), "Process ID.")                        \
	COL(tid, U64, 8, TID_OF(task), "Thread ID.")                         \
	COL(fd, U64, 6, ctx->fd, "File descriptor number.")                  \
	COL(type, ENUM(FILE_TYPES), 4, type_of(file), "Type of file; ANON is an anonymous inode (epoll, eventfd, bpf ...).") \
	COL(mode, TEXT, 4, mode_of(file), "Access: r, w, or - in their place.") \
	COL(path, LONG, 40, descriptor_path(file), "Path, as /proc/PID/fd shows it.") \
	COL(file_ops, SYMBOL, 24, operations_of(file), "Symbol of the file's operations; where the kernel keeps none for data, of one of them.") \
	MORE(flags, U64, 8, flags_of(task, file, ctx->fd), "Flags, as in /proc/PID/fdinfo (O_* bits).") \
	MORE(pos, S64, 12, file->f_pos, "Position in bytes.")                \
	MORE(ino, U64, 10, file->f_inode->i_ino, "Inode number.")            \
	MORE(dev, TEXT, 7, device_text(file->f_inode->i_sb->s_dev), "Device of the file system, major:minor.") \
	MORE(size, S64, 12, file->f_inode->i_size, "Size in bytes.")         \
	MORE(uid, U64, 6, file->f_inode->i_uid.val, "User ID of the file's owner.") \
	MORE(deleted, BOOL, 7, is_deleted(file), "Whether its name has been unlinked.") \
	MORE(protocol, ENUM(PROTOCOLS), 8, OF_SOCKET(protocol_of(sk)), "Of a socket, its protocol.") \
	MORE(local_addr, TEXT, 15, socket_address(file, false), "Of an INET or INET6 socket, its local address.") \
	MORE(local_port, U64, 10, OF_INET(SOCKET_FIELD(sk, skc_num)), "Of such a socket, its local port.") \
	MORE(remote_addr, TEXT, 15, socket_address(file, true), "Of such a socket, its remote address.") \
	MORE(remote_port, U64, 11, OF_INET(remote_port_of(sk)), "Of such a socket, its remote port; 0 for none.") \
	MORE(state, ENUM(SOCKET_STATES), 11, OF_SOCKET(has_state(sk) ? SOCKET_FIELD(sk, skc_state) : ABSENT), "Of an INET, INET6, UNIX or VSOCK socket, its state.") \
	MORE(bpf_id, FULL(U64), 6, ({ u32 id = bpf_id_of(file); id ? id : ABSENT; }), "ID of the BPF map, program, link or BTF behind an anonymous inode.") \
	MORE(pidfd_pid, U64, 9, ({ struct pid *pid = pid_behind(file); pid ? NUMBER_OF(pid) : ABSENT; }), "Process (or thread) of a pidfd, 0 where it is outside the pid namespace; null once it has been reaped.") \
	MORE(eventfd_count, FULL(U64), 13, is_anonymous(file, "[eventfd") ? BPF_CORE_READ((struct eventfd_ctx *)file->private_data, count) : ABSENT, "Counter of an eventfd.") \
	MORE(tty, FULL(TOKEN), 8, tty_of(file), "Terminal, as ps names it (pts/0, ttyS0); ptm0 is the master of pts/0.") \
	TASK_COLUMNS(MORE, task_uid)

#define IDENTITY(I) I(tid) I(fd)

TABLE(files, "task_file", "5.8", "file descriptors", "Open file descriptors of every process.")

DEFINE_WORDS(FILE_TYPES);
DEFINE_WORDS(PROTOCOLS);
DEFINE_WORDS(SOCKET_STATES);

enum { PROTOCOL_TCP = 48, PROTOCOL_UDP, PROTOCOL_RAW, PROTOCOL_ICMP, PROTOCOL_ICMPV6, PROTOCOL_SCTP, PROTOCOL_UDPLITE, PROTOCOL_MPTCP };

#define PID_FS_MAGIC 0x50494446		/* pidfds, since 6.9 */

static __always_inline u32 type_of(struct file *file)
{
	unsigned long magic = file->f_inode->i_sb->s_magic;

	/* These files claim to be regular files (all of them since 6.17); stat(2) hides that type. */
	if (magic == ANON_INODE_FS_MAGIC || magic == PID_FS_MAGIC)
		return 0;
	return file->f_inode->i_mode >> 12;
}

static __always_inline struct text mode_of(struct file *file)
{
	u32 mode = file->f_mode;
	struct text text = {
		.low = letter_of(mode, 1, 'r', '-') | letter_of(mode, 2, 'w', '-') << 8,
		.length = 2,
	};

	return text;
}

/*
 * Writes the path of a file that is in no tree, as most descriptors are (sockets, pipes ...), and returns its length; 0 for a
 * file in a tree. bpf_d_path would take six times as long for these paths.
 */
GLOBAL int treeless_path(u64 magic, u64 number, u64 address)
{
	static const char anon_inode[] = "anon_inode:";
	struct dentry *dentry = (void *)address;
	long length;
	u32 at;

	if (magic == ANON_INODE_FS_MAGIC) {
		WORD(source) = literal_word(anon_inode, 0, 11);
		WORD(source + 8) = literal_word(anon_inode, 8, 11);
		length = bpf_probe_read_kernel_str(source + 11, 256, BPF_CORE_READ(dentry, d_name.name));
		return length > 0 ? length + 10 : 0;
	}
	if (number >= E8 * E8)
		return 0;
	if (magic == SOCKFS_MAGIC) {
		WORD(source) = literal_word("socket:[", 0, 8);
		plain = 8;
	} else if (magic == PIPEFS_MAGIC) {
		WORD(source) = literal_word("pipe:[", 0, 6);
		plain = 6;
	} else {
		return 0;
	}
	at = source_long_number(plain, number);
	*SOURCE(at) = ']';
	return at + 1;
}

static __always_inline long descriptor_path(struct file *file)
{
	struct inode *inode = file->f_inode;

	return treeless_path(inode->i_sb->s_magic, inode->i_ino, ADDRESS(file->f_path.dentry)) ?: path_of(file);
}

/* Without CONFIG_KALLSYMS_ALL a table of operations has no symbol; the symbol of a function in the table stands for it. */
static __always_inline int operations_of(struct file *file)
{
	const struct file_operations *operations = file->f_op;
	u64 table = ADDRESS(operations);
	int length = symbol_of(table, SYMBOL_NAME);

	if (length < 0) {
		length = symbol_of(ADDRESS(operations->release ?: operations->read_iter ?: operations->read ?: operations->write_iter ?:
					   operations->poll ?: operations->unlocked_ioctl ?: operations->iterate_shared), SYMBOL_NAME);
		if (length > 0)
			keep_symbol(table, length);
	}
	return length;
}

#define O_CLOEXEC 02000000

/* O_CLOEXEC is not in f_flags but in the descriptor table. */
static __always_inline u32 flags_of(struct task_struct *task, struct file *file, u32 fd)
{
	unsigned long *bits = BPF_CORE_READ(task, files, fdt, close_on_exec), word = 0;

	bpf_probe_read_kernel(&word, sizeof(word), bits + fd / 64);
	return (file->f_flags & ~O_CLOEXEC) | (word >> (fd & 63) & 1 ? O_CLOEXEC : 0);
}

static __always_inline bool is_deleted(struct file *file)
{
	struct dentry *dentry = file->f_path.dentry;

	return !file->f_inode->i_nlink || (!dentry->d_hash.pprev && dentry != dentry->d_parent);
}

/* The socket of a descriptor, or NULL. A socket's name opened with O_PATH is in another file system, so it has no socket. */
static __always_inline struct sock_common *socket_of(struct file *file)
{
	struct sock *sk;

	if (file->f_inode->i_sb->s_magic != SOCKFS_MAGIC)
		return NULL;
	sk = BPF_CORE_READ((struct socket *)file->private_data, sk);
	return sk ? &sk->__sk_common : NULL;
}

#define OF_SOCKET(expression) ({ struct sock_common *sk = socket_of(file); sk ? (s64)(expression) : ABSENT; })
static __always_inline struct text socket_address(struct file *file, bool remote)
{
	struct sock_common *sk = socket_of(file);
	struct text none = { .length = NO_STRING };

	return sk ? address_of(sk, remote) : none;
}

#define OF_INET(expression) OF_SOCKET(has_ports(sk) ? (expression) : ABSENT)

static __always_inline bool is_inet(u32 family)
{
	return family == FAMILY_INET || family == FAMILY_INET6;
}

/* A raw socket has the number of its protocol in the place of a port. */
static __always_inline bool has_ports(struct sock_common *sk)
{
	return is_inet(SOCKET_FIELD(sk, skc_family)) && BPF_CORE_READ((struct sock *)sk, sk_type) != SOCKET_RAW;
}

/* Other families store something else in the field of the state. */
static __always_inline bool has_state(struct sock_common *sk)
{
	u32 family = SOCKET_FIELD(sk, skc_family);

	return is_inet(family) || family == FAMILY_UNIX || family == FAMILY_VSOCK;
}

static __noinline u32 protocol_of(struct sock_common *sk)
{
	u32 family = SOCKET_FIELD(sk, skc_family);

	if (!is_inet(family))
		return family;
	if (BPF_CORE_READ((struct sock *)sk, sk_type) == SOCKET_RAW)
		return PROTOCOL_RAW;
	switch (BPF_CORE_READ((struct sock *)sk, sk_protocol)) {
	case 1:
		return PROTOCOL_ICMP;
	case 6:
		return PROTOCOL_TCP;
	case 17:
		return PROTOCOL_UDP;
	case 58:
		return PROTOCOL_ICMPV6;
	case 132:
		return PROTOCOL_SCTP;
	case 136:
		return PROTOCOL_UDPLITE;
	case 262:
		return PROTOCOL_MPTCP;
	}
	return family;
}

static __always_inline u32 bpf_id_of(struct file *file)
{
	void *object = file->private_data;

	if (is_anonymous(file, "bpf-map"))
		return BPF_CORE_READ((struct bpf_map *)object, id);
	if (is_anonymous(file, "bpf-prog"))
		return BPF_CORE_READ((struct bpf_prog *)object, aux, id);
	if (is_anonymous(file, "bpf_link"))
		return BPF_CORE_READ((struct bpf_link *)object, id);
	if (is_anonymous(file, "btf"))
		return BPF_CORE_READ((struct btf *)object, id);
	return 0;
}

/* The process or thread of a pidfd; NULL for another file, and when nobody has that number any more. */
static __always_inline struct pid *pid_behind(struct file *file)
{
	struct pid *pid = NULL;
	void *task = NULL;

	if (file->f_inode->i_sb->s_magic == PID_FS_MAGIC)
		pid = BPF_CORE_READ(file->f_inode, i_private);
	else if (is_anonymous(file, "[pidfd]"))
		pid = file->private_data;
	if (pid)
		bpf_probe_read_kernel(&task, sizeof(task), (void *)pid + bpf_core_field_offset(struct pid, tasks));
	return task ? pid : NULL;
}

/*
 * The private data of a terminal's file points back to the file, and a terminal has the operations of its driver. The file's own
 * operations have no symbol without CONFIG_KALLSYMS_ALL.
 */
static __noinline long tty_of(struct file *file)
{
	struct tty_file_private private = {};
	struct tty_struct *tty;
	void *operations;
	long length;

	if (file->f_inode->i_mode >> 12 != 2)	/* S_IFCHR */
		return NO_STRING;
	bpf_probe_read_kernel(&private, sizeof(private), file->private_data);
	tty = private.tty;
	operations = BPF_CORE_READ(tty, ops);
	if (private.file != file || !operations || BPF_CORE_READ(tty, driver, ops) != operations)
		return NO_STRING;
	length = bpf_probe_read_kernel_str(source, 64, BPF_CORE_READ(tty, name));
	if (length > 3 && source[0] == 'p' && source[1] == 't' && source[2] == 's') {
		source[3] = '/';
		length = bpf_probe_read_kernel_str(source + 4, 61, (void *)tty + bpf_core_field_offset(struct tty_struct, name) + 3) + 4;
	}
	return length - 1;
}

SEC("iter/task_file")
int dump(struct bpf_iter__task_file *ctx)
{
	struct seq_file *seq = ctx->meta->seq;
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;

	if (!task || !file)
		return 0;
	FETCH(type, file->f_inode->i_sb->s_magic);
	FETCH(type, file->f_inode->i_mode);
	START_TASK_WALK(ctx);
	if (!is_first(task))
		return 0;
	RETURN_UNLESS_KEPT;
	WRITE_ROW;
	return 0;
}
