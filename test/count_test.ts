// SPDX-License-Identifier: BSD-2-Clause
/** Counts: the groups that the kernel makes are those that this program makes of the rows. */

import { deepStrictEqual as equal, match, ok, throws } from "node:assert";
import { parse } from "csv-parse/sync";
import * as fc from "fast-check";
import { cellsOf, takeGroups } from "../src/groups.ts";
import { count, libraries } from "../src/mod.ts";
import { load } from "../src/native/load.ts";
import { GROUP_REST } from "../src/query/layout.gen.ts";
import { type Aggregate, plan, type Query } from "../src/query/plan.ts";
import { tables } from "../src/query/schema.ts";
import { elementsTest, executable, Fixture, type Row, rows, run, taskIter, TemporaryFolder } from "./support.ts";

/** Numbers beyond 2^53 in JSON as bigints. */
const exact = (json: string): Row[] =>
  JSON.parse(
    json.replace(/:(-?\d{16,})(?=[,}])/g, ':"@$1"'),
    (_, value) => typeof value === "string" && /^@-?\d{16,}$/.test(value) ? BigInt(value.slice(1)) : value,
  );

/** The rows of `task-iter ARGS -f json`, exactly. */
function read(...args: string[]): Row[] {
  const { status, stdout, stderr } = taskIter(...args, "--format=json");
  equal(status, 0, stderr);
  return exact(stdout);
}

const name = ({ kind, column }: Aggregate) => `${kind}_${column}`;

/** Groups as `task-iter count` gives them, made of rows. */
function group(rows: readonly Row[], by: readonly string[], aggregates: readonly Aggregate[]): Row[] {
  const groups = new Map<string, Row[]>();
  const text = (value: unknown) => JSON.stringify(value, (_, part) => typeof part === "bigint" ? `${part}n` : part);
  for (const row of rows) {
    const key = text(by.map((column) => row[column]));
    groups.set(key, [...groups.get(key) ?? [], row]);
  }
  return [...groups.values()].map((rows) => {
    const computed = aggregates.map((aggregate) => {
      const { kind, column } = aggregate;
      const present = rows.map((row) => row[column]).filter((value) => value !== null);
      if (kind === "distinct") return [name(aggregate), new Set(present.map(text)).size];
      if (present.length === 0) return [name(aggregate), null];
      const numbers = present.map(BigInt);
      const value = numbers.reduce((a, b) => kind === "sum" ? a + b : (kind === "max") === (a > b) ? a : b);
      return [name(aggregate), value >= -(2n ** 53n) && value <= 2n ** 53n ? Number(value) : value];
    });
    return Object.fromEntries([["count", rows.length], ...computed, ...by.map((column) => [column, rows[0]![column]])]);
  });
}

const comparable = (rows: readonly Row[]) =>
  rows.map((row) =>
    JSON.stringify(
      Object.entries(row).sort(),
      (_, part) =>
        typeof part === "bigint"
          ? `${part}n`
          : typeof part === "number" && !Number.isSafeInteger(part)
          ? `${BigInt(part)}n`
          : part,
    )
  ).sort();

/** What of a table stays the same while a fixture waits. */
interface Ground {
  table: string;
  args: string[];
  columns: string[];
  numbers: string[];
}

const aggregateArgs = (aggregates: readonly Aggregate[]) => aggregates.flatMap(({ kind, column }) => [`--${kind}`, column]);

/** Holds a count against the rows of the same predicate. */
function same({ table, args }: Ground, by: readonly string[], aggregates: readonly Aggregate[]): void {
  const columns = [...new Set([...by, ...aggregates.map(({ column }) => column)])];
  const all = read(table, ...args, "--columns", (columns.length > 0 ? columns : ["pid"]).join(","));
  const counted = read("count", table, ...args, ...by.length > 0 ? ["--by", by.join(",")] : [], ...aggregateArgs(aggregates));
  equal(comparable(counted), comparable(group(all, by, aggregates)), `${table} by ${by} ${aggregates.map(name)}`);
  const counts = counted.map(({ count }) => count);
  equal(counts, counts.toSorted((a, b) => b - a), "sorted");
}

