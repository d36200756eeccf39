// SPDX-License-Identifier: BSD-2-Clause
/** Trouble from outside: limits, signals, processes that begin and end, large and long values, many runs at once. */

import { deepStrictEqual as equal, match, ok, throws } from "node:assert";
import { spawn } from "node:child_process";
import { kill } from "node:process";
import { existsSync, mkdirSync, readdirSync, readFileSync, readlinkSync, rmdirSync, writeFileSync } from "node:fs";
import { parse } from "csv-parse/sync";
import { build, type Plugin } from "esbuild";
import { EPERM } from "../src/errors.ts";
import { libraries } from "../src/mod.ts";
import { type Libraries, load } from "../src/native/load.ts";
import { plan } from "../src/query/plan.ts";
import {
  cgroupRoot,
  executable,
  Fixture,
  fixtureProgram,
  type Result,
  root,
  type Row,
  rows,
  run,
  taskIter,
  TemporaryFolder,
} from "./support.ts";

const architecture = Deno.build.arch === "aarch64" ? "aarch64" : "x86_64";

const numerically = (a: number, b: number) => a - b;

/** Runs a script; $1 is the executable, $2 and so on are `args`. */
const bash = (script: string, ...args: string[]): Result => run("bash", ["-c", script, "bash", executable, ...args]);

/** Lines of a command's output, without those of the header and of empty ends. */
const csvColumn = (...args: string[]): number[] =>
  taskIter(...args, "-f", "csv", "--no-header").stdout.trimEnd().split("\n").map(Number);

/** BPF objects of the machine, by kind and ID. */
function bpfObjects(): Set<string> {
  return new Set(["prog", "map", "link"].flatMap((kind) => {
    const { status, stdout } = run("/usr/sbin/bpftool", ["-j", kind, "show"]);
    equal(status, 0);
    return JSON.parse(stdout || "[]").map(({ id }: { id: number }) => `${kind} ${id}`);
  }));
}

/** Waits until every new object is gone: the kernel frees objects a moment later, and other programs have objects too. */
async function nothingLeft(before: Set<string>): Promise<void> {
  let left = [...bpfObjects()].filter((object) => !before.has(object));
  for (let i = 0; i < 200 && left.length > 0; i++) {
    await new Promise((resolve) => setTimeout(resolve, 50));
    const now = bpfObjects();
    left = left.filter((object) => now.has(object));
  }
  equal(left, []);
}

/** The library alone, with AddressSanitizer and UndefinedBehaviorSanitizer. */
Deno.test("the C library stands wrong calls, limits, signals and calls at random, under sanitizers", () => {
  using folder = new TemporaryFolder();
  const build = `${root}build/${architecture}/`;
  const flags = [
    "-g",
    "-O1",
    "-fsanitize=address,undefined",
    "-fno-sanitize-recover=all",
    "-fno-omit-frame-pointer",
    "-D_GNU_SOURCE",
  ];
  const sources = [`${root}test/shim_test.c`, `${root}libbpf-shim/shim.c`, "-Wall", "-Wextra", "-Werror", "-Wno-unused-function"];
  const ways = {
    light: { file: "files.json.light", args: [`${root}libbpf-shim/light.c`, "-Wno-unused-parameter"] },
    libbpf: { file: "files.json.bounded.bpf.o", args: [`${root}libbpf-shim/libbpf.c`, "-lbpf"] },
  };
  for (const [way, { file, args }] of Object.entries(ways)) {
    const program = `${folder.path}/${way}`;
    const built = run("clang-19", [...flags, ...sources, ...args, "-o", program]);
    equal([built.status, built.stderr], [0, ""]);
    const seed = Math.floor(Math.random() * 2 ** 32);
    const { status, stdout, stderr } = run(program, [build + file, String(seed), "2.5"], { input: "" });
    equal([status, stderr], [0, ""], `${way}, seed ${seed}`);
    const { refused, calls } = JSON.parse(stdout);
    ok(refused >= 3 && calls >= 100, stdout);
  }
});

