// SPDX-License-Identifier: BSD-2-Clause
/** The main job: the executable against the real kernel and fixture processes, compared with /proc. */

import { deepStrictEqual as equal, match, ok } from "node:assert";
import { closeSync, openSync, readdirSync, readFileSync, readlinkSync, type Stats, statSync, writeFileSync } from "node:fs";
import { Ajv } from "ajv";
import { parse } from "csv-parse/sync";
import { FORMATS, libraries } from "../src/mod.ts";
import { writerOf } from "../src/query/request.ts";
import { plan } from "../src/query/plan.ts";
import { type Column, tables } from "../src/query/schema.ts";
import { Fixture, type Row, rows, taskIter, TemporaryFolder } from "./support.ts";

const columnsOf = (table: string) => tables.find(({ name }) => name === table)!.columns;

const numerically = (a: number, b: number) => a - b;

/** /proc/PID/stat: [comm, state, rest ...]; comm may hold anything. */
function procStat(pid: number, tid = pid): string[] {
  const text = readFileSync(`/proc/${pid}/task/${tid}/stat`, "utf8");
  const end = text.lastIndexOf(")");
  return [text.slice(text.indexOf("(") + 1, end), ...text.slice(end + 2).trim().split(" ")];
}

/** The innermost frame first, as /proc/PID/stack writes them: symbol+0xoff/0xsize. */
const procStack = (pid: number, tid = pid) =>
  readFileSync(`/proc/${pid}/task/${tid}/stack`, "utf8").trim().split("\n").filter(Boolean).map((line) =>
    line.replace(/^\[<0>\] /, "")
  );

Deno.test("files shows the descriptors of a named process, as /proc does", async () => {
  await using fixture = await Fixture.start("name", `one-${Deno.pid}`);
  const expected = readdirSync(`/proc/${fixture.pid}/fd`).map((fd) => ({ pid: fixture.pid, fd: Number(fd) }));
  equal(rows("files", `one-${Deno.pid}`, "--columns=pid,fd"), expected);
});

/** The `type` of a file, by its mode. */
function typeOf({ mode }: Stats): string {
  return ({ 1: "FIFO", 2: "CHR", 4: "DIR", 6: "BLK", 8: "REG", 10: "LNK", 12: "SOCK" } as Record<number, string>)[mode >> 12] ??
    "ANON";
}

/** What /proc and stat(2) say of one descriptor. */
function descriptor(pid: number, fd: number): Row {
  const path = readlinkSync(`/proc/${pid}/fd/${fd}`);
  const fdinfo = readFileSync(`/proc/${pid}/fdinfo/${fd}`, "utf8");
  const flags = parseInt(/^flags:\s*([0-7]+)$/m.exec(fdinfo)![1]!, 8);
  const pos = Number(/^pos:\s*(-?\d+)$/m.exec(fdinfo)![1]);
  // An O_PATH descriptor of a link is followed by stat(2): fstat(2) through another descriptor is not ours to make.
  const stat = statSync(`/proc/${pid}/fd/${fd}`);
  const { O_PATH, O_ACCMODE } = { O_PATH: 0o10000000, O_ACCMODE: 3 };
  const mode = flags & O_PATH ? "--" : ["r-", "-w", "rw"][flags & O_ACCMODE];
  return {
    fd,
    type: typeOf(stat),
    mode,
    path,
    flags,
    pos,
    ino: stat.ino,
    dev: `${stat.dev >> 8 & 0xfff}:${stat.dev & 0xff | stat.dev >> 12 & 0xfff00}`,
    size: stat.size,
    uid: stat.uid,
    deleted: stat.nlink === 0 || / \(deleted\)$/.test(path),
  };
}