Deno.test("count: random groups and aggregates are those of the rows", async () => {
  using folder = new TemporaryFolder();
  await using values = await Fixture.start("values", folder.path);
  await using threads = await Fixture.start("sleepers", "4");
  await using unix = await Fixture.start("inet");
  await values.settle();
  const files = tables.find(({ name }) => name === "files")!.columns.map(({ name }) => name);
  const grounds: Ground[] = [
    {
      table: "files",
      args: ["--pid", `${values.pid}`],
      columns: files,
      numbers: ["fd", "size", "pos", "ino", "uid", "flags", "tid"],
    },
    {
      table: "stacks",
      args: ["--pid", `${threads.pid}`],
      columns: ["comm", "pid", "tid", "frames", "state", "depth", "wchan"],
      numbers: ["tid", "depth"],
    },
    {
      table: "vmas",
      args: ["--pid", `${values.pid}`],
      columns: ["pid", "comm", "start", "perms", "offset", "dev", "ino", "path", "size_kb"],
      numbers: ["offset", "ino", "size_kb"],
    },
    {
      table: "tasks",
      args: ["--pid", `${values.pid}`],
      columns: [
        "pid",
        "tid",
        "ppid",
        "uid",
        "comm",
        "nice",
        "prio",
        "policy",
        "threads",
        "start_ns",
        "exe",
        "cmdline",
        "cgroup",
        "kthread",
      ],
      numbers: ["tid", "nice", "prio", "start_ns", "oom_score_adj"],
    },
    {
      table: "tcp",
      args: ["--netns", `${unix.pid}`],
      columns: ["family", "state", "local_addr", "local_port", "remote_addr", "remote_port", "uid"],
      numbers: ["local_port", "remote_port", "uid"],
    },
  ];
  const asked = fc.constantFrom(...grounds).chain((ground) => {
    const aggregate = fc.oneof(
      fc.record({
        kind: fc.constantFrom("sum" as const, "max" as const, "min" as const),
        column: fc.constantFrom(...ground.numbers),
      }),
      fc.record({ kind: fc.constant("distinct" as const), column: fc.constantFrom(...ground.columns) }),
    );
    return fc.tuple(
      fc.constant(ground),
      fc.uniqueArray(fc.constantFrom(...ground.columns), { maxLength: 5 }),
      fc.uniqueArray(aggregate, { maxLength: 6, selector: name }),
    );
  });
  fc.assert(fc.property(asked, ([ground, by, aggregates]) => same(ground, by, aggregates)), { numRuns: 25, endOnFailure: true });
  for (const ground of grounds) same(ground, ground.columns.filter((column) => !/frames|cmdline/.test(column)), []);
});

Deno.test("count: every format has the same groups, in the same order", async () => {
  using folder = new TemporaryFolder();
  await using values = await Fixture.start("values", folder.path);
  const asked = [
    "count",
    "files",
    "--pid",
    `${values.pid}`,
    "--by",
    "type,mode,deleted",
    "--sum",
    "size",
    "--min",
    "pos",
    "--distinct",
    "path",
  ];
  const names = ["count", "sum_size", "min_pos", "distinct_path", "type", "mode", "deleted"];
  const json = read(...asked);
  ok(json.length > 5);
  equal(Object.keys(json[0]!), names);
  const lines = taskIter(...asked, "-f", "jsonl").stdout;
  equal(exact(`[${lines.trimEnd().replaceAll("\n", ",")}]`), json);
  const cell = (value: unknown) => value === null ? "" : String(value);
  const cells = json.map((row) => Object.values(row).map(cell));
  const csv: string[][] = parse(taskIter(...asked, "-f", "csv").stdout);
  equal(csv, [names, ...cells]);
  const text = taskIter(...asked).stdout.split("\n").filter(Boolean).map((line) => line.trim().split(/ +/));
  equal(text, [names.map((name) => name.toUpperCase()), ...cells.map((row) => row.map((value) => value || "-"))]);
  equal(taskIter(...asked, "--no-header").stdout.split("\n").length, json.length + 1);
});

