// SPDX-License-Identifier: BSD-2-Clause
/** --where and --columns in the kernel: the rows they keep, their cost, and the program's size after verification. */

import { deepStrictEqual as equal, ok } from "node:assert";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import fc from "fast-check";
import { before, release } from "../src/native/kernel.ts";
import { bytes, libraries, type Query } from "../src/mod.ts";
import { type Format, FORMATS } from "../src/query/request.ts";
import type { Program } from "../src/native/program.ts";
import { load as loadProgram } from "../src/native/load.ts";
import { plan } from "../src/query/plan.ts";
import { type Column, type Table, tables } from "../src/query/schema.ts";
import { type CellRow, evaluate, expressions, type Node, parseRows, print, quote, size } from "./oracle.ts";
import { executable, Fixture, rows as rowsOf, run, taskIter, TemporaryFolder } from "./support.ts";

/** The output of one query, by this process. */
function read(query: Query, format: Format): string {
  const decoder = new TextDecoder();
  let text = "";
  for (const chunk of bytes(query, format)) text += decoder.decode(chunk, { stream: true });
  return text;
}

const readRows = (query: Query): CellRow[] => parseRows(read({ columns: ["all"], ...query }, "json"));

const load = (query: Query, format: Format = "json"): Program => loadProgram(libraries, plan(query, format).request);

/** The size of a query's program. */
function sizeOf(query: Query, format: Format = "json"): number {
  using program = load(query, format);
  return program.size;
}

/** A pass whose rows nobody wants. */
function exhaust(program: Program): void {
  const buffer = new Uint8Array(1 << 18);
  for (program.walk.begin(); !program.walk.ended;) program.walk.fill(buffer, 0, 1);
}

/** What the walk of a query's program saw and kept. */
function progressOf(query: Query): { walked: number; rows: number } {
  using program = load(query);
  exhaust(program);
  return program.walk.progress();
}

const table = (name: string): Table => tables.find((table) => table.name === name)!;

const key = (row: CellRow, columns: readonly Column[]) =>
  JSON.stringify(columns.map(({ name }) => row[name]), (_, cell) => typeof cell === "bigint" ? String(cell) : cell);

/** A row whose strings are shown as they are: valid UTF-8, not cut. */
const faithful = (row: CellRow) => !/\ufffd|\u2026"/.test(JSON.stringify(row, (_, cell) => typeof cell === "bigint" ? 0 : cell));

/** Columns whose values stay the same while nothing happens; of what belongs to all processes, those that change with nothing else. */
function steadyColumns(query: Query, columns: readonly Column[]): Column[] {
  if (query.pid === undefined) {
    return columns.filter(({ name }) =>
      !/_ns$|cpu|bytes|queue|backlog|srtt|cwnd|retrans|drops|refcnt|procs|populated|_objs|num_slabs|memory|run_/.test(name)
    );
  }
  const reads = [0, 1, 2].map(() => readRows(query));
  return columns.filter((column) => {
    const values = reads.map((rows) => rows.map((row) => key(row, [column])).sort().join());
    return values.every((value) => value === values[0]);
  });
}

/**
 * Holds the rows that `where` keeps against the oracle's. What happens in the meantime does not matter: every row kept fits the
 * expression, and every row that is there before and after and fits is kept.
 */
function hold(query: Query, columns: readonly Column[], node: Node): void {
  const where = print(node);
  const matching = (rows: CellRow[]) =>
    rows.filter((row) => faithful(row) && evaluate(node, row) === true).map((row) => key(row, columns));
  const before = matching(readRows(query));
  const kept = readRows({ ...query, where });
  const after = new Set(matching(readRows(query)));
  for (const row of kept) ok(!faithful(row) || evaluate(node, row) === true, `kept, against ${where}: ${key(row, columns)}`);
  const found = new Set(kept.map((row) => key(row, columns)));
  for (const row of before) ok(found.has(row) || !after.has(row), `lost, with ${where}: ${row}`);
  if (query.pid !== undefined) equal(kept.map((row) => key(row, columns)), before, where);
}

