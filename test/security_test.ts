// SPDX-License-Identifier: BSD-2-Clause
/** What SECURITY.md promises: privileges, environment, addresses, hostile names, no writing. */

import { deepStrictEqual as equal, match, ok } from "node:assert";
import { spawn } from "node:child_process";
import { chmodSync, copyFileSync, existsSync, mkdirSync, readdirSync, readlinkSync, rmdirSync, writeFileSync } from "node:fs";
import { parse } from "csv-parse/sync";
import { FORMATS, tables } from "../src/mod.ts";
import { cgroupRoot, executable, Fixture, noElements, onTerminal, type Row, run, taskIter, TemporaryFolder } from "./support.ts";

const user = ["--reuid=65534", "--regid=65534", "--clear-groups"];
const capable = [...user, "--inh-caps=+bpf,+perfmon", "--ambient-caps=+bpf,+perfmon"];

/** Tables of this kernel, each with what it needs to be read; maps of `objects` where it reads one. */
function readable(maps: Record<string, number> = {}): string[][] {
  const listed: Row[] = JSON.parse(taskIter("tables", "-f", "json").stdout);
  const has = new Map(listed.map((row) => [row.table, row.available]));
  return tables.filter(({ name }) => has.get(name)).flatMap(({ name }) => {
    if (!["elems", "sk-storage", "sockmap"].includes(name)) return [[name]];
    return maps[name] === undefined || noElements ? [] : [[name, "--map", String(maps[name])]];
  });
}

Deno.test("CAP_BPF and CAP_PERFMON are enough for every table that reads no map", () => {
  const those = readable();
  ok(those.length >= 5);
  for (const words of those) {
    const { status, stderr } = run("setpriv", [...capable, executable, ...words, "-f", "csv"]);
    equal([status, stderr], [0, ""], words[0]);
  }
});

Deno.test("what needs more privileges says which", async () => {
  await using maps = await Fixture.start("maps");
  await using fixture = await Fixture.start("name", "privileges");
  const cases: [string[], RegExp][] = [
    [
      ["elems", "--map", String(maps.facts.hash)],
      /^task-iter: cannot read table elems: not permitted, CAP_SYS_ADMIN missing[^\n]+\n$/,
    ],
    [["elems", "--map", "fixture_hash"], /^task-iter: cannot read table elems: not permitted, CAP_SYS_ADMIN missing[^\n]+\n$/],
    [["tcp", "--netns", "all"], /^task-iter: cannot read table tcp: [^\n]+: not permitted: CAP_SYS_ADMIN is missing\n$/],
    [
      ["tcp", "--netns", String(fixture.pid)],
      /^task-iter: cannot read table tcp: [^\n]+: not permitted: CAP_SYS_PTRACE is missing[^\n]+\n$/,
    ],
  ];
  for (const [words, message] of cases.filter(([[table]]) => table !== "elems" || !noElements)) {
    equal(taskIter(...words).status, 0);
    const { status, stdout, stderr } = run("setpriv", [...capable, executable, ...words]);
    equal([status, stdout], [3, ""]);
    match(stderr, message);
  }
});

Deno.test("inside a user namespace it says that this is why it may not read", () => {
  for (const options of [["-Ur"], ["-Urpnf"], ["-Urm", "--mount-proc", "-pf"]]) {
    const { status, stdout, stderr } = run("unshare", [...options, executable, "tasks", "-f", "json"]);
    equal([status, stdout], [3, ""]);
    match(stderr, /^task-iter: cannot read table tasks: not permitted inside a user namespace[^\n]+\n$/);
  }
});

Deno.test("inside a pid namespace, with /proc of it or not, there are its processes only", () => {
  for (const options of [["-pf"], ["-pf", "--mount-proc"]]) {
    for (const table of ["tasks", "stacks", "files", "vmas"]) {
      const script = '"$@"; exit $?'; // not exec: two processes
      const inside = run("unshare", [
        ...options,
        "sh",
        "-c",
        script,
        "sh",
        executable,
        table,
        "-c",
        "pid",
        "-f",
        "csv",
        "--no-header",
      ]);
      equal([inside.status, inside.stderr], [0, ""]);
      equal([...new Set(inside.stdout.trimEnd().split("\n"))], ["1", "2"], table);
    }
  }
});

