/* SPDX-License-Identifier: GPL-2.0-only */
/* progs.bpf.c -- BPF programs, one row each */
#include "../engine/table.h"
#define HELD "bpf-prog"
#define HELD_ID(prog) BPF_CORE_READ((struct bpf_prog *)(prog), aux, id)
#include "../subjects/owners.h"
#ifdef FULL_COLUMNS
#include "../subjects/per_cpu.h"
#endif

/* The words of bpftool. */
#define PROG_TYPES(W) W(0, unspec) W(1, socket_filter) W(2, kprobe) W(3, sched_cls) W(4, sched_act) W(5, tracepoint) \
	W(6, xdp) W(7, perf_event) W(8, cgroup_skb) W(9, cgroup_sock) W(10, lwt_in) W(11, lwt_out) W(12, lwt_xmit) \
	W(13, sock_ops) W(14, sk_skb) W(15, cgroup_device) W(16, sk_msg) W(17, raw_tracepoint) W(18, cgroup_sock_addr) \
	W(19, lwt_seg6local) W(20, lirc_mode2) W(21, sk_reuseport) W(22, flow_dissector) W(23, cgroup_sysctl) \
	W(24, raw_tracepoint_writable) W(25, cgroup_sockopt) W(26, tracing) W(27, struct_ops) W(28, ext) W(29, lsm) \
	W(30, sk_lookup) W(31, syscall) W(32, netfilter)

#define COLUMNS(COL, MORE)                                                   \
	COL(id, U64, 6, aux->id, "ID of the program.")                       \
	COL(type, ENUM(PROG_TYPES), 16, prog->type, "Type, as bpftool names it.") \
	COL(name, NAME, 15, name_of(aux), "Name, at most 15 bytes; empty for a program without one.") \
	COL(tag, TEXT, 16, tag_of(prog), "Hash of its instructions, in hexadecimal digits.") \
	COL(attach_func, STR, 24, attach_func_of(aux), "Function that a program of its type (tracing, lsm, ext ...) is for.") \
	MORE(verified_insns, U64, 14, HAS_VERIFIED_INSNS ? verified_insns_5_16(aux) : ABSENT, "Instructions that the verifier walked (Linux 5.16).") \
	MORE(jited_len, U64, 9, jited_len_of(prog), "Bytes of machine code; 0 when it is interpreted.") \
	MORE(xlated_len, U64, 10, prog->len * 8, "Bytes of BPF instructions after the verifier.") \
	MORE(load_ns, U64, 15, aux->load_time, "When it was loaded, in ns since boot.") \
	MORE(btf_id, U64, 6, aux->btf->id ?: ABSENT, "ID of the BTF that describes it.") \
	MORE(sleepable, BOOL, 9, is_sleepable(prog), "Whether it may sleep.") \
	MORE(run_cnt, FULL(COSTLY), 10, HAVE_PARTS ? (sum_stats(ADDRESS(prog)), run_cnt) : ABSENT, "How often it has run while kernel.bpf_stats_enabled was 1, on all CPUs; Linux 5.19 or later.") \
	MORE(run_time_ns, FULL(COSTLY), 14, HAVE_PARTS ? (sum_stats(ADDRESS(prog)), run_time_ns) : ABSENT, "How long it has run meanwhile; Linux 5.19 or later.") \
	MORE(map_ids, FULL(NUMBERS), 16, map_ids_of(aux), "IDs of the maps that it uses.") \
	OBJECT_OWNER_COLUMNS(MORE)

#define IDENTITY(I) I(id)

TABLE(progs, "bpf_prog", "5.9", "BPF programs", "BPF programs in the kernel.")

DEFINE_OWNERS

DEFINE_WORDS(PROG_TYPES);

#define name_of(aux) name_text(WORD((aux)->name), WORD((aux)->name + 8))

static __always_inline struct text tag_of(struct bpf_prog *prog)
{
	struct text text = {
		.low = eight_hex(__builtin_bswap32(((u32 *)prog->tag)[0])),
		.high = eight_hex(__builtin_bswap32(((u32 *)prog->tag)[1])),
		.length = 16,
	};

	return text;
}

/* Most types have no function. The helper would clear its 512 bytes for NULL. */
static __always_inline long attach_func_of(struct bpf_prog_aux *aux)
{
	const char *name = aux->attach_func_name;

	return name ? bpf_probe_read_kernel_str(source, 512, name) - 1 : NO_STRING;
}