// A map's elements need a map; the symbols of a kernel are a quarter million rows.
const subjects = tables.filter(({ iterator, since }) =>
  !/elem|sk_storage|sockmap|ksym/.test(iterator) && !before(release(), since)
);

for (const subject of subjects) {
  Deno.test(`--where means in ${subject.name} what an independent evaluation of its rows means`, async () => {
    using folder = new TemporaryFolder();
    await using fixture = await Fixture.start("values", folder.path);
    const ofTasks = subject.columns.some(({ name }) => name === "pid");
    const query: Query = { table: subject.name, pid: ofTasks ? fixture.pid : undefined };
    const sample = readRows(query);
    const columns = steadyColumns(query, subject.columns);
    ok(columns.length * 2 > subject.columns.length, "most columns are steady");
    const nodes = expressions(columns, sample.filter(faithful).slice(0, 200)).filter((node) => size(node) <= 60);
    fc.assert(fc.property(nodes, (node) => hold(query, columns, node)), { numRuns: 50 });
  });
}

Deno.test("64 comparisons over every column load in every table and format", () => {
  const value = (column: Column, i: number) => {
    if (["number", "signed", "hex"].includes(column.type)) return `${column.name} >= ${i}`;
    if (column.type === "boolean") return `${column.name} == true`;
    if (column.type === "enum") return `${column.name} != ${column.words[0]![1]}`;
    return `${column.name} ~ ${["*x*", "*x", "x*", "x"][i % 4]}`;
  };
  for (const subject of subjects) {
    const parts = Array.from({ length: 64 }, (_, i) => value(subject.columns[i % subject.columns.length]!, i));
    for (
      const where of [
        parts.join(" && "),
        parts.join(" || "),
        parts.reduce((inner, part, i) => `(${inner}) ${i % 2 ? "||" : "&&"} ${part}`),
      ]
    ) {
      for (const format of FORMATS) load({ table: subject.name, where, columns: ["all"] }, format).close();
    }
  }
});

Deno.test("patterns match strings of any length, theirs too", async () => {
  using folder = new TemporaryFolder();
  await using fixture = await Fixture.start("values", folder.path);
  const all = readRows({ table: "files", pid: fixture.pid });
  const long = all.map(({ path }) => path as string).find((path) => path.length === 4000)!;
  const middle = long.slice(3000, 3005);
  const count = (where: string) => readRows({ table: "files", pid: fixture.pid, where }).length;
  equal(count(`path == ${quote(long.slice(0, 2000), false)}`), 0, "a part is not the whole");
  equal(count(`path ~ "*${long.slice(-2040)}"`), 1, "a long end");
  equal(count(`path ~ "${long.slice(0, 2040)}*"`), 1, "a long beginning");
  equal(count(`path ~ "*${long.slice(1000, 3000)}*"`), 1, "a long middle");
  equal(count(`path ~ "*${long.slice(1000, 2999)}!*"`), 0, "a long middle that differs in its last byte");
  equal(count('path ~ "*/end"'), 1, "a short end");
  equal(count('path ~ "*/end*"'), 1, "a short middle at the very end");
  equal(count(`path ~ "*${middle}*"`), 1, "a short middle");
  equal(count('path ~ "*"'), all.length, "everything");
  equal(count('path ~ "**"'), all.length, "everything, twice");
  equal(count('path ~ ""'), 0, "the empty string is no path");
  equal(count('path ~ "*\\*stars\\*in\\"the\'name\\\\"'), 1, "stars and quotes as characters");
  equal(count('comm == ""'), 0, "files belong to the leader");
  const threads = (where: string) => readRows({ table: "stacks", pid: fixture.pid, where }).length;
  equal(threads('comm == ""'), 1, "an empty name");
  equal(threads('comm ~ "*"'), 6, "an empty name matches a star");
  equal(threads('comm ~ "?*"'), 0, "only stars are special");
  equal(threads("comm == exactly15bytes!".replace("!", "\\x21").replace(/== (.*)/, '== "$1"')), 1, "fifteen bytes");
  equal(threads("comm == exactly15bytes"), 0, "fourteen of them");
});