/** Environment variables that change what Bun does; where Bun obeys one, something appears in FOLDER or on standard output. */
const TRAPS = (folder: string): Record<string, string> => ({
  BUN_OPTIONS: `--preload=${folder}/trap.js`,
  BUN_BE_BUN: "1",
  BUN_INSPECT: `ws+unix://${folder}/socket`,
  BUN_INSPECT_PRELOAD: `${folder}/trap.js`,
  BUN_INSPECT_CONNECT_TO: `${folder}/socket`,
  BUN_INSPECT_NOTIFY: `${folder}/socket`,
  BUN_BYTECODE_ORDER_OUT: `${folder}/order`,
  BUN_BYTECODE_ORDER_NAMES_OUT: `${folder}/names`,
  BUN_BYTECODE_DIGEST_OUT: `${folder}/digest`,
  BUN_RUNTIME_TRANSPILER_CACHE_PATH: `${folder}/cache`,
  NODE_OPTIONS: `--require=${folder}/trap.js`,
  NODE_PATH: folder,
  NODE_COMPILE_CACHE: `${folder}/cache`,
  NODE_V8_COVERAGE: `${folder}/coverage`,
  NODE_REDIRECT_WARNINGS: `${folder}/warnings`,
});

Deno.test("no variable of the environment makes it run other code, open a port or write a file", async () => {
  using folder = new TemporaryFolder();
  writeFileSync(`${folder.path}/trap.js`, 'console.log("trapped");');
  const args = ["files", "--pid", "2147483647", "-f", "json"];
  const expected = { status: 0, stdout: "[]\n", stderr: "" };
  const traps = TRAPS(folder.path);
  for (const [name, value] of Object.entries(traps)) equal(run(executable, args, { env: { [name]: value } }), expected, name);
  equal(run(executable, args, { env: traps }), expected);
  equal(readdirSync(folder.path), ["trap.js"]);

  const child = spawn(executable, [...args, "--interval", "1m"], {
    env: { BUN_INSPECT: "ws://127.0.0.1:0/", BUN_OPTIONS: "--inspect" },
  });
  const ended = new Promise((resolve) => child.once("exit", resolve));
  await new Promise((resolve) => child.stdout.once("data", resolve));
  const open = readdirSync(`/proc/${child.pid}/fd`).map((fd) => readlinkSync(`/proc/${child.pid}/fd/${fd}`));
  child.kill("SIGKILL");
  await ended;
  const sockets = new Set([...run("ss", ["-tlnH", "-e"]).stdout.matchAll(/ino:([0-9]+)/g)].map(([, ino]) => `socket:[${ino}]`));
  equal(open.filter((path) => sockets.has(path)), []);
});

Deno.test("with capabilities of its own (setcap) it serves an ordinary user, and obeys no environment", async () => {
  await using fixture = await Fixture.start("name", "capable");
  using folder = new TemporaryFolder();
  chmodSync(folder.path, 0o755);
  const copy = `${folder.path}/task-iter`;
  copyFileSync(executable, copy);
  writeFileSync(`${folder.path}/trap.js`, 'console.log("trapped");');
  equal(run("setcap", ["cap_bpf,cap_perfmon=ep", copy]).status, 0);
  const args = ["files", "--pid", String(fixture.pid), "-c", "all", "-f", "json"];
  const plain = run("setpriv", [...user, copy, ...args]);
  equal(plain, taskIter(...args));
  equal(run("setpriv", [...user, copy, ...args], { env: TRAPS(folder.path) }), plain);
});