Deno.test("count: the library gives the command's groups, and numbers beyond 2^53 exactly", async () => {
  using folder = new TemporaryFolder();
  await using values = await Fixture.start("values", folder.path);
  const by = ["type", "mode", "deleted", "path"] as const;
  const aggregates = { sum: ["size", "pos"], max: ["pos"], distinct: ["ino"] } as const;
  const { groups, rest } = count({ table: "files", pid: values.pid }, { by, ...aggregates });
  const options = Object.entries(aggregates).map(([kind, columns]) => `--${kind}=${columns.join(",")}`);
  const expected = read("count", "files", "--pid", `${values.pid}`, "--by", by.join(","), ...options);
  const isNumber = (name: string) => /^(sum|max|distinct)_/.test(name);
  equal(
    groups,
    expected.map((row) =>
      Object.fromEntries(
        Object.entries(row).map(([name, value]) => [name, isNumber(name) && value !== null ? BigInt(value) : value]),
      )
    ),
  );
  ok(groups.some(({ sum_pos }) => sum_pos! > 2n ** 53n));
  equal(rest, undefined);
  const first = count({ table: "files", pid: values.pid }, { by, ...aggregates, top: 1 });
  equal(first.groups, groups.slice(0, 1));
  const sum = (rows: readonly { sum_pos: bigint | null }[]) => rows.reduce((sum, row) => sum + (row.sum_pos ?? 0n), 0n);
  equal(sum([...first.groups, first.rest!]), sum(groups));
  equal(first.groups[0]!.count + first.rest!.count, rows("files", "--pid", `${values.pid}`).length);
  throws(() => count({ table: "files" }, { sum: ["path"] }), /path is not a number/);
  throws(() => count({ table: "files" }, { sum: ["size", "size"] }), /asked for twice/);
});

Deno.test("count: without --by all rows are one group, also when there is none", async () => {
  await using fixture = await Fixture.start("name", "count-me");
  const [total, ...others] = read("count", "files", "count-me");
  equal([total, others], [{ count: rows("files", "--pid", `${fixture.pid}`).length }, []]);
  equal(read("count", "files", "no-such-thread"), [{ count: 0 }]);
  equal(read("count", "files", "no-such-thread", "--max", "fd"), [{ count: 0, max_fd: null }]);
  equal(read("count", "files", "no-such-thread", "--by", "type"), []);
  equal(taskIter("count", "files", "count-me").stdout, `COUNT\n${String(total!.count).padStart(5)}\n`);
});

