// SPDX-License-Identifier: BSD-2-Clause
/**
 * The suite that every kernel must pass; root runs it as `bun run suite.js EXECUTABLE LIBRARIES [short|lockdown]`: `short` leaves
 * out what takes long, `lockdown` is for a kernel that was booted with lockdown=.
 *
 * One line of JSON for each result. Every table is loaded by each way
 * that this kernel has, in every format, with every column and the largest query, and its rows are compared between formats and
 * with what /proc says of processes, files and sockets that the suite itself makes.
 */

import { spawn, spawnSync, type SpawnSyncOptionsWithStringEncoding } from "node:child_process";
import dgram from "node:dgram";
import fs from "node:fs";
import net from "node:net";
import { before, release } from "../../src/native/kernel.ts";
import { bun } from "../../src/native/bun.ts";
import type { Format, Request } from "../../src/query/request.ts";
import { type Libraries, load as loadProgram } from "../../src/native/load.ts";
import type { Program } from "../../src/native/program.ts";
import { EPERM, TaskIterError } from "../../src/errors.ts";
import { plan, type Query } from "../../src/query/plan.ts";
import { MAX_TESTS } from "../../src/query/layout.gen.ts";
import { type Column, type Table, tables } from "../../src/query/schema.ts";
import { groupingOf, takeGroups } from "../../src/groups.ts";
import { chunks } from "../../src/stream.ts";
import type { Result } from "./result.ts";
import { type Kid, makeBuffers, MAPS, type Row, same, type Surroundings, withDescriptors, witnesses } from "./witness.ts";

const [executable, folder, form = "whole"] = process.argv.slice(2) as [string, string, "short" | "lockdown" | undefined];
const kernel = release();

/** Runs a command to its end. */
const command = (words: string[], options: SpawnSyncOptionsWithStringEncoding = { encoding: "utf8" }) =>
  spawnSync(words[0]!, words.slice(1), { maxBuffer: 1 << 28, env: { PATH: process.env.PATH }, ...options });

/** Runs task-iter. */
const taskIter = (...words: string[]) => command([executable, ...words]);

const report = (result: Result): void => console.log(JSON.stringify(result));

/** Waits: what a reading has loaded the kernel frees a moment after it, on a busy machine a longer one. */
const pause = (ms: number): void => void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);

/** A check: `test` throws, or says why it could not be made. */
async function check(name: string, test: () => void | string | Promise<void | string>): Promise<void> {
  await new Promise(setImmediate); // a signal is seen between two checks
  try {
    const skipped = await test();
    report(skipped === undefined ? { kind: "pass", name } : { kind: "skip", name, reason: skipped });
  } catch (error) {
    const { message, log = "" } = error as TaskIterError;
    report({
      kind: "fail",
      name,
      reason: log
        ? `${message}\n${
          log.split("\n").filter((line) => line && !line.startsWith("libbpf: ") && !line.startsWith("-- END")).slice(-6).join(
            "\n",
          )
        }`
        : message,
    });
  }
}

function holds(condition: boolean, what: string): asserts condition {
  if (!condition) throw new Error(what);
}

const libraries: Libraries = {
  open: (name) => bun.open(`${folder}/${name}`),
  program: (name) => fs.readFileSync(`${folder}/${name}`),
};

/** Light skeletons need Linux 5.17: there both ways must work. */
const ways: readonly ["light" | "libbpf", "libbpf"?] = before(kernel, "5.17") ? ["libbpf"] : ["light", "libbpf"];

/** Whether the host refuses iterators over the elements of maps, to everybody. */
const noElements = ((): boolean => {
  try {
    loadProgram(libraries, { ...plan({ table: "elems", map: 1 }, "csv").request, libbpf: ways[0] === "libbpf" }).close();
    return false;
  } catch (error) {
    return error instanceof TaskIterError && error.step === "load" && error.errno === EPERM;
  }
})();
const NO_ELEMENTS = "this host refuses iterators over the elements of maps";

