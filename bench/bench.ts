// SPDX-License-Identifier: BSD-2-Clause
/**
 * deno task bench [--readme] [FOLDER]
 *
 * How fast task-iter is, beside others and beside the floor: the kernel's walk that prints nothing. The competitors take turns
 * in each round, and a number is the median of its rounds. FOLDER holds the tutorial's C program (task_stack.bpf.c and
 * task_stack.c); without it its row says so. `--readme` puts the table between the marks of README.md.
 */

import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { availableParallelism, cpus, release, tmpdir } from "node:os";
import { resolve } from "node:path";
import type { Format } from "../src/query/request.ts";
import { LIGHT, programOf } from "../src/native/load.ts";
import { plan, type Query } from "../src/query/plan.ts";

const root = new URL("..", import.meta.url).pathname;
const built = `${root}build/bench/`;
const executable = `${root}dist/task-iter`;
const libraries = `${root}build/${process.arch === "arm64" ? "aarch64" : "x86_64"}/`;

const PROCESSES = 1000;
const THREADS = 10;
const DESCRIPTORS = 35;
const SOCKETS = 20_000;
const ROUNDS = 9;
/** Of what takes seconds, so that all is done in five minutes. */
const SLOW_ROUNDS = 5;

const readme = Deno.args.includes("--readme");
const [peer] = Deno.args.filter((word) => !word.startsWith("-"));
const hasPeer = peer !== undefined && existsSync(`${peer}/task_stack.c`) && existsSync(`${peer}/task_stack.bpf.c`);
const folder = mkdtempSync(`${tmpdir()}/task-iter-bench-`);

const say = (text: string) => console.error(`bench: ${text}`);

/** One line of the table. */
interface Line {
  what: string;
  ours: string;
  against: string;
  theirs: string;
  result: string;
  target: string;
  met: boolean | undefined;
}

const lines: Line[] = [];

function skip(what: string, against: string, why: string): void {
  lines.push({ what, ours: "", against, theirs: "", result: `not measured: ${why}`, target: "", met: undefined });
}

const ms = (value: number) => `${value < 100 ? value.toFixed(1) : value.toFixed(0)} ms`;

function compare(what: string, ours: number, against: string, theirs: number, most: number): void {
  const ratio = ours / theirs;
  const target = most < 0.3 ? `1/${Math.round(1 / most)}` : String(most);
  const result = most < 0.3 ? `1/${(1 / ratio).toFixed(1)}` : ratio.toFixed(2);
  lines.push({ what, ours: ms(ours), against, theirs: ms(theirs), result, target, met: ratio <= most });
}

