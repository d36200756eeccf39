/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * kernel.h -- every kernel structure and field that task-iter reads, and nothing else
 *
 * The loader relocates the offsets (CO-RE), so the order of fields does not matter, a structure may leave fields out, and the
 * build does not depend on the build machine's kernel. A name with ___ is a flavour: the structure as an older or newer kernel
 * has it.
 */
#ifndef TASK_ITER_KERNEL_H
#define TASK_ITER_KERNEL_H

#include <linux/errno.h>
#include <linux/types.h>
#include <linux/bpf.h>
#include <stdbool.h>

typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;
typedef __s16 s16;
typedef __s32 s32;
typedef __s64 s64;

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct list_head {
	struct list_head *next;
};

struct hlist_bl_node {
	struct hlist_bl_node **pprev;
};

struct seq_file {
	unsigned long size, count;
	long long index;
};

/* pids and namespaces */

struct ns_common {
	unsigned int inum;
};

struct pid_namespace {
	struct ns_common ns;
};

struct user_namespace {
	struct ns_common ns;
};

struct mnt_namespace {
	struct ns_common ns;
};

struct net {
	struct ns_common ns;
};

struct css_set;

struct cgroup_namespace {
	struct css_set *root_cset;
};

struct nsproxy {
	struct mnt_namespace *mnt_ns;
	struct net *net_ns;
	struct cgroup_namespace *cgroup_ns;
};

struct upid {
	int nr;
	struct pid_namespace *ns;
};

struct hlist_head {
	void *first;
};

struct pid {
	unsigned int level;
	struct hlist_head tasks[4];
	struct upid numbers[1];
};

typedef struct {
	int counter;
} atomic_t;

struct rlimit {
	unsigned long rlim_cur;
};

struct signal_struct {
	atomic_t live;
	int nr_threads;
	struct list_head thread_head;
	struct pid *pids[4];
	struct rlimit rlim[16];
	short oom_score_adj;
};

/* files */

struct qstr {
	const unsigned char *name;
};

struct dentry_operations {
	void *d_dname;
};

struct dentry {
	struct hlist_bl_node d_hash;
	struct dentry *d_parent;
	struct qstr d_name;
	const struct dentry_operations *d_op;
	void *d_fsdata;
};

struct vfsmount {
	struct dentry *mnt_root;
};

struct mount {
	struct mount *mnt_parent;
	struct dentry *mnt_mountpoint;
	struct vfsmount mnt;
};

struct path {
	struct vfsmount *mnt;
	struct dentry *dentry;
};

struct fs_struct {
	struct path root, pwd;
};

struct proc_ns_operations {
	const char *name;
};

struct super_block {
	u32 s_dev;
	unsigned long s_magic;
};

typedef struct {
	u32 val;
} kuid_t;

typedef struct {
	u32 val;
} kgid_t;

struct inode {
	u16 i_mode;
	kuid_t i_uid;
	struct super_block *i_sb;
	unsigned long i_ino;
	unsigned int i_nlink;
	s64 i_size;
	void *i_private;
};

struct file_operations {
	void *release, *read_iter, *read, *write_iter, *poll, *unlocked_ioctl, *iterate_shared;
};

struct file {
	struct path f_path;
	struct inode *f_inode;
	const struct file_operations *f_op;
	unsigned int f_flags;
	unsigned int f_mode;
	s64 f_pos;
	void *private_data;
};

struct fdtable {
	unsigned int max_fds;
	unsigned long *open_fds;
	unsigned long *close_on_exec;
};

struct files_struct {
	struct fdtable *fdt;
};

/* tasks */

typedef struct {
	u64 val;			/* two words of 32 bits before 6.3 */
} kernel_cap_t;

struct cred {
	kuid_t euid;
	kgid_t egid;
	kernel_cap_t cap_effective;
	struct user_namespace *user_ns;
};

struct thread_info {
	u32 cpu;			/* since 5.16 */
};

struct mm_struct;

struct seccomp {
	int mode;
};

struct task_io_accounting {
	u64 read_bytes, write_bytes;
};

struct thread_struct {
	unsigned long sp;		/* x86 */
};

