// SPDX-License-Identifier: BSD-2-Clause
import { deepStrictEqual as equal, ok } from "node:assert";
import { mkdirSync, readdirSync, readFileSync, readlinkSync, rmdirSync, statSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { libraries } from "../src/mod.ts";
import { load as loadProgram } from "../src/native/load.ts";
import { plan } from "../src/query/plan.ts";
import { chunks } from "../src/stream.ts";
import { cgroupRoot, executable, Fixture, type Row, rows, run } from "./support.ts";

const COLUMNS =
  "pid tid ppid uid state comm gid pgid sid nice prio policy cpu threads utime_ns stime_ns start_ns vsize_kb rss_kb " +
  "minflt majflt nvcsw nivcsw wchan cmdline exe cgroup_id cgroup pid_ns mnt_ns net_ns user_ns kthread oom_score_adj " +
  "seccomp no_new_privs cap_eff loginuid fds nofile io_read_bytes io_write_bytes age_ns " +
  "container pod ns_pid cwd root";
const PAGE_KB = Number(run("getconf", ["PAGESIZE"]).stdout) / 1024;
const TICK_NS = 1e9 / Number(run("getconf", ["CLK_TCK"]).stdout);

const proc = (path: string): string => readFileSync(`/proc/${path}`, "utf8");

/** The fields of /proc/PID/task/TID/stat by their numbers in proc_pid_stat(5). */
function statOf(pid: number, tid: number): string[] {
  const [, comm, rest] = /^[0-9]+ \((.*)\) (.*)\n$/s.exec(proc(`${pid}/task/${tid}/stat`))!;
  return ["", String(tid), comm!, ...rest!.split(" ")];
}

function statusOf(pid: number, tid: number): Record<string, string> {
  const lines = proc(`${pid}/task/${tid}/status`).trimEnd().split("\n");
  return Object.fromEntries(lines.map((line) => line.split(/:\s*/, 2) as [string, string]));
}

const namespaceOf = (path: string): number => Number(/\[([0-9]+)\]/.exec(readlinkSync(`/proc/${path}`))![1]);
const cgroupOf = (pid: number): string => /^0::(.*)$/m.exec(proc(`${pid}/cgroup`))![1]!;

/** The user who logged in; 2^32 - 1 says that nobody did. */
function loginOf(pid: number): number | null {
  const login = Number(proc(`${pid}/loginuid`));
  return login === 2 ** 32 - 1 ? null : login;
}

/** The soft limit of descriptors, without one `null`. */
function softLimit(pid: number): number | null {
  const limit = /^Max open files +(\S+)/m.exec(proc(`${pid}/limits`))![1]!;
  return limit === "unlimited" ? null : Number(limit);
}

const byTid = (left: Row, right: Row) => left.tid - right.tid;

/** What /proc says, without the numbers that differ from one look to the next. */
function expected(pid: number, tid: number): Row {
  const stat = statOf(pid, tid);
  const status = statusOf(pid, tid);
  return {
    pid,
    tid,
    ppid: Number(status.PPid),
    uid: Number(status.Uid!.split("\t")[1]),
    state: stat[3],
    comm: stat[2],
    gid: Number(status.Gid!.split("\t")[1]),
    pgid: Number(stat[5]),
    sid: Number(stat[6]),
    nice: Number(stat[19]),
    prio: Number(stat[18]),
    policy: ["OTHER", "FIFO", "RR", "BATCH", "", "IDLE", "DEADLINE", "EXT"][Number(stat[41])],
    cpu: Number(stat[39]),
    threads: Number(stat[20]),
    vsize_kb: Number(stat[23]) / 1024,
    minflt: Number(stat[10]),
    majflt: Number(stat[12]),
    nvcsw: Number(status.voluntary_ctxt_switches),
    nivcsw: Number(status.nonvoluntary_ctxt_switches),
    wchan: proc(`${pid}/task/${tid}/wchan`),
    cmdline: proc(`${pid}/cmdline`).replace(/\0$/, "").replaceAll("\0", " "),
    exe: readlinkSync(`/proc/${pid}/exe`),
    cgroup: cgroupOf(pid),
    pid_ns: namespaceOf(`${pid}/ns/pid`),
    mnt_ns: namespaceOf(`${pid}/ns/mnt`),
    net_ns: namespaceOf(`${pid}/ns/net`),
    user_ns: namespaceOf(`${pid}/ns/user`),
    kthread: false,
    oom_score_adj: Number(proc(`${pid}/oom_score_adj`)),
    seccomp: ["DISABLED", "STRICT", "FILTER"][Number(status.Seccomp)],
    no_new_privs: status.NoNewPrivs === "1",
    cap_eff: `0x${BigInt(`0x${status.CapEff}`).toString(16)}`,
    loginuid: loginOf(pid),
    fds: readdirSync(`/proc/${pid}/fd`).length,
    nofile: softLimit(pid),
    io_read_bytes: Number(/^read_bytes: (\d+)$/m.exec(proc(`${pid}/task/${tid}/io`))![1]),
    io_write_bytes: Number(/^write_bytes: (\d+)$/m.exec(proc(`${pid}/task/${tid}/io`))![1]),
    container: null,
    pod: null,
    ns_pid: Number(status.NStgid!.split("\t").at(-1)),
    cwd: readlinkSync(`/proc/${pid}/cwd`),
    root: readlinkSync(`/proc/${pid}/root`),
  };
}

Deno.test("tasks has the columns of its contract, in their order", () => {
  equal(Object.keys(rows("tasks", "--pid=2", "--columns=all")[0]!).join(" "), COLUMNS);
  equal(Object.keys(rows("tasks", "--pid=2")[0]!).join(" "), "pid tid ppid uid state comm");
});

Deno.test("tasks shows what /proc shows, a row for each thread", async () => {
  await using fixture = await Fixture.start("threads", "5");
  const { pid } = fixture;
  writeFileSync(`/proc/${pid}/oom_score_adj`, "77");
  equal(run("renice", ["-n", "3", "-p", String(pid)]).status, 0);
  const shown = rows("tasks", `--pid=${pid}`, "--columns=all").sort(byTid);
  const tids = readdirSync(`/proc/${pid}/task`).map(Number);
  equal(shown.length, 6);
  for (const [i, tid] of tids.entries()) {
    const { utime_ns, stime_ns, start_ns, rss_kb, cgroup_id, age_ns: _, ...stable } = shown[i]!;
    equal(stable, expected(pid, tid));
    const stat = statOf(pid, tid);
    equal(Math.floor(start_ns / TICK_NS), Number(stat[22]));
    // The kernel sums up a processor's pages when they are 32 or twice as many as processors, for each of three kinds.
    const cpus = availableParallelism();
    const uncounted = 3 * PAGE_KB * cpus * Math.max(32, 2 * cpus);
    ok(rss_kb > 0 && Math.abs(rss_kb - parseInt(statusOf(pid, tid).VmRSS!)) <= uncounted);
    ok(cgroup_id > 0 && utime_ns >= 0 && stime_ns >= 0);
  }
});

Deno.test("tasks shows secure computing, capabilities, the login and the limits of a process that has them", async () => {
  await using fixture = await Fixture.start("confined", "12345", "70", "200000");
  const { pid } = fixture;
  const [row] = rows("tasks", `--pid=${pid}`, "--columns=all");
  const { utime_ns: _u, stime_ns: _s, start_ns: _b, rss_kb: _r, cgroup_id: _c, age_ns: _a, ...stable } = row!;
  equal(stable, expected(pid, pid));
  const { seccomp, no_new_privs, cap_eff, loginuid, fds, nofile, io_write_bytes } = row!;
  equal(
    { seccomp, no_new_privs, cap_eff, loginuid, fds: fds > 70, nofile },
    { seccomp: "FILTER", no_new_privs: true, cap_eff: "0x400", loginuid: 12345, fds: true, nofile: 1000 },
  );
  ok(io_write_bytes >= 200_000);
  const by = `seccomp == FILTER && no_new_privs == true && cap_eff == 0x400 && loginuid == 12345 && nofile == 1000`;
  equal(rows("tasks", "--columns=pid", "--where", `${by} && fds > 70 && io_write_bytes > 199999`), [{ pid }]);
  equal(rows("tasks", "--columns=pid", "--where", `pid == ${pid} && (fds > ${fds} || nofile > 1000)`), []);
});

Deno.test("tasks counts the descriptors of a large table", async () => {
  await using fixture = await Fixture.start("many", "9000");
  const fds = readdirSync(`/proc/${fixture.pid}/fd`).length;
  equal(rows("tasks", `--pid=${fixture.pid}`, "--columns=fds"), [{ fds }]);
  equal(rows("tasks", "--pid=2", "--columns=fds"), [{ fds: 0 }]);
});

Deno.test("tasks shows how long ago a task began", async () => {
  await using fixture = await Fixture.start("threads", "0");
  const sinceBoot = () => Number(proc("uptime").split(" ")[0]) * 1e9;
  const before = sinceBoot();
  const [row] = rows("tasks", `--pid=${fixture.pid}`, "--columns=start_ns,age_ns");
  const now = row!.start_ns + row!.age_ns;
  ok(now >= before && now <= sinceBoot() + 1e7, "/proc/uptime has hundredths of a second");
  equal(rows("tasks", "--columns=pid", "--where", `pid == ${fixture.pid} && age_ns < ${row!.age_ns}`), []);
});

Deno.test("tasks shows processor time in nanoseconds", async () => {
  await using fixture = await Fixture.start("busy");
  const [row] = rows("tasks", `--pid=${fixture.pid}`, "--columns=utime_ns,stime_ns");
  const stat = statOf(fixture.pid, fixture.pid);
  const used = (Number(stat[14]) + Number(stat[15])) * TICK_NS;
  const shown = row!.utime_ns + row!.stime_ns;
  ok(shown > used / 3 && shown < used * 3, `${shown} ns, /proc has ${used}`);
});

Deno.test("tasks shows scheduling policies as words", async () => {
  await using fixture = await Fixture.start("threads", "0");
  const pid = String(fixture.pid);
  const policy = () => rows("tasks", `--pid=${pid}`, "--columns=policy,prio,nice")[0];
  for (const [option, level, word] of [["-b", "0", "BATCH"], ["-i", "0", "IDLE"], ["-f", "7", "FIFO"], ["-r", "9", "RR"]]) {
    equal(run("chrt", [option!, "-p", level!, pid]).status, 0);
    const stat = statOf(fixture.pid, fixture.pid);
    equal(policy(), { policy: word, prio: Number(stat[18]), nice: Number(stat[19]) });
  }
});

Deno.test("tasks has no memory, command line or namespaces for a zombie", async () => {
  await using fixture = await Fixture.start("zombie");
  const [row] = rows("tasks", `--pid=${fixture.facts.child}`, "--columns=all");
  const { ppid, state, vsize_kb, rss_kb, cmdline, exe, mnt_ns, net_ns, user_ns, kthread, fds } = row!;
  equal({ ppid, state, vsize_kb, rss_kb, cmdline, exe, mnt_ns, net_ns, user_ns, kthread, fds }, {
    ppid: fixture.pid,
    state: "Z",
    vsize_kb: null,
    rss_kb: null,
    cmdline: null,
    exe: null,
    mnt_ns: null,
    net_ns: null,
    user_ns: namespaceOf("self/ns/user"),
    kthread: false,
    fds: null,
  });
});

Deno.test("tasks knows threads of the kernel", () => {
  const [row] = rows("tasks", "--pid=2", "--columns=comm,ppid,vsize_kb,rss_kb,cmdline,exe,kthread");
  equal(row, { comm: "kthreadd", ppid: 0, vsize_kb: null, rss_kb: null, cmdline: null, exe: null, kthread: true });
});

Deno.test("tasks shows all threads of a process whose leader has exited", async () => {
  await using fixture = await Fixture.start("exited-leader");
  const shown = rows("tasks", `--pid=${fixture.pid}`, "--columns=tid,state").sort(byTid);
  const tids = readdirSync(`/proc/${fixture.pid}/task`).map(Number);
  equal(shown.map(({ tid }) => tid), tids);
  equal(shown[0]!.state, "Z");
});

Deno.test("tasks shows command lines as /proc does: blanks, titles, long ones", async () => {
  const cmdline = (pid: number) => rows("tasks", `--pid=${pid}`, "--columns=cmdline")[0]!.cmdline;
  for (const title of ["short", `long ${"x".repeat(200)}`]) {
    await using fixture = await Fixture.start("title", title, "more", "arguments");
    const shown = proc(`${fixture.pid}/cmdline`).replace(/\0$/, "").replaceAll("\0", " ");
    ok(shown.startsWith(title));
    equal(cmdline(fixture.pid), shown);
  }
  await using odd = await Fixture.start("threads", "0", "", "a b", 'quo"ted\nline\t\\', "\x1b[1m");
  equal(cmdline(odd.pid), proc(`${odd.pid}/cmdline`).slice(0, -1).replaceAll("\0", " "));
  await using long = await Fixture.start("threads", "0", "y".repeat(9000));
  equal(cmdline(long.pid), proc(`${long.pid}/cmdline`).replaceAll("\0", " ").slice(0, 4092) + "…");
  equal(rows("tasks", "--where", `cmdline ~ "*threads 0 yyy*" && comm == fixture`, "--columns=pid"), [{ pid: long.pid }]);
});

Deno.test("tasks numbers processes as the reader's pid namespace does", () => {
  // Outside it, and so without a number, are the group and session that the shell has come from.
  const command = `sleep 1000 & ${executable} tasks --columns=pid,ppid,pgid,sid --where='comm in (sh, sleep)' --format=json`;
  const { stdout } = run("unshare", ["--pid", "--fork", "--mount-proc", "--kill-child", "sh", "-c", `${command}; true`]);
  equal(JSON.parse(stdout), [{ pid: 1, ppid: 0, pgid: 0, sid: 0 }, { pid: 2, ppid: 1, pgid: 0, sid: 0 }]);
});

Deno.test("tasks shows the control group as /proc does, from inside a cgroup namespace too", async () => {
  const name = `task-iter-test-${Deno.pid}`;
  const folder = `${cgroupRoot}/${name}`;
  mkdirSync(`${folder}/inner`, { recursive: true });
  try {
    await using fixture = await Fixture.start("threads", "0");
    writeFileSync(`${folder}/inner/cgroup.procs`, String(fixture.pid));
    const options = [`--pid=${fixture.pid}`, "--columns=cgroup,cgroup_id", "--format=json"];
    const inner = { cgroup: cgroupOf(fixture.pid), cgroup_id: statSync(`${folder}/inner`).ino };
    ok(inner.cgroup.endsWith(`/${name}/inner`));
    equal(rows("tasks", ...options), [inner]);
    // A namespace whose root is beside the fixture's group, then one whose root is above it.
    for (const [group, path] of [["beside", "/../inner"], ["", "/inner"]]) {
      mkdirSync(`${folder}/${group}`, { recursive: true });
      const script = `echo $$ > ${folder}/${group}/cgroup.procs; exec unshare --cgroup ` +
        `sh -c 'cat /proc/${fixture.pid}/cgroup >&2; exec "$@"' sh "$@"`;
      const { stdout, stderr } = run("sh", ["-c", script, "sh", executable, "tasks", ...options]);
      ok(stderr.includes(`0::${path}\n`), stderr);
      equal(JSON.parse(stdout), [{ ...inner, cgroup: path }]);
    }
  } finally {
    rmdirSync(`${folder}/inner`);
    rmdirSync(`${folder}/beside`);
    rmdirSync(folder);
  }
});

Deno.test("tasks, vmas and cgroups load without a light skeleton, and say the same", async () => {
  await using fixture = await Fixture.start("threads", "1");
  const queries = [
    { table: "tasks", where: `pid == ${fixture.pid}`, columns: COLUMNS.split(" ").filter((name) => name !== "age_ns") },
    { table: "vmas", where: `pid == ${fixture.pid}`, columns: ["all"] },
    { table: "cgroups", where: "level == 0", columns: ["id", "path", "level", "populated", "frozen"] },
  ];
  for (const query of queries) {
    const read = (libbpf: boolean): Row[] => {
      using program = loadProgram(libraries, { ...plan(query, "json").request, libbpf });
      equal(program.light, !libbpf);
      let text = "";
      for (const chunk of chunks(program.walk, "json")) text += new TextDecoder().decode(chunk);
      return JSON.parse(text);
    };
    const light = read(false);
    ok(light.length > 0);
    // Only a sleepable program can read command lines.
    equal(read(true), light.map((row) => "cmdline" in row ? { ...row, cmdline: null } : row));
  }
});