Deno.test("files agrees with /proc and stat on a descriptor of every kind", async () => {
  using folder = new TemporaryFolder();
  await using fixture = await Fixture.start("descriptors", folder.path);
  const columns = "fd,type,mode,path,flags,pos,ino,dev,size,uid,deleted";
  const shown = rows("files", "--pid", String(fixture.pid), "-c", columns);
  const fds = readdirSync(`/proc/${fixture.pid}/fd`).map(Number).sort(numerically);
  equal(shown.map(({ fd }) => fd), fds);
  const { link, "secret memory": secret } = fixture.facts;
  for (const row of shown) {
    if (row.fd === 1 || row.fd === 2) continue; // sockets or pipes to this test, which reads them
    const expected = descriptor(fixture.pid, row.fd);
    const kind = Object.keys(fixture.facts).find((kind) => fixture.facts[kind] === row.fd) ?? `descriptor ${row.fd}`;
    if (row.fd === link) {
      const stat = Deno.lstatSync(`${folder.path}/link`);
      equal([row.type, row.ino, row.size, row.uid, row.path], ["LNK", stat.ino, "regular".length, 0, `${folder.path}/link`]);
      continue;
    }
    // /proc calls deleted what never had a name; its link count is 1.
    if (row.fd === secret) expected.deleted = false;
    equal({ kind, ...row }, { kind, ...expected });
  }
  const types = new Set(shown.map(({ type }) => type));
  for (const type of ["REG", "DIR", "CHR", "FIFO", "SOCK", "LNK", "ANON"]) ok(types.has(type), type);
});

/** What fdinfo says of a BPF object, a pidfd, an eventfd, and the path of a terminal. */
function behind(pid: number, fd: number): Row {
  const fdinfo = readFileSync(`/proc/${pid}/fdinfo/${fd}`, "utf8");
  const info = (field: string) => new RegExp(`^${field}:\\s*(-?[0-9a-f]+)$`, "m").exec(fdinfo)?.[1];
  const [id, process, count, index] = ["(?:link|map|prog|btf)_id", "Pid", "eventfd-count", "tty-index"].map(info);
  const bpf = /^anon_inode:(bpf[-_](map|prog|link)|btf)$/.test(readlinkSync(`/proc/${pid}/fd/${fd}`));
  const [, terminal] = /^\/dev\/(pts\/[0-9]+|tty.*)$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`)) ?? [];
  return {
    fd,
    bpf_id: bpf ? Number(id) : null,
    pidfd_pid: process === undefined || process === "-1" ? null : Number(process),
    eventfd_count: count === undefined ? null : parseInt(count, 16),
    tty: index === undefined ? terminal ?? null : `ptm${index}`,
  };
}

Deno.test("files shows what is behind BPF objects, pidfds, eventfds and terminals, as fdinfo does", async () => {
  using folder = new TemporaryFolder();
  await using fixture = await Fixture.start("descriptors", folder.path);
  const { pid, facts } = fixture;
  const columns = ["-c", "fd,bpf_id,pidfd_pid,eventfd_count,tty"];
  const shown = rows("files", "--pid", String(pid), ...columns);
  for (const row of shown) equal(row, behind(pid, row.fd));
  const value = (kind: string, column: string) => shown.find(({ fd }) => fd === facts[kind])![column];
  equal([value("pidfd", "pidfd_pid"), value("pidfd of the dead", "pidfd_pid")], [pid, null]);
  equal([value("eventfd", "eventfd_count"), value("eventfd, full", "eventfd_count")], [7, 2 ** 53 - 1]);
  match(value("terminal of a session", "tty"), /^pts\/[0-9]+$/);
  const kinds = new Set<string>();
  for (const mode of ["programs", "socket-maps"]) {
    await using fixture = await Fixture.start(mode);
    for (const row of rows("files", "--pid", String(fixture.pid), ...columns)) {
      equal(row, behind(fixture.pid, row.fd));
      if (row.bpf_id !== null) kinds.add(readlinkSync(`/proc/${fixture.pid}/fd/${row.fd}`));
    }
  }
  equal([...kinds].sort(), ["anon_inode:bpf-map", "anon_inode:bpf-prog", "anon_inode:bpf_link", "anon_inode:btf"]);
  const id = value("bpf map", "bpf_id");
  const where = `pid == ${pid} && (bpf_id == ${id} || pidfd_pid == ${pid} || eventfd_count == 7 || tty ~ pts/*)`;
  const found = rows("files", "-c", "fd", "-w", where).map(({ fd }) => fd);
  equal(found, ["terminal of a session", "eventfd", "pidfd", "bpf map"].map((kind) => facts[kind]));
});

Deno.test("files names the operations of what is open", async () => {
  using folder = new TemporaryFolder();
  await using fixture = await Fixture.start("descriptors", folder.path);
  const operations = new Map(
    rows("files", "--pid", String(fixture.pid), "-c", "fd,file_ops").map((row) => [row.fd, row.file_ops]),
  );
  const symbols = new Set(readFileSync("/proc/kallsyms", "utf8").split("\n").map((line) => line.split(/[ \t]/)[2]));
  for (
    const [kind, words] of Object.entries({ "pipe, reading": /pipe/, "tcp socket": /sock/, epoll: /ep/, timerfd: /timerfd/ })
  ) {
    match(operations.get(fixture.facts[kind]), words);
  }
  for (const symbol of operations.values()) ok(symbol === null || symbols.has(symbol.split(" ")[0]), symbol);
});

Deno.test("a filter on any column of files keeps exactly the rows that it holds for", async () => {
  using folder = new TemporaryFolder();
  await using fixture = await Fixture.start("descriptors", folder.path);
  const pid = String(fixture.pid);
  const all = rows("files", "--pid", pid, "-c", "all");
  const filters: [string, (row: Row) => boolean][] = [
    ["type == SOCK", (row) => row.type === "SOCK"],
    ["deleted == true", (row) => row.deleted],
    ["fd >= 10 && !(type in (REG, SOCK))", (row) => row.fd >= 10 && row.type !== "REG" && row.type !== "SOCK"],
    ['path ~ "*/regular"', (row) => row.path.endsWith("/regular")],
    ['path ~ "pipe:*" || pos > 1G', (row) => row.path.startsWith("pipe:") || row.pos > 1 << 30],
    ["size == 12", (row) => row.size === 12],
    ["uid == 4000000000", (row) => row.uid === 4_000_000_000],
    ["mode == -w", (row) => row.mode === "-w"],
    ["path ~ no-such-thing", () => false],
  ];
  for (const [where, holds] of filters) {
    equal(rows("files", "--pid", pid, "-c", "all", "-w", where), all.filter(holds), where);
    ok(where.includes("no-such") || all.some(holds), where);
  }
});