/** Descriptors that a process may have here: raising the limit takes CAP_SYS_RESOURCE. */
function mostDescriptors(): number {
  const most = Number(readFileSync("/proc/sys/fs/nr_open", "utf8"));
  const raised = bash(`ulimit -n ${most} && ulimit -n`);
  return Number(raised.status === 0 ? most : bash("ulimit -Hn").stdout) - 200;
}

Deno.test("a million descriptors: each of a process is there once, and a walk that keeps none comes to its end", async () => {
  // The kernel ends a read with EAGAIN after 1,000,000 elements that made no output.
  const most = Math.min(mostDescriptors(), 1_010_000);
  await using stack = new AsyncDisposableStack();
  const start = () => Fixture.start("many", String(most));
  const fixtures = await Promise.all(Array.from({ length: Math.ceil(1_010_000 / most) }, start));
  for (const fixture of fixtures) stack.use(fixture);
  const pid = String(fixtures[0]!.pid);
  const count = readdirSync(`/proc/${pid}/fd`).length;
  ok(count >= most);
  const fds = csvColumn("files", "--pid", pid, "-c", "fd");
  equal(fds.length, count);
  ok(fds.every((fd, i) => fd === i));
  const none = taskIter("files", "-w", "fd > 2000000", "-f", "json", "--stats");
  equal([none.status, none.stdout], [0, "[]\n"]);
  ok(Number(/^0 rows of ([0-9]+) walked, /.exec(none.stderr)![1]) > 1_000_000, none.stderr);
});

Deno.test("20,000 threads of a process are each there once, their descriptors once for all", async () => {
  await using fixture = await Fixture.start("threads", "20000");
  const pid = String(fixture.pid);
  const tids = readdirSync(`/proc/${pid}/task`).map(Number).sort(numerically);
  equal(tids.length, 20001);
  for (const table of ["stacks", "tasks"]) {
    const shown = csvColumn(table, "--pid", pid, "-c", "tid").sort(numerically);
    equal(shown.length, tids.length);
    ok(shown.every((tid, i) => tid === tids[i]));
  }
  equal(csvColumn("tasks", "--tid", pid, "-c", "threads"), [20001]);
  equal(csvColumn("files", "--pid", pid, "-c", "fd"), readdirSync(`/proc/${pid}/fd`).map(Number));
});

/** A folder of control groups that are gone afterwards. */
class Cgroup implements Disposable {
  readonly #made: string[] = [];

  constructor(readonly path: string) {
    const start = path.indexOf("/task-iter-test");
    for (let at = start; at >= 0; at = path.indexOf("/", at + 1)) this.#make(path.slice(0, at));
    this.#make(path);
  }

  #make(path: string): void {
    if (existsSync(path)) return;
    mkdirSync(path);
    this.#made.push(path);
  }

  [Symbol.dispose](): void {
    for (const path of this.#made.toReversed()) rmdirSync(path);
  }
}

for (const [what, byte] of [["letters", "64"], ["escapes", "1b"]] as const) {
  Deno.test(`paths of 4,000 bytes are whole everywhere: ${what}`, async () => {
    using folder = new TemporaryFolder();
    const name = byte.repeat(123);
    const folderName = String.fromCharCode(parseInt(byte, 16)).repeat(200);
    using group = new Cgroup(`${cgroupRoot}/task-iter-test-${Deno.pid}${`/${folderName}`.repeat(19)}`);
    await using fixture = await Fixture.start("long-paths", folder.path, name, "4050");
    const pid = String(fixture.pid);
    const exe = readlinkSync(`/proc/${pid}/exe`);
    ok(exe.length > 3900);
    const file = exe.replace(/x$/, "f");
    equal(rows("files", "--pid", pid, "-w", `fd == ${fixture.facts.fd}`, "-c", "path"), [{ path: file }]);
    equal(rows("tasks", "--pid", pid, "-c", "exe"), [{ exe }]);
    equal(rows("vmas", "--pid", pid, "-w", "perms == r--s", "-c", "path"), [{ path: file }]);
    writeFileSync(`${group.path}/cgroup.procs`, pid);
    const cgroup = /^0::(.*)$/m.exec(readFileSync(`/proc/${pid}/cgroup`, "utf8"))![1];
    ok(cgroup!.length > 3800);
    equal(rows("tasks", "--pid", pid, "-c", "cgroup"), [{ cgroup }]);
    const [{ cgroup_id: id }] = rows("tasks", "--pid", pid, "-c", "cgroup_id") as [{ cgroup_id: number }];
    equal(rows("cgroups", "-w", `id == ${id}`, "-c", "path"), [{ path: cgroup }]);
    // All in one row: cut, where they do not fit, at a mark.
    const [row] = rows("tasks", "--pid", pid, "-c", "all");
    for (const [cell, value] of [[row!.exe, exe], [row!.cgroup, cgroup]]) {
      ok(byte === "64" ? cell === value : cell.endsWith("…") && value!.startsWith(cell.slice(0, -1)));
    }
    for (const table of ["tasks", "files", "vmas"]) {
      const count = rows(table, "--pid", pid).length;
      ok(count > 0);
      equal(parse(taskIter(table, "--pid", pid, "-c", "all", "-f", "csv").stdout, { columns: true }).length, count);
      equal(taskIter(table, "--pid", pid, "-c", "all").stdout.split("\n").length, count + 2);
      equal(taskIter(table, "--pid", pid, "-c", "all", "-f", "jsonl").stdout.split("\n").length, count + 1);
    }
    writeFileSync(`${cgroupRoot}/cgroup.procs`, pid);
  });
}

