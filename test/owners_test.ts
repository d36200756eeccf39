// SPDX-License-Identifier: BSD-2-Clause
/** The owners of sockets and BPF objects, against ss and the descriptors in /proc. */

import { deepStrictEqual as equal, match, ok, throws } from "node:assert";
import { mkdirSync, readdirSync, readFileSync, readlinkSync, rmdirSync } from "node:fs";
import { TaskIterError } from "../src/errors.ts";
import { libraries } from "../src/mod.ts";
import { load as loadProgram } from "../src/native/load.ts";
import { query as QUERY } from "../src/query/layout.gen.ts";
import { plan, type Query } from "../src/query/plan.ts";
import type { Request } from "../src/query/request.ts";
import { chunks } from "../src/stream.ts";
import { cgroupRoot, executable, Fixture, type Row, rows, run, taskIter, TemporaryFolder } from "./support.ts";

const SOCKETS = ["tcp", "udp", "unix", "netlink"];
const COLUMNS = "pid comm fd owners ppid task_uid exe cgroup container pod ns_pid".split(" ");

const byText = (list: Row[]) => list.map((row) => JSON.stringify(row)).sort();

/** The descriptors of sockets in folders of /proc: inode to [pid, fd], in order. */
function holders(...tasks: [pid: number, folder: string][]): Map<number, [number, number][]> {
  const found = new Map<number, [number, number][]>();
  for (const [pid, folder] of tasks) {
    for (const fd of readdirSync(`/proc/${folder}/fd`).map(Number)) {
      const ino = Number(/^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${folder}/fd/${fd}`))?.[1] ?? 0);
      if (ino) found.set(ino, [...found.get(ino) ?? [], [pid, fd]]);
    }
  }
  for (const list of found.values()) list.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  return found;
}

/** The columns of the owner that /proc gives a process. */
function facts(pid: number): Row {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  const number = (pattern: RegExp) => Number(pattern.exec(status)![1]);
  return {
    comm: readFileSync(`/proc/${pid}/comm`, "utf8").trimEnd(),
    ppid: number(/^PPid:\t(\d+)/m),
    task_uid: number(/^Uid:\t\d+\t(\d+)/m),
    exe: readlinkSync(`/proc/${pid}/exe`),
    cgroup: /^0::(.*)$/m.exec(readFileSync(`/proc/${pid}/cgroup`, "utf8"))![1],
    container: null,
    pod: null,
    ns_pid: pid,
  };
}

function expected(ino: number | null, held: Map<number, [number, number][]>): Row {
  const list = held.get(ino ?? 0) ?? [];
  const nothing = Object.fromEntries(COLUMNS.map((name) => [name, null]));
  if (list.length === 0) return { ...nothing, owners: 0 };
  const [pid, fd] = list[0]!;
  return { pid, fd, owners: list.length, ...facts(pid) };
}

const inColumns = (row: Row) => Object.fromEntries(["ino", ...COLUMNS].map((name) => [name, row[name]]));

/** Reads a request's rows; `passes` times, of which the last counts. */
function read(request: Request, passes = 1): Row[] {
  using program = loadProgram(libraries, request);
  let text = "";
  for (let i = 0; i < passes; i++) {
    text = "";
    for (const chunk of chunks(program.walk, "json")) text += new TextDecoder().decode(chunk);
  }
  return JSON.parse(text);
}

Deno.test("sockets have the owner's columns, after their own and when asked for", () => {
  for (const table of SOCKETS) {
    const columns = rows("tables", table).map(({ column }) => column);
    equal(columns.slice(columns.indexOf("pid")), COLUMNS, table);
    equal(rows("tables", table).filter((row) => COLUMNS.includes(row.column) && row.default), [], table);
  }
});

Deno.test("a socket's owner is what ss and /proc/PID/fd say: tcp, udp, unix, netlink", async () => {
  using folder = new TemporaryFolder();
  for (const mode of [["inet"], ["unix", `${folder.path}/socket`, `${folder.path}/`.padEnd(108, "x")]]) {
    await using fixture = await Fixture.start(mode[0]!, ...mode.slice(1));
    const { pid } = fixture;
    const held = holders([pid, String(pid)]);
    const inside = (...args: string[]) => run("nsenter", ["--net", "--target", String(pid), "--", ...args]).stdout;
    for (const table of SOCKETS) {
      const found = rows(table, "--netns", String(pid), `--columns=ino,${COLUMNS}`);
      equal(byText(found), byText(found.map(({ ino }) => inColumns({ ino, ...expected(ino, held) }))), table);
      const flag = { tcp: "-HOtanep", udp: "-HOuanep", unix: "-HOxanp", netlink: "" }[table];
      if (!flag) continue;
      const said = inside("ss", flag).trimEnd().split("\n").filter((line) => line.includes("users:")).map((line) => {
        const [, comm, pid, fd] = /users:\(\("(.*?)",pid=(\d+),fd=(\d+)\)\)/.exec(line)!;
        return { comm, pid: Number(pid), fd: Number(fd) };
      });
      const owned = found.filter(({ owners }) => owners > 0).map(({ comm, pid, fd }) => ({ comm, pid, fd }));
      equal(byText(owned), byText(said), table);
    }
    const timewait = rows("tcp", "--netns", String(pid), `--columns=state,${COLUMNS}`, "--where=state == TIME_WAIT");
    for (const row of timewait) equal([row.pid, row.owners], [null, 0]);
    equal(timewait.length, mode[0] === "inet" ? 1 : 0);
  }
});

Deno.test("owners count descriptors of every process, thread and table; sockets on their way have none", async () => {
  await using fixture = await Fixture.start("holders");
  const { pid, facts: made } = fixture;
  const { child, tid } = made;
  const held = holders([pid, String(pid)], [child, String(child)], [pid, `${pid}/task/${tid}`]);
  const read = (table: string, ...args: string[]) => rows(table, "--netns", String(pid), `--columns=ino,${COLUMNS}`, ...args);
  for (const table of SOCKETS) {
    const found = read(table);
    ok(found.length > 0);
    for (const row of found) {
      const { comm, ...want } = expected(row.ino, held);
      const { ino: _, comm: name, ...have } = row;
      equal(have, Object.fromEntries(Object.keys(have).map((key) => [key, want[key]])), table);
      ok(comm === null ? name === null : ["fixture", "the child"].includes(name));
    }
  }
  const of = (table: string, name: string) => read(table, `--where=ino == ${made[name].ino}`)[0]!;
  const who = ({ pid, owners }: Row) => [pid, owners];
  // Twice in the process, the child and the thread's own table.
  equal(who(of("tcp", "shared")), [pid, 6]);
  equal(of("tcp", "shared").fd, made.shared.fd);
  equal(who(of("netlink", "netlink")), [pid, 3]);
  equal([who(of("udp", "given")), of("udp", "given").comm], [[child, 1], "the child"]);
  equal(who(of("udp", "sent")), [null, 0]);
  equal(who(of("udp", "thread")), [pid, 1]);
  equal(who(of("unix", "childs")), [child, 1]);

  // A process that is asked for is shown where it holds the socket, whoever else does.
  equal(read("tcp", `--pid=${child}`).map(({ pid, owners, comm }) => [pid, owners, comm]), [[child, 6, "the child"]]);
  equal(read("tcp", `--where=pid == ${pid} && owners > 5`).map(who), [[pid, 6]]);
  equal(read("tcp", "--where=pid == 1"), []);
  equal(read("udp", "--where=ns_pid == pid").length, 2);
  equal(taskIter("udp", "--netns", String(pid), "--columns=ino", "--where=fd < owners", "-f", "jsonl").stdout, "");
  equal(read("udp", "--comm=the child").map(({ ino }) => ino), [made.given.ino]);
  equal(read("udp", "--where=owners == 0").map(({ ino }) => ino), [made.sent.ino]);
  const count = taskIter("check", "udp", "--netns", String(pid), "--comm", "the child", "--crit=1:1");
  match(count.stdout, /^UDP OK - 1 UDP socket/);
});

Deno.test("owners are looked up in every format, by every program, in all network namespaces, and anew in each pass", async () => {
  await using one = await Fixture.start("holders");
  await using two = await Fixture.start("holders");
  const pids = [one.pid, one.facts.child, two.pid, two.facts.child];
  const where = `pid in (${pids})`;
  const each = [one, two].flatMap(({ pid }) =>
    rows("udp", "--netns", String(pid), `--columns=ino,netns,${COLUMNS}`, "--where", where)
  );
  equal(each.length, 4);
  equal(byText(rows("udp", "--netns=all", `--columns=ino,netns,${COLUMNS}`, "--where", where)), byText(each));
  const query: Query = { table: "udp", netns: "all", columns: ["ino", "netns", ...COLUMNS], where };
  const { request } = plan(query, "json");
  equal([request.full, request.prepare], [true, true]);
  for (const libbpf of [false, true]) equal(byText(read({ ...request, libbpf }, 3)), byText(each), `libbpf ${libbpf}`);

  const args = ["udp", "--netns", String(one.pid), "-c", "pid,fd,owners", "-w", where];
  const sorted = (lines: string[]) => lines.map((line) => line.trim().split(/[ ,]+/).join(" ")).sort();
  const json = rows(...args).map(({ pid, fd, owners }) => `${pid} ${fd} ${owners}`).sort();
  equal(sorted(taskIter(...args, "-f", "csv").stdout.trimEnd().split("\n").slice(1)), json);
  equal(sorted(taskIter(...args, "--no-header").stdout.trimEnd().split("\n")), json);
  const passes = taskIter(...args, "-f", "jsonl", "--interval=10ms", "--count=3").stdout.trimEnd().split("\n")
    .map((line) => JSON.parse(line)).map(({ pid, fd, owners }) => `${pid} ${fd} ${owners}`);
  equal(passes.sort(), json.flatMap((line) => [line, line, line]).sort());
});

Deno.test("a pass forgets the owners of the pass before it", async () => {
  await using fixture = await Fixture.start("many-sockets", "3000");
  const { request } = plan({ table: "unix", columns: ["ino"], where: "pid == null", netns: String(fixture.pid) }, "json");
  // Room for one pass, not for two with other sockets in each.
  const query = request.query.slice();
  new DataView(query.buffer).setUint32(QUERY.owners_max, 5500, true);
  for (const libbpf of [false, true]) {
    using program = loadProgram(libraries, { ...request, query, libbpf });
    for (let i = 0; i < 3; i++) {
      let text = "";
      for (const chunk of chunks(program.walk, "json")) text += new TextDecoder().decode(chunk);
      equal([JSON.parse(text), program.walk.progress().walked], [[], 3000]);
      await fixture.tell("again");
    }
  }
});

Deno.test("too many sockets for the map of owners is an error, not a row without its owner", async () => {
  await using fixture = await Fixture.start("many-sockets", "600");
  const { request } = plan({ table: "unix", columns: ["ino"], where: "pid == null", netns: String(fixture.pid) }, "json");
  const small = request.query.slice();
  new DataView(small.buffer).setUint32(QUERY.owners_max, 100, true);
  for (const libbpf of [false, true]) {
    throws(() => read({ ...request, query: small, libbpf }), (error) => {
      ok(error instanceof TaskIterError);
      match(error.message, /^too many owners for their map, by \d+: read again$/);
      return true;
    });
  }
  equal(read(request), []);
});

Deno.test("in a pid namespace, owners are numbered as there, and processes outside own nothing", async () => {
  await using fixture = await Fixture.start("holders");
  const command = ["unshare", "--pid", "--fork", "--mount-proc", executable, "udp", "--columns=pid,owners", "--format=json"];
  const { stdout, stderr } = run("nsenter", ["--net", `--target=${fixture.pid}`, "--", ...command]);
  equal(JSON.parse(stdout || stderr), Array(3).fill({ pid: null, owners: 0 }));
});

const OBJECTS = { maps: ["map", "bpf-map"], progs: ["prog", "bpf-prog"], links: ["link", "bpf_link"] } as const;

/** The descriptors of BPF objects in /proc: ID to [pid, fd], in order. */
function objectHolders([kind, inode]: readonly [string, string]): Map<number, [number, number][]> {
  const found = new Map<number, [number, number][]>();
  for (const pid of readdirSync("/proc").map(Number).filter((pid) => pid > 0).toSorted((a, b) => a - b)) {
    try {
      for (const fd of readdirSync(`/proc/${pid}/fd`).map(Number).toSorted((a, b) => a - b)) {
        if (readlinkSync(`/proc/${pid}/fd/${fd}`) !== `anon_inode:${inode}`) continue;
        const info = readFileSync(`/proc/${pid}/fdinfo/${fd}`, "utf8");
        const id = Number(new RegExp(`^${kind}_id:\\s+(\\d+)$`, "m").exec(info)![1]);
        found.set(id, [...found.get(id) ?? [], [pid, fd]]);
      }
    } catch { /* The process, or its descriptor, has gone. */ }
  }
  return found;
}

Deno.test("maps, progs and links know the processes that hold them, as /proc does", async () => {
  const group = `${cgroupRoot}/task-iter-test-${Deno.pid}`;
  mkdirSync(group);
  try {
    await using _maps = await Fixture.start("maps");
    await using _programs = await Fixture.start("programs");
    await using _links = await Fixture.start("links", group, executable);
    for (const [table, kind] of Object.entries(OBJECTS)) {
      const held = objectHolders(kind);
      ok(held.size > 1, `${table}: ${held.size} are held`);
      const names = ["id", "pid", "comm", "fd", "owners", "exe", "container", "pod", "ns_pid"];
      const ids = [...held.keys()];
      const expected = ids.map((id) => {
        const list = held.get(id)!;
        const [pid, fd] = list[0]!;
        const { comm, exe, container, pod, ns_pid } = facts(pid);
        return { id, pid, comm, fd, owners: list.length, exe, container, pod, ns_pid };
      });
      const { request } = plan({ table, columns: names, where: `id in (${ids.join(", ")})` }, "json");
      for (const libbpf of [false, true]) {
        equal(byText(read({ ...request, libbpf })), byText(expected), `${table} libbpf ${libbpf}`);
      }
      const one = expected[0]!;
      equal(rows(table, "--columns=id,pid", "--pid", String(one.pid), "--where", `id == ${one.id}`), [{
        id: one.id,
        pid: one.pid,
      }]);
    }
    // What only the kernel or a pin holds has no owner.
    const free = rows("progs", "--columns=id,pid,fd,comm,owners", "--where", "owners == 0");
    for (const { id, ...row } of free) equal(row, { pid: null, fd: null, comm: null, owners: 0 }, String(id));
  } finally {
    rmdirSync(group);
  }
});

Deno.test("a pinned query does not look up owners, and says so", () => {
  throws(() => plan({ table: "tcp", columns: ["pid"] }, "csv", false, "the query"), {
    name: "UsageError",
    message: /^a pinned query cannot look up owners: /,
  });
  equal(plan({ table: "tcp" }, "csv", false, "the query").request.prepare, false);
});