Deno.test("count: text tells absent values and places of cells apart", async () => {
  await using fixture = await Fixture.start("names", "/tmp");
  const hex = (text: string) => [...new TextEncoder().encode(text)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  // The comm "-" looks like an absent one; sockets' absent states stand beside a state of the same look.
  await fixture.tell(`name ${hex("-")}`);
  const by = ["--by", "comm,protocol,state"];
  const asked = ["count", "files", "--pid", `${fixture.pid}`, ...by];
  equal(taskIter(...asked).stdout.split("\n").length - 2, read(...asked).length);
});

Deno.test("count: --top leaves one row for the rest, and the sums agree", async () => {
  using folder = new TemporaryFolder();
  await using values = await Fixture.start("values", folder.path);
  const asked = [
    "count",
    "files",
    "--pid",
    `${values.pid}`,
    "--by",
    "type,mode",
    "--sum",
    "fd",
    "--max",
    "fd",
    "--distinct",
    "fd",
  ];
  const all = read(...asked);
  const top = read(...asked, "--top", "2");
  equal([top.length, top.slice(0, 2)], [3, all.slice(0, 2)]);
  const rest = all.slice(2);
  const sum = (rows: Row[], column: string) => rows.reduce((sum, row) => sum + Number(row[column]), 0);
  equal(top[2], {
    count: sum(rest, "count"),
    sum_fd: sum(rest, "sum_fd"),
    max_fd: Math.max(...rest.map((row) => row.max_fd)),
    distinct_fd: null,
    type: null,
    mode: null,
    rest: true,
  });
  equal(read(...asked, "--top", `${all.length}`), all);
  const csv: Row[] = parse(taskIter(...asked, "--top", "2", "-f", "csv").stdout, { columns: true });
  equal(csv.map((row) => row.rest), ["", "", "true"]);
  equal(sum(csv, "count"), sum(all, "count"));
  match(
    taskIter(...asked, "--top", "2").stdout,
    new RegExp(`\\n +${sum(rest, "count")} .* - \\(${rest.length} more groups\\)\\n$`),
  );
});

Deno.test("count: groups without room are counted in the rest, and that is said", async () => {
  await using fixture = await Fixture.start("many", "300");
  const asked = ["count", "files", "--pid", `${fixture.pid}`, "--by", "fd", "--sum", "fd"];
  const all = read(...asked);
  ok(all.length > 300);
  const { status, stdout, stderr } = taskIter(...asked, "--groups", "100", "-f", "json");
  equal(status, 0);
  const lost = all.length - 100;
  equal(stderr, `task-iter: ${lost} file descriptors are in groups beyond the limit of 100 (--groups); the last row has them\n`);
  const some = exact(stdout);
  equal([some.length, some[100]!.count, some[100]!.rest, some[100]!.fd], [101, lost, true, null]);
  const sum = (rows: Row[]) => rows.reduce((sum, row) => sum + row.sum_fd, 0);
  equal(sum(some), sum(all));
  match(taskIter(...asked, "--groups", "100").stdout, /\(rest\)\n$/);
  // Distinct values have four times the room.
  const distinct = taskIter("count", "files", "--pid", `${fixture.pid}`, "--distinct", "fd", "--groups", "10", "-f", "json");
  equal([distinct.status, exact(distinct.stdout)], [0, [{ count: all.length, distinct_fd: null }]]);
  match(distinct.stderr, /more distinct values than the kernel keeps \(--groups\): some of distinct_fd are not known/);
  equal(read("count", "files", "--pid", `${fixture.pid}`, "--distinct", "fd"), [{ count: all.length, distinct_fd: all.length }]);
});

Deno.test("count: long texts continue in further entries, whole", async () => {
  using folder = new TemporaryFolder();
  await using values = await Fixture.start("values", folder.path);
  const where = ["--pid", `${values.pid}`, "--where", 'path ~ "*/end"'];
  const [row] = rows("files", ...where, "--columns", "path,comm");
  ok(row!.path.length > 3900);
  equal(read("count", "files", ...where, "--by", "path,comm"), [{ count: 1, ...row }]);
  // It takes 26 entries of 160 bytes.
  const { stdout, stderr } = taskIter("count", "files", ...where, "--by", "path", "--groups", "25", "-f", "json");
  equal([exact(stdout), /beyond the limit of 25/.test(stderr)], [[{ count: 1, path: null, rest: true }], true]);
  equal(read("count", "files", ...where, "--by", "path", "--groups", "26").length, 1);
});

Deno.test("count: a sum is exact beyond 64 bits, and a signed one below zero", async () => {
  using folder = new TemporaryFolder();
  await using values = await Fixture.start("values", folder.path);
  const far = ["--pid", `${values.pid}`, "--where", 'path ~ "*memfd:far*"'];
  const largest = 2n ** 63n - 1n;
  equal(read("count", "files", ...far, "--sum", "pos", "--sum", "size", "--max", "pos"), [
    { count: 2, sum_pos: 2n * largest, sum_size: 2n * largest, max_pos: largest },
  ]);
  const mem = read(
    "count",
    "files",
    "--pid",
    `${values.pid}`,
    "--where",
    'path ~ "*/mem"',
    "--sum",
    "pos",
    "--min",
    "pos",
    "--max",
    "pos",
  );
  equal(mem, [{ count: 1, sum_pos: -4096, min_pos: -4096, max_pos: -4096 }]);
});

/** What `finish` would write for groups of one sum, each of 128 bits. */
function records(groups: { rows: number; sum: bigint; text: string; rest?: boolean }[]): Uint8Array {
  const parts = groups.map(({ rows, sum, text, rest }) => {
    const cells = new TextEncoder().encode(text);
    const bytes = new Uint8Array(32 + cells.length);
    const view = new DataView(bytes.buffer);
    view.setUint32(0, bytes.length | (rest ? GROUP_REST : 0), true);
    view.setUint32(4, 1, true);
    view.setBigUint64(8, BigInt(rows), true);
    view.setBigUint64(16, BigInt.asUintN(64, sum), true);
    view.setBigInt64(24, sum >> 64n, true);
    bytes.set(cells, 32);
    return bytes;
  });
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

Deno.test("takeGroups() keeps 128 bits, adds what is cut, and merges what only invalid UTF-8 told apart", () => {
  const bytes = records([
    { rows: 1, sum: 5n, text: "", rest: true },
    { rows: 3, sum: 2n ** 70n, text: ",b" },
    { rows: 3, sum: -(2n ** 70n), text: ",a" },
    { rows: 2, sum: 1n, text: ",\ufffd" },
    { rows: 2, sum: 2n, text: ",\ufffd" },
    { rows: 1, sum: 7n, text: ",c" },
  ]);
  let ended = true;
  const pass = {
    begin: () => void (ended = false),
    get ended() {
      return ended;
    },
    fill(buffer: Uint8Array, used: number) {
      ended = true;
      buffer.set(bytes, used);
      return used + bytes.length;
    },
    progress: () => ({ walked: 12, rows: 12 }),
  };
  const planned = plan({
    table: "files",
    columns: ["comm"],
    grouping: { aggregates: [{ kind: "sum", column: "pos" }], limit: 9 },
  }, "csv");
  const { groups, rest, others, lost } = takeGroups(pass, planned, 3);
  equal(groups.map(({ text, rows, values }) => [text, rows, values[0]]), [
    [",\ufffd", 4, 3n],
    [",a", 3, -(2n ** 70n)],
    [",b", 3, 2n ** 70n],
  ]);
  equal([rest.rows, rest.values, others, lost], [2, [12n], undefined, 1]);
});

Deno.test("cellsOf() gives back what JSON's cells are", () => {
  const value = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.integer().map(String).map((text) => ({ raw: text })),
    fc.constant(null),
    fc.boolean().map((value) => ({ raw: `${value}` })),
    fc.array(fc.string({ unit: "grapheme-ascii" })),
    fc.constant({ raw: '{"a":[1,2],"b":"},"}' }),
  );
  fc.assert(fc.property(fc.array(value), (values) => {
    const json = (value: typeof values[number]) =>
      value !== null && typeof value === "object" && "raw" in value ? value.raw : JSON.stringify(value);
    const text = values.map((value, i) => `,"c${i}":${json(value)}`).join("");
    const expected = values.map((value) =>
      Array.isArray(value) ? value.join(";") : value !== null && typeof value === "object" ? value.raw : value
    );
    equal(cellsOf(text), expected);
  }));
});

Deno.test("count: the kernel runs nothing that writes rows, and its memory does not grow with them", () => {
  const query: Query = { table: "files", columns: ["type"], grouping: { aggregates: [], limit: 10 } };
  const planned = plan(query, "csv");
  using program = load(libraries, planned.request);
  const { groups, bytes } = takeGroups(program.walk, planned);
  ok(groups.length > 2 && groups.length <= 8);
  ok(bytes < 1000, `${bytes} bytes crossed to user space`);
});

Deno.test("count refuses what it cannot do", () => {
  const cases: [string[], RegExp][] = [
    [[], /count needs a TABLE/],
    [["files", "--by", "nothing"], /files has no column nothing/],
    [["files", "--sum", "comm"], /comm is not a number: sum takes numbers/],
    [["files", "--max", "type"], /type is not a number/],
    [["files", "--sum", "fd", "--sum", "fd"], /sum_fd is asked for twice/],
    [["files", "--sum", "fd,pos,size", "--max", "fd,pos,size", "--min", "fd"], /at most 6 aggregates/],
    [["files", "--top", "0"], /positive number/],
    [["files", "-f", "folded"], /counts of the table stacks by frames/],
    [["stacks", "--by", "comm", "-f", "folded"], /counts of the table stacks by frames/],
    [["--file", "/dev/null", "--by", "comm"], /give nothing beside it/],
    [["--file", "/dev/null", "-f", "json"], /its format is prom/],
  ];
  for (const [args, message] of cases) {
    const { status, stdout, stderr } = taskIter("count", ...args);
    equal([status, stdout], [2, ""], args.join(" "));
    match(stderr, message);
  }
  equal(taskIter("files", "-f", "folded").status, 2);
});

Deno.test("check --by judges the worst group and names it, in every format", async () => {
  await using few = await Fixture.start("many", "20");
  await using more = await Fixture.start("many", "40");
  const where = `pid in (${few.pid}, ${more.pid})`;
  const count = (pid: number) => rows("files", "--pid", `${pid}`).length;
  const check = (...args: string[]) => taskIter("check", "files", "--where", where, "--by", "pid", ...args);
  const [small, large] = [count(few.pid), count(more.pid)];
  equal(check("--crit", `${small}`), {
    status: 2,
    stdout: `FILES CRITICAL - pid ${more.pid}: ${large} file descriptors, more than ${small} | rows=${large};;${small}\n`,
    stderr: "",
  });
  equal(check("--crit", `${large}:`), {
    status: 2,
    stdout: `FILES CRITICAL - pid ${few.pid}: ${small} file descriptors, fewer than ${large} | rows=${small};;${large}:\n`,
    stderr: "",
  });
  equal(
    check("--warn", "10", "--crit", `${large}`).stdout,
    `FILES WARNING - pid ${more.pid}: ${large} file descriptors, more than 10; 1 other group too | rows=${large};10;${large}\n`,
  );
  equal([check("--crit", `${large}`).status, check("--crit", "1000:").status], [0, 2]);
  const json = JSON.parse(check("--crit", `${small}`, "-f", "json").stdout).checks[0];
  equal([json.by, json.rows, json.state], [{ pid: more.pid }, large, "CRITICAL"]);
  for (const format of ["tap", "junit"]) {
    match(check("--crit", `${small}`, "-f", format).stdout, new RegExp(`pid ${more.pid}: ${large} file`));
  }
  // No row is no group, and no row at all.
  const none = taskIter("check", "files", "no-such-name", "--by", "pid", "--crit", "1:");
  equal([none.status, none.stdout], [2, "FILES CRITICAL - 0 file descriptors, fewer than 1 | rows=0;;1:\n"]);
  const file = JSON.stringify([{ table: "files", where, by: ["pid"], crit: small }, {
    table: "files",
    where,
    by: "pid,type",
    crit: 1e6,
  }]);
  const { status, stdout } = run(executable, ["check", "--file=-", "-f", "json"], { input: file });
  equal([status, JSON.parse(stdout).checks[0].by, Object.keys(JSON.parse(stdout).checks[1].by)], [2, { pid: more.pid }, [
    "pid",
    "type",
  ]]);
});

/** A comm that is hostile to every format, and how UTF-8 shows it. */
const HOSTILE = [0x22, 0x5c, 0x0a, 0x7b, 0x7d, 0x2c, 0x3b, 0x20, 0xff, 0x1b, 0x25];
const SHOWN = '"\\\n{},; \ufffd\u001b%';

/** The label values of a line of metrics, as its reader understands them. */
function labelsOf(line: string): Record<string, string> {
  const text = /^\w+\{(.*)\} \S+$/.exec(line)![1]!;
  return Object.fromEntries(
    [...text.matchAll(/(\w+)="((?:[^"\\\n]|\\[\\"n])*)"(?:,|$)/g)].map((
      [, name, value],
    ) => [name!, value!.replace(/\\(.)/g, (_, char) => char === "n" ? "\n" : char)]),
  );
}

const promtool = (text: string) => run("promtool", ["check", "metrics"], { input: text });

Deno.test("prom: counts, aggregates in base units and checks are clean under promtool, hostile names included", async () => {
  using folder = new TemporaryFolder();
  await using fixture = await Fixture.start("names", folder.path);
  await fixture.tell(`name ${HOSTILE.map((byte) => byte.toString(16).padStart(2, "0")).join("")}`);
  const pid = ["--pid", `${fixture.pid}`];
  const { stdout, status } = taskIter("count", "files", ...pid, "--by", "comm,type", "-f", "prom");
  equal(status, 0);
  equal(promtool(stdout), { status: 0, stdout: "", stderr: "" });
  const samples = stdout.split("\n").filter((line) => line && !line.startsWith("#"));
  const counted = read("count", "files", ...pid, "--by", "comm,type");
  equal(samples.map((line) => ({ count: Number(line.split(" ").at(-1)), ...labelsOf(line) })), counted);
  equal(counted[0]!.comm, SHOWN);

  const tasks = [
    "count",
    "tasks",
    ...pid,
    "--by",
    "tid",
    "--sum",
    "utime_ns",
    "--max",
    "rss_kb",
    "--min",
    "nice",
    "--distinct",
    "comm",
  ];
  const metrics = taskIter(...tasks, "-f", "prom").stdout;
  equal(promtool(metrics), { status: 0, stdout: "", stderr: "" });
  equal([...metrics.matchAll(/^# TYPE (\w+) gauge$/gm)].map(([, name]) => name), [
    "task_iter_tasks",
    "task_iter_tasks_sum_utime_seconds",
    "task_iter_tasks_max_rss_bytes",
    "task_iter_tasks_min_nice",
    "task_iter_tasks_distinct_comm",
  ]);
  const [task] = read(...tasks);
  match(metrics, new RegExp(`^task_iter_tasks_max_rss_bytes\\{tid="${fixture.pid}"\\} ${task!.max_rss_kb * 1024}$`, "m"));
  // The rest has no labels of the columns, so that the sums agree.
  const rest = taskIter("count", "files", "--by", "pid,type", "--top", "1", "-f", "prom").stdout;
  equal(promtool(rest).status, 0);
  match(rest, /^task_iter_files\{rest="true"\} \d+$/m);

  const checks = taskIter("check", "files", ...pid, "--name", SHOWN, "--crit", "0", "-f", "prom");
  equal([checks.status, promtool(checks.stdout)], [2, { status: 0, stdout: "", stderr: "" }]);
  const lines = checks.stdout.split("\n").filter((line) => line && !line.startsWith("#"));
  equal(lines.map((line) => [line.split("{")[0], labelsOf(line).check, line.split(" ").at(-1)]), [
    ["task_iter_check_rows", SHOWN, `${rows("files", ...pid).length}`],
    ["task_iter_check_status", SHOWN, "2"],
  ]);
});

Deno.test("prom: --file has many counts and checks, each metric once", async () => {
  await using fixture = await Fixture.start("name", "count-me");
  const { pid } = fixture;
  const counts = [
    { table: "files", pid, by: ["type"] },
    { table: "files", pid, by: "comm,pid", name: "open_files", sum: "fd", distinct: ["type", "mode"] },
    { table: "tasks", pid, by: [], max: ["start_ns"] },
  ];
  const make = (value: unknown) => run(executable, ["count", "--file=-"], { input: JSON.stringify(value) });
  const { status, stdout, stderr } = make({ counts, checks: [{ name: "c", table: "files", pid, crit: 0 }] });
  equal([status, stderr], [0, ""]);
  equal(promtool(stdout), { status: 0, stdout: "", stderr: "" });
  equal([...stdout.matchAll(/^# HELP (\w+) /gm)].map(([, name]) => name), [
    "task_iter_files",
    "task_iter_open_files",
    "task_iter_open_files_sum_fd",
    "task_iter_open_files_distinct_type",
    "task_iter_open_files_distinct_mode",
    "task_iter_tasks",
    "task_iter_tasks_max_start_seconds",
    "task_iter_check_rows",
    "task_iter_check_status",
  ]);
  const [row] = rows("tasks", "--pid", `${pid}`, "--columns", "start_ns");
  const seconds = /^task_iter_tasks_max_start_seconds (\d+)\.?(\d*)$/m.exec(stdout)!;
  equal(BigInt(seconds[1]! + seconds[2]!.padEnd(9, "0")), BigInt(row!.start_ns));
  match(stdout, /^task_iter_check_status\{check="c"\} 2$/m);
  const wrong: [unknown, RegExp][] = [
    [
      [{ table: "files" }, { table: "files", by: ["pid"] }],
      /two counts make the metric task_iter_files: give one of them a name/,
    ],
    [[{ table: "files", by: ["nothing"] }], /count 1: files has no column nothing/],
    [[{ table: "files", name: "Not good" }], /count 1 \(Not good\): name is the end of a metric's name/],
    [[{ table: "files", bye: "pid" }], /unknown key "bye" \(did you mean by\?\)/],
    [{ checks: [{ table: "files", where: "fd ==" }] }, /check 1: where, at character/],
    [{}, /there is no count in it/],
  ];
  for (const [value, message] of wrong) {
    const { status, stdout, stderr } = make(value);
    equal([status, stdout], [2, ""]);
    match(stderr, message);
  }
});

Deno.test("prom: a unit becomes the base unit without losing a digit", async () => {
  const { inBaseUnits } = await import("../src/cli/prom.ts");
  equal(inBaseUnits("utime_ns").write(123n), "0.000000123");
  equal(inBaseUnits("utime_ns").write(-(2n ** 64n)), "-18446744073.709551616");
  equal(inBaseUnits("srtt_us").write(5_000_000n), "5");
  equal([inBaseUnits("rss_kb").name, inBaseUnits("rss_kb").write(3n)], ["rss_bytes", "3072"]);
  equal([inBaseUnits("fd").name, inBaseUnits("fd").write(-7n)], ["fd", "-7"]);
});

Deno.test("folded: stacks as flame graphs read them, outermost first, blanks and semicolons escaped", async () => {
  await using fixture = await Fixture.start("sleepers", "3");
  const pid = ["--pid", `${fixture.pid}`];
  const expected = new Map<string, number>();
  for (const { comm, frames } of rows("stacks", ...pid)) {
    const names = (frames as string[]).map((frame) => frame.replace(/\+0x.*?(?= \[|$)/, "").replace(" [", "["));
    const line = [comm.replace(" ", "%20"), ...names.toReversed()].join(";");
    expected.set(line, (expected.get(line) ?? 0) + 1);
  }
  const { status, stdout, stderr } = taskIter("stacks", ...pid, "-f", "folded");
  equal([status, stderr], [0, ""]);
  // What flamegraph.pl, inferno and speedscope take: everything up to the last blank is the stack.
  const found = new Map(
    stdout.trimEnd().split("\n").map((line) => {
      const [, stack, count] = /^([^ ]+) (\d+)$/.exec(line)!;
      return [stack!, Number(count)];
    }),
  );
  equal([...found].sort(), [...expected].sort());
  equal(taskIter("count", "stacks", ...pid, "--by", "comm,frames", "-f", "folded").stdout, stdout);
  const only = taskIter("count", "stacks", ...pid, "--by", "frames", "-f", "folded").stdout;
  ok(only.split("\n").every((line) => !line.startsWith("fixture;")));

  await using hostile = await Fixture.start("name", 'a b;c%d"\n');
  await hostile.settle();
  match(taskIter("stacks", "--pid", `${hostile.pid}`, "-f", "folded").stdout, /^a%20b%3Bc%25d"%0A;[^ ]+ 1\n$/);
});

elementsTest("count without --where on symbols loads by libbpf too, with the same groups", async () => {
  await using fixture = await Fixture.start("many", "50");
  const query: Query = {
    table: "files",
    pid: fixture.pid,
    columns: ["type", "mode", "path"],
    grouping: { aggregates: [{ kind: "sum", column: "fd" }, { kind: "distinct", column: "path" }], limit: 1000 },
  };
  const taken = (libbpf: boolean) => {
    const planned = plan(query, "jsonl");
    using program = load(libraries, { ...planned.request, libbpf });
    return takeGroups(program.walk, planned).groups;
  };
  ok(taken(true).length > 2);
  equal(taken(true), taken(false));
});

Deno.test("plan() refuses a column that is no number for a sum, and too many aggregates", () => {
  const grouping = (aggregates: Aggregate[]) => () =>
    plan({ table: "files", columns: [], grouping: { aggregates, limit: 1 } }, "json");
  throws(grouping([{ kind: "sum", column: "path" }]), /path is not a number/);
  throws(grouping(Array.from({ length: 7 }, () => ({ kind: "sum", column: "fd" }))), /at most 6/);
});

Deno.test("no column has the name of a count's own", () => {
  for (const { name, columns } of tables) {
    const own = columns.filter((column) => /^(count|rest|t|(sum|max|min|distinct)_.*)$/.test(column.name));
    // max_entries is a column of maps; max_max_entries is not the same.
    equal(own.filter((column) => column.name !== "max_entries").map((column) => column.name), [], name);
  }
});
