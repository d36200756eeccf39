// SPDX-License-Identifier: BSD-2-Clause
// Generated from bpf/tables by scripts/generate.ts.
// deno-fmt-ignore-file
import type { ColumnType } from "./schema.ts";

type Column = readonly [string, boolean, number, string, ColumnType, readonly (readonly [number, string])[]];
export const generated: readonly (readonly [string, string, string, string, string, readonly Column[]])[] = [
  ["dmabufs", "dmabuf", "6.16", "DMA buffers", "Buffers that drivers and processes share (dma-buf).", [
    ["ino",true,10,"Inode number, as fstat gives it for the buffer's descriptors.","number",[]],
    ["size",true,12,"Size in bytes.","number",[]],
    ["name",true,16,"Name that user space gave it; none for most.","string",[]],
    ["exporter",true,16,"Driver or heap that exports it.","string",[]],
  ]],
  ["elems", "bpf_map_elem", "5.9", "elements", "Elements of one BPF map (--map): a hash or an array, also per CPU.", [
    ["key",true,16,"Key, two hexadecimal digits for each byte; cut where it would overfill the row.","long",[]],
    ["value",true,32,"Value, likewise; of a per-CPU map, those of all possible CPUs joined by \";\".","long",[]],
  ]],
  ["files", "task_file", "5.8", "file descriptors", "Open file descriptors of every process.", [
    ["comm",true,16,"Name of the thread that holds the descriptor table.","string",[]],
    ["pid",true,8,"Process ID.","number",[]],
    ["tid",true,8,"Thread ID.","number",[]],
    ["fd",true,6,"File descriptor number.","number",[]],
    ["type",true,4,"Type of file; ANON is an anonymous inode (epoll, eventfd, bpf ...).","enum",[[0,"ANON"],[1,"FIFO"],[2,"CHR"],[4,"DIR"],[6,"BLK"],[8,"REG"],[10,"LNK"],[12,"SOCK"]]],
    ["mode",true,4,"Access: r, w, or - in their place.","string",[]],
    ["path",true,40,"Path, as /proc/PID/fd shows it.","long",[]],
    ["file_ops",true,24,"Symbol of the file's operations; where the kernel keeps none for data, of one of them.","symbol",[]],
    ["flags",false,8,"Flags, as in /proc/PID/fdinfo (O_* bits).","number",[]],
    ["pos",false,12,"Position in bytes.","signed",[]],
    ["ino",false,10,"Inode number.","number",[]],
    ["dev",false,7,"Device of the file system, major:minor.","string",[]],
    ["size",false,12,"Size in bytes.","signed",[]],
    ["uid",false,6,"User ID of the file's owner.","number",[]],
    ["deleted",false,7,"Whether its name has been unlinked.","boolean",[]],
  ]],
  ["ksyms", "ksym", "6.0", "kernel symbols", "Symbols of the kernel, its modules and BPF programs.", [
    ["name",true,40,"Name of the symbol.","string",[]],
    ["type",true,4,"Type letter, as in /proc/kallsyms and nm: t or T is code.","string",[]],
    ["module",true,16,"Module that it is in (bpf: a program); none for the kernel itself.","string",[]],
  ]],
  ["links", "bpf_link", "5.19", "BPF links", "BPF links: what ties programs to where they run.", [
    ["id",true,6,"ID of the link.","number",[]],
    ["type",true,14,"Type, as bpftool names it.","enum",[[0,"unspec"],[1,"raw_tracepoint"],[2,"tracing"],[3,"cgroup"],[4,"iter"],[5,"netns"],[6,"xdp"],[7,"perf_event"],[8,"kprobe_multi"],[9,"struct_ops"],[10,"netfilter"],[11,"tcx"],[12,"uprobe_multi"],[13,"netkit"],[14,"sockmap"]]],
    ["prog_id",true,7,"ID of its program; a struct_ops link has none.","number",[]],
  ]],
  ["maps", "bpf_map", "5.8", "BPF maps", "BPF maps in the kernel.", [
    ["id",true,6,"ID of the map.","number",[]],
    ["type",true,16,"Type, as bpftool names it.","enum",[[0,"unspec"],[1,"hash"],[2,"array"],[3,"prog_array"],[4,"perf_event_array"],[5,"percpu_hash"],[6,"percpu_array"],[7,"stack_trace"],[8,"cgroup_array"],[9,"lru_hash"],[10,"lru_percpu_hash"],[11,"lpm_trie"],[12,"array_of_maps"],[13,"hash_of_maps"],[14,"devmap"],[15,"sockmap"],[16,"cpumap"],[17,"xskmap"],[18,"sockhash"],[19,"cgroup_storage"],[20,"reuseport_sockarray"],[21,"percpu_cgroup_storage"],[22,"queue"],[23,"stack"],[24,"sk_storage"],[25,"devmap_hash"],[26,"struct_ops"],[27,"ringbuf"],[28,"inode_storage"],[29,"task_storage"],[30,"bloom_filter"],[31,"user_ringbuf"],[32,"cgrp_storage"],[33,"arena"],[34,"insn_array"]]],
    ["name",true,15,"Name, at most 15 bytes; empty for a map without one.","string",[]],
    ["key_size",true,8,"Size of a key in bytes.","number",[]],
    ["value_size",true,10,"Size of a value in bytes; of a per-CPU map, on each CPU.","number",[]],
    ["max_entries",true,11,"Elements that it has room for; of a ring buffer, bytes.","number",[]],
    ["flags",true,6,"Flags it was made with (BPF_F_* bits).","number",[]],
    ["refcnt",false,6,"References: file descriptors, pins, programs, other maps.","number",[]],
    ["frozen",false,6,"Whether user space may write to it no more.","boolean",[]],
    ["btf_id",false,6,"ID of the BTF that describes its keys and values.","number",[]],
  ]],
  ["progs", "bpf_prog", "5.9", "BPF programs", "BPF programs in the kernel.", [
    ["id",true,6,"ID of the program.","number",[]],
    ["type",true,16,"Type, as bpftool names it.","enum",[[0,"unspec"],[1,"socket_filter"],[2,"kprobe"],[3,"sched_cls"],[4,"sched_act"],[5,"tracepoint"],[6,"xdp"],[7,"perf_event"],[8,"cgroup_skb"],[9,"cgroup_sock"],[10,"lwt_in"],[11,"lwt_out"],[12,"lwt_xmit"],[13,"sock_ops"],[14,"sk_skb"],[15,"cgroup_device"],[16,"sk_msg"],[17,"raw_tracepoint"],[18,"cgroup_sock_addr"],[19,"lwt_seg6local"],[20,"lirc_mode2"],[21,"sk_reuseport"],[22,"flow_dissector"],[23,"cgroup_sysctl"],[24,"raw_tracepoint_writable"],[25,"cgroup_sockopt"],[26,"tracing"],[27,"struct_ops"],[28,"ext"],[29,"lsm"],[30,"sk_lookup"],[31,"syscall"],[32,"netfilter"]]],
    ["name",true,15,"Name, at most 15 bytes; empty for a program without one.","string",[]],
    ["tag",true,16,"Hash of its instructions, in hexadecimal digits.","string",[]],
    ["attach_func",true,24,"Function that a program of its type (tracing, lsm, ext ...) is for.","string",[]],
    ["verified_insns",false,14,"Instructions that the verifier walked (Linux 5.16).","number",[]],
    ["jited_len",false,9,"Bytes of machine code; 0 when it is interpreted.","number",[]],
    ["xlated_len",false,10,"Bytes of BPF instructions after the verifier.","number",[]],
    ["load_ns",false,15,"When it was loaded, in ns since boot.","number",[]],
    ["btf_id",false,6,"ID of the BTF that describes it.","number",[]],
    ["sleepable",false,9,"Whether it may sleep.","boolean",[]],
  ]],
  ["sk-storage", "bpf_sk_storage_map", "5.9", "sockets", "Values that one BPF map of type sk_storage (--map) keeps for sockets.", [
    ["ino",true,10,"Inode number of the socket; none for one without a descriptor (not accepted yet, orphaned).","number",[]],
    ["value",true,32,"Value, two hexadecimal digits for each byte; cut where it would overfill the row.","long",[]],
  ]],
  ["slabs", "kmem_cache", "6.13", "slab caches", "Caches of the kernel's slab allocator.", [
    ["name",true,24,"Name of the cache.","string",[]],
    ["object_size",true,11,"Size of an object in bytes.","number",[]],
    ["size",true,8,"Bytes that an object takes, with what surrounds it.","number",[]],
    ["align",true,5,"Alignment of an object in bytes.","number",[]],
    ["objects_per_slab",true,16,"Objects of a slab.","number",[]],
    ["flags",false,10,"Flags (SLAB_* bits).","number",[]],
    ["order",false,5,"A slab takes two to the power of this of pages.","number",[]],
  ]],
  ["stacks", "task", "5.8", "task stacks", "Kernel stacks of all threads.", [
    ["comm",true,16,"Name of the thread.","string",[]],
    ["pid",true,8,"Process ID.","number",[]],
    ["tid",true,8,"Thread ID.","number",[]],
    ["frames",true,40,"Kernel stack, innermost frame first: symbol+0xoffset/0xsize.","frames",[]],
    ["state",false,5,"State, as ps shows it.","enum",[[0,"R"],[1,"S"],[2,"D"],[3,"T"],[4,"t"],[5,"X"],[6,"Z"],[7,"P"],[8,"I"]]],
    ["depth",false,5,"Number of frames, at most 64.","number",[]],
    ["wchan",false,24,"Kernel function that the thread sleeps in.","symbol",[]],
  ]],
];
