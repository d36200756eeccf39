// SPDX-License-Identifier: BSD-2-Clause
/** `task-iter check`: counts rows in the kernel and compares the number with ranges, as monitoring plugins do. */

import { readFileSync } from "node:fs";
import { TaskIterError, UsageError } from "../errors.ts";
import type { Libraries } from "../native/load.ts";
import type { Shim } from "../native/shim.ts";
import { type Plan, plan } from "../query/plan.ts";
import { nearest, WhereError } from "../query/where.ts";
import { chunks } from "../stream.ts";
import { messageOf } from "./explain.ts";
import { mapFor } from "./map.ts";
import { OutputError, ReaderGone, say, standardOutput } from "./output.ts";
import { load } from "./read.ts";
import { type Check, type Outcome, type Range, report, type ReportFormat, type State, STATES } from "./report.ts";

/** The worst of `states`; OK when there are none. */
export function worst(states: readonly State[]): State {
  return STATES.findLast((state) => states.includes(state)) ?? "OK";
}

/**
 * A range of the guidelines: `10`, `10:`, `~:10`, `10:20`, `@10:20`.
 *
 * @throws {UsageError} `text` is not a range
 */
export function parseRange(text: string): Range {
  const number = String.raw`[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)`;
  const match = new RegExp(`^(@?)(?:(~|${number})?(:))?(${number})?$`).exec(text);
  const [, at, start, colon, end] = match ?? [];
  if (!match || (start === undefined && end === undefined)) {
    throw new UsageError(`not a range: ${JSON.stringify(text)}; a range is 10, 10:, ~:10, 10:20 or @10:20`);
  }
  const lo = start === "~" ? -Infinity : Number(start ?? 0);
  const hi = end === undefined && colon ? Infinity : Number(end);
  if (lo > hi) throw new UsageError(`the range ${text} ends before it starts`);
  return { text, lo, hi, inside: at === "@" };
}

/** Whether `value` raises an alert. */
export function alerts({ lo, hi, inside }: Range, value: number): boolean {
  return (value >= lo && value <= hi) === inside;
}

const KEYS = ["name", "table", "where", "comm", "pid", "tid", "map", "netns", "warn", "crit"] as const;

/** One element of a file of checks. */
function checkOf(value: unknown): Check {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new UsageError("not an object");
  const given = value as Record<string, unknown>;
  for (const key of Object.keys(given)) {
    if ((KEYS as readonly string[]).includes(key)) continue;
    const near = nearest(key, KEYS);
    throw new UsageError(`unknown key ${JSON.stringify(key)}${near ? ` (did you mean ${near}?)` : ""}`);
  }
  const string = (key: typeof KEYS[number]): string | undefined => {
    const found = given[key];
    if (found === undefined || typeof found === "string") return found;
    throw new UsageError(`${key} is not a string`);
  };
  const number = (key: typeof KEYS[number]): number | undefined => {
    const found = given[key];
    if (found === undefined) return undefined;
    if (Number.isInteger(found) && (found as number) > 0 && (found as number) <= 0x7fffffff) return found as number;
    throw new UsageError(`${key} is not a positive number`);
  };
  const range = (key: "warn" | "crit"): Range | undefined => {
    const found = given[key];
    if (found === undefined) return undefined;
    if (typeof found !== "string" && typeof found !== "number") throw new UsageError(`${key} is neither a range nor a number`);
    try {
      return parseRange(String(found));
    } catch (error) {
      throw new UsageError(`${key}: ${(error as Error).message}`);
    }
  };
  const table = string("table");
  if (table === undefined) throw new UsageError("table is missing");
  const where = string("where");
  return {
    name: string("name") ?? (where === undefined ? table : `${table}: ${where}`),
    query: {
      table,
      where,
      comm: string("comm"),
      pid: number("pid"),
      tid: number("tid"),
      map: number("map"),
      netns: string("netns"),
    },
    warn: range("warn"),
    crit: range("crit"),
  };
}

/**
 * The checks in a file's text: a JSON array of objects, or an object whose `checks` is one.
 *
 * @throws {UsageError} `text` has another form, or a check in it is wrong; the message says which check and why
 */
export function parseChecks(text: string): Check[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new UsageError(`not JSON: ${(error as Error).message}`);
  }
  if (typeof value === "object" && value !== null && "checks" in value) {
    const other = Object.keys(value).find((key) => key !== "checks");
    if (other !== undefined) throw new UsageError(`unknown key ${JSON.stringify(other)} beside checks`);
    value = value.checks;
  }
  if (!Array.isArray(value)) throw new UsageError("not an array of checks");
  if (value.length === 0) throw new UsageError("there is no check in it");
  const names = new Set<string>();
  return value.map((element, i) => {
    const named = typeof element?.name === "string" ? ` (${element.name})` : "";
    try {
      const check = checkOf(element);
      planned(check);
      if (names.has(check.name)) throw new UsageError(`another one has the name ${check.name}`);
      names.add(check.name);
      return check;
    } catch (error) {
      if (!(error instanceof UsageError || error instanceof WhereError)) throw error;
      const place = error instanceof WhereError ? `where, at character ${error.position + 1}: ` : "";
      throw new UsageError(`check ${i + 1}${named}: ${place}${error.message}`);
    }
  });
}

