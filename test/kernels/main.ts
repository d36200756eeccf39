// SPDX-License-Identifier: BSD-2-Clause
/**
 * The suite on Debian's kernels, 5.10 to the newest, each with the C library of its own release, and on this machine's: `deno task
 * test:kernels`, or on those named. A short form of it runs on a PREEMPT_RT kernel and on kernels that are locked down. With
 * `--record` the numbers go into docs/kernels.md. With `--arm64` (`deno task test:arm64`) it is the executable and kernels for
 * arm64, on any machine, and the record is docs/arm64.md. A kernel that cannot be fetched is reported with the reason and
 * counted. With `--within=SECONDS` a kernel that has not ended by then has failed. The last line is as that of `deno test`.
 */

import { execFileSync, spawn } from "node:child_process";
import fs from "node:fs";
import { tmpdir } from "node:os";
import { build } from "esbuild";
import { kernelOf, Unavailable } from "../../scripts/debian.ts";
import { architectureOf, ARCHITECTURES, bunOf, libraryFolder } from "../../scripts/architecture.ts";
import { boot, debian, ours, packages, type Said } from "./machine.ts";
import type { Result } from "./result.ts";

const root = new URL("../../", import.meta.url).pathname;
const arm64 = Deno.args.includes("--arm64");
const architecture = architectureOf(arm64 ? "arm64" : process.arch);
const executable = `${root}dist/task-iter${arm64 ? "-arm64" : ""}`;
const libraries = libraryFolder(architecture);

/** Seconds. Boots and the suite take 60 to 460, for another architecture some times as many; what takes much longer hangs. */
const LIMIT = arm64 ? 1200 : 700;

/** Seconds until all of it must have ended. */
const within = Number(Deno.args.find((word) => word.startsWith("--within="))?.slice("--within=".length) ?? Infinity);
const limit = () => Math.max(1, Math.min(LIMIT, within - performance.now() / 1000));

interface Machine {
  name: string;
  /** Debian's release, by its suite. */
  suite: string;
  /** A kernel besides the one for clouds. */
  flavour?: "rt";
  /** For the kernel's command line; behind -- for the suite. */
  parameters?: string;
}

/** From the oldest kernel to the newest; then what the suite is short for. */
const MACHINES: Machine[] = [
  ...(arm64 ? ["bookworm", "trixie"] : ["bullseye", "bookworm", "trixie", "sid"]).map((suite) => ({ name: suite, suite })),
  ...arm64 ? [] : [
    { name: "rt", suite: "trixie", flavour: "rt", parameters: "-- short" },
    { name: "integrity", suite: "trixie", parameters: "lockdown=integrity -- lockdown" },
    { name: "confidentiality", suite: "bullseye", parameters: "lockdown=confidentiality -- lockdown" },
  ] as const,
];
const chosen = MACHINES.filter(({ name }) => Deno.args.includes(name));

interface Run {
  where: string;
  results: Result[];
  /** Why there are not all results. */
  trouble: string | undefined;
  /** Why there is no such machine. */
  unavailable: string | undefined;
  seconds: number;
}

/** Of lines that have their end: the last may lack it where a kernel died. */
const parse = (text: string): Result[] =>
  text.split("\n").slice(0, -1).filter((line) => line.startsWith("{")).map((line) => JSON.parse(line));

const lastLines = (text: string, count: number): string => text.trimEnd().split("\n").slice(-count).join("\n");

/** One run of the suite. */
async function run(where: string, start: () => Promise<Said>): Promise<Run> {
  const began = performance.now();
  const seconds = () => Math.round((performance.now() - began) / 1000);
  try {
    const said = await start();
    const results = parse(said.results);
    const ended = results.at(-1)?.kind === "end";
    const end = `the suite did not come to its end${said.late ? ` within ${seconds()} s` : ""}`;
    const trouble = [end, lastLines(said.console, 30)].filter(Boolean).join(":\n");
    return { where, results, trouble: ended ? undefined : trouble, unavailable: undefined, seconds: seconds() };
  } catch (error) {
    if (!(error instanceof Unavailable)) throw error;
    return { where, results: [], trouble: undefined, unavailable: error.message, seconds: seconds() };
  }
}