struct task_struct {
	struct thread_info thread_info;
	struct thread_struct thread;
	unsigned int on_cpu;		/* a byte since 7.2; absent in a kernel for one processor before 6.17 */
	unsigned int __state;		/* since 5.14 */
	unsigned int flags;
	int prio;
	int static_prio;
	unsigned int policy;
	struct mm_struct *mm;
	int exit_state;
	int pid;
	int tgid;
	struct task_struct *real_parent;
	struct task_struct *group_leader;
	struct pid *thread_pid;
	struct list_head thread_node;
	u64 utime, stime;
	unsigned long nvcsw, nivcsw;
	u64 start_boottime;
	unsigned long min_flt, maj_flt;
	const struct cred *real_cred;
	char comm[16];
	struct files_struct *files;
	struct fs_struct *fs;
	struct nsproxy *nsproxy;
	struct signal_struct *signal;
	struct css_set *cgroups;
	struct list_head cg_list;
	unsigned long atomic_flags;
	kuid_t loginuid;
	struct seccomp seccomp;
	struct task_io_accounting ioac;
};

struct task_struct___5_15 {
	unsigned int cpu;
};

struct task_struct___5_13 {
	long state;
};

/* what files may be */

struct eventfd_ctx {
	u64 count;
};

struct tty_driver {
	void *ops;
};

struct tty_struct {
	struct tty_driver *driver;
	void *ops;
	char name[64];
};

/* memory */

struct percpu_counter {
	s64 count;
	s32 *counters;
};

struct mm_struct {
	unsigned long total_vm;
	unsigned long start_brk, brk, start_stack;
	unsigned long arg_start, arg_end, env_start, env_end;
	struct percpu_counter rss_stat[4];	/* since 6.2 */
	struct file *exe_file;
};

typedef struct {
	s64 counter;
} atomic64_t;

struct mm_rss_stat {
	atomic64_t count[4];
};

struct mm_struct___6_1 {
	struct mm_rss_stat rss_stat;
};

struct vm_area_struct;

struct vm_operations_struct {
	const char *(*name)(struct vm_area_struct *vma);
};

struct vm_area_struct {
	unsigned long vm_start, vm_end;
	struct mm_struct *vm_mm;
	unsigned long vm_flags;
	const struct vm_operations_struct *vm_ops;
	unsigned long vm_pgoff;
	struct file *vm_file;
	void *vm_private_data;
};

/* control groups */

struct kernfs_node {
	struct kernfs_node *__parent;	/* since 6.15 */
	const char *name;
	u64 id;
	void *priv;			/* of a directory: its cgroup */
};

struct kernfs_node___6_14 {
	struct kernfs_node *parent;
};

struct cgroup;

/* The numbers that a kernel gives its subsystems. */
enum cgroup_subsys_id {
	cpu_cgrp_id,
	memory_cgrp_id,
	pids_cgrp_id,
};

struct cgroup_subsys_state {
	struct cgroup *cgroup;
	unsigned int flags;
	u64 serial_nr;
	struct cgroup_subsys_state *parent;
	int nr_populated_csets;		/* 7.2 has it here */
};

struct cgroup {
	struct cgroup_subsys_state self;
	unsigned long flags;
	int level;
	int nr_populated_domain_children, nr_populated_threaded_children;
	struct kernfs_node *kn;
	struct list_head cset_links;
};

struct cgroup___6_18 {
	int nr_populated_csets;
};

struct css_set {
	struct cgroup_subsys_state *subsys[1];
	struct cgroup *dfl_cgrp;
	struct list_head tasks, mg_tasks, dying_tasks;
};

struct cgrp_cset_link {
	struct css_set *cset;
	struct list_head cset_link;
};

/* sockets and routes */

typedef struct {
	atomic_t refs;
} refcount_t;

typedef struct {
	struct net *net;
} possible_net_t;

struct in6_addr {
	union {
		u32 u6_addr32[4];
	} in6_u;
};

struct sock_common {
	u32 skc_daddr;
	u32 skc_rcv_saddr;
	u16 skc_dport;
	u16 skc_num;
	unsigned short skc_family;
	volatile unsigned char skc_state;
	unsigned int skc_hash;
	possible_net_t skc_net;
	struct in6_addr skc_v6_daddr;
	struct in6_addr skc_v6_rcv_saddr;
};

