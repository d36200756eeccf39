// SPDX-License-Identifier: BSD-2-Clause
/** Compares tables with other files of the kernel, for processes, files and sockets that the suite made. */

import { dlopen, ptr } from "bun:ffi";
import fs from "node:fs";
import { dirname } from "node:path";
import type { Query } from "../../src/query/plan.ts";

// deno-lint-ignore no-explicit-any
export type Row = Record<string, any>;

/** A process that the suite started. */
export interface Kid {
  pid: number;
  end(): void;
}

/** What the suite has made. */
export interface Surroundings {
  folder: string;
  kids: Kid[];
  /** The process with the hostile name, and that name as JSON and CSV (decoded) and the beginning of it in text. */
  hostile: { pid: number; json: string; text: string };
  /** A file with a long path, and this process's descriptors of it. */
  long: string;
  many: number[];
  /** DMA buffers, where the kernel lets a process make some. */
  buffers: number[];
  /** Sockets that listen. */
  port: number;
  socketPath: string;
  end(): void;
}

type Read = (query?: Partial<Query>) => Row[];

/** Throws when the table is wrong; returns why the comparison could not be made. */
export type Witness = (read: Read, around: Surroundings) => void | string;

/** Compares what can be written as JSON, and shows where it begins to differ. */
export function same(actual: unknown, expected: unknown, what: string): void {
  const [a, b] = [JSON.stringify(actual) ?? "undefined", JSON.stringify(expected) ?? "undefined"];
  if (a === b) return;
  let at = 0;
  while (a[at] === b[at]) at++;
  const [from, to] = [Math.max(0, at - 100), at + 200];
  throw new Error(`${what}: ${from > 0 ? "..." : ""}${a.slice(from, to)} instead of ${b.slice(from, to)}`);
}

const text = (path: string): string => fs.readFileSync(path, "utf8");
const words = (line: string): string[] => line.trim().split(/\s+/);
const lines = (path: string): string[] => text(path).split("\n").filter(Boolean);

/** The values of /proc/PID/status. */
function status(pid: number): Record<string, string> {
  return Object.fromEntries(
    lines(`/proc/${pid}/status`).map((line) => line.split(":\t")).map(([key, value]) => [key, value?.trim()]),
  );
}

/** The login of a process that nobody logged in for. */
const NOBODY = 2 ** 32 - 1;

/** By the numbers of sched_setscheduler(2), which /proc/PID/stat has. */
const POLICIES = ["OTHER", "FIFO", "RR", "BATCH", undefined, "IDLE", "DEADLINE", "EXT"];

/** The fields of /proc/PID/stat from the third one on, the state; the one before it may hold anything. */
const stat = (pid: number): string[] => words(text(`/proc/${pid}/stat`).replace(/^.*\) /s, ""));

/** The namespace that a link of /proc names. */
const namespace = (link: string): number => Number(/\d+/.exec(fs.readlinkSync(link))![0]);

/** The columns that every table of tasks has; `uid` is `task_uid` where another uid is in the row. */
function ofTask(row: Row, pid: number, uid = "uid"): void {
  const facts = status(pid);
  same(
    [row.ppid, row[uid], row.exe, row.net_ns, row.ns_pid],
    [
      Number(facts.PPid),
      Number(words(facts.Uid!)[1]),
      fs.readlinkSync(`/proc/${pid}/exe`),
      namespace(`/proc/${pid}/ns/net`),
      Number(words(facts.NStgid!).at(-1)),
    ],
    `ppid, uid, exe, net_ns, ns_pid of ${pid}`,
  );
  const group = lines(`/proc/${pid}/cgroup`).find((line) => line.startsWith("0::"))?.slice(3);
  if (group !== undefined) same(row.cgroup, group, "cgroup");
}

/** The owner of a socket that only this process has. */
function isOurs(row: Row | undefined, what: string): void {
  same([row?.pid, row?.owners, row?.ns_pid, row?.comm], [process.pid, 1, process.pid, text("/proc/self/comm").trim()], what);
  same(fs.readlinkSync(`/proc/self/fd/${row!.fd}`), `socket:[${row!.ino}]`, `descriptor of ${what}`);
  same([row!.exe, row!.ppid, row!.task_uid], [fs.readlinkSync("/proc/self/exe"), process.ppid, 0], `exe, ppid, uid of ${what}`);
}