Deno.test("columns keep the user's order in every format", async () => {
  await using fixture = await Fixture.start("name", "fixture-order");
  const names = table("files").columns.map(({ name }) => name);
  const [all] = readRows({ table: "files", pid: fixture.pid, where: "fd == 0" });
  equal(Object.keys(all!), names, "all columns are in the table's order");
  fc.assert(
    fc.property(fc.shuffledSubarray(names, { minLength: 1 }), (columns) => {
      const query: Query = { table: "files", pid: fixture.pid, where: "fd == 0", columns };
      const cells = columns.map((name) => all![name] === null ? null : String(all![name]));
      const [row] = readRows(query);
      equal(Object.keys(row!), columns);
      equal(Object.values(row!).map((cell) => cell === null ? null : String(cell)), cells);
      equal(Object.keys(JSON.parse(read(query, "jsonl"))), columns);
      equal(read(query, "csv"), cells.map((cell) => cell ?? "").join(",") + "\n");
      equal(read(query, "text").trim().split(/ +/), cells.map((cell) => cell ?? "-"));
    }),
    { numRuns: 40 },
  );
});

Deno.test("columns may be few, all, or in any order in every table", () => {
  for (const subject of subjects) {
    const names = subject.columns.map(({ name }) => name);
    for (const columns of [names.slice().reverse(), names.slice(-1)]) {
      for (const row of readRows({ table: subject.name, columns })) equal(Object.keys(row), columns);
    }
  }
});

Deno.test("what a query does not use is gone from its program after verification", () => {
  const files = { table: "files" };
  for (const format of FORMATS) {
    let columns: string[] = [];
    let before = 0;
    for (const { name } of table("files").columns) {
      columns = [...columns, name];
      const now = sizeOf({ ...files, columns }, format);
      ok(now > before, `${format}: ${name} is computed only where it is asked for`);
      before = now;
    }
    const [none, number, string, both] = [undefined, "fd == 1", "mode == rw", "fd == 1 && mode == rw"].map((where) =>
      sizeOf({ ...files, columns: ["fd"], where }, format)
    ) as [number, number, number, number];
    ok(none < number && number < string && string < both, `${format}: ${[none, number, string, both]}`);
    const [two, three] = ["fd == 1 || fd == 2", "fd == 1 || fd == 2 || fd == 3"].map((where) =>
      sizeOf({ ...files, where }, format)
    );
    equal(two, three, `${format}: another comparison with the same column is data, not code`);
    const names = sizeOf({ ...files, columns: ["fd"], where: "path ~ '/tmp/*'" }, format);
    ok(names > sizeOf({ ...files, columns: ["fd"], where: "ino == 1" }, format), `${format}: paths are costly`);
  }
});

Deno.test("what is costly is computed only where cheaper columns have not decided", async () => {
  using folder = new TemporaryFolder();
  await using fixture = await Fixture.start("values", folder.path);
  /** Whether a query leaves `text` in the memory of its program, its maps, without writing it. */
  const touches = (query: Query, text: string): boolean => {
    using program = load(query);
    exhaust(program);
    const ids = readdirSync("/proc/self/fd").flatMap((fd) => {
      try {
        return /^map_id:\s*(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, "utf8"))?.[1] ?? [];
      } catch {
        return []; // the descriptor of this very listing
      }
    });
    ok(ids.length > 1, "the program has maps");
    return ids.some((id) => {
      const entries = JSON.parse(run("bpftool", ["-j", "map", "dump", "id", id]).stdout) as { value: string[] }[];
      return entries.some(({ value }) => Buffer.from(value.map(Number)).includes(text));
    });
  };
  // The path of the last descriptor.
  const path = (where: string) => touches({ table: "files", pid: fixture.pid, columns: ["fd"], where }, "/memfd:far (deleted)");
  ok(path("path ~ x"), "it is compared");
  ok(path("fd >= 0 && path ~ x") && path("path ~ x || fd == 99999"), "it decides");
  ok(!path("fd == 99999 && path ~ x"), "no already");
  ok(!path("path ~ x && (fd == 99999 || file_ops == x)"), "no already, from the symbol");
  ok(!path("path ~ x || fd >= 0"), "yes already");
  const symbol = (where: string) => touches({ table: "files", pid: fixture.pid, columns: ["fd"], where }, "pipe_release");
  ok(symbol("file_ops == x"), "it is compared");
  ok(!symbol("mode == zz && file_ops == x"), "no already");
});

