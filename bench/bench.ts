// SPDX-License-Identifier: BSD-2-Clause
/**
 * deno task bench [--readme] [--short] [FOLDER]
 *
 * How fast task-iter is, beside others and beside the floor: the kernel's walk that prints nothing. The competitors take turns
 * in each round, and a number is the median of its rounds. FOLDER holds the tutorial's C program (task_stack.bpf.c and
 * task_stack.c); without it its row says so. `--readme` puts the table between the marks of README.md.
 *
 * `--short` takes a minute. It leaves out what is slow, and is a test: it fails when a ratio is worse than 1.5 times its goal, or of
 * README's ratio where that misses the goal, also when measured a second time.
 */

import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
  writeSync,
} from "node:fs";
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
const readme = Deno.args.includes("--readme");
const short = Deno.args.includes("--short");
const ROUNDS = short ? 5 : 9;
/** Of what takes seconds, so that all is done in five minutes. */
const SLOW_ROUNDS = 5;
/** How much worse than its goal a ratio may be in the short form. Ratios of a busy machine differ by a quarter. */
const TOLERANCE = 1.5;

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
  /** The result as a part of its goal: at most 1 meets the goal. `undefined` when not measured. */
  share: number | undefined;
}

const lines: Line[] = [];

const skipped = (what: string, against: string, why: string): Line => ({
  what,
  ours: "",
  against,
  theirs: "",
  result: `not measured: ${why}`,
  target: "",
  share: undefined,
});

const ms = (value: number) => `${value < 100 ? value.toFixed(1) : value.toFixed(0)} ms`;

/** The milliseconds in which most machines start an empty Bun executable. */
const START = 8;
/** How much longer it takes here: a virtual machine may be slow to make a process, whatever the process does. */
let slowStart = 0;

/** The ratio that README's table has in a line; that of the slowest table may be of another one. */
function recorded(what: string, against: string): number {
  const same = (cell = "") => cell.replace(/ of \d+ tables: .*/, "") === what.replace(/ of \d+ tables: .*/, "");
  const cells = readFileSync(`${root}README.md`, "utf8").split("\n").map((line) => line.split("|").map((cell) => cell.trim()))
    .find((cells) => same(cells[1]) && cells[3] === against);
  const [, inverse, number] = /^(1\/)?(\d[\d.]*)$/.exec(cells?.[5] ?? "") ?? [];
  return number === undefined ? 0 : inverse ? 1 / Number(number) : Number(number);
}

/** A line of a table; `starts` says how many times `ours` has the start of the executable and `theirs` has not. */
function compared(what: string, ours: number, against: string, theirs: number, most: number, starts = 0): Line {
  const ratio = ours / theirs;
  const target = most < 0.3 ? `1/${Math.round(1 / most)}` : String(most);
  const result = most < 0.3 ? `1/${(1 / ratio).toFixed(1)}` : ratio.toFixed(2);
  const share = short ? (ours - starts * slowStart) / theirs / Math.max(most, recorded(what, against)) : ratio / most;
  return { what, ours: ms(ours), against, theirs: ms(theirs), result, target, share };
}

const fails = ({ share }: Line) => share !== undefined && share > TOLERANCE;

/** Adds the lines of a measurement. The short form makes it once more when a line fails, and keeps the better results. */
async function record(measure: () => Line[] | Promise<Line[]>): Promise<void> {
  let found = await measure();
  if (short && found.some(fails)) {
    say(`once more, for ${found.filter(fails).map(({ what, result }) => `${what} (${result})`).join(", ")}`);
    const again = await measure();
    found = found.map((line, i) => line.share! < again[i]!.share! ? line : again[i]!);
  }
  lines.push(...found);
}