/** The arrays that `--interval` writes one after the other. */
const arrays = (stdout: string): { pid: number }[][] => JSON.parse(`[${stdout.replace(/\n\]\n\[/g, "\n],[")}]`);

Deno.test("processes that stay are there exactly once in 200 walks or more while thousands begin and end", async () => {
  const name = `family-${Deno.pid}`;
  await using family = await Fixture.start("family", "100", name);
  await using storm = await Fixture.start("storm");
  const { born: before } = await storm.tell("?");
  const walks = (table: string, where: string, columns: string) =>
    taskIter(table, "-w", `comm == ${name} && ${where}`, "-c", columns, "-f", "json", "--interval", "1ms", "--count", "200");
  let born = before;
  do {
    for (const [table, where] of [["tasks", "kthread == false"], ["files", "fd == 0"], ["stacks", "pid > 0"]] as const) {
      const { status, stdout, stderr } = walks(table, where, "pid");
      equal([status, stderr], [0, ""]);
      const shown = arrays(stdout);
      equal(shown.length, 200);
      const children = family.facts.children.toSorted(numerically);
      for (const walk of shown) equal(walk.map(({ pid }) => pid).toSorted(numerically), children);
    }
    ({ born } = await storm.tell("?"));
  } while (born - before < 2000); // a slow machine makes fewer in the time of a turn
});

/** A run that is not waited for. */
function start(...args: string[]): Promise<Result> {
  const child = spawn(executable, args, { stdio: ["ignore", "pipe", "pipe"] });
  const result: Result = { status: null, stdout: "", stderr: "" };
  child.stdout.on("data", (data) => result.stdout += data);
  child.stderr.on("data", (data) => result.stderr += data);
  return new Promise((resolve) => child.once("close", (status) => resolve({ ...result, status })));
}

Deno.test("two hundred runs at once all say the same, and leave no BPF object", async () => {
  const before = bpfObjects();
  await using fixture = await Fixture.start("many", "300");
  const args = ["files", "--pid", String(fixture.pid), "-c", "fd,path", "-f", "json"];
  const expected = taskIter(...args);
  ok(JSON.parse(expected.stdout).length >= 300);
  for (const result of await Promise.all(Array.from({ length: 200 }, () => start(...args)))) equal(result, expected);
  await nothingLeft(before);
});

