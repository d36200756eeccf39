// SPDX-License-Identifier: BSD-2-Clause
/** Everything that this machine's kernel tells: its tables, one after the other, and the facts around them. */

import { readFileSync } from "node:fs";
import manifest from "../../../deno.json" with { type: "json" };
import ready from "../../../docs/checks.json" with { type: "json" };
import { EPERM, TaskIterError, UsageError } from "../../errors.ts";
import { Ahead } from "../../native/ahead.ts";
import { before, hasBtf, hasIterator, release } from "../../native/kernel.ts";
import type { Libraries } from "../../native/load.ts";
import { mounts } from "../../native/mounts.ts";
import type { Program } from "../../native/program.ts";
import { findTable, MAP_TYPES, type Plan, plan } from "../../query/plan.ts";
import type { Request } from "../../query/request.ts";
import { type Table, tables } from "../../query/schema.ts";
import { WhereError } from "../../query/where.ts";
import type { Host, Manifest, TableFacts } from "../../report/data.ts";
import { chunks } from "../../stream.ts";
import { parseChecks, perform, requestsOf, worst } from "../check.ts";
import { attempt, attempted, examine } from "../doctor.ts";
import { explain } from "../explain.ts";
import { Interrupted } from "../output.ts";
import { load, Refused } from "../read.ts";
import { report } from "../report.ts";
import type { Destination, Part } from "./archive.ts";
import { REDACTED, Redactor } from "./redact.ts";

/** How a snapshot is taken. */
export interface Options {
  /** Predicates, by table. */
  where: ReadonlyMap<string, string>;
  redact: boolean;
  /** Called between two pieces of rows: the table, how many are done of how many. */
  progress: (table: string, done: number, all: number) => void;
}

/**
 * The option `--where TABLE:EXPR`, as often as it is given.
 *
 * @throws {UsageError|WhereError} no such table, a table twice, or an expression that it does not take
 */
export function predicates(words: readonly string[]): Map<string, string> {
  const found = new Map<string, string>();
  for (const word of words) {
    const colon = word.indexOf(":");
    if (colon < 0) throw new UsageError(`--where is TABLE:EXPR here, not ${word}`);
    const [name, where] = [word.slice(0, colon).trim(), word.slice(colon + 1)];
    const table = findTable(name);
    if (MAP_TYPES[name]) throw new UsageError(`${name} reads one BPF map and is not in a snapshot`);
    if (found.has(name)) throw new UsageError(`--where has two expressions for ${name}: join them by &&`);
    try {
      planOf(table, where, false);
    } catch (error) {
      if (error instanceof UsageError && !(error instanceof WhereError)) {
        throw new UsageError(`--where ${name}: ${error.message}`);
      }
      throw error;
    }
    found.set(name, where);
  }
  return found;
}

const hasNamespaces = (table: Table) => table.columns.some(({ name }) => name === "netns");

function planOf(table: Table, where: string | undefined, everyNamespace: boolean): Plan {
  return plan({ table: table.name, columns: ["all"], where, netns: everyNamespace ? "all" : undefined }, "jsonl");
}

function file(path: string): string {
  try {
    return readFileSync(path, "utf8").trim();
  } catch {
    return "";
  }
}

/** Facts that no table has, from /proc and /etc/os-release. */
export function host(redactor: Redactor | undefined): Host {
  const shown = (text: string) => redactor ? redactor.text(text) : text;
  const mounted = mounts();
  const groups = mounted.filter(({ type }) => type === "cgroup2").length;
  const hierarchies = mounted.filter(({ type }) => type === "cgroup").length;
  const [one = 0, five = 0, fifteen = 0] = file("/proc/loadavg").split(" ").map(Number);
  return {
    hostname: redactor ? REDACTED : file("/proc/sys/kernel/hostname"),
    kernel: {
      release: release(),
      version: file("/proc/sys/kernel/version"),
      machine: process.arch === "arm64" ? "aarch64" : "x86_64",
      cmdline: redactor ? REDACTED : file("/proc/cmdline"),
    },
    os: /^PRETTY_NAME="?([^"\n]*)"?$/m.exec(file("/etc/os-release"))?.[1] ?? "",
    cpus: file("/proc/cpuinfo").match(/^processor\s*:/gm)?.length ?? 0,
    uptime_s: Number(file("/proc/uptime").split(" ")[0]),
    load: [one, five, fifteen],
    memory: Object.fromEntries(
      [...file("/proc/meminfo").matchAll(/^(MemTotal|MemFree|MemAvailable|SwapTotal|SwapFree|Slab):\s+(\d+) kB$/gm)]
        .map(([, name, size]) => [name!, Number(size)]),
    ),
    cgroups: groups > 0 && hierarchies > 0 ? "hybrid" : groups > 0 ? "v2" : hierarchies > 0 ? "v1" : "none",
    pid: process.pid,
    mounts: mounted.map(({ path, root, type, source, options }) => ({
      path: shown(path),
      root: shown(root),
      type,
      source: shown(source),
      options: shown(options),
    })),
  };
}

/** Writes one table's rows. @throws {Refused|TaskIterError|Interrupted} */
function copy(program: Program, part: Part, redactor: Redactor | undefined, between: () => void): void {
  program.interrupts();
  const [decoder, encoder] = [new TextDecoder(), new TextEncoder()];
  for (const chunk of chunks(program.walk, "jsonl")) {
    const { signal } = program.wait(-1, 0, 0);
    if (signal) throw new Interrupted(signal);
    part.write(redactor ? encoder.encode(redactor.line(decoder.decode(chunk))) : chunk);
    between();
  }
}