/** Control groups that runtimes would make for containers, with the container and the pod. */
const ID = "4f8c2a0b9d1e7f63a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0abcd";
const CONTAINERS = [
  [`suite/docker-${ID}.scope/init.scope`, "4f8c2a0b9d1e", null],
  [`suite/pod7d5f8a1c-3b2e-4c6d-9e0f-a1b2c3d4e5f6/${ID}`, "4f8c2a0b9d1e", "7d5f8a1c-3b2e-4c6d-9e0f-a1b2c3d4e5f6"],
  ["suite/machine-my\\x2dweb.scope/payload", "my-web", null],
  ["suite/lxc.payload.web", "web", null],
] as const;

/** Puts the process into such groups, one after the other. */
function containers(read: Read, pid: number): void {
  const root = lines("/proc/self/mounts").map((line) => words(line)).find((mount) => mount[2] === "cgroup2")?.[1];
  if (root === undefined) return;
  const named = () => read({ pid }).map(({ container, pod }) => [container, pod]);
  for (const [path, container, pod] of CONTAINERS) {
    fs.mkdirSync(`${root}/${path}`, { recursive: true });
    try {
      fs.writeFileSync(`${root}/${path}/cgroup.procs`, String(pid));
      same(named(), [[container, pod]], path);
    } finally {
      fs.writeFileSync(`${root}/cgroup.procs`, String(pid));
      for (let group: string = path; group !== "."; group = dirname(group)) fs.rmdirSync(`${root}/${group}`);
    }
  }
  same(named(), [[null, null]], "the root group");
}

/** A path as /proc/PID/fd shows it, where all is UTF-8. */
function descriptors(pid: number): [number, string][] {
  return fs.readdirSync(`/proc/${pid}/fd`).map(Number).toSorted((a, b) => a - b)
    .map((fd) => [fd, fs.readlinkSync(`/proc/${pid}/fd/${fd}`)]);
}

/** An IPv4 or IPv6 address of /proc/net, whose words are as the machine has them. */
const port = (address: string): number => parseInt(address.split(":")[1]!, 16);