/** Loads in that way. The error of a failed load has the verifier's log. */
function loadBy(way: "light" | "libbpf", request: Request, verbose: Request["verbose"] = false): Program {
  const libbpf = way === "libbpf";
  try {
    return loadProgram(libraries, { ...request, libbpf, verbose });
  } catch (error) {
    if (!(error instanceof TaskIterError) || error.step !== "load") throw error;
    return loadProgram(libraries, { ...request, libbpf, verbose: true }); // fails again, with the whole log
  }
}

/** One pass of `query`, without header or summary, loaded in that way. */
function read(query: Query, format: Format, way: "light" | "libbpf", record = false): string {
  const { request, table } = plan(query, format);
  const began = performance.now();
  using loaded = loadBy(way, request, record && "numbers");
  const milliseconds = performance.now() - began;
  const decoder = new TextDecoder();
  let text = "";
  for (const chunk of chunks(loaded.walk, format)) text += decoder.decode(chunk, { stream: true });
  if (record) {
    const processed = Number(/processed (\d+) insns/.exec(loaded.log)?.[1] ?? 0);
    report({ kind: "load", table: table.name, format, way, processed, size: loaded.size / 8, milliseconds });
  }
  return text;
}

/** RFC 4180; an absent value is `null`, an empty string is quoted. */
function parseCsv(text: string): (string | null)[][] {
  const rows: (string | null)[][] = [[]];
  for (const [, quoted, plain, end] of text.matchAll(/(?:"((?:[^"]|"")*)"|([^",\n\r]*))(,|\n)/g)) {
    rows.at(-1)!.push(quoted !== undefined ? quoted.replaceAll('""', '"') : plain === "" ? null : plain!);
    if (end === "\n") rows.push([]);
  }
  same(rows.pop(), [], "csv's end");
  return rows;
}

/** The value that JSON has for a cell of CSV. */
function fromCsv(cell: string | null, { type }: Column): unknown {
  if (type === "frames") return cell === null ? [] : cell.split(";");
  if (type === "numbers") return cell === null ? [] : cell.split(";").map(Number);
  if (cell === null) return null;
  return type === "number" || type === "signed" ? Number(cell) : type === "boolean" ? cell === "true" : cell;
}

/** Tables so long that reading all of them each time would take minutes in emulation. */
const SOME: Readonly<Record<string, string>> = { ksyms: 'name ~ "tcp_*"' };

/** Columns that need a sleepable program, which a kernel that has only libbpf's way does not know. */
const SLEEPING: Readonly<Record<string, string>> = { tasks: "cmdline" };

/** The tables that are counted and followed in the short form, and where each load takes seconds in emulation. */
const SLOWLY: readonly string[] = ["files", "tcp", "elems"];

/** Symbols, which kernels before 5.13 cannot compare. */
const isSymbol = ({ type }: Column): boolean => type === "symbol" || type === "frames";
const comparable = (column: Column): boolean => !isSymbol(column) || !before(kernel, "5.13");

/** Columns that change from one reading to the next though nothing happens. */
const CHANGING: Readonly<Record<string, readonly string[]>> = {
  tasks: ["age_ns"],
  slabs: ["active_objs", "num_objs", "num_slabs", "memory"],
  progs: ["run_cnt", "run_time_ns"],
};

/** Every column and as many comparisons as there may be; it holds for every row, of some tables for some. */
function largest(table: Table): string {
  const first = table.columns[0]!;
  const parts = [`${first.name} == null`, ...table.columns.filter(comparable).map(({ name }) => `${name} != null`)];
  const string = table.columns.find(({ type }) => type === "string" || type === "long");
  const some = SOME[table.name];
  for (let i = 0; parts.length < MAX_TESTS - (some ? 1 : 0); i++) {
    // To look for each of them anywhere in the names of 150,000 symbols would take a third of the suite's time.
    const compared = some && i > 0 ? `== zq${i}` : `~ "*zq${i}*"`;
    parts.push(string ? `${string.name} ${compared}` : `${first.name} in (${i})`);
  }
  return some ? `${some} && (${parts.join(" || ")})` : parts.join(" || ");
}