function median(numbers: number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

interface Run {
  ms: number;
  mb: number;
}

/** Runs a command once, its output into /dev/null; measure.c holds the watch. */
function runOnce(command: string[]): Run {
  const { stdout, stderr } = spawnSync(`${built}measure`, ["run", ...command], { encoding: "utf8" });
  if (!stdout) throw new Error(`${command.join(" ")}: ${stderr}`);
  const { ns, kb, status } = JSON.parse(stdout);
  // lsof and cat complain of what went away or may not be read: 1.
  if (status > 1 || (status !== 0 && command[0]!.endsWith("task-iter"))) {
    throw new Error(`${command.join(" ")} ended with ${status}`);
  }
  return { ms: ns / 1e6, mb: kb / 1024 };
}

/** Medians of commands that take turns. */
function race<Name extends string>(commands: Record<Name, string[]>, rounds = ROUNDS): Record<Name, Run> {
  const names = Object.keys(commands) as Name[];
  const runs = Object.fromEntries(names.map((name) => [name, []])) as unknown as Record<Name, Run[]>;
  for (let round = 0; round < rounds; round++) {
    names.forEach((_, i) => {
      const name = names[(round + (round & 1 ? names.length - i : i)) % names.length]!;
      runs[name].push(runOnce(commands[name]));
    });
  }
  return Object.fromEntries(names.map((name) => [name, {
    ms: median(runs[name].map(({ ms }) => ms)),
    mb: median(runs[name].map(({ mb }) => mb)),
  }])) as Record<Name, Run>;
}

/** A walk: one of the floors by its name, or a table's program with the query that the command line would give it. */
type Walker = string | { query: Query; format: Format };

/** Median milliseconds and bytes of one pass into a buffer in C: a program's own time, whoever reads it. The first is left out. */
function walk<Name extends string>(walkers: Record<Name, Walker>, rounds = ROUNDS): Record<Name, { ms: number; bytes: number }> {
  const names = Object.keys(walkers) as Name[];
  const args = names.flatMap((name, i) => {
    const walker = walkers[name];
    const file = `${folder}/query.${i}`;
    const { request } = plan(
      typeof walker === "string" ? { table: "stacks" } : walker.query,
      typeof walker === "string" ? "json" : walker.format,
    );
    writeFileSync(file, request.query);
    return typeof walker === "string"
      ? [libraries + LIGHT, `${built}floor_${walker}.light`, file]
      : [libraries + LIGHT, libraries + programOf(request), file];
  });
  const output = execFileSync(`${built}measure`, ["walk", String(rounds + 1), ...args], { encoding: "utf8", maxBuffer: 1 << 26 });
  const passes = JSON.parse(output) as [number, number][][];
  return Object.fromEntries(names.map((name, i) => {
    const kept = passes[i]!.slice(1);
    return [name, { ms: median(kept.map(([ns]) => ns)) / 1e6, bytes: kept.at(-1)![1] }];
  })) as Record<Name, { ms: number; bytes: number }>;
}

/** load.c, until it is disposed of. */
class Load implements AsyncDisposable {
  private constructor(private readonly child: ChildProcess) {}

  static async start(...args: (string | number)[]): Promise<Load> {
    const child = spawn(`${built}load`, args.map(String), { stdio: ["pipe", "pipe", "inherit"] });
    const ended = once(child, "exit").then(() => {
      throw new Error(`load ${args.join(" ")} failed`);
    });
    ended.catch(() => {});
    await Promise.race([once(child.stdout!, "data"), ended]);
    return new Load(child);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = once(this.child, "exit");
    this.child.stdin!.end();
    await ended;
  }
}

const has = (tool: string) => spawnSync("sh", ["-c", `command -v ${tool}`]).status === 0;

/** The tables that the executable has and this kernel lets it read without more arguments. */
function readableTables(): string[] {
  const listed = JSON.parse(execFileSync(executable, ["tables", "--format=json"], { encoding: "utf8" })) as { table: string }[];
  return listed.map(({ table }) => table).filter((table) =>
    spawnSync(executable, [table, "-f", "json"], { stdio: "ignore" }).status === 0
  );
}

/** On the machine as it is. */
function coldRuns(tables: string[]): void {
  say("cold runs");
  execFileSync(`${built}measure`, ["cache", executable, `${built}empty`, ...(hasPeer ? [`${built}task_stack`] : [])]);
  const stacks = [executable, "stacks", "--format=json"];
  const target = "cold run, stacks JSON, small system";
  if (hasPeer) {
    const cold = race({ ours: stacks, peer: [`${built}task_stack`] }, 4 * ROUNDS);
    compare(target, cold.ours.ms, "tutorial's C program", cold.peer.ms, 0.35);
  } else {
    const why = peer === undefined ? "its folder was not given (deno task bench FOLDER)" : `${peer} does not hold it`;
    skip(target, "tutorial's C program", why);
  }
  const commands: Record<string, string[]> = { empty: [`${built}empty`] };
  for (const table of tables) commands[table] = [executable, table, "--format=json"];
  const cold = race(commands);
  const slowest = tables.toSorted((a, b) => cold[b]!.ms - cold[a]!.ms);
  // The slowest one is the promise; the others show where it comes from.
  for (const table of new Set([slowest[0]!, "stacks", "files"])) {
    const what = table === slowest[0] ? `cold run, slowest of ${tables.length} tables: ${table}` : `cold run, ${table}`;
    compare(what, cold[table]!.ms, "empty Bun executable + 8 ms", cold.empty!.ms + 8, 1);
  }
}

async function tasks(tables: string[]): Promise<void> {
  say(`${PROCESSES} processes of ${THREADS} threads and ${DESCRIPTORS} descriptors`);
  await using _load = await Load.start("tasks", PROCESSES, THREADS, DESCRIPTORS);
  const withoutPath = ["comm", "pid", "tid", "fd", "type", "mode", "file_ops"];
  const walks = walk({
    nothing: "task_nothing",
    stack: "task_stack",
    files: "files_nothing",
    path: "files_path",
    stacksJson: { query: { table: "stacks" }, format: "json" },
    filesJson: { query: { table: "files", columns: withoutPath }, format: "json" },
    filesCsv: { query: { table: "files", columns: withoutPath }, format: "csv" },
    pathJson: { query: { table: "files" }, format: "json" },
    tasks: tables.includes("tasks") ? { query: { table: "tasks" }, format: "json" } : "task_nothing",
  }, 2 * ROUNDS);
  compare("stacks, walk, JSON", walks.stacksJson.ms, "walk that unwinds, prints nothing", walks.stack.ms, 1.25);
  compare("files without path, walk, JSON", walks.filesJson.ms, "walk that prints nothing", walks.files.ms, 1.6);
  compare("files without path, walk, CSV", walks.filesCsv.ms, "walk that prints nothing", walks.files.ms, 1.6);
  compare("files with path, walk, JSON", walks.pathJson.ms, "walk with bpf_d_path, prints nothing", walks.path.ms, 1.5);
  if (tables.includes("tasks")) compare("tasks, walk, JSON", walks.tasks.ms, "walk that prints nothing", walks.nothing.ms, 2);
  else skip("tasks, walk, JSON", "walk that prints nothing", "there is no table tasks");

  say("whole commands");
  const command = (table: string) => [executable, table, "--format=json"];
  const cat = race({ ours: command("stacks"), cat: ["sh", "-c", "cat /proc/[0-9]*/task/*/stack"] });
  compare("stacks, whole command", cat.ours.ms, "`cat /proc/[0-9]*/task/*/stack`", cat.cat.ms, 1 / 8);
  for (
    const [tool, args, most] of [["lsfd", [], 1 / 25], ["lsof", ["-n"], 1 / 150]] as [string, string[], number][]
  ) {
    const against = [tool, ...args].join(" ");
    if (!has(tool)) {
      skip("files, whole command", against, `${tool} is not on this machine`);
      continue;
    }
    const { ours, theirs } = race({ ours: command("files"), theirs: [tool, ...args] }, tool === "lsof" ? SLOW_ROUNDS : ROUNDS);
    compare("files, whole command", ours.ms, against, theirs.ms, most);
  }
  if (!tables.includes("tasks")) skip("tasks, whole command", "ps -eLf", "there is no table tasks");
  else if (!has("ps")) skip("tasks, whole command", "ps -eLf", "ps is not on this machine");
  else {
    const { ours, ps } = race({ ours: command("tasks"), ps: ["ps", "-eLf"] });
    compare("tasks, whole command", ours.ms, "ps -eLf", ps.ms, 1 / 12);
  }

  // A pass after the first: what more passes add to the whole command. They begin at multiples of an interval so short that there
  // is no pause.
  const passes = (count: number) => [executable, "stacks", "-f", "json", "--interval=0.01ms", `--count=${count}`];
  const more = [], walked = [];
  for (let round = 0; round < ROUNDS; round++) {
    more.push((runOnce(passes(21)).ms - runOnce(passes(1)).ms) / 20);
    walked.push(walk({ stacks: { query: { table: "stacks" }, format: "json" } }, 20).stacks.ms);
  }
  compare("--interval, a pass after the first", median(more), "the same walk, read by C", median(walked), 1.1);
}

/** Rows and time of `files` where one program walks `descriptors` more than the system has. */
async function many(processes: number, descriptors: number): Promise<{ rows: number; ms: number; mb: number }> {
  await using _load = await Load.start("files", processes, descriptors);
  const args = ["files", "-f", "json", "-c", "comm,pid,fd,type,mode"];
  const { stderr } = spawnSync(executable, [...args, "--stats"], { stdio: ["ignore", "ignore", "pipe"], encoding: "utf8" });
  const rows = Number(/^([0-9]+) rows/m.exec(stderr)?.[1]);
  const { it } = walk({ it: { query: { table: "files", columns: ["comm", "pid", "fd", "type", "mode"] }, format: "json" } }, 5);
  return { rows, ms: it.ms, mb: runOnce([executable, ...args]).mb };
}

async function growth(): Promise<void> {
  say("growth and memory");
  const few = race({ it: [executable, "files", "-f", "json", "-w", "fd < 3", "--pid", String(Deno.pid)] }).it.mb;
  const smalls = [], larges = [];
  for (let round = 0; round < SLOW_ROUNDS; round++) {
    smalls.push(await many(100, 1000));
    larges.push(await many(100, 10_000));
  }
  const middle = (runs: Awaited<ReturnType<typeof many>>[]) => ({
    rows: runs[0]!.rows,
    ms: median(runs.map(({ ms, rows }) => ms / rows)) * runs[0]!.rows,
    mb: median(runs.map(({ mb }) => mb)),
  });
  const [small, large] = [middle(smalls), middle(larges)];
  const ratio = large.ms / small.ms / (large.rows / small.rows);
  lines.push({
    what: `growth, files, ${large.rows} rows`,
    ours: ms(large.ms),
    against: `${small.rows} rows, 10 times`,
    theirs: ms(small.ms * large.rows / small.rows),
    result: ratio.toFixed(2),
    target: "1.15",
    met: ratio <= 1.15,
  });
  lines.push({
    what: `memory, ${large.rows} rows`,
    ours: `${large.mb.toFixed(1)} MB`,
    against: "3 rows",
    theirs: `${few.toFixed(1)} MB`,
    result: `${large.mb < few ? "-" : "+"} ${Math.abs(large.mb - few).toFixed(1)} MB`,
    target: "+ 8 MB",
    met: large.mb - few <= 8,
  });
}

async function tcp(tables: string[]): Promise<void> {
  if (!tables.includes("tcp")) return skip("tcp, whole command", "ss -tanp", "there is no table tcp");
  if (!has("ss")) return skip("tcp, whole command", "ss -tanp", "ss is not on this machine");
  say(`${SOCKETS} sockets`);
  await using _load = await Load.start("tcp", SOCKETS);
  const { ours, ss } = race({ ours: [executable, "tcp", "--format=json"], ss: ["ss", "-tanp"] });
  compare("tcp, whole command", ours.ms, "ss -tanp", ss.ms, 1 / 5);
}

/** The kernel's text is in a file, so that only TypeScript works: read, whole lines, UTF-8, write. */
function throughput(): void {
  say("user space");
  const file = `${folder}/rows`;
  const text = execFileSync(executable, ["files", "-f", "jsonl"], { maxBuffer: 1 << 28 });
  const fd = openSync(file, "w");
  for (let size = 0; size < 256 << 20; size += text.length) writeSync(fd, text);
  closeSync(fd);
  const script = `${built}throughput.js`;
  const bun = `${root}node_modules/.bin/bun`;
  execFileSync(bun, ["build", "--target=bun", `--outfile=${script}`, `${root}bench/throughput.ts`], {
    stdio: ["ignore", "ignore", 2],
  });
  const rates: number[] = [];
  for (let round = 0; round < 5; round++) {
    const { stderr } = spawnSync(bun, [script, file], {
      stdio: ["ignore", openSync("/dev/null", "w"), "pipe"],
      encoding: "utf8",
    });
    const { ns, bytes } = JSON.parse(stderr);
    rates.push(bytes / ns);
  }
  const rate = median(rates);
  lines.push({
    what: "user space, bytes to /dev/null",
    ours: `${rate.toFixed(2)} GB/s`,
    against: "",
    theirs: "",
    result: rate.toFixed(2),
    target: "at least 1 GB/s",
    met: rate >= 1,
  });
}

function table(): string {
  const head = ["what", "task-iter", "against", "its time", "ratio", "at most", "met"];
  const cells = lines.map(({ what, ours, against, theirs, result, target, met }) => [
    what,
    ours,
    against,
    theirs,
    result,
    target,
    met === undefined ? "" : met ? "yes" : "no",
  ]);
  const widths = head.map((name, i) => Math.max(name.length, ...cells.map((row) => row[i]!.length)));
  const line = (row: string[]) => `| ${row.map((cell, i) => cell.padEnd(widths[i]!)).join(" | ")} |`;
  const machine = `Linux ${release()}, ${availableParallelism()} CPUs (${cpus()[0]?.model.trim() ?? "unknown"}); ` +
    `${PROCESSES} processes of ${THREADS} threads and ${DESCRIPTORS} descriptors, ${SOCKETS} TCP sockets; medians.`;
  return [line(head), line(widths.map((width) => "-".repeat(width))), ...cells.map(line), "", machine].join("\n");
}

const started = performance.now();
try {
  say("building");
  const args = ["-s", "-C", `${root}bench`, ...(hasPeer ? [`PEER=${resolve(peer)}`] : [])];
  const { status } = spawnSync("make", args, { stdio: ["ignore", 2, 2] });
  if (status !== 0) throw new Error("make -C bench failed");
  const tables = readableTables();
  coldRuns(tables);
  await tasks(tables);
  await growth();
  await tcp(tables);
  throughput();
  console.log(table());
  if (readme) {
    const text = readFileSync(`${root}README.md`, "utf8");
    const marks = /(<!-- bench -->\n)[\s\S]*?(<!-- \/bench -->)/;
    if (!marks.test(text)) throw new Error("README.md has no <!-- bench --> and <!-- /bench -->");
    writeFileSync(`${root}README.md`, text.replace(marks, (_, begin, end) => `${begin}\n${table()}\n\n${end}`));
  }
} finally {
  rmSync(folder, { recursive: true });
}
say(`${((performance.now() - started) / 1000).toFixed(0)} s`);