function median(numbers: number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

interface Run {
  ms: number;
  cpuMs: number;
  mb: number;
}

/** Runs a command once, its output into /dev/null; measure.c holds the watch. */
function runOnce(command: string[]): Run {
  const { stdout, stderr } = spawnSync(`${built}measure`, ["run", ...command], { encoding: "utf8" });
  if (!stdout) throw new Error(`${command.join(" ")}: ${stderr}`);
  const { ns, cpu_ns, kb, status } = JSON.parse(stdout);
  // lsof and cat complain of what went away or may not be read: 1.
  if (status > 1 || (status !== 0 && command[0]!.endsWith("task-iter"))) {
    throw new Error(`${command.join(" ")} ended with ${status}`);
  }
  return { ms: ns / 1e6, cpuMs: cpu_ns / 1e6, mb: kb / 1024 };
}

/** Medians of commands that take turns. */
function race<Name extends string>(
  commands: Record<Name, string[]>,
  rounds = ROUNDS,
  eachRound?: () => void,
): Record<Name, Run> {
  const names = Object.keys(commands) as Name[];
  const runs = Object.fromEntries(names.map((name) => [name, []])) as unknown as Record<Name, Run[]>;
  for (let round = 0; round < rounds; round++) {
    names.forEach((_, i) => {
      const name = names[(round + (round & 1 ? names.length - i : i)) % names.length]!;
      runs[name].push(runOnce(commands[name]));
    });
    eachRound?.();
  }
  return Object.fromEntries(names.map((name) => [name, {
    ms: median(runs[name].map(({ ms }) => ms)),
    cpuMs: median(runs[name].map(({ cpuMs }) => cpuMs)),
    mb: median(runs[name].map(({ mb }) => mb)),
  }])) as Record<Name, Run>;
}

/**
 * A walk: one of the floors by its name, or a table's program with the query that the command line would give it; for both, the
 * target that measure.c attaches it to.
 */
interface Walker {
  floor?: string;
  query?: Query;
  format?: Format;
  target?: number | "cgroups";
}

/** The words for measure.c. */
function walkerWords({ floor, query = { table: "stacks" }, format = "json", target = 0 }: Walker, file: string): string[] {
  const { request } = plan(query, format);
  writeFileSync(file, request.query);
  const program = floor === undefined ? libraries + programOf(request) : `${built}floor_${floor}.light`;
  return [program, file, String(target)];
}

/** Median milliseconds and bytes of one pass into a buffer in C: a program's own time, whoever reads it. The first is left out. */
function walk<Name extends string>(walkers: Record<Name, Walker>, rounds = ROUNDS): Record<Name, { ms: number; bytes: number }> {
  const names = Object.keys(walkers) as Name[];
  const args = names.flatMap((name, i) => walkerWords(walkers[name], `${folder}/query.${i}`));
  const output = execFileSync(`${built}measure`, ["walk", String(rounds + 1), libraries + LIGHT, ...args], {
    encoding: "utf8",
    maxBuffer: 1 << 26,
  });
  const passes = JSON.parse(output) as [number, number][][];
  return Object.fromEntries(names.map((name, i) => {
    const kept = passes[i]!.slice(1);
    return [name, { ms: median(kept.map(([ns]) => ns)) / 1e6, bytes: kept.at(-1)![1] }];
  })) as Record<Name, { ms: number; bytes: number }>;
}

/** load.c, until it is disposed of. */
class Load implements AsyncDisposable {
  private constructor(private readonly child: ChildProcess, readonly id: number) {}

  static async start(...args: (string | number)[]): Promise<Load> {
    const child = spawn(`${built}load`, args.map(String), { stdio: ["pipe", "pipe", "inherit"] });
    const ended = once(child, "exit").then(() => {
      throw new Error(`load ${args.join(" ")} failed`);
    });
    ended.catch(() => {});
    const [line] = await Promise.race([once(child.stdout!, "data"), ended]) as [Uint8Array];
    return new Load(child, parseInt(new TextDecoder().decode(line)));
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

/** Whether the kernel lets anybody walk over the elements of a map; some hosts do not. */
function allowsElements(): boolean {
  const found = JSON.parse(execFileSync(executable, ["doctor", "--format=json"], { encoding: "utf8" })) as Record<
    string,
    unknown
  >[];
  return found.some(({ check, ok }) => check === "table elems" && ok);
}

/** Milliseconds of one load of the plain stacks program and one pass, in C, in a process that has done nothing before. */
function bareLoad(): number {
  const words = walkerWords({ query: { table: "stacks" } }, `${folder}/query`);
  return JSON.parse(execFileSync(`${built}measure`, ["load", libraries + LIGHT, ...words], { encoding: "utf8" })).ns / 1e6;
}

/**
 * Writes an executable anew, as the build does. Starts depend on the pages in which the page cache has the file: one large write makes
 * huge pages where the file system can have them, and many small writes or reads do not (docs/speed.md).
 */
function writeAnew(file: string): void {
  writeFileSync(`${file}.anew`, readFileSync(file), { mode: 0o755 });
  renameSync(`${file}.anew`, file);
}

/** On the machine as it is. */
async function coldRuns(tables: string[]): Promise<void> {
  say("cold runs");
  const files = [executable, `${built}empty`, ...(hasPeer ? [`${built}task_stack`] : [])];
  const what = "cold run, stacks JSON, small system";
  if (!hasPeer) {
    const why = peer === undefined ? "its folder was not given (deno task bench FOLDER)" : `${peer} does not hold it`;
    lines.push(skipped(what, "tutorial's C program", why));
  }
  await record(() => {
    for (const file of files) writeAnew(file);
    const commands: Record<string, string[]> = { ours: [executable, "stacks", "--format=json"], empty: [`${built}empty`] };
    if (hasPeer) commands["peer"] = [`${built}task_stack`];
    const loads: number[] = [];
    const cold = race(commands, 4 * ROUNDS, () => loads.push(bareLoad()));
    const floor = cold["empty"]!.ms + median(loads);
    slowStart = Math.max(0, cold["empty"]!.ms - START);
    return [
      ...hasPeer ? [compared(what, cold["ours"]!.ms, "tutorial's C program", cold["peer"]!.ms, 0.35, 1)] : [],
      compared(what, cold["ours"]!.ms, "empty Bun executable + the load and walk in C", floor, 1.15),
    ];
  });
  await record(() => {
    const commands: Record<string, string[]> = { empty: [`${built}empty`] };
    for (const table of tables) commands[table] = [executable, table, "--format=json"];
    const cold = race(commands);
    const slowest = tables.toSorted((a, b) => cold[b]!.ms - cold[a]!.ms);
    // The slowest one is the promise; the others show where it comes from.
    return [slowest[0]!, "stacks", "files"].map((table, i) =>
      compared(
        i === 0 ? `cold run, slowest of ${tables.length} tables: ${table}` : `cold run, ${table}`,
        cold[table]!.ms,
        "empty Bun executable + 8 ms",
        cold["empty"]!.ms + 8,
        1,
      )
    );
  });
  if (short) return;
  const file = `${folder}/snapshot.tar.zst`;
  const { snapshot } = race({ snapshot: [executable, "snapshot", file] }, ROUNDS, () => rmSync(file));
  lines.push(compared("snapshot of a small system", snapshot.ms, "what a hung machine may wait", 150, 1));
}

/** On the machine as it is, too. */
async function snapshots(tables: string[]): Promise<void> {
  say("snapshot");
  await record(() => {
    const { ours } = race({ ours: [executable, "snapshot", "-"] }, SLOW_ROUNDS);
    const walks = walk(
      Object.fromEntries(tables.map((table) => [table, {
        query: { table, columns: ["all"] },
        format: "jsonl" as const,
        target: table === "cgroups" ? "cgroups" as const : 0,
      }])),
      SLOW_ROUNDS,
    );
    const all = tables.reduce((sum, table) => sum + walks[table]!.ms, 0);
    return [compared("snapshot, small system", ours.ms, "150 ms + every table's walk, read by C", 150 + all, 1, 1)];
  });
}

/** The folder of the v2 hierarchy of control groups. */
const cgroupRoot = () =>
  readFileSync("/proc/self/mounts", "utf8").split("\n").map((line) => line.split(" ")).find((mount) => mount[2] === "cgroup2")
    ?.[1];

const NOTHING = "walk that prints nothing";
const ZEROES = "walk that writes as many zeroes";

/** Each table that can be large: its floor, with other words than NOTHING for it; the words for load.c, and what there is then. */
const LARGE: { table: string; floor: string; against?: string; load?: () => (string | number)[] | undefined; rows: string }[] = [
  {
    table: "vmas",
    floor: "task_vma",
    load: () => ["vmas", 100, 600],
    rows: "60,000 mappings",
  },
  { table: "tcp", floor: "tcp", load: () => ["tcp", SOCKETS], rows: "20,000 sockets" },
  { table: "udp", floor: "udp", load: () => ["udp", SOCKETS], rows: "20,000 sockets" },
  { table: "unix", floor: "unix", load: () => ["unix", SOCKETS], rows: "20,000 sockets" },
  { table: "netlink", floor: "netlink_rows", against: ZEROES, load: () => ["netlink", 5000], rows: "5,000 sockets" },
  { table: "maps", floor: "bpf_map", load: () => ["maps", 5000], rows: "5,000 maps" },
  { table: "progs", floor: "bpf_prog", load: () => ["progs", 5000], rows: "5,000 programs" },
  {
    table: "cgroups",
    floor: "cgroup_rows",
    against: ZEROES,
    load: () => {
      const root = cgroupRoot();
      return root === undefined ? undefined : ["cgroups", root, 5000];
    },
    rows: "5,000 groups",
  },
  { table: "elems", floor: "bpf_map_elem", load: () => ["elems", 100_000], rows: "100,000 elements" },
  { table: "ksyms", floor: "ksym", rows: "the kernel's" },
];

async function largeTables(tables: string[]): Promise<void> {
  for (const { table, floor, against = NOTHING, load, rows } of LARGE) {
    const what = `${table}, walk, JSON, ${rows}`;
    const words = load?.();
    // elems reads a map that is still to be made, so a plain read of all tables leaves it out.
    const readable = table === "elems" ? allowsElements() : tables.includes(table);
    if (!readable || (load && !words)) {
      lines.push(skipped(what, against, `this kernel gives no ${table}`));
      continue;
    }
    say(what);
    await using started = words && await Load.start(...words);
    const target = table === "elems" ? started!.id : table === "cgroups" ? "cgroups" : 0;
    const query = { table, ...(table === "elems" ? { map: started!.id } : {}) };
    await record(() => {
      const { theirs, ours } = walk({ theirs: { floor, target }, ours: { query, target } }, 2 * ROUNDS);
      return [compared(what, ours.ms, against, theirs.ms, 1.6)];
    });
    if (table === "tcp") await record(tcpCommands);
  }
}

function tcpCommands(): Line[] {
  if (!has("ss")) return [skipped("tcp, whole command", "ss -tan", "ss is not on this machine")];
  const tcp = [executable, "tcp", "--format=json"];
  const owners = [...tcp, "--columns=state,local_addr,local_port,remote_addr,remote_port,pid,comm,fd"];
  const { ours, ss, withOwners, ssp } = race({ ours: tcp, ss: ["ss", "-tan"], withOwners: owners, ssp: ["ss", "-tanp"] });
  return [
    compared("tcp, whole command", ours.ms, "ss -tan", ss.ms, 1 / 2, 1),
    compared("tcp with owners, whole command", withOwners.ms, "ss -tanp", ssp.ms, 1 / 6, 1),
  ];
}

/** A whole command of ours against another tool's. */
function against(what: string, ours: string[], theirs: string[], most: number, rounds = ROUNDS): Line {
  const name = theirs[0] === "sh" ? `\`${theirs[2]}\`` : theirs.join(" ");
  if (theirs[0] !== "sh" && !has(theirs[0]!)) return skipped(what, name, `${theirs[0]} is not on this machine`);
  const times = race({ ours: [executable, ...ours, "--format=json"], theirs }, rounds);
  return compared(what, times.ours.ms, name, times.theirs.ms, most, 1);
}

async function tasks(): Promise<void> {
  say(`${PROCESSES} processes of ${THREADS} threads and ${DESCRIPTORS} descriptors`);
  await using _load = await Load.start("tasks", PROCESSES, THREADS, DESCRIPTORS);
  const grouping = { limit: 65_536, aggregates: [] };
  const withoutPath = ["comm", "pid", "tid", "fd", "type", "mode", "file_ops"];
  await record(() => {
    const walks = walk({
      task: { floor: "task" },
      stack: { floor: "task_stack" },
      files: { floor: "task_file" },
      path: { floor: "task_file_path" },
      types: { floor: "task_file_type" },
      stacksJson: { query: { table: "stacks" } },
      filesJson: { query: { table: "files", columns: withoutPath } },
      filesCsv: { query: { table: "files", columns: withoutPath }, format: "csv" },
      pathJson: { query: { table: "files" } },
      tasks: { query: { table: "tasks" } },
      countTasks: { query: { table: "tasks", columns: ["comm", "state"], grouping } },
      count: { query: { table: "files", columns: ["comm", "type"], grouping } },
    }, 2 * ROUNDS);
    return [
      compared("stacks, walk, JSON", walks.stacksJson.ms, "walk that unwinds, prints nothing", walks.stack.ms, 0.7),
      compared("files without path, walk, JSON", walks.filesJson.ms, NOTHING, walks.files.ms, 1.4),
      compared("files without path, walk, CSV", walks.filesCsv.ms, NOTHING, walks.files.ms, 1.4),
      compared("files, walk, JSON", walks.pathJson.ms, "walk with bpf_d_path, prints nothing", walks.path.ms, 1.4),
      compared("tasks, walk, JSON", walks.tasks.ms, NOTHING, walks.task.ms, 1.6),
      compared("count tasks --by comm,state, walk", walks.countTasks.ms, NOTHING, walks.task.ms, 1.3),
      compared(
        "count files --by comm,type, walk",
        walks.count.ms,
        "walk that reads each type, prints nothing",
        walks.types.ms,
        1.3,
      ),
      compared("count files --by comm,type, walk", walks.count.ms, "files without path, walk, JSON", walks.filesJson.ms, 1),
    ];
  });

  say("whole commands");
  await record(() => [against("stacks, whole command", ["stacks"], ["sh", "-c", "cat /proc/[0-9]*/task/*/stack"], 1 / 8)]);
  await record(() => [against("files, whole command", ["files"], ["lsfd"], 1 / 25, SLOW_ROUNDS)]);
  if (!short) {
    await record(() => [against("files, whole command", ["files"], ["lsof", "-n"], 1 / 150, SLOW_ROUNDS)]);
    const pipeline = has("lsof") ? ["sh", "-c", "lsof -n | awk '{ print $1, $5 }' | sort | uniq -c"] : ["lsof"];
    await record(() => [against("count files --by comm,type", ["count", "files", "--by=comm,type"], pipeline, 1 / 100, 3)]);
  }
  await record(() => [against("tasks, whole command", ["tasks"], ["ps", "-eLf"], 1 / 12)]);

  const where = (expression: string) => [executable, "files", "--format=json", "--where", expression];
  await record(() => {
    const { regex, pattern } = race({ regex: where("path =~ /[.]so$/"), pattern: where('path ~ "*.so"') });
    return [compared("files by a regular expression, whole command", regex.ms, "the same by a pattern of `~`", pattern.ms, 1.5)];
  });

  // A pass after the first: what more passes add to the whole command, by CPU time as the walks. They begin at multiples of an
  // interval so short that there is no pause.
  const pass = (...words: string[]) => {
    const [many, one] = [21, 1].map((count) => runOnce([executable, ...words, "--interval=0.01ms", `--count=${count}`]).cpuMs);
    return (many! - one!) / 20;
  };
  for (const table of ["files", "tasks"]) {
    await record(() => {
      const plain = [], changes = [];
      for (let round = 0; round < SLOW_ROUNDS; round++) {
        plain.push(pass(table, "--format=jsonl"));
        changes.push(pass(table, "--format=jsonl", "--changes"));
      }
      const what = `${table} --changes, a pass after the first, nothing changes`;
      return [compared(what, median(changes), "a pass that prints all rows", median(plain), 1.5)];
    });
  }
  await record(() => {
    const more = [], walked = [];
    for (let round = 0; round < ROUNDS; round++) {
      more.push(pass("stacks", "--format=json"));
      walked.push(walk({ stacks: { query: { table: "stacks" } } }, 20).stacks.ms);
    }
    return [compared("--interval, a pass after the first", median(more), "the same walk, read by C", median(walked), 1.1)];
  });
}

/** Rows and time of `files` where one program walks `descriptors` more than the system has. */
async function many(
  processes: number,
  descriptors: number,
): Promise<{ rows: number; ms: number; mb: number; countMb: number }> {
  await using _load = await Load.start("files", processes, descriptors);
  const args = ["files", "-f", "json", "-c", "comm,pid,fd,type,mode"];
  const { stderr } = spawnSync(executable, [...args, "--stats"], { stdio: ["ignore", "ignore", "pipe"], encoding: "utf8" });
  const rows = Number(/^([0-9]+) rows/m.exec(stderr)?.[1]);
  const { it } = walk({ it: { query: { table: "files", columns: ["comm", "pid", "fd", "type", "mode"] } } }, 5);
  const count = runOnce([executable, "count", "files", "--by=comm,type", "-f", "json"]);
  return { rows, ms: it.ms, mb: runOnce([executable, ...args]).mb, countMb: count.mb };
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
    countMb: median(runs.map(({ countMb }) => countMb)),
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
    share: ratio / 1.15,
  });
  lines.push({
    what: `memory, ${large.rows} rows`,
    ours: `${large.mb.toFixed(1)} MB`,
    against: "3 rows",
    theirs: `${few.toFixed(1)} MB`,
    result: `${large.mb < few ? "-" : "+"} ${Math.abs(large.mb - few).toFixed(1)} MB`,
    target: "+ 8 MB",
    share: (large.mb - few) / 8,
  });
  lines.push({
    what: `count, memory, ${large.rows} rows`,
    ours: `${large.countMb.toFixed(1)} MB`,
    against: `${small.rows} rows`,
    theirs: `${small.countMb.toFixed(1)} MB`,
    result: `${large.countMb < small.countMb ? "-" : "+"} ${Math.abs(large.countMb - small.countMb).toFixed(1)} MB`,
    target: "+ 1 MB",
    share: large.countMb - small.countMb,
  });
}

/** The kernel's text is in a file, so that only TypeScript works: read, whole lines, UTF-8, write. */
function throughput(): Line[] {
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
  return [{
    what: "user space, bytes to /dev/null",
    ours: `${rate.toFixed(2)} GB/s`,
    against: "",
    theirs: "",
    result: rate.toFixed(2),
    target: "at least 1 GB/s",
    share: 1 / rate,
  }];
}

function table(): string {
  const head = ["what", "task-iter", "against", "its time", "ratio", "at most", "met"];
  const cells = lines.map(({ what, ours, against, theirs, result, target, share }) =>
    [
      what,
      ours,
      against,
      theirs,
      result,
      target,
      share === undefined ? "" : share <= 1 ? "yes" : "no",
    ].map((cell) => cell.replaceAll("|", "\\|"))
  );
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
  await coldRuns(tables.filter((table) => table !== "ksyms")); // a walk of 120,000 rows, which has a line of its own
  await snapshots(tables);
  await tasks();
  await largeTables(tables);
  if (!short) await growth();
  await record(throughput);
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
if (short) {
  const failed = lines.filter(fails);
  for (const { what, against, result, target } of failed) console.log(`${what}, against ${against}: ${result}, goal ${target}`);
  const measured = lines.filter(({ share }) => share !== undefined).length;
  console.log(`${failed.length ? "FAILED" : "ok"} | ${measured - failed.length} passed | ${failed.length} failed`);
  Deno.exitCode = failed.length ? 1 : 0;
}