Deno.test("stacks shows the frames of /proc/PID/stack, the state and wchan of every thread", async () => {
  await using fixture = await Fixture.start("threads", "7");
  await fixture.settle();
  const { pid } = fixture;
  const tids = readdirSync(`/proc/${pid}/task`).map(Number);
  equal(tids.length, 8);
  const shown = rows("stacks", "--pid", String(pid), "-c", "all");
  equal(shown.map(({ tid }) => tid), tids);
  for (const row of shown) {
    const [comm, state] = procStat(pid, row.tid);
    const frames = procStack(pid, row.tid);
    equal(row.frames, frames);
    equal([row.comm, row.pid, row.state, row.depth], [comm, pid, state, frames.length]);
    equal(row.wchan, frames[0]!.split("+")[0]);
  }
  equal(rows("stacks", "--tid", String(tids[3]), "-c", "tid"), [{ tid: tids[3] }]);
});

Deno.test("threads that sleep in the same place, or in another with the same callers, have the frames of /proc/PID/stack", async () => {
  await using fixture = await Fixture.start("sleepers", "20");
  const pid = String(fixture.pid);
  const tids = readdirSync(`/proc/${pid}/task`).map(Number);
  const stacks = () => tids.map((tid) => procStack(fixture.pid, tid).join(";"));
  let expected = stacks();
  for (let before: string[] = []; before.join() !== expected.join();) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    [before, expected] = [expected, stacks()];
  }
  equal(new Set(expected).size, fixture.facts.places, "all places, the first thread's is one of them");
  for (const columns of [[], ["-c", "tid,frames"], ["-c", "tid,depth,wchan,frames"]]) {
    const shown = rows("stacks", "--pid", pid, ...columns);
    equal(shown.map(({ tid }) => tid), tids);
    equal(shown.map(({ frames }) => frames.join(";")), expected);
    for (const row of shown.filter(({ depth }) => depth !== undefined)) {
      equal([row.depth, row.wchan], [row.frames.length, row.frames[0].split("+")[0]]);
    }
  }
  const text = taskIter("stacks", "--pid", pid).stdout;
  equal(
    [...text.matchAll(/^Stack depth: \d+ frames\n((?: {2}\[ *\d+\] .*\n)*)/gm)].map(([, lines]) =>
      lines!.trim().split("\n").map((line) => line.replace(/^ *\[ *\d+\] /, "")).join(";")
    ),
    expected,
  );
  for (const frame of ["pipe_read", "do_sys_poll", "epoll_wait"]) {
    const found = rows("stacks", "--pid", pid, "-c", "tid", "-w", `frames ~ "*${frame}*"`).map(({ tid }) => tid);
    equal(found, tids.filter((_, i) => expected[i]!.includes(frame)), frame);
    ok(found.length >= 20, frame);
  }
});