Deno.test("signals do not disturb it: stopped, continued, window changed, children ended", async () => {
  await using fixture = await Fixture.start("many", "300");
  const args = ["files", "--pid", String(fixture.pid), "-c", "fd,path", "-f", "json", "--interval", "1ms", "--count", "100"];
  const child = spawn(executable, args, { stdio: ["ignore", "pipe", "pipe"] });
  const result: Result = { status: null, stdout: "", stderr: "" };
  child.stdout.on("data", (data) => result.stdout += data);
  child.stderr.on("data", (data) => result.stderr += data);
  const signals = ["SIGSTOP", "SIGCONT", "SIGWINCH", "SIGCHLD", "SIGURG"] as const;
  let i = 0;
  const timer = setInterval(() => {
    try {
      kill(child.pid!, signals[i++ % signals.length]);
    } catch (error) {
      equal((error as NodeJS.ErrnoException).code, "ESRCH"); // it has just ended
    }
  }, 1);
  child.once("exit", () => clearInterval(timer));
  const status = await new Promise((resolve) => child.once("close", resolve));
  equal([status, result.stderr], [0, ""]);
  ok(i > signals.length);
  const shown = arrays(result.stdout);
  const count = readdirSync(`/proc/${fixture.pid}/fd`).length;
  equal([shown.length, shown.filter((walk) => walk.length === count).length], [100, 100]);
});

Deno.test("a run that is killed leaves no BPF object", async () => {
  const before = bpfObjects();
  for (const wait of [0, 5, 10, 15, 20, 30]) {
    const child = spawn(executable, ["files", "--interval", "10s"], { stdio: "ignore" });
    const ended = new Promise((resolve) => child.once("exit", (_, signal) => resolve(signal)));
    await new Promise((resolve) => setTimeout(resolve, wait));
    child.kill("SIGKILL");
    equal(await ended, "SIGKILL");
  }
  await nothingLeft(before);
});

Deno.test("with few descriptors it says so in a line, or works", async () => {
  await using fixture = await Fixture.start("name", "few");
  const args = ["files", "--pid", String(fixture.pid), "-c", "fd", "-f", "json"];
  const expected = taskIter(...args);
  let worked = 0, refused = 0;
  for (let limit = 5; limit <= 20; limit++) {
    const result = bash(`ulimit -n ${limit}; exec "$@"`, ...args);
    if (result.status === 0) {
      equal(result, expected);
      worked++;
    } else {
      equal([result.status === 1 || result.status === 3, result.stdout], [true, ""]);
      match(result.stderr, /^task-iter: [^\n]*[Tt]oo many open files[^\n]*\n$/);
      refused++;
    }
  }
  ok(worked > 0 && refused > 0);
});

/** Where memory of control groups can be limited; version 1 or 2. */
const memory = existsSync("/sys/fs/cgroup/memory/memory.limit_in_bytes")
  ? { root: "/sys/fs/cgroup/memory", limit: "memory.limit_in_bytes" }
  : { root: cgroupRoot, limit: "memory.max" };

Deno.test("a memory limit ends it, or lets it work: nothing in between, and no BPF object is left", async () => {
  const before = bpfObjects();
  await using fixture = await Fixture.start("name", "limited");
  using group = new Cgroup(`${memory.root}/task-iter-test-memory-${Deno.pid}`);
  if (memory.limit === "memory.max") writeFileSync(`${memory.root}/cgroup.subtree_control`, "+memory");
  const args = ["files", "--pid", String(fixture.pid), "-c", "fd", "-f", "json"];
  const expected = taskIter(...args);
  let worked = 0, ended = 0;
  for (const megabytes of [2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 24, 28, 32, 64, 128]) {
    writeFileSync(`${group.path}/${memory.limit}`, String(megabytes << 20));
    const result = bash(`echo $$ > ${group.path}/cgroup.procs && exec "$@"`, ...args);
    if (result.status === 0) {
      equal(result, expected);
      worked++;
    } else {
      equal(result.stdout, "");
      ok(result.status === null || result.status === 1 || result.status === 3, JSON.stringify(result));
      if (result.status !== null) match(result.stderr, /^task-iter: [^\n]+\n$/);
      ended++;
    }
  }
  ok(worked > 0 && ended > 0, `${worked} worked, ${ended} ended`);
  await nothingLeft(before);
});