struct sk_buff {
	struct sk_buff *next;
	unsigned int len;
	char cb[48];
};

struct sk_buff_head {
	struct sk_buff *next;
	u32 qlen;
};

struct socket {
	struct sock *sk;
};

struct socket_alloc {
	struct socket socket;
	struct inode vfs_inode;
};

struct sock_cgroup_data {
	struct cgroup *cgroup;		/* since 5.15 */
};

struct sock_cgroup_data___5_14 {
	u64 val;			/* the cgroup; not a pointer when bit 0 is set */
};

struct numa_drop_counters {
	atomic_t drops0;
	atomic_t drops1;
};

struct sock {
	struct sock_common __sk_common;
	struct sk_buff_head sk_receive_queue;
	struct {
		atomic_t rmem_alloc;
	} sk_backlog;
	refcount_t sk_wmem_alloc;
	u16 sk_type;
	u16 sk_protocol;
	struct socket *sk_socket;
	unsigned long sk_ino;				/* since 6.18 */
	atomic_t sk_drops;
	struct numa_drop_counters *sk_drop_counters;	/* since 6.18 */
	u32 sk_ack_backlog;
	u32 sk_max_ack_backlog;
	struct sock_cgroup_data sk_cgrp_data;
};

struct inet_sock {
	struct sock sk;
};

struct inet_connection_sock {
	struct inet_sock icsk_inet;
};

struct tcp_sock {
	struct inet_connection_sock inet_conn;
	u32 rcv_nxt;
	u32 copied_seq;
	u32 write_seq;
	u32 snd_una;
	u32 total_retrans;
	u32 srtt_us;
	u32 snd_cwnd;
	u64 bytes_sent;
	u64 bytes_received;
};

struct inet_timewait_sock {
	unsigned char tw_substate;
};

struct tcp_timewait_sock {
	struct inet_timewait_sock tw_sk;
};

struct udp_sock {
	struct inet_sock inet;
	int forward_deficit;
};

struct sockaddr_un {
	char sun_path[108];
};

struct unix_address {
	int len;
	struct sockaddr_un name[0];
};

struct unix_sock {
	struct sock sk;
	struct unix_address *addr;
	struct sock *peer;
};

struct bpf_unix_iter_state {		/* since 5.18 */
	unsigned int cur_sk;
};

struct unix_skb_parms {
	u32 consumed;
};

struct netlink_sock {
	struct sock sk;
	u32 portid;
	unsigned long *groups;
};

struct net_device {
	int ifindex;
	char name[16];
};

struct fib_nh_common {
	struct net_device *nhc_dev;
	u8 nhc_gw_family;
	union {
		struct in6_addr ipv6;
	} nhc_gw;
};

struct fib6_nh {
	struct fib_nh_common nh_common;
};

struct nh_info {
	struct fib6_nh fib6_nh;
};

struct nh_grp_entry {
	struct nexthop *nh;
};

struct nh_group {
	struct nh_grp_entry nh_entries[0];
};

struct nexthop {
	bool is_group;
	struct nh_info *nh_info;
	struct nh_group *nh_grp;
};

struct rt6key {
	struct in6_addr addr;
	int plen;
};

struct fib6_info {
	struct rt6key fib6_dst;
	u32 fib6_flags;
	u32 fib6_metric;
	struct nexthop *nh;
	struct fib6_nh fib6_nh[0];
};

/* BPF objects */

struct btf {
	u32 id;
};

enum btf_field_type {
	BPF_SPIN_LOCK = 1,
};

struct btf_field {
	u32 offset;
	u32 size;			/* since 6.4 */
	enum btf_field_type type;
};

struct btf_record {
	u32 cnt;
	struct btf_field fields[1];
};

struct bpf_map {
	enum bpf_map_type map_type;
	u32 key_size;
	u32 value_size;
	u32 max_entries;
	u32 map_flags;
	u32 id;
	struct btf_record *record;	/* since 6.2 */
	struct btf *btf;
	char name[16];
	atomic64_t refcnt;
	bool frozen;
};