export const witnesses: Record<string, Witness> = {
  stacks(read, { kids }) {
    if (!fs.existsSync("/proc/self/stack")) return "this kernel has no /proc/PID/stack";
    const framesOf = (pid: number) => lines(`/proc/${pid}/stack`).map((line) => line.replace(/^\[<0>\] /, ""));
    const stacks = (): Map<number, [frames: string, switches: string]> =>
      new Map(
        fs.readdirSync("/proc").map(Number).filter((pid) => pid > 0 && pid !== process.pid).flatMap((pid) => {
          try {
            const { voluntary_ctxt_switches, nonvoluntary_ctxt_switches } = status(pid);
            return [[pid, [`${framesOf(pid)}`, `${voluntary_ctxt_switches} ${nonvoluntary_ctxt_switches}`]]];
          } catch {
            return []; // It is gone, or nobody may look at it.
          }
        }),
      );
    // The kernel's processes too: many sleep in the same place. Some move meanwhile.
    const before = stacks();
    const rows = read().filter(({ pid, tid }) => pid === tid);
    const after = stacks();
    const still = rows.filter(({ pid }) => before.get(pid)?.[0] && before.get(pid)![1] === after.get(pid)?.[1]);
    same(still.map(({ pid, frames }) => [pid, `${frames}`]), still.map(({ pid }) => [pid, before.get(pid)![0]]), "stacks");
    if (still.length < 20) throw new Error(`only ${still.length} of ${rows.length} processes sleep where they slept`);
    for (const { pid } of kids) {
      const frames = framesOf(pid);
      const rows = read({ pid });
      same(rows.map((row) => [row.pid, row.tid, row.frames]), [[pid, pid, frames]], `stack of ${pid}`);
      same(rows[0]!.depth, frames.length, "depth");
      same(rows[0]!.state, stat(pid)[0], "state");
      ofTask(rows[0]!, pid);
    }
  },
  files(read, { kids }) {
    for (const { pid } of kids) {
      const rows = read({ pid });
      same(rows.map((row) => [row.fd, row.path]), descriptors(pid), `descriptors of ${pid}`);
      for (const row of rows) {
        ofTask(row, pid, "task_uid");
        const info = Object.fromEntries(lines(`/proc/${pid}/fdinfo/${row.fd}`).map((line) => words(line.replace(":", " "))));
        same([row.pos, row.flags], [Number(info.pos), parseInt(info.flags!, 8)], `position and flags of ${row.path}`);
        const { ino, size, uid, nlink } = fs.statSync(`/proc/${pid}/fd/${row.fd}`);
        same(
          [row.ino, row.uid, row.deleted],
          [ino, uid, nlink === 0 && row.type === "REG"],
          `inode, owner, links of ${row.path}`,
        );
        if (row.type === "REG") same(row.size, size, `size of ${row.path}`);
      }
    }
    // Of this process, what is behind BPF objects and eventfds, and a pidfd of it.
    const pidfd = system().syscall(SYS_PIDFD_OPEN, process.pid, 0);
    // A terminal needs a file system of terminals.
    const master = fs.existsSync("/dev/pts/ptmx") ? fs.openSync("/dev/ptmx", "r+") : -1;
    MAPS.elems!({} as Surroundings);
    let objects = 0;
    for (const row of read({ pid: process.pid })) {
      // The reading itself had descriptors, which are gone.
      if (!fs.existsSync(`/proc/self/fdinfo/${row.fd}`)) continue;
      const info = Object.fromEntries(lines(`/proc/self/fdinfo/${row.fd}`).map((line) => words(line.replace(":", " "))));
      const bpf = /^anon_inode:(bpf-map|bpf-prog|bpf_link|btf)$/.test(row.path);
      objects += Number(bpf);
      const id = info.link_id ?? info.map_id ?? info.prog_id ?? info.btf_id;
      same(
        [row.bpf_id, row.eventfd_count, row.pidfd_pid],
        [
          bpf && id !== undefined ? Number(id) : bpf ? row.bpf_id : null,
          row.path === "anon_inode:[eventfd]" ? row.eventfd_count : null,
          Number(info.Pid) > 0 ? Number(info.Pid) : null,
        ],
        `what is behind ${row.path}`,
      );
      if (row.fd === pidfd) same(row.pidfd_pid, process.pid, "process of a pidfd");
      if (row.fd === master) same(row.tty, `ptm${info["tty-index"] ?? row.tty?.slice(3)}`, "terminal");
    }
    if (objects === 0) throw new Error("no BPF object among this process's descriptors");
    for (const fd of [pidfd, master]) if (fd >= 0) fs.closeSync(fd);
  },
  tasks(read, { kids }) {
    for (const { pid } of kids) {
      const [row, ...others] = read({ pid });
      const [facts, fields] = [status(pid), stat(pid)];
      same(others, [], "a second row");
      same(
        [row!.pid, row!.tid, row!.ppid, row!.uid, row!.state, row!.gid, row!.pgid, row!.sid],
        [
          pid,
          pid,
          Number(facts.PPid),
          Number(words(facts.Uid!)[0]),
          fields[0],
          Number(words(facts.Gid!)[0]),
          +fields[2]!,
          +fields[3]!,
        ],
        `pid, tid, ppid, uid, state, gid, pgid, sid of ${pid}`,
      );
      same(
        [row!.prio, row!.nice, row!.threads, row!.policy],
        [+fields[15]!, +fields[16]!, +fields[17]!, POLICIES[+fields[38]!]],
        "prio, nice, threads, policy",
      );
      same([row!.minflt, row!.majflt], [+fields[7]!, +fields[9]!], "faults");
      same(row!.vsize_kb, +fields[20]! / 1024, "vsize_kb");
      same([row!.nvcsw, row!.nivcsw], [facts.voluntary_ctxt_switches, facts.nonvoluntary_ctxt_switches].map(Number), "switches");
      const argv = text(`/proc/${pid}/cmdline`).replaceAll("\0", " ").trimEnd();
      if (row!.cmdline !== null) same(row!.cmdline, argv, "cmdline");
      if (row!.exe !== null) same(row!.exe, fs.readlinkSync(`/proc/${pid}/exe`), "exe");
      for (const [column, file] of [["pid_ns", "pid"], ["mnt_ns", "mnt"], ["net_ns", "net"], ["user_ns", "user"]] as const) {
        same(row![column], namespace(`/proc/${pid}/ns/${file}`), column);
      }
      ofTask(row!, pid);
      same([row!.cwd, row!.root], ["cwd", "root"].map((name) => fs.readlinkSync(`/proc/${pid}/${name}`)), "cwd, root");
      same(row!.oom_score_adj, Number(text(`/proc/${pid}/oom_score_adj`)), "oom_score_adj");
      same(
        [row!.seccomp, row!.no_new_privs, row!.cap_eff],
        [
          facts.Seccomp === undefined ? null : ["DISABLED", "STRICT", "FILTER"][Number(facts.Seccomp)],
          facts.NoNewPrivs === "1",
          `0x${BigInt(`0x${facts.CapEff}`).toString(16)}`,
        ],
        "seccomp, no_new_privs, cap_eff",
      );
      const login = fs.existsSync(`/proc/${pid}/loginuid`) ? Number(text(`/proc/${pid}/loginuid`)) : NOBODY;
      same(row!.loginuid, login === NOBODY ? null : login, "loginuid");
      same(row!.fds, fs.readdirSync(`/proc/${pid}/fd`).length, "fds");
      const limit = words(lines(`/proc/${pid}/limits`).find((line) => line.startsWith("Max open files"))!)[3];
      same(row!.nofile, limit === "unlimited" ? null : Number(limit), "nofile");
      const io = fs.existsSync(`/proc/${pid}/io`)
        ? Object.fromEntries(lines(`/proc/${pid}/io`).map((line) => line.split(": ")))
        : { read_bytes: null, write_bytes: null };
      same(
        [row!.io_read_bytes, row!.io_write_bytes].map(String),
        [io.read_bytes, io.write_bytes].map(String),
        "bytes read and written",
      );
      const now = Number(words(text("/proc/uptime"))[0]) * 1e9;
      const then = row!.start_ns + row!.age_ns;
      if (then > now + 1e7 || then < now - 60e9) throw new Error(`age_ns: ${row!.age_ns} since ${row!.start_ns}, now ${now}`);
    }
    containers(read, kids[0]!.pid);
  },
  vmas(read, { kids }) {
    for (const { pid } of kids) {
      const rows = read({ pid });
      const maps = lines(`/proc/${pid}/maps`).map((line) => words(line)).filter((parts) => parts[5] !== "[vsyscall]");
      same(
        rows.map((row) => [Number(row.start), Number(row.end), row.perms, Number(row.offset), row.ino ?? 0]),
        maps.map(([range, perms, offset, , ino]) => {
          const [start, end] = range!.split("-").map((word) => parseInt(word, 16));
          return [start, end, perms, parseInt(offset!, 16), Number(ino)];
        }),
        `memory of ${pid}`,
      );
      ofTask(rows[0]!, pid);
    }
  },
  tcp(read, around) {
    const fields = lines("/proc/net/tcp").slice(1).map(words).filter((field) =>
      port(field[1]!) === around.port && field[3] === "0A"
    );
    same(
      read({ where: `state == LISTEN && local_port == ${around.port}` }).map((
        row,
      ) => [row.local_port, row.uid, row.ino, row.local_addr]),
      fields.map((field) => [around.port, Number(field[7]), Number(field[9]), "127.0.0.1"]),
      "listening socket",
    );
    isOurs(read({ where: `state == LISTEN && local_port == ${around.port} && pid == ${process.pid}` })[0], "listening socket");
  },
  udp(read) {
    const expected = ["/proc/net/udp", "/proc/net/udp6"].filter((path) => fs.existsSync(path))
      .flatMap((path) => lines(path).slice(1).map(words)).map((field) => [port(field[1]!), Number(field[9])]);
    same(read().map((row) => [row.local_port, row.ino]).toSorted(), expected.toSorted(), "sockets");
    isOurs(read({ pid: process.pid })[0], "the suite's socket");
  },
  unix(read, { socketPath }) {
    const expected = lines("/proc/net/unix").slice(1).map(words).filter((field) => field[7] === socketPath);
    same(
      read({ where: `path == ${JSON.stringify(socketPath)}` }).map((row) => row.ino),
      expected.map((field) => Number(field[6])),
      "sockets",
    );
    isOurs(read({ where: `path == ${JSON.stringify(socketPath)}` })[0], "listening socket");
  },
  netlink(read) {
    const [AF_NETLINK, SOCK_RAW] = [16, 3];
    const descriptor = system().socket(AF_NETLINK, SOCK_RAW, 0);
    // Gives it a port, without which no table has it.
    system().connect(descriptor, new Uint8Array([AF_NETLINK, ...Array(11).fill(0)]), 12);
    try {
      isOurs(read({ where: `ino == ${fs.fstatSync(descriptor).ino}` })[0], "a netlink socket");
      same(read({ where: "portid == 0 && pid != null" }).filter(({ ino }) => ino === 0), [], "owners of the kernel's sockets");
    } finally {
      fs.closeSync(descriptor);
    }
    const expected = lines("/proc/net/netlink").slice(1).map(words).map((field) => [+field[2]!, Number(field[9])]);
    same(read().map((row) => [row.portid, row.ino]).toSorted(), expected.toSorted(), "sockets");
  },
  routes(read) {
    if (!fs.existsSync("/proc/net/ipv6_route")) return "this kernel has no IPv6";
    const expected = lines("/proc/net/ipv6_route").map(words).map((
      field,
    ) => [parseInt(field[1]!, 16), parseInt(field[5]!, 16), field[9]]);
    same(read().map((row) => [row.prefix_len, Number(row.metric), row.device]).toSorted(), expected.toSorted(), "routes");
  },
  ksyms(read) {
    const expected = lines("/proc/kallsyms").map(words).filter((field) => !field[3]).map((field) => field[2]);
    const actual = read({ where: "module == null", columns: ["name"] }).map((row) => row.name);
    same([actual.length, actual[0], actual.at(-1)], [expected.length, expected[0], expected.at(-1)], "symbols");
    // The last symbol of a program, said again at the walk's end.
    same(read({ where: 'name ~ "bpf_prog_*" && module ~ "__builtin__*"' }), [], "programs that are in no module bpf");
  },
  slabs(read) {
    const expected = lines("/proc/slabinfo").slice(2).map(words).map((field) => field[0]!);
    const names = new Set(read().map((row) => row.name));
    same(expected.filter((name) => !names.has(name)), [], "caches that are missing");
    // Objects come and go meanwhile: those caches count whose line is the same before and after.
    const facts = () =>
      new Map(
        lines("/proc/slabinfo").slice(2).map(words).map((field) => [field[0]!, [field[1], field[2], field[14]].map(Number)]),
      );
    const before = facts();
    const rows = read();
    const after = facts();
    const still = rows.filter(({ name }) => before.has(name) && `${before.get(name)}` === `${after.get(name)}`);
    const different = still.filter(({ name, active_objs, num_objs, num_slabs }) =>
      `${[active_objs, num_objs, num_slabs]}` !== `${before.get(name)}`
    );
    // Some change and change back.
    if (different.length > 3) {
      throw new Error(
        `objects in use, objects, slabs: ${JSON.stringify(different.slice(0, 4))}, /proc: ${before.get(different[0]!.name)}`,
      );
    }
    if (still.length < rows.length / 3) throw new Error(`only ${still.length} of ${rows.length} caches stayed as they were`);
    same(rows.map(({ memory }) => memory), rows.map(({ num_slabs, order }) => num_slabs * 4096 * 2 ** order), "memory");
  },
  dmabufs(read, { buffers }) {
    if (buffers.length === 0) return "this kernel has no /dev/udmabuf";
    const expected = buffers.map((fd) => {
      const facts = Object.fromEntries(lines(`/proc/self/fdinfo/${fd}`).map((line) => line.split(/:\s+/)));
      return { ino: fs.fstatSync(fd).ino, size: Number(facts.size), name: facts.name ?? null, exporter: facts.exp_name };
    });
    same(expected.map(({ size, name }) => [size, name]), [[8192, BUFFER_NAME], [12288, null]], "fdinfo");
    const rows = read();
    same(rows.toSorted((a, b) => a.size - b.size), expected, "buffers");
    same(read({ where: `name == ${JSON.stringify(BUFFER_NAME)} && exporter == udmabuf` }), [expected[0]], "that with a name");
    same(read({ where: `ino == ${expected[1]!.ino} && name == null` }), [expected[1]], "that without one");
    const bufinfo = "/sys/kernel/debug/dma_buf/bufinfo";
    if (!fs.existsSync(bufinfo)) return;
    // Lines of size, flags, mode, count, exporter, inode and name; those of devices that have a buffer are indented.
    const others = lines(bufinfo).map((line) => line.split("\t")).filter((field) => /^[0-9]+$/.test(field[0]!));
    same(
      rows.map(({ size, exporter, ino, name }) => [size, exporter, ino, name ?? "<none>"]).toSorted(),
      others.map((field) => [Number(field[0]), field[4], Number(field[5]), field[6]]).toSorted(),
      "buffers, as in debugfs",
    );
  },
  maps(read, around) {
    const id = MAPS.elems!(around);
    same(
      read({ where: `id == ${id}` }).map((row) => [
        ...[row.id, row.type, row.key_size, row.value_size, row.max_entries],
        ...[row.pid, row.owners, row.comm, row.exe],
      ]),
      [[id, "hash", 4, 8, 16, process.pid, 1, text("/proc/self/comm").trim(), fs.readlinkSync("/proc/self/exe")]],
      "the map that the suite made",
    );
  },
  elems(read) {
    same(read(), [{ key: "07070707", value: "09".repeat(8) }], "elements");
    same(read({ map: typedMap() }), [{ key: 7, value: -9 }], "elements with types");
    same(read({ map: typedMap(), where: "value == -9" }), [{ key: 7, value: -9 }], "elements with types, by the value");
    same(read({ map: typedMap(), where: "value == 9" }), [], "elements with types, by another value");
  },
  progs(read) {
    const own = read({ where: "name == dump && type == tracing" });
    if (!own.some(({ pid }) => pid === process.pid)) throw new Error("the program of this reading has another owner");
    const maps = own.map(({ map_ids }) => map_ids);
    if (!maps.some((ids) => ids.length >= 2)) throw new Error(`the program of this reading uses maps ${JSON.stringify(maps)}`);
  },
  links(read) {
    const own = read({ where: "type == iter && target == bpf_link" });
    if (own.length === 0) throw new Error("the link of this reading is missing");
    same(own.map(({ prog_id }) => prog_id > 0), own.map(() => true), "program of the link");
    if (!own.some(({ pid }) => pid === process.pid)) throw new Error("the link of this reading has another owner");
  },
  sockmap(read, around) {
    const facts = (
      { key, family, state, remote_addr, remote_port, ino }: Row,
    ) => [key, family, state, remote_addr, remote_port, ino];
    const { ino } = fs.fstatSync(connection(around));
    same(
      read().map(facts),
      [["03000000", "INET", "ESTABLISHED", "127.0.0.1", around.port, ino]],
      "the socket that was put there",
    );
  },
  "sk-storage"(read, around) {
    const rows = read();
    const { ino } = fs.fstatSync(connection(around));
    if (rows.length === 0 && !/\bcx16\b/.test(fs.readFileSync("/proc/cpuinfo", "utf8"))) {
      return "the emulated processor has no cmpxchg16b";
    }
    same(rows, [{ ino, value: "07000000" }], "the socket with something stored");
  },
  cgroups(read) {
    const root = lines("/proc/self/mounts").map((line) => words(line)).find((mount) => mount[2] === "cgroup2")?.[1];
    if (root === undefined) return "no cgroup2 is mounted";
    const below = (path: string): string[] => [
      path,
      ...fs.readdirSync(path, { withFileTypes: true }).filter((entry) => entry.isDirectory()).flatMap(({ name }) =>
        below(`${path}/${name}`)
      ),
    ];
    const expected = below(root).map((path) => fs.statSync(path).ino);
    same(read().map((row) => row.id).toSorted(), expected.toSorted(), "control groups");
  },
};

