// SPDX-License-Identifier: BSD-2-Clause
/** The executable as a Unix tool: its output, its environment, and that it leaves nothing behind. */

import { deepStrictEqual as equal, match, ok } from "node:assert";
import { spawn } from "node:child_process";
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { executable, Fixture, fixtureProgram, type Result, root, run, taskIter, TemporaryFolder } from "./support.ts";

/** Runs a script; $1 is the executable, $2 and so on are `args`. */
const bash = (script: string, ...args: string[]): Result => run("bash", ["-c", script, "bash", executable, ...args]);

/** A fixture with output of some megabytes, more than any pipe holds. */
const large = () => Fixture.start("many", "8000");
const LARGE = ["files", "-c", "all", "-f", "jsonl", "--pid"];

Deno.test("a closed pipe ends it at once and silently", async () => {
  await using fixture = await large();
  const pid = String(fixture.pid);
  for (const format of ["text", "csv", "json", "jsonl"]) {
    const { stdout, stderr } = bash('"$1" files --pid "$2" -f "$3" | head -1; echo "${PIPESTATUS[0]}"', pid, format);
    const [line, status, end] = stdout.split("\n");
    ok(line!.length > 0);
    equal([status, end, stderr], ["0", "", ""]);
  }
});

Deno.test("a closed pipe ends endless reading", () => {
  const { stdout, stderr } = bash('"$1" files --pid 2147483647 -f json --interval 5ms | head -3; echo "${PIPESTATUS[0]}"');
  equal([stdout, stderr], ["[]\n[]\n[]\n0\n", ""]);
});

Deno.test("a slow reader gets every byte", async () => {
  await using fixture = await large();
  const args = [...LARGE, String(fixture.pid)];
  const expected = taskIter(...args).stdout;
  ok(expected.length > 1 << 20);
  const slow = bash('"${@}" | { sleep 0.2; head -c 100000; sleep 0.2; cat; }', ...args);
  equal([slow.stdout === expected, slow.stderr], [true, ""]);
});

Deno.test("a standard output that does not wait gets every byte", async () => {
  await using fixture = await large();
  const args = [...LARGE, String(fixture.pid)];
  const expected = taskIter(...args).stdout;
  const { stdout, stderr } = run("bash", [
    "-c",
    '"${@}" | { sleep 0.2; head -c 100000; sleep 0.2; cat; }; exit "${PIPESTATUS[0]}"',
    "bash",
    fixtureProgram(),
    "nonblocking",
    executable,
    ...args,
  ]);
  equal([stdout === expected, stderr], [true, ""]);
});

Deno.test("a full disk is status 1 and one message", () => {
  for (
    const args of [["files"], ["stacks", "-f", "json"], ["files", "--pid", "2147483647", "-f", "json"], ["--help"], ["tables"]]
  ) {
    const { status, stderr } = bash('"$@" > /dev/full', ...args);
    equal(status, 1);
    match(stderr, /^task-iter: cannot write the output: no space left on device\n$/);
  }
});

Deno.test("a closed standard output is status 1 and one message, /dev/null is a place to write to", () => {
  for (const args of [["files"], ["files", "-f", "json"], ["--help"], ["tables"]]) {
    const { status, stderr } = bash('"$@" >&-', ...args);
    equal([status, stderr], [1, "task-iter: cannot write the output: standard output is closed\n"]);
    for (const redirection of ["> /dev/null", "1<> /dev/null"]) {
      equal(bash(`"$@" ${redirection}`, ...args), { status: 0, stdout: "", stderr: "" });
    }
  }
});

Deno.test("a closed standard error or input changes no status and no row", async () => {
  await using fixture = await Fixture.start("name", "closed");
  const args = ["files", "--pid", String(fixture.pid), "-f", "csv"];
  const expected = taskIter(...args);
  equal(bash('"$@" 2>&-', ...args), expected);
  equal(bash('"$@" <&-', ...args), expected);
  equal(bash('"$@" <&- 2>&-', ...args), expected);
  equal(bash('"$@" --stats 2>&-', ...args), expected);
  equal(bash('"$@" 2>&-', "--no-such-option").status, 2);
  equal(bash('"$@" <&- >&- 2>&-', ...args).status, 1);
});