/* Each is a function of its own: the compiler must not move the access into code that kernels without the field run. */
static __noinline u32 verified_insns_5_16(struct bpf_prog_aux *aux)
{
	return BPF_CORE_READ(aux, verified_insns);
}

#define HAS_VERIFIED_INSNS bpf_core_field_exists(aux->verified_insns)

static __noinline bool sleepable_before_6_9(struct bpf_prog_aux___6_8 *aux)
{
	return BPF_CORE_READ(aux, sleepable);
}

static __noinline bool sleepable_6_9(struct bpf_prog *prog)
{
	return BPF_CORE_READ_BITFIELD_PROBED(prog, sleepable);
}

static __always_inline bool is_sleepable(struct bpf_prog *prog)
{
	return bpf_core_field_exists(prog->sleepable) ? sleepable_6_9(prog) : sleepable_before_6_9((void *)prog->aux);
}

#define MAX_SUBPROGS 256		/* the verifier's BPF_MAX_SUBPROGS */

/* A program with subprograms has the code of each in func, the main one first; its own length is that of the main one. */
static __noinline u32 jited_len_of(struct bpf_prog *prog)
{
	struct bpf_prog_aux *aux = prog->aux;
	u32 count = aux->func_cnt;
	struct bpf_prog *func;
	u32 sum = 0;

	if (!count)
		return prog->jited_len;
	for (u32 i = 0; i < MAX_SUBPROGS && i < count; i++) {
		if (bpf_probe_read_kernel(&func, sizeof(func), aux->func + i))
			break;
		sum += BPF_CORE_READ(func, jited_len);
	}
	return sum;
}

#ifdef FULL_COLUMNS
static u64 run_cnt, run_time_ns, stats_of_all;

BODY(add_stats)
{
	struct {
		u64 cnt, nsecs;
	} stats = {};			/* the first fields of struct bpf_prog_stats in every kernel */

	if (i >= query.cpus)
		return 1;
	bpf_probe_read_kernel(&stats, sizeof(stats), (void *)stats_of_all + offset_of_cpu(i));
	run_cnt += stats.cnt;
	run_time_ns += stats.nsecs;
	return 0;
}

GLOBAL int sum_stats(u64 address)
{
	struct bpf_prog *prog = (void *)address;
	void *base = bpf_core_field_exists(prog->stats) ? (void *)prog : (void *)BPF_CORE_READ(prog, aux);
	u64 offset;

	if (bpf_core_field_exists(prog->stats))
		offset = OFFSET(struct bpf_prog, stats);
	else
		offset = OFFSET(struct bpf_prog_aux___5_11, stats);
	run_cnt = run_time_ns = stats_of_all = 0;
	bpf_probe_read_kernel(&stats_of_all, sizeof(stats_of_all), base + offset);
	LOOP(8192, add_stats);		/* NR_CPUS at most */
	return 0;
}

static u64 used_maps;
static u32 used_map_count;

BODY(collect_map_id)
{
	struct bpf_map *map = NULL;

	if (i >= used_map_count)
		return 1;
	bpf_probe_read_kernel(&map, sizeof(map), (void *)(used_maps + i * sizeof(map)));
	listed[i & (MAX_LISTED - 1)] = BPF_CORE_READ(map, id);
	return 0;
}

/* A program uses at most 64 maps (MAX_USED_MAPS). */
static __noinline u32 map_ids_of(struct bpf_prog_aux *aux)
{
	used_maps = ADDRESS(aux->used_maps);
	used_map_count = aux->used_map_cnt;
	LOOP(MAX_LISTED, collect_map_id);
	return used_map_count < MAX_LISTED ? used_map_count : MAX_LISTED;
}
#endif

SEC("iter/bpf_prog")
int dump(struct bpf_iter__bpf_prog *ctx)
{
	struct seq_file *seq = ctx->meta->seq;
	struct bpf_prog *prog = ctx->prog;
	struct bpf_prog_aux *aux;

	if (!prog)
		return 0;
	aux = prog->aux;
	START_WALK(ctx);
	FIND_OWNER(prog, HELD_ID(prog));
	RETURN_UNLESS_KEPT;
	WRITE_ROW;
	return 0;
}