/* --- DMA buffers and descriptors --- */

const system = () =>
  dlopen("libc.so.6", {
    memfd_create: { args: ["ptr", "u32"], returns: "i32" },
    ioctl: { args: ["i32", "u64", "ptr"], returns: "i32" },
    fcntl: { args: ["i32", "i32", "i64"], returns: "i32" },
    getrlimit: { args: ["i32", "ptr"], returns: "i32" },
    setrlimit: { args: ["i32", "ptr"], returns: "i32" },
    syscall: { args: ["i64", "i32", "u32"], returns: "i32" },
    socket: { args: ["i32", "i32", "i32"], returns: "i32" },
    connect: { args: ["i32", "ptr", "u32"], returns: "i32" },
  }).symbols;

const BUFFER_NAME = 'of "the suite"';

/** Two buffers, of two pages and three, the first with a name, where the kernel lets a process make some (linux/udmabuf.h). */
export function makeBuffers(): number[] {
  if (!fs.existsSync("/dev/udmabuf")) return [];
  const [MFD_CLOEXEC, MFD_ALLOW_SEALING, F_ADD_SEALS, F_SEAL_SHRINK] = [1, 2, 1033, 2];
  const [UDMABUF_CREATE, UDMABUF_FLAGS_CLOEXEC, DMA_BUF_SET_NAME] = [0x40187542, 1, 0x40086201];
  const [libc, device] = [system(), fs.openSync("/dev/udmabuf", "r+")];
  const text = (string: string) => new TextEncoder().encode(`${string}\0`);
  const buffers = [2, 3].map((pages) => {
    const memory = libc.memfd_create(text("suite"), MFD_CLOEXEC | MFD_ALLOW_SEALING);
    fs.ftruncateSync(memory, pages * 4096);
    libc.fcntl(memory, F_ADD_SEALS, F_SEAL_SHRINK);
    const create = new DataView(new ArrayBuffer(24)); // memfd, flags, offset, size
    create.setUint32(0, memory, true);
    create.setUint32(4, UDMABUF_FLAGS_CLOEXEC, true);
    create.setBigUint64(16, BigInt(pages * 4096), true);
    const buffer = libc.ioctl(device, UDMABUF_CREATE, new Uint8Array(create.buffer));
    if (buffer < 0) throw new Error("UDMABUF_CREATE failed");
    fs.closeSync(memory);
    return buffer;
  });
  fs.closeSync(device);
  if (libc.ioctl(buffers[0]!, DMA_BUF_SET_NAME, text(BUFFER_NAME)) < 0) throw new Error("DMA_BUF_SET_NAME failed");
  return buffers;
}