Deno.test("SIGINT ends it while nobody reads", async () => {
  await using fixture = await large();
  const child = spawn(executable, [...LARGE, String(fixture.pid)], { stdio: ["ignore", "pipe", "pipe"] });
  let errors = "";
  child.stderr.on("data", (data) => errors += data);
  const ended = new Promise((resolve) => child.once("exit", (status, signal) => resolve([status, signal])));
  await new Promise((resolve) => child.stdout.once("readable", resolve));
  child.kill("SIGINT");
  equal([await ended, errors], [[null, "SIGINT"], ""]);
  child.stdout.destroy();
});

const userWith = (capabilities: string) => [
  "--reuid=65534",
  "--regid=65534",
  "--clear-groups",
  `--inh-caps=${capabilities}`,
  `--ambient-caps=${capabilities}`,
];

/** Ways to lack the privileges, and the message for each. */
const UNPRIVILEGED: [string, string[], RegExp][] = [
  ["an ordinary user", ["--reuid=65534", "--regid=65534", "--clear-groups"], /CAP_BPF and CAP_PERFMON missing/],
  ["root without capabilities", ["--bounding-set=-all", "--inh-caps=-all"], /CAP_BPF and CAP_PERFMON missing/],
  ["a user with CAP_BPF alone", userWith("+bpf"), /: not permitted, CAP_PERFMON missing/],
  ["a user with CAP_PERFMON alone", userWith("+perfmon"), /: not permitted, CAP_BPF missing/],
];

for (const [who, args, words] of UNPRIVILEGED) {
  Deno.test(`${who} gets one line that says what to do, and status 3`, () => {
    for (const table of ["stacks", "files"]) {
      for (const format of ["text", "json"]) {
        const { status, stdout, stderr } = run("setpriv", [...args, executable, table, "-f", format]);
        equal([status, stdout], [3, ""]);
        match(stderr, new RegExp(`^task-iter: cannot read table ${table}: not permitted[^\\n]+as root[^\\n]+\\n$`));
        match(stderr, words);
      }
    }
  });

  Deno.test(`${who} may ask for help, tables and the version`, () => {
    for (const words of [["--help"], ["tables"], ["tables", "files"], ["--version"]]) {
      equal(run("setpriv", [...args, executable, ...words]), taskIter(...words));
    }
  });
}

Deno.test("an ordinary user with CAP_BPF and CAP_PERFMON sees what root sees", async () => {
  await using fixture = await Fixture.start("name", "capable");
  await fixture.settle();
  for (const table of ["stacks", "files"]) {
    const args = [table, "--pid", String(fixture.pid), "-c", "all", "-f", "json"];
    equal(run("setpriv", [...userWith("+bpf,+perfmon"), executable, ...args]), taskIter(...args));
  }
});

Deno.test("the kernel's mistakes and ours show no stack trace", () => {
  for (const args of [["files"], ["--bad"], ["files", "-w", "("], ["x", "y"]]) {
    const { stderr } = run("setpriv", ["--bounding-set=-all", "--inh-caps=-all", executable, ...args]);
    ok(!/\bat .*:\d+|node:|bun:|\$bunfs|Error:/.test(stderr), stderr);
  }
});

Deno.test("it leaves no file in its temporary, home or current folder", async () => {
  await using fixture = await Fixture.start("name", "traces");
  using folder = new TemporaryFolder();
  for (const name of ["tmp", "home", "cwd"]) mkdirSync(`${folder.path}/${name}`);
  const env = { PATH: "/usr/bin", TMPDIR: `${folder.path}/tmp`, HOME: `${folder.path}/home` };
  for (const format of ["text", "csv", "json", "jsonl"]) {
    const args = ["files", "--pid", String(fixture.pid), "-f", format];
    equal(run(executable, args, { cwd: `${folder.path}/cwd`, env }).status, 0);
  }
  for (const name of ["tmp", "home", "cwd"]) equal(readdirSync(`${folder.path}/${name}`), []);
});

Deno.test("no temporary folder is needed: missing, read-only, noexec or a file", async () => {
  await using fixture = await Fixture.start("name", "no tmp");
  using folder = new TemporaryFolder();
  const args = ["files", "--pid", String(fixture.pid), "-f", "json"];
  const expected = taskIter(...args);
  for (const path of [`${folder.path}/missing`, "/proc", "/dev/null", ""]) {
    equal(run(executable, args, { env: { TMPDIR: path } }), expected, path);
  }
  mkdirSync(`${folder.path}/mounted`);
  for (const options of ["noexec", "ro", "noexec,ro"]) {
    const script =
      'mount -t tmpfs -o "$1" tmpfs "$2" && shift && TMPDIR="$1" && export TMPDIR && shift && "$@" && ls -A "$TMPDIR"';
    equal(run("unshare", ["-m", "sh", "-c", script, "sh", options, `${folder.path}/mounted`, executable, ...args]), expected);
  }
});