Deno.test("a wait that fails, and no memory for a program, are said in words", () => {
  const failing = (call: string, when: string) => {
    const inject = ["-f", "-qq", "-o", "/dev/null", "-e", `trace=${call}`, "-e", `inject=${call}:error=ENOMEM${when}`];
    const { status, stderr } = run("strace", [...inject, executable, "files", "-c", "fd", "--interval=1s", "--count=2"]);
    return [status, stderr];
  };
  equal(failing("ppoll", ""), [1, "task-iter: wait: Cannot allocate memory\n"]);
  equal(failing("eventfd2", ":when=2+"), [1, "task-iter: eventfd: Cannot allocate memory\n"]);
  const noMemory: Libraries = { ...libraries, open: (name) => ({ ...libraries.open(name), open: () => null }) };
  throws(() => load(noMemory, plan({ table: "files" }, "csv").request), { step: "open", message: "no memory" });
});

// The first is what systemd's MemoryDenyWriteExecute= does where the kernel can.
for (
  const [what, ...prefix] of [
    ["code may not be made at run time", fixtureProgram(), "no-jit"],
    ["address space is short", "prlimit", "--as=2000000000"],
  ] as const
) {
  Deno.test(`where ${what}, one line says so and a check is UNKNOWN`, () => {
    const [command, ...args] = prefix;
    const reason = /cannot call the C library: this process may not make code at run time: allow it/;
    for (const words of [["files", "-c", "fd"], ["stacks", "--interval=1s"], ["--bogus"]]) {
      const { status, stdout, stderr } = run(command, [...args, executable, ...words]);
      equal([status, stdout], [words[0] === "--bogus" ? 2 : 1, ""], stderr);
      match(stderr, /^task-iter: [^\n]+\n$/);
      if (words[0] !== "--bogus") match(stderr, reason);
    }
    const { status, stdout } = run(command, [...args, executable, "check", "files"]);
    equal(status, 3);
    match(stdout, /^FILES UNKNOWN - [^\n]+\n$/);
    match(stdout, reason);
  });
}

for (
  const [what, reason, ...prefix] of [
    ["seccomp forbids bpf", "allow the system call bpf", fixtureProgram(), "no-call", "bpf"],
    ["seccomp forbids memfd_create", "memfd_create is not permitted: allow", fixtureProgram(), "no-call", "memfd_create"],
    ["no file can be opened", "a file in memory: too many open files: raise the limit", "prlimit", "--nofile=5"],
    ["no library can be opened", "load light.so from memory: too many open files: raise the limit", "prlimit", "--nofile=6"],
    ["few files can be opened", "read table files: too many open files: raise the limit", "prlimit", "--nofile=8"],
    ["files have to be small", "fill a file in memory: files may not be that large: raise the limit", "prlimit", "--fsize=2000"],
  ] as const
) {
  Deno.test(`where ${what}, one line says what to do and a check is UNKNOWN`, () => {
    const [command, ...args] = prefix;
    const read = run(command, [...args, executable, "files"]);
    ok((read.status === 1 || read.status === 3) && read.stdout === "", `${read.status}: ${read.stdout}${read.stderr}`);
    match(read.stderr, new RegExp(`^task-iter: cannot [^\n]*${reason}[^\n]*\n$`));
    const checked = run(command, [...args, executable, "check", "files"]);
    equal(checked.status, 3);
    match(checked.stdout, new RegExp(`^FILES UNKNOWN - cannot [^\n]*${reason}[^\n]*\n$`));
  });
}

Deno.test("a /proc with processes alone, as systemd's ProcSubset=pid makes it, is enough", () => {
  const inside = (...args: string[]) =>
    run("unshare", ["-m", "sh", "-c", 'mount -t proc -o subset=pid proc /proc && exec "$@"', "sh", executable, ...args]);
  const { status, stdout, stderr } = inside("tasks", "--tid", String(Deno.pid), "-c", "pid", "-f", "csv");
  equal([status, stdout, stderr], [0, `pid\n${Deno.pid}\n`, ""]);
  const [kernel] = JSON.parse(inside("doctor", "-f", "json").stdout) as Row[];
  equal([kernel!.check, kernel!.found], ["kernel", run("uname", ["-r"]).stdout.trim()]);
});