struct bpf_map___5_10 {
	struct {
		u32 pages;
	} memory;
};

struct bpf_map_ops {
	void *map_mem_usage;		/* since 6.4 */
};

struct bpf_array {
	u32 elem_size;
	void *pptrs[0];
};

struct bucket {
	u32 unused;
};

struct bpf_htab {
	struct percpu_counter pcount;	/* since 6.1 */
	atomic_t count;
	bool use_percpu_counter;
	u32 n_buckets;
	u32 elem_size;
};

struct bpf_map___6_1 {
	struct bpf_map_off_arr *off_arr;	/* 5.19 to 6.1 */
};

struct bpf_map___5_18 {
	int timer_off;			/* 5.15 to 5.18 */
};

struct bpf_prog;

struct bpf_prog_aux {
	u32 id;
	u32 used_map_cnt;
	u32 func_cnt;
	struct bpf_map **used_maps;
	struct bpf_prog **func;
	const char *attach_func_name;
	u64 load_time;
	u32 verified_insns;		/* since 5.16 */
	char name[16];
	struct btf *btf;
};

struct bpf_prog_aux___6_8 {
	bool sleepable;
};

struct bpf_prog_aux___5_11 {
	struct bpf_prog_stats *stats;
};

struct bpf_prog {
	u16 sleepable: 1;		/* since 6.9 */
	enum bpf_prog_type type;
	u32 len;
	u32 jited_len;
	u8 tag[8];
	struct bpf_prog_stats *stats;	/* of each CPU; since 5.12 */
	struct bpf_prog_aux *aux;
};

struct bpf_link {
	u32 id;
	enum bpf_link_type type;
	struct bpf_prog *prog;
	enum bpf_attach_type attach_type;	/* since 6.17 */
};

struct bpf_trampoline {
	u64 key;
};

struct bpf_tracing_link {
	struct bpf_trampoline *trampoline;
};

struct bpf_tracing_link___6_16 {
	enum bpf_attach_type attach_type;
};

struct tracepoint {
	const char *name;
};

struct bpf_raw_event_map {
	struct tracepoint *tp;
};

struct bpf_raw_tp_link {
	struct bpf_raw_event_map *btp;
};

struct bpf_cgroup_link {
	struct cgroup *cgroup;
};

struct bpf_cgroup_link___6_16 {
	enum bpf_attach_type type;
};

struct bpf_iter_aux_info {
	struct bpf_map *map;
};

struct bpf_iter_reg {
	const char *target;
};

struct bpf_iter_target_info {
	const struct bpf_iter_reg *reg_info;
};

struct bpf_iter_link {
	struct bpf_iter_aux_info aux;
	struct bpf_iter_target_info *tinfo;
};

struct bpf_netns_link {
	struct net *net;
};

struct bpf_netns_link___6_16 {
	enum bpf_attach_type type;
};

struct bpf_xdp_link {
	struct net_device *dev;
};

/* since 6.6 */
struct tcx_link {
	struct net_device *dev;
};

struct tcx_link___6_16 {
	u32 location;
};

/* since 6.7 */
struct netkit_link {
	struct net_device *dev;
};

struct netkit_link___6_16 {
	u32 location;
};

struct trace_event_call {
	const char *name;
	struct tracepoint *tp;
	int flags;
};

struct trace_event_call___6_8 {
	void *filter;
};

struct trace_probe_event {
	struct trace_event_call call;
	struct list_head probes;
};

struct trace_probe {
	struct list_head list;
};

struct trace_uprobe {
	char *filename;
	struct trace_probe tp;
};

struct perf_event {
	struct trace_event_call *tp_event;
};

struct bpf_perf_link {
	struct file *perf_file;
};

/* since 5.18 */
struct bpf_kprobe_multi_link {
	unsigned long *addrs;
};

/* since 6.6 */
struct bpf_uprobe_multi_link {
	struct path path;
	struct bpf_link link;		/* the first member of all other links */
};

/* since 6.4 */
struct bpf_struct_ops_link {
	struct bpf_map *map;
};

struct nf_hook_ops {
	u8 pf;
	unsigned int hooknum;
	int priority;
};