/** The suite on the kernel that runs here. */
async function here(suite: string): Promise<Said> {
  if (process.getuid?.() !== 0) throw new Unavailable("not root");
  const env = { PATH: process.env.PATH };
  const child = spawn(bunOf(architecture), ["run", suite, executable, libraries], { env });
  const said = { results: "", console: "", late: false };
  child.stdout.on("data", (data) => said.results += data);
  child.stderr.on("data", (data) => said.console += data);
  // The first lets it clean up, after the check that it is at.
  const timers = ([["SIGTERM", 0], ["SIGKILL", 10]] as const).map(([signal, later]) =>
    setTimeout(() => said.late = child.kill(signal), (limit() + later) * 1000)
  );
  await new Promise((resolve) => child.once("close", resolve));
  timers.forEach(clearTimeout);
  return said;
}

/**
 * Whether the emulator is to blame: it lets a kernel panic at times, before the suite begins or later. A panic with a function of
 * BPF in its trace may be ours.
 */
function emulators({ results, console, late }: Said): boolean {
  if (late || parse(results).at(-1)?.kind === "end") return false;
  return !results || /Kernel panic/.test(console) && !/bpf/i.test(console);
}

/** How a run went; one without a machine is one skipped. */
function count({ where, results, trouble, unavailable }: Run) {
  const release = results.find((result) => result.kind === "kernel")?.release ?? where;
  const of = (kind: Result["kind"]) => results.filter((result) => result.kind === kind).length;
  return { release, passed: of("pass"), failed: of("fail") + (trouble ? 1 : 0), skipped: of("skip") + (unavailable ? 1 : 0) };
}

/** Prints a run and counts its results. */
function print(run: Run): { passed: number; failed: number; skipped: number } {
  const { where, results, trouble, unavailable, seconds } = run;
  const { release, passed, failed, skipped } = count(run);
  console.log(`${release} (${where}): ${passed} passed, ${failed} failed, ${skipped} skipped in ${seconds} s`);
  for (const result of results) {
    if (result.kind === "fail" || result.kind === "skip") console.log(`  ${result.kind}: ${result.name}: ${result.reason}`);
  }
  if (trouble) console.log(`  fail: ${trouble}`);
  if (unavailable) console.log(`  skip: ${unavailable}`);
  return { passed, failed, skipped };
}

/** docs/kernels.md: what a load costs each kernel's verifier. */
function record(runs: Run[]): string {
  const measured = runs.filter(({ results }) => results.length > 0);
  const columns = measured.flatMap(({ where, results }) => {
    const loads = results.filter((result) => result.kind === "load");
    const release = results.find((result) => result.kind === "kernel")?.release ?? where;
    return [...new Set(loads.map(({ way }) => way))].map((way) => ({
      title: `${release} ${way}`,
      loads: loads.filter((load) => load.way === way),
    }));
  });
  const programs = [...new Set(columns.flatMap(({ loads }) => loads.map(({ table, format }) => `${table} ${format}`)))];
  const cell = (loads: typeof columns[number]["loads"], program: string) => {
    const load = loads.find(({ table, format }) => `${table} ${format}` === program);
    return load ? `${load.processed} / ${load.size} / ${load.milliseconds.toFixed(0)}` : "";
  };
  return [
    "# What a load costs",
    "",
    "Generated by `deno task kernels`. For each table and format, with every column and the largest query: instructions that the",
    "verifier walked through (of 1,000,000) / instructions that it kept / milliseconds from the library to the attached program.",
    "All kernels but the last ran in software emulation, some 20 times slower than a machine; an empty cell is a table that the",
    "kernel lacks or its host refuses.",
    "",
    `| program | ${columns.map(({ title }) => title).join(" | ")} |`,
    `| --- |${" ---: |".repeat(columns.length)}`,
    ...programs.map((program) => `| ${program} | ${columns.map(({ loads }) => cell(loads, program)).join(" | ")} |`),
    "",
  ].join("\n");
}