Deno.test("stacks as text is the tutorial's block for each thread and a summary", async () => {
  await using fixture = await Fixture.start("threads", "2");
  await fixture.settle();
  const { pid } = fixture;
  const blocks = readdirSync(`/proc/${pid}/task`).map(Number).map((tid) => {
    const frames = procStack(pid, tid);
    const lines = frames.map((frame, i) => `  [${String(i).padStart(2)}] ${frame}\n`).join("");
    return `=== Task: ${procStat(pid, tid)[0]} (pid=${pid}, tid=${tid}) ===\nStack depth: ${frames.length} frames\n${lines}\n`;
  });
  equal(taskIter("--pid", String(pid)).stdout, `${blocks.join("")}=== Summary: 3 task stacks shown ===\n`);
});

Deno.test("files as text is the tutorial's table, header first though the first elements are filtered out, and a summary", async () => {
  const name = `last-${Deno.pid}`;
  await using fixture = await Fixture.start("name", name);
  const { stdout } = taskIter("files", name);
  const [header, ...lines] = stdout.split("\n");
  equal(header, "COMM                  PID      TID     FD FILE_OPS");
  const fds = readdirSync(`/proc/${fixture.pid}/fd`);
  equal(lines.slice(fds.length), ["", `=== Summary: ${fds.length} file descriptors shown ===`, ""]);
  lines.slice(0, fds.length).forEach((line, i) => {
    const [, pid, tid, fd] = /^(.{16}) (.{8}) (.{8}) (.{6}) \w+$/.exec(line)!.slice(1).map(Number);
    equal([pid, tid, fd], [fixture.pid, fixture.pid, Number(fds[i])]);
  });
  match(taskIter("files", "no such name").stdout, /^COMM .*\n\n=== Summary: 0 file descriptors shown ===\n$/);
});

/** JSON schema of a table's row, from its columns. */
function schemaOf(columns: readonly Column[]): object {
  const type = ({ type, words }: Column) => {
    if (type === "number") return { type: ["integer", "null"], minimum: 0 };
    if (type === "signed") return { type: ["integer", "null"] };
    if (type === "boolean") return { type: ["boolean", "null"] };
    if (type === "frames") {
      return { type: "array", items: { type: "string", pattern: "^\\S+\\+0x[0-9a-f]+/0x[0-9a-f]+( \\[\\w+\\])?$" } };
    }
    if (type === "enum") return { anyOf: [{ enum: words.map(([, word]) => word) }, { type: ["integer", "null"] }] };
    return { type: ["string", "null"] };
  };
  return {
    type: "object",
    properties: Object.fromEntries(columns.map((column) => [column.name, type(column)])),
    required: columns.map(({ name }) => name),
    additionalProperties: false,
  };
}

for (const table of ["stacks", "files"]) {
  Deno.test(`${table} of this machine are valid in every format, with every column`, () => {
    const columns = columnsOf(table);
    const output = Object.fromEntries(FORMATS.map((format) => {
      const { status, stdout, stderr } = taskIter(table, "-c", "all", "-f", format);
      equal([status, stderr], [0, ""]);
      return [format, stdout];
    }));
    const valid = new Ajv({ allErrors: true, allowUnionTypes: true }).compile({
      type: "array",
      minItems: 10,
      items: schemaOf(columns),
    });
    ok(valid(JSON.parse(output.json!)), JSON.stringify(valid.errors));
    ok(valid(output.jsonl!.trimEnd().split("\n").map((line) => JSON.parse(line))), JSON.stringify(valid.errors));
    const csv: Record<string, string>[] = parse(output.csv!, { columns: true });
    ok(csv.length >= 10);
    for (const row of csv) equal(Object.keys(row), columns.map(({ name }) => name));
    // deno-lint-ignore no-control-regex
    ok(!/[\x00-\x09\x0b-\x1f\x7f-\x9f]/.test(output.text!));
    for (const text of Object.values(output)) ok(!/\bffff[0-9a-f]{12}\b/.test(text!), "a kernel address");
  });
}