/** No columns: the program only counts. */
function planned(check: Check): Plan {
  return plan({ ...check.query, columns: [] }, "csv");
}

/** Loads and counts. @throws {Refused|Error} the kernel cannot be asked */
function count(libraries: Libraries, check: Check, verbose: boolean): number {
  const asked = planned(check);
  using program = load(libraries, asked.request, verbose);
  try {
    for (const rows of chunks(program.walk, "csv")) {
      throw new Error(`the kernel's program wrote ${rows.length} bytes instead of counting`);
    }
  } catch (error) {
    if (error instanceof TaskIterError) throw new Error(`cannot count ${asked.table.plural}: ${error.message}`);
    throw error;
  }
  return program.walk.progress().rows;
}

function explain({ check, rows }: { check: Check; rows: number }, state: State): string {
  const { plural } = planned(check).table;
  const what = `${rows} ${rows === 1 ? plural.replace(/ies$/, "y").replace(/s$/, "") : plural}`;
  const range = state === "CRITICAL" ? check.crit : state === "WARNING" ? check.warn : undefined;
  if (!range) return what;
  if (range.inside) return `${what}, within ${range.text.slice(1)}`;
  return rows > range.hi ? `${what}, more than ${range.hi}` : `${what}, fewer than ${range.lo}`;
}

/** Opens each library once, for many programs. */
export function openingOnce(libraries: Libraries): Libraries {
  const opened = new Map<string, Shim>();
  return {
    open(name) {
      const shim = opened.get(name) ?? libraries.open(name);
      opened.set(name, shim);
      return shim;
    },
    program: (name) => libraries.program(name),
  };
}

/**
 * Carries out `checks`, one after the other. Those that ask the same question share one program and one walk.
 *
 * @throws never because of a check: a check that cannot be carried out is UNKNOWN
 */
export function perform(libraries: Libraries, checks: readonly Check[], verbose = false): Outcome[] {
  const once = openingOnce(libraries);
  const counted = new Map<string, number | string>();
  return checks.map((check) => {
    const question = JSON.stringify(check.query);
    const begun = performance.now();
    const known = counted.has(question);
    if (!known) {
      try {
        counted.set(question, count(once, check, verbose));
      } catch (error) {
        counted.set(question, messageOf(error as Error).replace(/\s+/g, " "));
      }
    }
    const time = known ? 0 : performance.now() - begun;
    const rows = counted.get(question)!;
    if (typeof rows === "string") return { check, state: "UNKNOWN", rows: undefined, text: rows, time };
    const state = check.crit && alerts(check.crit, rows) ? "CRITICAL" : check.warn && alerts(check.warn, rows) ? "WARNING" : "OK";
    return { check, state, rows, text: explain({ check, rows }, state), time };
  });
}

/** The command line of `task-iter check`. */
export interface CheckOptions {
  table: string | undefined;
  comm: string | undefined;
  where?: string | undefined;
  pid?: number | undefined;
  tid?: number | undefined;
  /** A map as it was typed: an ID or a name. */
  map?: string | undefined;
  netns?: string | undefined;
  warn?: string | undefined;
  crit?: string | undefined;
  name?: string | undefined;
  file?: string | undefined;
  format: ReportFormat;
  verbose: boolean;
}

function checksOf(libraries: Libraries, options: CheckOptions): Check[] {
  const { table, comm, where, pid, tid, map, netns, warn, crit, name, file } = options;
  if (file === undefined) {
    if (table === undefined) throw new UsageError("check needs a TABLE, or --file with checks");
    const check = {
      name: name ?? table,
      query: { table, comm, where, pid, tid, map: mapFor(libraries, table, map, options.verbose), netns },
      warn: warn === undefined ? undefined : parseRange(warn),
      crit: crit === undefined ? undefined : parseRange(crit),
    };
    planned(check);
    return [check];
  }
  if ([table, comm, where, pid, tid, map, netns, warn, crit, name].some((given) => given !== undefined)) {
    throw new UsageError("--file has its own tables, expressions and ranges: give nothing beside it");
  }
  let text;
  try {
    text = readFileSync(file === "-" ? 0 : file, "utf8");
  } catch (error) {
    throw new UsageError(`cannot read ${file}: ${(error as Error).message}`);
  }
  try {
    return parseChecks(text);
  } catch (error) {
    throw error instanceof UsageError ? new UsageError(`${file}: ${error.message}`) : error;
  }
}

/** `task-iter check`: sets the exit status. @throws {UsageError|WhereError} the command line or the file is wrong */
export function check(libraries: Libraries, options: CheckOptions): void {
  const checks = checksOf(libraries, options);
  const outcomes = perform(libraries, checks, options.verbose);
  const state = worst(outcomes.map(({ state }) => state));
  process.exitCode = STATES.indexOf(state);
  try {
    standardOutput.write(report(outcomes, state, options.format, options.file !== undefined));
  } catch (error) {
    // A closed pipe does not change the status. After another failed write nobody has read the report, so the status must not be OK.
    if (error instanceof ReaderGone) return;
    if (!(error instanceof OutputError)) throw error;
    say(`task-iter: ${error.message}`);
    process.exitCode = STATES.indexOf("UNKNOWN");
  }
}