/**
 * Writes everything to `destination`, but does not finish it. A table that fails is recorded.
 *
 * @throws {Interrupted} a signal came
 * @throws {OutputError} the destination cannot be written
 */
export function collect(libraries: Libraries, options: Options, destination: Destination): { manifest: Manifest; host: Host } {
  const started = performance.now();
  const kernel = release();
  const requestOf = (table: Table, everyNamespace: boolean) =>
    planOf(table, options.where.get(table.name), everyNamespace).request;
  // Whether a new kernel has an iterator is known when its program is loaded. To read the names of the kernel's BTF takes longer.
  const there = tables.filter(({ iterator, since }) => !before(kernel, since) || hasIterator(iterator));
  const known = new Map<Table, Request>();
  const requestFor = (table: Table): Request => {
    const request = known.get(table) ?? requestOf(table, hasNamespaces(table));
    known.set(table, request);
    return request;
  };
  let parsed: ReturnType<typeof parseChecks> | undefined;
  const checks = () => parsed ??= parseChecks(JSON.stringify(ready));
  // In the order in which the programs are asked for below. A plan takes a millisecond, the first one more: loads go on meanwhile.
  function* requests(): Generator<Request> {
    for (const table of there) if (!MAP_TYPES[table.name]) yield requestFor(table);
    for (const table of there) if (MAP_TYPES[table.name]) yield attempted(table);
    yield* requestsOf(checks());
  }
  using once = new Ahead(libraries, requests());
  const redactor = options.redact ? new Redactor() : undefined;
  const taken: Manifest = {
    format: 1,
    task_iter: manifest.version,
    time: new Date().toISOString(),
    duration_ms: 0,
    redacted: options.redact,
    tables: [],
  };
  /** How each table loaded, for the doctor. */
  const loaded = new Map<string, { ok: boolean; found: string }>();

  /** @returns why it failed */
  const readTable = (table: Table, request: Request, facts: TableFacts, part: Part): string | null => {
    const everyNamespace = request.netns === "all";
    const counted = { write: (bytes: Uint8Array) => (facts.bytes += bytes.length, part.write(bytes)), end() {} };
    const begun = performance.now();
    try {
      using program = load(once, request, false);
      facts.load_ms = performance.now() - begun;
      loaded.set(table.name, { ok: true, found: program.light ? "light skeleton" : "libbpf" });
      facts.netns = hasNamespaces(table) ? everyNamespace ? "all" : "current" : null;
      try {
        copy(program, counted, redactor, () => options.progress(table.name, taken.tables.length, tables.length));
      } finally {
        facts.rows = program.walk.progress().rows;
        facts.walk_ms = performance.now() - begun - facts.load_ms;
      }
      return null;
    } catch (error) {
      if (error instanceof Refused) {
        // Only CAP_SYS_ADMIN may enter other namespaces.
        if (everyNamespace && error.reason.step === "netns" && error.reason.errno === EPERM) {
          return readTable(table, requestOf(table, false), facts, part);
        }
        const found = explain(error.reason, table).replace(/^cannot read table \S+: /, "");
        loaded.set(table.name, { ok: false, found });
        return found;
      }
      if (error instanceof TaskIterError) return error.message;
      throw error;
    }
  };

  for (const table of tables) {
    const facts: TableFacts = {
      name: table.name,
      state: "read",
      reason: null,
      plural: table.plural,
      where: options.where.get(table.name) ?? null,
      netns: null,
      rows: 0,
      bytes: 0,
      load_ms: 0,
      walk_ms: 0,
      columns: table.columns.map(({ name, type, shown, doc }) => ({ name, type, shown, doc })),
    };
    options.progress(table.name, taken.tables.length, tables.length);
    if (MAP_TYPES[table.name]) {
      facts.state = "left out";
      facts.reason = `it reads one BPF map, whose contents are programs' own data: task-iter ${table.name} --map ID`;
    } else if (!there.includes(table)) {
      facts.state = "absent";
      facts.reason = `kernel ${kernel} has no ${table.iterator} iterator (Linux ${table.since} or later)`;
    } else {
      const part = destination.begin(`tables/${table.name}.jsonl`);
      facts.reason = readTable(table, requestFor(table), facts, part);
      if (facts.reason !== null) facts.state = hasBtf() && !hasIterator(table.iterator) ? "absent" : "failed";
      if (facts.state !== "absent") part.end();
    }
    taken.tables.push(facts);
  }
  const write = (name: string, text: string) => {
    const part = destination.begin(name);
    part.write(new TextEncoder().encode(text));
    part.end();
  };
  const json = (value: unknown) => JSON.stringify(value, null, 1) + "\n";
  const about = host(redactor);
  write("host.json", json(about));
  write("doctor.json", json(examine((table) => loaded.get(table.name) ?? attempt(once, table))));
  const outcomes = perform(once, checks());
  write("checks.json", report(outcomes, worst(outcomes.map(({ state }) => state)), "json", true));
  for (const facts of taken.tables) {
    facts.load_ms = Math.round(facts.load_ms * 1000) / 1000;
    facts.walk_ms = Math.round(facts.walk_ms * 1000) / 1000;
  }
  taken.duration_ms = Math.round(performance.now() - started);
  write("manifest.json", json(taken));
  return { manifest: taken, host: about };
}