Deno.test("the same rows come in every format", async () => {
  using folder = new TemporaryFolder();
  await using fixture = await Fixture.start("descriptors", folder.path);
  const args = ["files", "--pid", String(fixture.pid), "-c", "all"];
  const json: Row[] = JSON.parse(taskIter(...args, "-f", "json").stdout);
  equal(taskIter(...args, "-f", "jsonl").stdout, json.map((row) => JSON.stringify(row) + "\n").join(""));
  const cells = json.map((row) => Object.fromEntries(Object.entries(row).map(([name, value]) => [name, String(value ?? "")])));
  equal(parse(taskIter(...args, "-f", "csv").stdout, { columns: true }), cells);
  const lines = taskIter(...args, "--no-header").stdout.trimEnd().split("\n");
  equal(
    lines.map((line) => line.split(/ +/).join(" ")),
    json.map((row) => Object.values(row).map((value) => value ?? "-").join(" ").split(/ +/).join(" ")),
  );
});

/** Names that try to be more than a name. */
const HOSTILE: [string, string][] = [
  ['say "hi", bye', 'say "hi", bye'],
  ["back\\slash\\n", "back\\\\slash\\\\n"],
  ["two\nlines", "two\\nlines"],
  ["tab\tcr\r", "tab\\tcr\\r"],
  ["\x1b[31mred\x07", "\\x1b[31mred\\x07"],
  ["c1 \u009b2J\u0085", "c1 \\u009b2J\\u0085"],
  ["del\x7f", "del\\x7f"],
  ["123456789012345", "123456789012345"],
  ["=1+1;,,\r\n", "=1+1;,,\\r\\n"],
  ["=== Task: x ===", "=== Task: x ==="],
  ["}],[{", "}],[{"],
  ["名前名前名", "名前名前名"],
];

Deno.test("a thread's hostile name is that name in data and harmless in text", async () => {
  for (const [name, shown] of HOSTILE) {
    await using fixture = await Fixture.start("name", name);
    const pid = String(fixture.pid);
    for (const table of ["stacks", "files"]) {
      const args = [table, "--pid", pid, "-c", "comm,pid"];
      const expected = rows(table, "--pid", pid, "-c", "pid").map(() => ({ comm: name, pid: fixture.pid }));
      ok(expected.length > 0);
      equal(rows(...args), expected);
      equal(parse(taskIter(...args, "-f", "csv").stdout, { columns: true }), expected.map((row) => ({ ...row, pid })));
      const lines = taskIter(...args, "--no-header").stdout.trimEnd().split("\n");
      equal(lines.map((line) => line.replace(/ +\d+$/, "")), expected.map(() => shown));
      equal(rows(table, "--comm", name, "-w", `pid == ${pid}`, "-c", "comm,pid"), expected);
    }
    match(taskIter("--pid", pid).stdout, /^=== Task: /);
    equal(taskIter("--pid", pid).stdout.split(" (pid=")[0], `=== Task: ${shown}`);
    ok(taskIter("files", "--pid", pid).stdout.split("\n")[1]!.startsWith(shown));
  }
});

Deno.test("a thread's empty or undecodable name is empty or U+FFFD", async () => {
  using folder = new TemporaryFolder();
  await using fixture = await Fixture.start("names", folder.path);
  for (
    const [hex, name] of [["", ""], ["ff", "\ufffd"], ["61c328f09f62", "a\ufffd(\ufffdb"], [
      "e5908de5908de5908de5908de5908d",
      "名名名名名",
    ]]
  ) {
    await fixture.tell(`name ${hex}`);
    equal(rows("--pid", String(fixture.pid), "-c", "comm"), [{ comm: name }]);
    equal(
      parse(taskIter("--pid", String(fixture.pid), "-c", "comm", "-f", "csv", "--no-header").stdout, { skip_empty_lines: false }),
      [[name]],
    );
  }
});