Deno.test("it makes no file and opens none for writing, but in memory", async () => {
  await using fixture = await Fixture.start("name", "traces");
  using folder = new TemporaryFolder();
  for (const format of FORMATS) {
    const trace = `${folder.path}/${format}`;
    const args = [
      "-f",
      "-qq",
      "-e",
      "trace=%file,ftruncate",
      "-o",
      trace,
      executable,
      "files",
      "--pid",
      String(fixture.pid),
      "-f",
      format,
    ];
    equal(run("strace", args).status, 0);
    const calls = Deno.readTextFileSync(trace).split("\n");
    ok(calls.some((call) => call.includes("/proc/self/fd/")));
    equal(
      calls.filter((call) =>
        /O_(CREAT|WRONLY|RDWR|TRUNC)|\b(mk\w+|unlink\w*|rename\w*|(sym)?link\w*|ch(mod|own)|truncate)\(/.test(call)
      ),
      [],
    );
  }
});

/** The last quarter of the numbers of 64 bits in hexadecimal digits, and in decimal ones. */
const ADDRESS = /(?<![0-9a-f])(0x)?ffff[89a-f][0-9a-f]{11}(?![0-9a-f])|(?<!\d)1844(6[67]\d|[7-9]\d\d)\d{13}(?!\d)/i;

Deno.test("no address of the kernel in any table and format, nor in the log", async () => {
  ok(ADDRESS.test("ffff888012345678") && ADDRESS.test("[<0xffffffff81000000>]") && ADDRESS.test(" 18446612682070000000,"));
  ok(!ADDRESS.test("0x7ffff7fc1000") && !ADDRESS.test("e2a9ffff888012345678"));
  await using maps = await Fixture.start("timer");
  await using _programs = await Fixture.start("programs");
  await using sockets = await Fixture.start("socket-maps");
  const those = readable({ elems: maps.facts.map, "sk-storage": sockets.facts.storage, sockmap: sockets.facts.sockmap });
  for (const words of those) {
    for (const format of FORMATS) {
      const { status, stdout } = taskIter(...words, "-c", "all", "-f", format);
      equal(status, 0);
      equal(ADDRESS.exec(stdout)?.[0], undefined, `${words[0]} in ${format}`);
    }
    equal(ADDRESS.exec(taskIter(...words, "-c", "all", "-v", "-f", "json").stderr)?.[0], undefined, `the log of ${words[0]}`);
  }
  equal(ADDRESS.exec(taskIter().stdout)?.[0], undefined);
});

/** A name that would forge a row of each format and speak to a terminal; 15 bytes of it are the thread's. */
const HOSTILE = '\n"},{\x1b[2J\x07",1\r\n=== Task: x (pid=1, tid=1) ===\x9b2J\x7f\u0085\t\\';

Deno.test("hostile names forge no row and reach no terminal, in any table that shows what a process chose", async () => {
  using folder = new TemporaryFolder();
  const group = `${cgroupRoot}/task-iter-test-${Deno.pid}-\x1b[31m"},{\t\\,\r`;
  mkdirSync(group);
  try {
    await using fixture = await Fixture.start("hostile", folder.path, HOSTILE);
    const pid = String(fixture.pid);
    writeFileSync(`${group}/cgroup.procs`, pid);
    const encoder = new TextEncoder(), decoder = new TextDecoder();
    const comm = decoder.decode(encoder.encode(HOSTILE).subarray(0, 15));
    const queries: [string[], (row: Row) => boolean][] = [
      [["stacks", "--pid", pid], (row) => row.comm === comm],
      [["files", "--pid", pid], (row) => row.path === `${folder.path}/${HOSTILE}`],
      [
        ["tasks", "--pid", pid],
        (row) => row.comm === comm && row.cmdline.endsWith(HOSTILE) && row.cgroup.endsWith('"},{\t\\,\r'),
      ],
      [["vmas", "--pid", pid], (row) => row.path === `${folder.path}/${HOSTILE}`],
      [["unix", "--netns", pid], (row) => row.path === `@${HOSTILE}`],
      [["unix", "--netns", pid], (row) => row.path === HOSTILE],
      [["cgroups", "-w", 'path ~ "/task-iter-test-*"'], (row) => row.path.endsWith('"},{\t\\,\r')],
      [["routes"], (row) => row.device.startsWith('\x1b[31m\x07",')],
    ];
    for (const [words, is] of queries) {
      // Routes are read in the namespace where one is.
      const read = (format: string) => {
        const args = [...words, "-c", "all", "-f", format];
        const { status, stdout, stderr } = words[0] === "routes"
          ? run("nsenter", ["-t", pid, "-n", executable, ...args])
          : taskIter(...args);
        equal([status, stderr], [0, ""]);
        return stdout;
      };
      const rows: Row[] = JSON.parse(read("json"));
      ok(rows.some(is), `${words[0]}: ${JSON.stringify(rows).slice(0, 2000)}`);
      const lines = read("jsonl").trimEnd().split("\n");
      equal(lines.map((line) => JSON.parse(line)).filter(is).length, rows.filter(is).length);
      equal([lines.length, parse(read("csv")).length - 1], [rows.length, rows.length]);
      const text = read("text");
      equal(text.trimEnd().split("\n").length, rows.length + 1);
      // deno-lint-ignore no-control-regex
      ok(!/[\x00-\x09\x0b-\x1f\x7f-\x9f]/.test(text), words[0]);
      if (words[0] === "routes") continue;
      for (const format of ["csv", "csv --interval=1ms --count=1", "jsonl", "json"]) {
        const drawn = onTerminal(`${executable} ${words.map((word) => `'${word}'`).join(" ")} -c all -f ${format}`);
        // deno-lint-ignore no-control-regex
        ok(drawn.length > 50 && !/[\x00-\x08\x0b-\x1f\x7f-\x9f]/.test(drawn), `${words[0]}, ${format}`);
      }
    }
  } finally {
    for (let i = 0; existsSync(group) && i < 100; i++) {
      try {
        rmdirSync(group);
      } catch {
        await new Promise((resolve) => setTimeout(resolve, 20)); // its process is on its way out
      }
    }
  }
});