/** As many descriptors more of this process, none of which a child gets, while `use` runs; or why that cannot be. */
export function withDescriptors(count: number, use: (made: number[]) => void): void | string {
  const [RLIMIT_NOFILE, F_DUPFD_CLOEXEC] = [7, 1030];
  const libc = system();
  const old = new BigUint64Array(2);
  libc.getrlimit(RLIMIT_NOFILE, old);
  const needed = BigInt(count + 10_000);
  if (libc.setrlimit(RLIMIT_NOFILE, new BigUint64Array([needed, needed > old[1]! ? needed : old[1]!])) < 0) {
    return `a process may have ${old[1]} descriptors here`;
  }
  const made: number[] = [];
  try {
    while (made.length < count) {
      const fd = libc.fcntl(0, F_DUPFD_CLOEXEC, 3);
      if (fd < 0) throw new Error(`no descriptor after ${made.length} more`);
      made.push(fd);
    }
    use(made);
  } finally {
    for (const fd of made) fs.closeSync(fd);
    libc.setrlimit(RLIMIT_NOFILE, old);
  }
}

/* --- BPF maps --- */

const SYS_PIDFD_OPEN = 434;
const BPF_MAP_CREATE = 0;
const BPF_MAP_UPDATE_ELEM = 2;
const BPF_OBJ_GET_INFO_BY_FD = 15;
const BPF_BTF_LOAD = 18;
const SYS_BPF = process.arch === "arm64" ? 280 : 321;