/** Rows of what stays as it is: of processes that sleep, of sockets, and not of BPF objects made for one reading. */
function lasting(rows: Row[], { kids }: Surroundings, others = rows): Row[] {
  const [pids, ids] = [new Set([2, ...kids.map(({ pid }) => pid)]), new Set(others.map((row) => row.id))];
  // A symbol of module bpf is a program's.
  return rows.filter((row) =>
    row.module !== "bpf" && (row.pid === undefined || row.owners !== undefined || pids.has(row.pid)) &&
    (row.id === undefined || ids.has(row.id))
  );
}

/** Rows that are no row of `others`. */
function strangers(rows: Row[], others: Row[], around: Surroundings): Row[] {
  const known = new Set(others.map((row) => JSON.stringify(row)));
  return lasting(rows, around, others).filter((row) => !known.has(JSON.stringify(row)));
}

/** Reads until two readings agree: the system lives on between them. */
function agree(around: Surroundings, readers: Record<string, () => Row[]>): Row[] {
  let difference = "";
  for (let attempt = 0; attempt < 10; attempt++) {
    const readings = Object.entries(readers).map(([name, reader]) => {
      pause(20 * attempt);
      return [name, reader()] as const;
    });
    const [, first] = readings[0]!;
    difference = "";
    for (const [name, rows] of readings.slice(1)) {
      const strange = [...strangers(rows, first, around), ...strangers(first, rows, around)];
      if (strange.length > 0) difference = `${name}: ${JSON.stringify(strange.slice(0, 2))}`;
    }
    if (!difference) return first;
  }
  throw new Error(`formats disagree, ${difference.slice(0, 800)}`);
}