Deno.test("a pid narrows the walk, however it is said", async () => {
  await using fixture = await Fixture.start("name", "fixture-narrow");
  const { pid } = fixture;
  const whole = progressOf({ table: "files", where: "comm == fixture-narrow" });
  const queries: Partial<Query>[] = [
    { pid },
    { where: `pid == ${pid}` },
    { where: `fd >= 0 && (pid == ${pid})` },
    { where: `pid in (${pid})` },
    { where: `!(pid != ${pid}) && fd >= 0` },
    { where: `pid == ${pid} && fd == 0 || pid == ${pid} && fd != 0` },
  ];
  for (const query of queries) {
    const { walked, rows } = progressOf({ table: "files", ...query });
    equal([walked, rows], [whole.rows, whole.rows], JSON.stringify(query));
  }
  for (const where of [`pid == ${pid} || fd == 0`, `pid >= ${pid} && pid <= ${pid}`, `!(pid == ${pid})`, `pid != ${pid}`]) {
    ok(progressOf({ table: "files", where }).walked > whole.rows, where);
  }
  equal(progressOf({ table: "files", where: `pid == ${pid} && pid == 1` }).rows, 0, "it contradicts itself");
  equal(progressOf({ table: "files", where: `pid == ${2 ** 32 + pid}` }).rows, 0, "a number beyond 32 bits");
  equal(progressOf({ table: "stacks", where: `tid == ${pid}` }), { walked: 1, rows: 1 });
  equal(progressOf({ table: "stacks", tid: pid }), { walked: 1, rows: 1 });
  equal(progressOf({ table: "stacks", tid: pid, pid: 1 }).rows, 0, "a thread of another process");
});

Deno.test("a thread's number finds it, leader or not, and adds no row", async () => {
  using folder = new TemporaryFolder();
  await using fixture = await Fixture.start("values", folder.path);
  const threads = readRows({ table: "stacks", pid: fixture.pid });
  equal(threads.length, 6);
  for (const thread of threads) equal(readRows({ table: "stacks", tid: Number(thread.tid) }), [thread]);
  const files = readRows({ table: "files", pid: fixture.pid });
  for (const { tid } of threads) {
    equal(
      readRows({ table: "files", tid: Number(tid) }),
      files.filter((row) => row.tid === tid),
      "as the rows without it, filtered",
    );
  }
});

Deno.test("--stats shows rows walked and rows kept", async () => {
  await using fixture = await Fixture.start("name", "fixture-stats");
  const { stderr } = taskIter("stacks", "--pid", String(fixture.pid), "--where", "tid < 0x7fffffff", "--stats");
  ok(/^1 rows of 1 walked, /.test(stderr), stderr);
  const all = taskIter("stacks", "--where", `comm == fixture-stats`, "--stats").stderr;
  ok(/^1 rows of ([2-9]|\d\d+) walked, /.test(all), all);
});