let libc: { syscall(number: number, command: number, attr: Uint8Array, size: number): number } | undefined;

/** bpf(2) with the attributes as 32-bit words, or a buffer's address as two of them. */
function bpf(command: number, parts: (number | Uint8Array)[]): number {
  libc ??= dlopen("libc.so.6", { syscall: { args: ["i64", "i32", "ptr", "u32"], returns: "i32" } })
    .symbols as unknown as NonNullable<typeof libc>;
  const attr = new Uint32Array(32);
  let at = 0;
  for (const part of parts) {
    if (typeof part === "number") attr[at++] = part;
    else new BigUint64Array(attr.buffer)[at / 2] = BigInt(ptr(part)), at += 2;
  }
  const result = libc.syscall(SYS_BPF, command, new Uint8Array(attr.buffer), attr.byteLength);
  if (result < 0) throw new Error(`bpf(${command}) failed`);
  return result;
}

/** The ID of the map behind a descriptor. */
function idOf(fd: number): number {
  const info = new Uint8Array(88);
  bpf(BPF_OBJ_GET_INFO_BY_FD, [fd, info.length, info]);
  return new DataView(info.buffer).getUint32(4, true);
}

/** BTF with one type: 1, int, of four bytes. */
function btf(): number {
  const strings = "\0int\0";
  const bytes = new Uint8Array(24 + 16 + strings.length);
  const view = new DataView(bytes.buffer);
  [0x0001eb9f, 24, 0, 16, 16, strings.length].forEach((word, i) => view.setUint32(i * 4, word, true));
  [1, 1 << 24, 4, 1 << 24 | 32].forEach((word, i) => view.setUint32(24 + i * 4, word, true));
  bytes.set(new TextEncoder().encode(strings), 40);
  return bpf(BPF_BTF_LOAD, [bytes, 0, 0, bytes.length, 0, 0]);
}