Deno.test("output far beyond the kernel's 32 KiB has every row once and none torn, in every format", async () => {
  await using fixture = await Fixture.start("many", "3000");
  const pid = String(fixture.pid);
  const fds = readdirSync(`/proc/${pid}/fd`).map(Number).sort(numerically);
  ok(fds.length >= 3000);
  equal(rows("files", "--pid", pid, "-c", "fd,path,file_ops,comm").map(({ fd }) => fd), fds);
  const jsonl = taskIter("files", "--pid", pid, "-f", "jsonl").stdout.trimEnd().split("\n");
  equal(jsonl.map((line) => JSON.parse(line).fd), fds);
  const csv: Row[] = parse(taskIter("files", "--pid", pid, "-f", "csv").stdout, { columns: true });
  equal(csv.map(({ fd }) => Number(fd)), fds);
  const text = taskIter("files", "--pid", pid).stdout.split("\n");
  equal(text.slice(1, -3).map((line) => Number(line.split(/ +/)[3])), fds);
  equal(text.at(-2), `=== Summary: ${fds.length} file descriptors shown ===`);
});

Deno.test("a row that the kernel makes again, for it did not fit, is read and counted once", async () => {
  await using fixture = await Fixture.start("many", "3000");
  const fds = readdirSync(`/proc/${fixture.pid}/fd`).map(Number).sort(numerically);
  const { query } = plan({ table: "files", pid: fixture.pid }, "jsonl").request;
  const shim = libraries.open("light.so");
  const program = libraries.program("files.json.light");
  const it = shim.open(program, program.length);
  equal([shim.configure(it, query, query.length, 0), shim.load(it), shim.attach(it, fixture.pid, 0, 0)], [0, 0, 0]);
  const fd = shim.create(it);
  // More than the kernel's buffer: it goes on until a row does not fit.
  const buffer = new Uint8Array(64 * 1024);
  const decoder = new TextDecoder();
  let text = "";
  for (let read; (read = shim.read(it, fd, buffer, buffer.length)) > 0;) {
    text += decoder.decode(buffer.subarray(0, read), { stream: true });
  }
  const counts = new BigUint64Array(5);
  shim.progress(it, counts);
  shim.close(fd);
  shim.free(it);
  equal(text.trimEnd().split("\n").map((line) => JSON.parse(line).fd), fds);
  equal([...counts].map(Number), [fds.length, fds.length, 0, 0, 0]);
});

Deno.test("a process that takes another name in the middle of a walk has it in the rows that follow, in every format", () => {
  const own = "/proc/self/comm";
  const before = readFileSync(own, "utf8");
  const files = Array.from({ length: 200 }, () => openSync("/dev/null", "r"));
  try {
    for (const format of FORMATS) {
      writeFileSync(own, "first");
      const { query } = plan({ table: "files", pid: Deno.pid, columns: ["comm", "pid", "fd"] }, format).request;
      const shim = libraries.open("light.so");
      const program = libraries.program(`files.${writerOf(format)}.light`);
      const it = shim.open(program, program.length);
      equal([shim.configure(it, query, query.length, 0), shim.load(it), shim.attach(it, Deno.pid, 0, 0)], [0, 0, 0]);
      const fd = shim.create(it);
      const buffer = new Uint8Array(1000);
      let text = "";
      for (let read; (read = shim.read(it, fd, buffer, buffer.length)) > 0;) {
        if (text === "") writeFileSync(own, "second");
        text += new TextDecoder().decode(buffer.subarray(0, read));
      }
      shim.close(fd);
      shim.free(it);
      const names = text.split("\n").map((line) => /first|second/.exec(line)?.[0]).filter((name) => name !== undefined);
      const changed = names.indexOf("second");
      ok(changed > 5 && names.length > 200, `${format}: ${changed} of ${names.length}`);
      equal(new Set(names.slice(0, changed)), new Set(["first"]), format);
      equal(new Set(names.slice(changed)), new Set(["second"]), format);
    }
  } finally {
    writeFileSync(own, before);
    for (const fd of files) closeSync(fd);
  }
});