// SECURITY.md names these. Descriptor 3 is open: the executable, for a user who may not enter its folder.
Deno.test("where the runtime ends before our first line, a check does not read as healthy", () => {
  using folder = new TemporaryFolder();
  const gone = `${folder.path}/gone`;
  for (
    const [name, expected, ...words] of [
      ["no /proc", null, "unshare", "-m", "sh", "-c", 'mount -t tmpfs t /proc && exec "$@"', "sh", executable],
      ["no thread", null, "setpriv", "--reuid=54321", "--clear-groups", "prlimit", "--nproc=1", "/proc/self/fd/3"],
      ["little address space", null, "prlimit", "--as=300000000", executable],
      ["little data", null, "prlimit", "--data=60000000", executable],
      ["a small stack", null, "prlimit", "--stack=20000", executable],
      ["no descriptor", 1, "prlimit", "--nofile=5", executable],
      ["no current folder", 1, "sh", "-c", 'mkdir "$0" && cd "$0" && rmdir "$0" && exec "$@"', gone, executable],
    ] as const
  ) {
    const { status, stdout } = bash('ulimit -c 0; exec 3< "$1"; shift; exec "$@"', ...words, "check", "tasks");
    equal([status, stdout], [expected, ""], name); // null: a signal
  }
});

Deno.test("where even the words for a failure cannot be loaded, one line says what failed and a check is UNKNOWN", async () => {
  using folder = new TemporaryFolder();
  const broken: Plugin = {
    name: "broken",
    setup(build) {
      build.onLoad({ filter: /\/cli\/failure\.ts$/ }, () => ({ contents: 'throw new Error("broken")' }));
    },
  };
  await build({
    entryPoints: [`${root}src/cli/main.ts`],
    outdir: folder.path,
    bundle: true,
    splitting: true,
    format: "esm",
    platform: "node",
    target: "esnext",
    external: ["bun:ffi"],
    loader: { ".md": "text", ".bash": "text", ".zsh": "text", ".fish": "text", ".sh": "text" },
    plugins: [broken],
    logLevel: "error",
  });
  // Nothing is embedded beside this bundle, which is a failure of its own.
  const main = (...words: string[]) => run(`${root}node_modules/.bin/bun`, ["run", `${folder.path}/main.js`, ...words]);
  const read = main("files");
  equal([read.status, read.stdout], [1, ""]);
  match(read.stderr, /^task-iter: [^\n]*no such file[^\n]*\n$/);
  const { status, stdout } = main("check", "files", "--bogus");
  equal(status, 3);
  match(stdout, /^CHECK UNKNOWN - [^\n]*--bogus[^\n]*\n$/);
});

Deno.test("a refused program may mean lockdown, where nothing tells whether there is one", () => {
  const hide = ["-m", "sh", "-c", 'mount -t tmpfs t /sys/kernel/security && exec "$@"', "sh"];
  const finding = () => JSON.parse(run("unshare", [...hide, executable, "doctor", "-f", "json"]).stdout) as Row[];
  const { ok: fine, found, advice } = finding().find(({ check }) => check === "lockdown")!;
  equal([fine, found], [true, "unknown"]);
  match(advice, /^mount -t securityfs /);
  const refuse = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=bpf", "-e", "inject=bpf:error=EINVAL"];
  const { status, stderr } = run("unshare", [...hide, ...refuse, executable, "files"]);
  equal(status, 3);
  match(stderr, /^task-iter: cannot read table files: the kernel refused the program [^\n]*may be locked down[^\n]*\n$/);
});

Deno.test("libbpf does not try a program that the kernel refuses while it takes others", () => {
  const { request } = plan({ table: "files" }, "json");
  load(libraries, request).close();
  const opened: string[] = [];
  const refusing: Libraries = {
    open(name) {
      opened.push(name);
      return { ...libraries.open(name), load: () => -EPERM };
    },
    program: (name) => libraries.program(name),
  };
  throws(() => load(refusing, request), { step: "load", errno: EPERM });
  equal(opened, ["light.so"]);
});

Deno.test("neither bpffs nor the rest of /sys is needed", async () => {
  await using fixture = await Fixture.start("name", "no sys");
  const args = ["files", "--pid", String(fixture.pid), "-c", "fd", "-f", "json"];
  const expected = taskIter(...args);
  for (const place of ["/sys/fs/bpf", "/sys"]) {
    equal(run("unshare", ["-m", "sh", "-c", `mount -t tmpfs t ${place} && exec "$@"`, "sh", executable, ...args]), expected);
  }
});