/** docs/arm64.md: what the last run of the suite said. */
function recordTests(runs: Run[]): string {
  const results = runs.map((run) => ({ ...count(run), ...run }));
  const cell = (text: string) => text.split("\n")[0]!.replaceAll("|", "\\|");
  const notes = results.flatMap(({ results, release, trouble, unavailable }) => [
    ...results.flatMap((result) =>
      result.kind === "fail" || result.kind === "skip"
        ? [`| ${release} | ${result.kind} | ${cell(result.name)} | ${cell(result.reason)} |`]
        : []
    ),
    ...trouble === undefined ? [] : [`| ${release} | fail | all of it | ${cell(trouble)} |`],
    ...unavailable === undefined ? [] : [`| ${release} | skip | all of it | ${cell(unavailable)} |`],
  ]);
  return [
    "# The suite on arm64",
    "",
    "Generated by `deno task test:arm64`: the suite of test/kernels with the executable for arm64, cross compiled, on Debian's arm64",
    "kernels for clouds in QEMU's software emulation of a machine with one processor.",
    "",
    "| kernel | Debian | passed | failed | skipped | seconds |",
    "| --- | --- | ---: | ---: | ---: | ---: |",
    ...results.map((run) =>
      `| ${run.release} | ${run.where} | ${run.passed} | ${run.failed} | ${run.skipped} | ${run.seconds} |`
    ),
    "",
    ...notes.length === 0 ? [] : [
      "What was skipped or failed:",
      "",
      "| kernel | | check | why |",
      "| --- | --- | --- | --- |",
      ...notes,
      "",
    ],
  ].join("\n");
}

const folder = fs.mkdtempSync(`${tmpdir()}/task-iter-kernels-`);
try {
  const suite = `${folder}/suite.js`;
  await build({
    entryPoints: [`${root}test/kernels/suite.ts`],
    outfile: suite,
    bundle: true,
    format: "esm",
    platform: "node",
    target: "esnext",
    external: ["bun:ffi"],
    logLevel: "warning",
  });
  let common = "";
  let reason = "";
  try {
    execFileSync(`${root}scripts/setup`, packages(architecture), { stdio: ["ignore", 2, 2] });
    common = ours(folder, architecture, executable, suite);
  } catch (error) {
    reason = `no emulator: ${(error as Error).message.split("\n")[0]}`;
  }
  const start = async ({ name, suite, flavour, parameters = "" }: Machine) => {
    if (!common) throw new Unavailable(reason);
    const kernel = kernelOf(suite, ARCHITECTURES[architecture].debian, flavour);
    const parts = [debian(folder, architecture, suite), common];
    const said = await boot(folder, architecture, kernel, parts, parameters, limit());
    if (!emulators(said)) return said;
    const when = said.results ? `panicked after ${parse(said.results).length} results` : "did not boot";
    console.log(`${name} ${when} and is booted again:\n${lastLines(said.console, said.results ? 30 : 3)}`);
    return await boot(folder, architecture, kernel, parts, parameters, limit());
  };
  // Two at a time; the oldest kernel and the newest are the slowest, so they begin, and what is short ends.
  const runs: Run[] = [];
  const whole = MACHINES.filter(({ parameters }) => !parameters).length;
  const rank = (i: number) => i < whole ? Math.abs(i - (whole - 1) / 2) : 0;
  const queue = (chosen.length > 0 ? chosen : MACHINES).map((machine, i) => ({
    i,
    start: () => run(machine.name, () => start(machine)),
  }));
  queue.sort((a, b) => rank(b.i) - rank(a.i));
  const work = async () => {
    for (let next = queue.shift(); next; next = queue.shift()) runs[next.i] = await next.start();
  };
  await Promise.all([work(), work()]);
  if (chosen.length === 0 && architecture === process.arch) runs.push(await run("this machine", () => here(suite)));
  const counts = runs.map(print);
  const sum = (key: "passed" | "failed" | "skipped") => counts.reduce((total, count) => total + count[key], 0);
  if (Deno.args.includes("--record")) {
    fs.mkdirSync(`${root}docs`, { recursive: true });
    const file = `${root}docs/${arm64 ? "arm64" : "kernels"}.md`;
    fs.writeFileSync(file, arm64 ? recordTests(runs) : record(runs));
  }
  const [passed, failed, skipped] = [sum("passed"), sum("failed"), sum("skipped")];
  const seconds = Math.round(performance.now() / 1000);
  console.log(`${failed > 0 ? "FAILED" : "ok"} | ${passed} passed | ${failed} failed | ${skipped} ignored (${seconds}s)`);
  process.exitCode = failed > 0 ? 1 : 0;
} finally {
  fs.rmSync(folder, { recursive: true });
}