/* since 6.4 */
struct bpf_nf_link {
	struct nf_hook_ops hook_ops;
};

/* since 6.10 */
struct sockmap_link {
	struct bpf_map *map;
};

struct sockmap_link___6_16 {
	enum bpf_attach_type attach_type;
};

struct bpf_refcount___6_4 {
	u64 opaque[1];
};

/* the rest */

struct kallsym_iter {
	unsigned long value;
	char type;
	char name[128];			/* 512 since 6.1 */
	char module_name[56];
	int exported;
};

struct kmem_cache_order_objects {
	unsigned int x;
};

struct kmem_cache {
	unsigned int flags;
	unsigned int size;
	unsigned int object_size;
	struct kmem_cache_order_objects oo;
	unsigned int align;
	const char *name;
	struct kmem_cache_node *node[1024];
};

struct kmem_cache_per_node_ptrs {
	struct kmem_cache_node *node;
};

struct kmem_cache___7_2 {
	struct kmem_cache_per_node_ptrs per_node[1024];
};

struct kmem_cache_node {
	unsigned long nr_partial;
	struct list_head partial;
	atomic64_t nr_slabs, total_objects;
};

struct slab {
	struct list_head slab_list;
	unsigned int inuse: 16, objects: 15;
};

struct dma_buf {
	unsigned long size;
	struct file *file;
	const char *exp_name;
	const char *name;
};

#pragma clang attribute pop

/* The first fields in every kernel. */
struct tty_file_private {
	struct tty_struct *tty;
	struct file *file;
};

/* The name is the first field in every kernel. A relocation here would displace one of super_block's: +1 ms (docs/speed.md). */
struct vm_special_mapping {
	const char *name;
};

/*
 * The contexts of the iterators. Programs inside the kernel source rely on these offsets, so the offsets do not change.
 * Relocating each of these types would make a load 0.4 ms longer.
 */

struct bpf_iter_meta {
	struct seq_file *seq;
	u64 session_id;
	u64 seq_num;
};

struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
};

struct bpf_iter__task_file {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
	u32 fd;
	struct file *file;
};

struct bpf_iter__tcp {
	struct bpf_iter_meta *meta;
	struct sock_common *sk_common;
	u32 uid;
};

struct bpf_iter__udp {
	struct bpf_iter_meta *meta;
	struct udp_sock *udp_sk;
	u32 uid;
};

struct bpf_iter__unix {
	struct bpf_iter_meta *meta;
	struct unix_sock *unix_sk;
	u32 uid;
};

struct bpf_iter__netlink {
	struct bpf_iter_meta *meta;
	struct netlink_sock *sk;
};

struct bpf_iter__ipv6_route {
	struct bpf_iter_meta *meta;
	struct fib6_info *rt;
};

struct bpf_iter__bpf_map {
	struct bpf_iter_meta *meta;
	struct bpf_map *map;
};

struct bpf_iter__bpf_map_elem {
	struct bpf_iter_meta *meta;
	struct bpf_map *map;
	void *key;
	void *value;
};

struct bpf_iter__sockmap {
	struct bpf_iter_meta *meta;
	struct bpf_map *map;
	void *key;
	struct sock *sk;
};

struct bpf_iter__bpf_sk_storage_map {
	struct bpf_iter_meta *meta;
	struct bpf_map *map;
	struct sock *sk;
	void *value;
};

struct bpf_iter__bpf_prog {
	struct bpf_iter_meta *meta;
	struct bpf_prog *prog;
};

struct bpf_iter__bpf_link {
	struct bpf_iter_meta *meta;
	struct bpf_link *link;
};

struct bpf_iter__ksym {
	struct bpf_iter_meta *meta;
	struct kallsym_iter *ksym;
};

struct bpf_iter__kmem_cache {
	struct bpf_iter_meta *meta;
	struct kmem_cache *s;
};

struct bpf_iter__dmabuf {
	struct bpf_iter_meta *meta;
	struct dma_buf *dmabuf;
};

struct bpf_iter__task_vma {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
	struct vm_area_struct *vma;
};

struct bpf_iter__cgroup {
	struct bpf_iter_meta *meta;
	struct cgroup *cgroup;
};

#endif