/** `column == value` for the row's default columns, those that a string in quotes or a number can name. */
function equalTo(row: Row, table: Table): { where: string; matches: (row: Row) => boolean } {
  const columns = table.columns.filter(comparable).filter(({ name, shown, type }) => {
    const value = row[name];
    const plain = typeof value !== "string" || /^[ -~]*$/.test(value) && !/["\\*…]/.test(value) && value.length < 256;
    return shown && type !== "frames" && type !== "hex" && plain && !Array.isArray(value);
  });
  const value = (cell: unknown, { type }: Column) => cell === null || type !== "string" ? `${cell}` : JSON.stringify(cell);
  const quote = (column: Column) =>
    ["long", "symbol"].includes(column.type) && row[column.name] !== null
      ? JSON.stringify(row[column.name])
      : value(row[column.name], column);
  return {
    where: columns.map((column) => `${column.name} == ${quote(column)}`).join(" && "),
    matches: (other) => columns.every(({ name }) => other[name] === row[name]),
  };
}

/** The symbols of a process that sleeps are found by `--where`; where that cannot be, nothing says that there are none. */
function symbols({ name, plural }: Table, column: Column, { kids: [kid] }: Surroundings): void {
  const asked = [`--pid=${kid!.pid}`, `--where=${column.name} ~ "*"`];
  const { status, stdout, stderr } = taskIter(name, ...asked, "--format=json");
  const counted = taskIter("check", name, ...asked, "--crit=1000");
  if (!comparable(column)) {
    const why =
      `cannot read table ${name}: kernel ${kernel} cannot compare the symbols of ${column.name} (Linux 5.13 or later): ` +
      "leave that column out of --where";
    same([status, stdout, stderr], [3, "", `task-iter: ${why}\n`], "status, output, message");
    same([counted.status, counted.stdout], [3, `${name.toUpperCase()} UNKNOWN - ${why}\n`], "check");
    return;
  }
  const all: Row[] = JSON.parse(taskIter(name, `--pid=${kid!.pid}`, "--columns=all", "--format=json").stdout);
  const count = all.filter((row) => row[column.name]?.length > 0).length;
  holds(count > 0, `no row of a process that sleeps has ${column.name}`);
  same([status, JSON.parse(stdout).length, stderr], [0, count, ""], "status, rows, message");
  holds(counted.status === 0 && counted.stdout.includes(`OK - ${count} `), `${plural}: ${counted.stdout}${counted.stderr}`);
}

/** Of each group of rows, how many there are and their sum of a column; a group by its first columns. */
type Groups = Map<string, string>;

/** `count` gives the groups of the table's rows, by three columns; of those that are the same before and after it. */
function groups(query: Query, columns: Column[], way: "light" | "libbpf"): void {
  const by = columns.slice(0, 3).map(({ name }) => name);
  const summed = columns.find(({ type }) => type === "number")?.name;
  const ofRows = (): Groups => {
    const found = new Map<string, [number, bigint | null]>();
    for (const row of JSON.parse(read(query, "json", way)) as Row[]) {
      const key = JSON.stringify(by.map((name) => row[name]));
      const [count, sum] = found.get(key) ?? [0, null];
      const value = summed === undefined ? null : row[summed];
      found.set(key, [count + 1, value === null ? sum : (sum ?? 0n) + BigInt(value)]);
    }
    return new Map([...found].map(([key, values]) => [key, values.join()]));
  };
  const counted = (): Groups => {
    const grouping = groupingOf(summed === undefined ? {} : { sum: [summed] });
    const planned = plan({ ...query, columns: by, grouping }, "jsonl");
    using program = loadBy(way, planned.request);
    const { groups, lost } = takeGroups(program.walk, planned);
    same(lost, 0, "rows without a group");
    return new Map(groups.map(({ text, rows, values }) => {
      const row = JSON.parse(`{${text.slice(1)}}`);
      return [JSON.stringify(by.map((name) => row[name])), [rows, values[0] ?? null].join()];
    }));
  };
  let difference = "";
  for (let attempt = 0; attempt < 10; attempt++) {
    pause(20 * attempt);
    const [first, found] = [ofRows(), counted()];
    let wrong = [...first].filter(([key, values]) => found.get(key) !== values);
    // A reading's own BPF objects are gone in the next one.
    let strange = columns[0]!.name === "id" ? [] : [...found].filter(([key]) => !first.has(key));
    if (wrong.length + strange.length === 0) return;
    const second = ofRows();
    wrong = wrong.filter(([key, values]) => second.get(key) === values);
    strange = strange.filter(([key]) => !second.has(key));
    if (wrong.length + strange.length === 0) return;
    difference = JSON.stringify({ wrong: wrong.map(([key, values]) => [key, values, found.get(key)]), strange }).slice(0, 800);
  }
  throw new Error(difference);
}

/** The rows that the changes of three passes make. */
function afterChanges(query: Query, { identity }: Table, way: "light" | "libbpf"): Row[] {
  using program = loadBy(way, plan({ ...query, changes: 300_000 }, "jsonl", true).request);
  const rows = new Map<string, Row[]>();
  for (let pass = 0; pass < 3; pass++) {
    program.stamp({ t: `${pass}` });
    const decoder = new TextDecoder();
    let text = "";
    for (const chunk of chunks(program.walk, "jsonl")) text += decoder.decode(chunk, { stream: true });
    for (const line of text.split("\n").filter(Boolean)) {
      const { op, t: _, ...row } = JSON.parse(line);
      const key = JSON.stringify(identity.map((name) => row[name]));
      const known = rows.get(key) ?? [];
      if (op !== "+") known.pop();
      if (op !== "-") known.push(row);
      rows.set(key, known);
    }
  }
  same(program.walk.lost, 0, "rows that were forgotten");
  return [...rows.values()].flat().map((row) => Object.fromEntries(query.columns!.map((name) => [name, row[name]])));
}

async function checkTable(table: Table, around: Surroundings): Promise<void> {
  const { name } = table;
  if (noElements && MAPS[name]) {
    report({ kind: "skip", name: `${name}: all of it`, reason: NO_ELEMENTS });
    return;
  }
  const base: Query = { table: name, map: MAPS[name]?.(around) };
  const options = base.map === undefined ? [] : [`--map=${base.map}`];
  const run = (...args: string[]) => taskIter(name, ...options, ...args);

  if (before(kernel, table.since)) {
    await check(`${name}: says that this kernel lacks it`, () => {
      const { status, stdout, stderr } = run("--format=json");
      const line =
        `task-iter: cannot read table ${name}: kernel ${kernel} has no ${table.iterator} iterator (Linux ${table.since} or later)\n`;
      same([status, stdout, stderr], [3, "", line], "status, output, message");
    });
    return;
  }
  const all: Query = { ...base, columns: ["all"], where: largest(table) };
  const names = table.columns.map((column) => column.name);
  const json = (text: string): Row[] => JSON.parse(text);
  const steady = (rows: Row[]): Row[] =>
    rows.map((row) =>
      Object.fromEntries(Object.entries(row).map(([name, cell]) => [name, CHANGING[table.name]?.includes(name) ? 0 : cell]))
    );
  const lines = (text: string): Row[] => text.split("\n").filter(Boolean).map((line) => JSON.parse(line));
  const records = (text: string): Row[] =>
    parseCsv(text).map((cells) =>
      Object.fromEntries(table.columns.map((column, i) => [column.name, fromCsv(cells[i]!, column)]))
    );

  if (form === "whole") {
    await check(`${name}: every format, every column, ${MAX_TESTS} comparisons, by ${ways[0]}`, () => {
      agree(around, {
        json: () => steady(json(read(all, "json", ways[0], true))),
        // By the program of JSON. By libbpf, in emulation, each load takes seconds.
        ...ways[0] === "light" && { jsonl: () => steady(lines(read(all, "jsonl", ways[0], true))) },
        csv: () => steady(records(read(all, "csv", ways[0], true))),
      }).forEach((row) => same(Object.keys(row), names, "columns"));
      // Escapes make every row of text a line without control characters.
      holds(!/\p{Cc}/u.test(read(all, "text", ways[0], true).replaceAll("\n", "")), "text has control characters");
    });
  }
  const other = ways[1];
  if (other && form === "whole") {
    await check(`${name}: the same rows by ${other}`, () => {
      const query = { ...all, columns: names.filter((name) => name !== SLEEPING[table.name]) };
      agree(around, {
        light: () => steady(json(read(query, "json", ways[0]))),
        libbpf: () => steady(json(read(query, "json", other, true))),
      });
    });
  }
  await check(`${name}: as asked for on the command line`, () => {
    const { status, stdout, stderr } = run("--format=json");
    same([status, stderr], [0, ""], "status, message");
    const shown = table.columns.filter((column) => column.shown).map((column) => column.name);
    for (const row of json(stdout)) same(Object.keys(row), shown, "columns");
  });
  await check(`${name}: a row's own values find it, and columns in another order`, () => {
    const full = json(read({ ...base, columns: ["all"], where: SOME[name] }, "json", ways[0]));
    const row = lasting(full, around).at(-1);
    if (!row) return "the table is empty";
    const { where, matches } = equalTo(row, table);
    const backwards = json(read({ ...base, columns: names.toReversed(), where }, "json", ways[0]));
    for (const found of backwards) {
      same(Object.keys(found), names.toReversed(), "columns");
      holds(matches(found), `${where} finds ${JSON.stringify(found)}`);
    }
    // The last BPF object may have been made for one reading, and gone by the next.
    holds(backwards.length > 0 || "id" in row, `${where} finds nothing`);
  });
  for (const column of table.columns.filter(isSymbol)) {
    await check(`${name}: ${column.name} is compared, or that is refused`, () => symbols(table, column, around));
  }
  const lasts = table.columns.filter((column) => column.shown && comparable(column) && !CHANGING[name]?.includes(column.name));
  // A reading has descriptors, as many as its program has maps.
  const others = lasts.some(({ name }) => name === "pid") ? `pid != ${process.pid}` : undefined;
  const some: Query = { ...base, columns: lasts.map(({ name }) => name), where: SOME[name] ?? others };
  if (form === "whole" && ways[0] === "light" || SLOWLY.includes(name)) {
    await check(`${name}: count makes the groups that its rows have`, () => groups(some, lasts, ways[0]));
    await check(`${name}: its changes make its rows`, () => {
      agree(around, { rows: () => json(read(some, "json", ways[0])), changes: () => afterChanges(some, table, ways[0]) });
    });
  }
  const witness = witnesses[name];
  if (!witness) return;
  await check(
    `${name}: agrees with what others say`,
    () => witness((query) => json(read({ ...base, columns: ["all"], ...query }, "json", ways[0])), around),
  );
}

async function checkCommandLine({ kids, hostile, many, long }: Surroundings): Promise<void> {
  await check("exit status 0: no rows", () => {
    const { status, stdout, stderr } = taskIter("files", "no-such-name", "--format=json");
    same([status, stdout, stderr], [0, "[]\n", ""], "status, output, message");
  });
  await check("exit status 2: unknown table, column, option", () => {
    for (const args of [["file", "x"], ["files", "--columns=nothing"], ["files", "--where=fd ~ 1"], ["--nothing"]]) {
      const { status, stdout, stderr } = taskIter(...args);
      same([status, stdout, stderr.split("\n").at(-1)], [2, "", ""], args.join(" "));
    }
  });
  await check("exit status 1: the output cannot be written", () => {
    const full = fs.openSync("/dev/full", "w");
    const { status } = command([executable, "files"], { encoding: "utf8", stdio: ["ignore", full, "pipe"] });
    fs.closeSync(full);
    same(status, 1, "status");
  });
  await check("exit status 3: without privileges", () => {
    // By its descriptor: the executable may be in a folder that only root enters.
    const fd = fs.openSync(executable, "r");
    const { status, stdout, stderr } = command(["/proc/self/fd/3", "files"], {
      uid: 65534,
      gid: 65534,
      cwd: "/",
      encoding: "utf8",
      stdio: ["ignore", "pipe", "pipe", fd],
    });
    fs.closeSync(fd);
    same([status, stdout], [3, ""], "status, output");
    holds(stderr.includes("CAP_BPF and CAP_PERFMON missing"), stderr);
  });
  await check("a reader that goes away ends it silently", () => {
    const { status, stdout, stderr } = command(["sh", "-c", `${executable} files | head -n 1`]);
    same([status, stdout.split("\n").length, stderr], [0, 2, ""], "status, lines, message");
  });
  await check("hostile names in every format", () => {
    for (const table of ["stacks", "files"]) {
      const rows: Row[] = JSON.parse(taskIter(table, "--pid", `${hostile.pid}`, "--format=json").stdout);
      holds(rows.length > 0, `${table} has no row`);
      for (const row of rows) same(row.comm, hostile.json, table);
      const [, first] = taskIter(table, "--pid", `${hostile.pid}`, "--columns=comm", "--format=csv").stdout.split("comm\n");
      same(parseCsv(first!)[0], [hostile.json], table);
      holds(
        taskIter(table, "--pid", `${hostile.pid}`).stdout.includes(hostile.text),
        `${table}: the escaped name is not in its text`,
      );
      const where = 'comm ~ "a*" && comm ~ "*z" && comm != "az"';
      const found: Row[] = JSON.parse(taskIter(table, `--where=${where}`, "--columns=pid", "--format=json").stdout);
      same([...new Set(found.map((row) => row.pid))], [hostile.pid], where);
    }
  });
  await check("regular expressions and two columns in --where", () => {
    const found = (
      where: string,
    ): number[] => [
      ...new Set((JSON.parse(taskIter("files", `--where=${where}`, "--columns=pid", "--format=json").stdout) as Row[])
        .map((row) => Number(row.pid))),
    ];
    same(found("comm =~ /^a[^]*z$/ && comm !~ /^az$/ && comm =~ /A/i"), [hostile.pid], "names");
    same(
      found(`pid == ${process.pid} && path =~ /^.*${long.slice(-40).replaceAll("/", "\\/")}$/ && 2 * fd > fd`),
      [process.pid],
      "paths",
    );
    same(found(`pid == ${hostile.pid} && (fd * 1.5 < fd || pid != tid)`), [], "two columns");
    same(found(`pid == ${hostile.pid} && 0.5 * pid < tid && fd <= fd`), [hostile.pid], "two columns with a factor");
  });
  await check("output of more than 32 KiB", () => {
    for (const format of ["json", "jsonl", "csv", "text"] as const) {
      const where = `pid == ${process.pid} && path == "${long}"`;
      const { status, stdout } = taskIter("files", `--where=${where}`, "--columns=fd,path,pos,flags", `--format=${format}`);
      const fds = stdout.split("\n").filter((line) => line.includes(long.slice(0, 40))).map((line) =>
        Number(/\d+/.exec(line)![0])
      );
      // Where there is no bpf_d_path, long paths are cut at no other place.
      same([status, fds], [0, many], format);
      holds(stdout.length > 3 * 32 * 1024, `only ${stdout.length} bytes`);
    }
  });
  if (form === "whole") {
    await check("100,000 descriptors of a process are each there once", () =>
      withDescriptors(100_000, (made) => {
        const { status, stdout, stderr } = taskIter("files", `--pid=${process.pid}`, "--format=csv");
        same([status, stderr], [0, ""], "status, message");
        const fds = stdout.trimEnd().split("\n").slice(1).map((line) => Number(line.split(",")[3]));
        const shown = new Set(fds);
        same([fds.length - shown.size, made.filter((fd) => !shown.has(fd))], [0, []], "shown again, missing");
      }));
  }
  await check("--comm, --pid and --tid", () => {
    const [kid] = kids as [Kid];
    for (const args of [["--comm=sleep", `--pid=${kid.pid}`], [`--tid=${kid.pid}`], [`--where=tid == ${kid.pid}`]]) {
      const rows: Row[] = JSON.parse(taskIter("stacks", ...args, "--format=json").stdout);
      same(rows.map((row) => [row.comm, row.pid, row.tid]), [["sleep", kid.pid, kid.pid]], args.join(" "));
    }
  });
  await check("--interval reads again", () => {
    const { status, stdout } = taskIter("stacks", "sleep", "--interval=50ms", "--count=3", "--format=jsonl");
    const times = new Set(stdout.split("\n").filter(Boolean).map((line) => JSON.parse(line).t));
    same([status, times.size], [0, 3], "status, passes");
  });
}

/** Booted with lockdown=integrity every table is read; with confidentiality, also later, what is refused says why. */
async function checkLockdown(): Promise<void> {
  const there = tables.filter(({ name, since }) => !before(kernel, since) && !MAPS[name]);
  const integrity = /\blockdown=integrity\b/.test(fs.readFileSync("/proc/cmdline", "utf8"));
  const found = () => JSON.parse(taskIter("doctor", "--format=json").stdout).find((row: Row) => row.check === "lockdown").found;
  const securityfs = (...words: string[]) => same(command([...words, "/sys/kernel/security"]).status, 0, words[0]!);
  // Each refusal takes two loads, which are slow in emulation.
  const refused = (reason: string) => {
    for (const name of ["stacks", "files"]) {
      const { status, stdout, stderr } = taskIter(name, "--format=json");
      same([status, stdout, stderr.split("\n").length], [3, "", 2], `${name}: status, output, lines`);
      holds(stderr.startsWith(`task-iter: cannot read table ${name}: `) && stderr.includes(reason), `${name}: ${stderr}`);
    }
    const { status, stdout } = taskIter("check", "files", '--where=path ~ "*x*"');
    holds(status === 3 && stdout.includes(reason), `check files: ${status} ${stdout}`);
  };
  const certain = "the kernel is locked down (confidentiality), no BPF program may read it: boot with lockdown=integrity";
  if (integrity) {
    for (const { name } of there) {
      await check(`lockdown=integrity: ${name} is read`, () => {
        const { status, stdout, stderr } = taskIter(name, "--format=json");
        same([status, stderr, Array.isArray(JSON.parse(stdout))], [0, "", true], "status, message, an array");
      });
    }
    await check("lockdown=integrity: doctor says so where securityfs does", () => {
      same(found(), "unknown", "without securityfs");
      securityfs("mount", "-t", "securityfs", "none");
      same(found(), "integrity", "with it");
    });
    await check("raised to confidentiality: what is refused says so", () => {
      fs.writeFileSync("/sys/kernel/security/lockdown", "confidentiality");
      refused(certain);
      same(found(), "confidentiality", "doctor");
    });
    await check("raised to confidentiality, without securityfs: what is refused says that it may be so", () => {
      securityfs("umount");
      refused("may be locked down (confidentiality): after mount -t securityfs none /sys/kernel/security");
      same(found(), "unknown", "doctor");
    });
  } else {
    await check("lockdown=confidentiality: what is refused says so, without securityfs and with it", () => {
      refused(certain);
      same(found(), "confidentiality", "without securityfs");
      securityfs("mount", "-t", "securityfs", "none");
      same(found(), "confidentiality", "with it");
      refused(certain);
    });
  }
}

/** Nothing that a run loaded may stay: identifiers of programs and maps that are there. */
function objects(): string {
  return taskIter("progs", "--columns=id,name", "--format=csv", "--where=name == dump").stdout;
}

const around: Surroundings = await (async () => {
  const folder = fs.mkdtempSync("/tmp/task-iter-kernels-");
  const long = `${folder}/${"d".repeat(200)}`;
  fs.writeFileSync(long, "x");
  const many = Array.from({ length: 500 }, () => fs.openSync(long, "r")).toSorted((a, b) => a - b);
  const deleted = `${folder}/deleted`;
  const deletedFd = fs.openSync(deleted, "w+");
  fs.unlinkSync(deleted);
  const kid = spawn("sleep", ["1000"], { stdio: ["pipe", many[0]!, deletedFd] });
  // A quotation mark, a comma, a backslash, a line end, an escape, a byte that is no UTF-8, U+009B, and a letter.
  const name = String.raw`a",\\\n\033\377\302\233z`;
  const named = spawn("sh", ["-c", `printf '${name}' > /proc/self/comm; echo; read x`], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  await new Promise((resolve) => named.stdout.once("data", resolve));
  const server = net.createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const socketPath = `${folder}/socket`;
  const local = net.createServer().listen(socketPath);
  await new Promise((resolve) => local.once("listening", resolve));
  const datagrams = dgram.createSocket("udp4");
  await new Promise<void>((resolve) => datagrams.bind(0, "127.0.0.1", resolve));
  const { port } = server.address() as net.AddressInfo;
  return {
    folder,
    kids: [{ pid: kid.pid!, end: () => kid.kill() }, { pid: named.pid!, end: () => named.kill() }],
    hostile: {
      pid: named.pid!,
      json: 'a",\\\n\x1b\ufffd\u009bz',
      text: String.raw`a",\\\n\x1b`,
    },
    long,
    many,
    buffers: before(kernel, "6.16") ? [] : makeBuffers(),
    port,
    socketPath,
    end: () => {
      server.close();
      local.close();
      datagrams.close();
      fs.rmSync(folder, { recursive: true });
    },
  };
})();

function end(): void {
  for (const kid of around.kids) kid.end();
  around.end();
}
process.once("SIGTERM", () => {
  end();
  process.exit(1);
});

try {
  report({ kind: "kernel", release: kernel });
  if (form === "lockdown") await checkLockdown();
  else {
    for (const table of tables) {
      try {
        await checkTable(table, around);
      } catch (error) {
        report({ kind: "fail", name: `${table.name}: can be checked`, reason: (error as Error).message });
      }
    }
    await checkCommandLine(around);
    await check("task-iter tables names every table", () => {
      const { stdout } = taskIter("tables", "--format=json");
      same(JSON.parse(stdout).map(({ table }: Row) => table), tables.map(({ name }) => name), "tables");
    });
    if (tables.some(({ name }) => name === "progs")) {
      await check("no program stays loaded", () => {
        let left = objects();
        for (let i = 0; i < 20 && left.split("\n").length > 3; i++) {
          pause(100);
          left = objects();
        }
        holds(left.split("\n").length <= 3, left);
      });
    }
  }
  report({ kind: "end" });
} finally {
  end();
}
process.exit(0);