/** Made once each, and held by this process. */
const made = new Map<string, number>();

function once(name: string, make: () => number): number {
  const id = made.get(name) ?? make();
  made.set(name, id);
  return id;
}

/** The ID of a hash whose BTF says that its keys and values are of type int. */
const typedMap = (): number =>
  once("typed", () => {
    const fd = bpf(BPF_MAP_CREATE, [1, 4, 4, 16, 0, 0, 0, 0, 0, 0, 0, 0, btf(), 1, 1]);
    bpf(BPF_MAP_UPDATE_ELEM, [fd, 0, bytesOf(7), bytesOf(-9 >>> 0), 0, 0]);
    return idOf(fd);
  });

/** For tables that read one map: the ID of one that they can read. */
export const MAPS: Record<string, ((around: Surroundings) => number) | undefined> = {
  elems: () =>
    once("elems", () => {
      const fd = bpf(BPF_MAP_CREATE, [1, 4, 8, 16, 0]); // BPF_MAP_TYPE_HASH
      bpf(BPF_MAP_UPDATE_ELEM, [fd, 0, new Uint8Array(4).fill(7), new Uint8Array(8).fill(9), 0, 0]);
      return idOf(fd);
    }),
  sockmap: (around) =>
    once("sockmap", () => {
      const fd = bpf(BPF_MAP_CREATE, [15, 4, 8, 16, 0]); // BPF_MAP_TYPE_SOCKMAP
      bpf(BPF_MAP_UPDATE_ELEM, [fd, 0, bytesOf(3), bytesOf(connection(around), 0), 0, 0]);
      return idOf(fd);
    }),
  "sk-storage": (around) =>
    once("sk-storage", () => {
      // BPF_MAP_TYPE_SK_STORAGE, BPF_F_NO_PREALLOC, which needs types
      const fd = bpf(BPF_MAP_CREATE, [24, 4, 4, 0, 1, 0, 0, 0, 0, 0, 0, 0, btf(), 1, 1]);
      try {
        bpf(BPF_MAP_UPDATE_ELEM, [fd, 0, bytesOf(connection(around)), bytesOf(7), 0, 0]);
      } catch { /* The newest kernels store by kmalloc_nolock, which gives nothing without cmpxchg16b (machine.ts). */ }
      return idOf(fd);
    }),
};

const bytesOf = (...words: number[]) => new Uint8Array(new Uint32Array(words).buffer);

/** Descriptor of a TCP connection to the suite's server. */
const connection = ({ port }: Surroundings): number =>
  once("connection", () => {
    const [AF_INET, SOCK_STREAM, SOCK_CLOEXEC] = [2, 1, 0o2000000];
    const libc = system();
    const fd = libc.socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const address = new Uint8Array([AF_INET, 0, port >> 8, port & 0xff, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
    if (fd < 0 || libc.connect(fd, address, address.length) < 0) throw new Error("no connection");
    return fd;
  });