Deno.test("the stacks of 500 threads are all there, each once", async () => {
  await using fixture = await Fixture.start("threads", "500");
  await fixture.settle();
  const pid = String(fixture.pid);
  const tids = readdirSync(`/proc/${pid}/task`).map(Number).sort(numerically);
  equal(tids.length, 501);
  const shown = rows("--pid", pid);
  equal(shown.map(({ tid }) => tid).sort(numerically), tids);
  for (const row of shown.slice(1)) equal(row.frames, shown[1]!.frames);
  const text = taskIter("--pid", pid).stdout;
  equal(
    [...text.matchAll(/^=== Task: .* \(pid=\d+, tid=(\d+)\) ===$/gm)].map((found) => Number(found[1])).sort(numerically),
    tids,
  );
  match(text, /\n\n=== Summary: 501 task stacks shown ===\n$/);
});

Deno.test("each descriptor of a process is shown once, for its leader", async () => {
  await using fixture = await Fixture.start("threads", "5");
  const fds = readdirSync(`/proc/${fixture.pid}/fd`).map(Number);
  const expected = fds.map((fd) => ({ tid: fixture.pid, fd }));
  equal(rows("files", "--pid", String(fixture.pid), "-c", "tid,fd"), expected);
  equal(rows("files", "-w", `pid == ${fixture.pid} || pid == 2147483647`, "-c", "tid,fd"), expected);
});

Deno.test("each descriptor is shown once when the leader has exited", async () => {
  await using fixture = await Fixture.start("exited-leader");
  const pid = String(fixture.pid);
  while (procStat(fixture.pid)[1] !== "Z") await new Promise((resolve) => setTimeout(resolve, 1));
  const tids = readdirSync(`/proc/${pid}/task`).map(Number).filter((tid) => tid !== fixture.pid);
  equal(tids.length, 3);
  const fds = readdirSync(`/proc/${pid}/task/${tids[0]}/fd`).map(Number);
  const expected = fds.map((fd) => ({ tid: tids[0], fd }));
  for (const where of [`pid == ${pid}`, `pid == ${pid} || pid == 2147483647`]) {
    equal(rows("files", "-w", where, "-c", "tid,fd"), expected);
  }
  for (const tid of tids) equal(rows("files", "--tid", String(tid), "-c", "tid,fd"), tid === tids[0] ? expected : []);
  match(taskIter("files", "--pid", pid).stdout, new RegExp(`\n=== Summary: ${fds.length} file descriptors shown ===\n$`));
});

Deno.test("a thread with a descriptor table of its own is shown with it", async () => {
  await using fixture = await Fixture.start("unshared-files");
  const { tid, fd: own } = fixture.facts;
  const shown = rows("files", "--pid", String(fixture.pid), "-c", "tid,fd");
  for (const task of [fixture.pid, tid]) {
    const fds = readdirSync(`/proc/${fixture.pid}/task/${task}/fd`).map(Number).sort(numerically);
    equal(shown.filter((row) => row.tid === task).map(({ fd }) => fd), fds);
    equal(fds.includes(own), task === tid);
  }
});

Deno.test("processes that come, go and rename themselves tear no row, and those that stay are there each time", async () => {
  await using _first = await Fixture.start("restless");
  await using _second = await Fixture.start("restless");
  await using stable = await Fixture.start("many", "400");
  const fds = readdirSync(`/proc/${stable.pid}/fd`).map(Number).sort(numerically);
  for (let i = 0; i < 20; i++) {
    const shown = rows("files", "-c", "comm,pid,fd");
    equal(shown.filter(({ pid }) => pid === stable.pid).map(({ fd }) => fd), fds);
    const stacks = rows("stacks", "-c", "comm,pid");
    equal(stacks.filter(({ pid }) => pid === stable.pid).length, 1);
    for (const { comm } of shown.concat(stacks)) ok(Buffer.byteLength(comm) <= 15 || comm.includes("\ufffd"), comm);
  }
});