Deno.test("a bunfig.toml and .env of the current folder are ignored", () => {
  using folder = new TemporaryFolder();
  writeFileSync(`${folder.path}/trap.ts`, 'console.log("trapped");');
  writeFileSync(`${folder.path}/bunfig.toml`, 'preload = ["./trap.ts"]\n[run]\npreload = ["./trap.ts"]\n');
  writeFileSync(`${folder.path}/.env`, "BUN_OPTIONS=--preload=./trap.ts\nFORCE_COLOR=1\nCLICOLOR_FORCE=1\n");
  writeFileSync(`${folder.path}/package.json`, '{"type": "commonjs"}');
  writeFileSync(`${folder.path}/program.ts`, "console.log(process.env.FORCE_COLOR);");
  // The trap works: on bun itself.
  equal(run(`${root}node_modules/.bin/bun`, ["program.ts"], { cwd: folder.path }).stdout, "trapped\n1\n");
  for (const args of [["files", "--pid", "2147483647", "-f", "json"], ["--help"], ["--no-such-option"]]) {
    equal(run(executable, args, { cwd: folder.path }), taskIter(...args));
  }
});

Deno.test("it runs in a root with nothing but glibc and /proc", async () => {
  await using fixture = await Fixture.start("name", "empty root");
  using folder = new TemporaryFolder();
  const args = ["files", "--pid", String(fixture.pid), "-c", "fd,path", "-f", "json"];
  const { stdout: libraries } = run("ldd", [executable]);
  const needed = [...libraries.matchAll(/(\/\S+) \(0x/g)].map((found) => found[1]!);
  ok(needed.length >= 3);
  const script = `set -e
    root=$1; program=$2; shift 2
    while [ "$1" != -- ]; do mkdir -p "$root$(dirname "$1")"; cp -L "$1" "$root$1"; shift; done; shift
    mkdir "$root/proc"; mount -t proc proc "$root/proc"
    touch "$root/task-iter"; mount --bind "$program" "$root/task-iter"
    exec chroot "$root" /task-iter "$@"`;
  const inside = run("unshare", ["-m", "bash", "-c", script, "bash", folder.path, executable, ...needed, "--", ...args]);
  equal([inside.status, inside.stderr], [0, ""]);
  // A path is as the reader's root sees it, or from the mount that it cannot reach.
  equal(
    JSON.parse(inside.stdout).map(({ fd }: { fd: number }) => fd),
    JSON.parse(taskIter(...args).stdout).map(({ fd }: { fd: number }) => fd),
  );
});

/** The IDs of all BPF objects of a kind. */
function ids(kind: string): number[] {
  const { status, stdout } = run("/usr/sbin/bpftool", ["-j", kind, "show"]);
  equal(status, 0);
  return JSON.parse(stdout || "[]").map(({ id }: { id: number }) => id);
}

Deno.test("it leaves no BPF program, map or link in the kernel", async () => {
  await using fixture = await large();
  const kinds = ["prog", "map", "link"];
  const before = kinds.map((kind) => new Set(ids(kind)));
  const pid = String(fixture.pid);
  for (const table of ["files", "stacks"]) equal(taskIter(table, "--pid", pid, "-f", "csv").status, 0);
  bash('"$1" files --pid "$2" -f json | head -1', pid);
  equal(bash('"$1" files > /dev/full').status, 1);
  // The kernel frees them a moment later, and what others on this machine load meanwhile goes away too.
  let left = kinds.map((kind, i) => ids(kind).filter((id) => !before[i]!.has(id)));
  for (let i = 0; i < 200 && left.flat().length > 0; i++) {
    await new Promise((resolve) => setTimeout(resolve, 25));
    const now = kinds.map((kind) => new Set(ids(kind)));
    left = left.map((of, i) => of.filter((id) => now[i]!.has(id)));
  }
  equal(left, [[], [], []]);
});