Deno.test("inside a pid namespace, pids are as that namespace has them, and narrow the walk", () => {
  const script = `sleep 1000 & child=$!
    ${executable} stacks --pid $child --stats -f jsonl -c comm,pid,tid
    ${executable} stacks --where "tid == $child" --stats -f jsonl -c comm,pid,tid
    ${executable} files --where "pid == $child && fd == 0" --stats -f jsonl -c comm,pid,tid,fd
    echo $child; kill $child`;
  const { stdout, stderr, status } = run("unshare", ["-pf", "--mount-proc", "bash", "-c", script]);
  equal(status, 0, stderr);
  const lines = stdout.trimEnd().split("\n");
  const pid = Number(lines.pop());
  ok(pid < 10, "a namespace counts from 1");
  const row = { comm: "sleep", pid, tid: pid };
  equal(lines.map((line) => JSON.parse(line)), [row, row, { ...row, fd: 0 }]);
  const walked = [...stderr.matchAll(/(\d+) rows of (\d+) walked/g)].map(([, rows, walked]) => [Number(rows), Number(walked)]);
  equal(walked.slice(0, 2), [[1, 1], [1, 1]]);
  equal(walked[2]![0], 1);
  ok(walked[2]![1]! < 20, "the descriptors of one process");
});

Deno.test("rows() and the executable keep the same rows", async () => {
  await using fixture = await Fixture.start("name", "fixture-same");
  const where = `comm == fixture-same && fd < 3`;
  equal(rowsOf("files", "--where", where, "--columns=pid,fd").map(({ fd }) => fd), [0, 1, 2]);
  equal(
    readRows({ table: "files", where, columns: ["pid", "fd"] }).map(({ fd, pid }) => [pid, fd]),
    [0n, 1n, 2n].map((fd) => [BigInt(fixture.pid), fd]),
  );
});

Deno.test("a comparison with an absent number does not hold, nor does its negation", () => {
  const { name, columns } = table("vmas");
  const absent = (where: string) => {
    const query: Query = { table: name, pid: Deno.pid, columns: ["ino"], where };
    return readRows(query).filter(({ ino }) => ino === null).length;
  };
  ok(columns.some((column) => column.name === "ino"));
  ok(absent("ino == null") > 0, "anonymous memory has no inode");
  for (const where of ["ino < 1", "!(ino < 1)", "ino != 1", "ino in (1, 2)", "!(ino in (1, 2))", "ino != null"]) {
    equal(absent(where), 0, where);
  }
  ok(absent("ino < 1 || perms ~ *") > 0, "the other side may hold");
});

Deno.test("where no program can compare symbols, that is refused before any row, and a check of it is UNKNOWN", () => {
  using folder = new TemporaryFolder();
  const [release, btf] = [`${folder.path}/release`, `${folder.path}/btf`];
  writeFileSync(release, "5.12.0-old\n");
  const real = readFileSync("/sys/kernel/btf/vmlinux", "latin1");
  writeFileSync(btf, real.replace("\0BPF_FUNC_snprintf\0", "\0BPF_FUNC_snprintx\0"), "latin1");
  const script =
    'mount --bind "$1" /proc/sys/kernel/osrelease && mount --bind "$2" /sys/kernel/btf/vmlinux && shift 2 && exec "$@"';
  const old = (btf: string, ...args: string[]) =>
    run("unshare", ["-m", "sh", "-c", script, "sh", release, btf, executable, ...args]);
  for (const [table, column, number] of [["stacks", "frames", "tid"], ["tasks", "wchan", "tid"], ["files", "file_ops", "fd"]]) {
    const args = [table!, "--pid", "1", "--where", `${number} == 0 || ${column} ~ "*"`];
    const why = `cannot read table ${table}: kernel 5.12.0-old cannot compare the symbols of ${column} (Linux 5.13 or later): ` +
      "leave that column out of --where";
    for (const format of FORMATS) {
      equal(old(btf, ...args, "-f", format), { status: 3, stdout: "", stderr: `task-iter: ${why}\n` });
    }
    const { status, stdout } = old(btf, "check", ...args, "--crit", "0:");
    equal([status, stdout], [3, `${table!.toUpperCase()} UNKNOWN - ${why}\n`]);
    // Other columns may be compared, and where a distribution carried the function back, these.
    equal(old(btf, table!, "--pid", "1", "--where", `${number} == 1`).status, 0);
    equal(old("/sys/kernel/btf/vmlinux", ...args).status, 0);
  }
});
