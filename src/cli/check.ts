// SPDX-License-Identifier: BSD-2-Clause
/** `task-iter check`: counts rows in the kernel and compares the number with ranges, as monitoring plugins do. */

import { TaskIterError, UsageError } from "../errors.ts";
import { cellsOf, takeGroups } from "../groups.ts";
import { Ahead } from "../native/ahead.ts";
import type { Libraries } from "../native/load.ts";
import { type Plan, plan } from "../query/plan.ts";
import type { Request } from "../query/request.ts";
import { chunks } from "../stream.ts";
import { messageOf } from "./explain.ts";
import { Fields, parseEach, parseFile, parseJson, QUERY_KEYS, queryOf } from "./fields.ts";
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

const KEYS = ["name", ...QUERY_KEYS, "by", "warn", "crit"] as const;

/** A check, and how the kernel is asked. */
export interface PlannedCheck extends Check {
  asked: Plan;
}

/** One element of a file of checks. @throws {UsageError|WhereError} it is wrong */
function checkOf(value: unknown): PlannedCheck {
  const fields = new Fields(value, KEYS);
  const range = (key: "warn" | "crit"): Range | undefined => {
    const found = fields.get(key);
    if (found === undefined) return undefined;
    if (typeof found !== "string" && typeof found !== "number") throw new UsageError(`${key} is neither a range nor a number`);
    try {
      return parseRange(String(found));
    } catch (error) {
      throw new UsageError(`${key}: ${(error as Error).message}`);
    }
  };
  const query = queryOf(fields);
  const by = fields.list("by");
  const name = `${query.table}${by ? ` by ${by.join(", ")}` : ""}${query.where === undefined ? "" : `: ${query.where}`}`;
  const check = { name: fields.string("name") ?? name, query, by, warn: range("warn"), crit: range("crit") };
  return { ...check, asked: planned(check) };
}

/** The checks of a list. @throws {UsageError} not a list, a wrong check, two of the same name; the message says which and why */
export function checkList(value: unknown): PlannedCheck[] {
  const names = new Set<string>();
  return parseEach("check", value, (element) => {
    const check = checkOf(element);
    if (names.has(check.name)) throw new UsageError(`another one has the name ${check.name}`);
    names.add(check.name);
    return check;
  });
}

/**
 * The checks in a file's text: a JSON array of objects, or an object whose `checks` is one.
 *
 * @throws {UsageError} `text` has another form, or a check in it is wrong; the message says which check and why
 */
export function parseChecks(text: string): PlannedCheck[] {
  let value = parseJson(text);
  if (typeof value === "object" && value !== null && "checks" in value) {
    const other = Object.keys(value).find((key) => key !== "checks");
    if (other !== undefined) throw new UsageError(`unknown key ${JSON.stringify(other)} beside checks`);
    value = value.checks;
  }
  return checkList(value);
}

/** Groups that a check tells apart; with more it has not looked at all of them. */
const MAX_GROUPS = 65_536;

/** Without `by` no columns: the program only counts. */
function planned({ query, by }: Check): Plan {
  if (by === undefined) return plan({ ...query, columns: [] }, "csv");
  return plan({ ...query, columns: by, grouping: { aggregates: [], limit: MAX_GROUPS } }, "jsonl");
}

/** The rows of each group, the most first; without `by` the rows of the table. */
type Counts = { rows: number; group?: string }[];

/** Loads and counts. @throws {Refused|Error} the kernel cannot be asked */
function count(libraries: Libraries, { asked }: PlannedCheck, verbose: boolean): Counts {
  using program = load(libraries, asked.request, verbose);
  try {
    if (asked.grouping) {
      const { groups, lost } = takeGroups(program.walk, asked);
      if (lost > 0) throw new Error(`there are more than ${MAX_GROUPS} groups of ${asked.table.plural}`);
      return groups.map(({ rows, text }) => ({ rows, group: text }));
    }
    for (const rows of chunks(program.walk, "csv")) {
      throw new Error(`the kernel's program wrote ${rows.length} bytes instead of counting`);
    }
  } catch (error) {
    if (error instanceof TaskIterError) throw new Error(`cannot count ${asked.table.plural}: ${error.message}`);
    throw error;
  }
  return [{ rows: program.walk.progress().rows }];
}

/** How far a value is from what a range wants. */
function excess(range: Range | undefined, value: number): number {
  return !range || range.inside ? 0 : Math.max(value - range.hi, range.lo - value);
}

/** The worst of the groups: its state, and how many others have that state. */
function judge({ warn, crit }: Check, counts: Counts): { state: State; rows: number; group: string | undefined; others: number } {
  const judged = (counts.length === 0 ? [{ rows: 0 }] : counts).map(({ rows, group }: Counts[number]) => {
    const state: State = crit && alerts(crit, rows) ? "CRITICAL" : warn && alerts(warn, rows) ? "WARNING" : "OK";
    return { state, rows, group };
  });
  const state = worst(judged.map(({ state }) => state));
  const those = judged.filter((one) => one.state === state);
  const range = rangeOf(state, { warn, crit });
  const [first, ...others] = those.sort((a, b) => excess(range, b.rows) - excess(range, a.rows));
  return { ...first!, others: others.length };
}

const rangeOf = (state: State, { warn, crit }: Pick<Check, "warn" | "crit">) =>
  state === "CRITICAL" ? crit : state === "WARNING" ? warn : undefined;

function explain(check: PlannedCheck, { state, rows, group, others }: ReturnType<typeof judge>): string {
  const { plural } = check.asked.table;
  const cells = group === undefined ? [] : cellsOf(group);
  const name = check.by?.map((column, i) => `${column} ${cells[i] ?? "none"}`).join(", ");
  const what = `${name && group !== undefined ? `${name}: ` : ""}${rows} ${
    rows === 1 ? plural.replace(/ies$/, "y").replace(/s$/, "") : plural
  }`;
  const range = rangeOf(state, check);
  if (!range) return what;
  const more = others === 0 ? "" : `; ${others} other group${others === 1 ? "" : "s"} too`;
  if (range.inside) return `${what}, within ${range.text.slice(1)}${more}`;
  return (rows > range.hi ? `${what}, more than ${range.hi}` : `${what}, fewer than ${range.lo}`) + more;
}

const questionOf = ({ query, by }: Check): string => JSON.stringify([query, by]);

/** What {@linkcode perform} asks the kernel, in its order. */
export function requestsOf(checks: readonly PlannedCheck[]): Request[] {
  const asked = new Map<string, Request>();
  for (const check of checks) if (!asked.has(questionOf(check))) asked.set(questionOf(check), check.asked.request);
  return [...asked.values()];
}

/**
 * Carries out `checks`, one after the other. Those that ask the same question share one program and one walk.
 *
 * @throws never because of a check: a check that cannot be carried out is UNKNOWN
 */
export function perform(libraries: Libraries, checks: readonly PlannedCheck[], verbose = false): Outcome[] {
  using ahead = libraries.begun ? undefined : new Ahead(libraries, verbose ? [] : requestsOf(checks));
  const counted = new Map<string, Counts | string>();
  return checks.map((check) => {
    const question = questionOf(check);
    const begun = performance.now();
    const known = counted.has(question);
    if (!known) {
      try {
        counted.set(question, count(ahead ?? libraries, check, verbose));
      } catch (error) {
        counted.set(question, messageOf(error as Error).replace(/\s+/g, " "));
      }
    }
    const time = known ? 0 : performance.now() - begun;
    const counts = counted.get(question)!;
    if (typeof counts === "string") return { check, state: "UNKNOWN", rows: undefined, text: counts, time };
    const judged = judge(check, counts);
    const { state, rows, group } = judged;
    return { check, state, rows, group, text: explain(check, judged), time };
  });
}

/** The command line of `task-iter check`. */
export interface CheckOptions {
  table: string | undefined;
  comm: string | undefined;
  where?: string | undefined;
  by?: string[] | undefined;
  pid?: number | undefined;
  tid?: number | undefined;
  container?: string | undefined;
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

function checksOf(libraries: Libraries, options: CheckOptions): PlannedCheck[] {
  const { table, comm, where, by, pid, tid, container, map, netns, warn, crit, name, file } = options;
  if (file === undefined) {
    if (table === undefined) throw new UsageError("check needs a TABLE, or --file with checks");
    const check = {
      name: name ?? table,
      query: { table, comm, where, pid, tid, container, map: mapFor(libraries, table, map, options.verbose), netns },
      by,
      warn: warn === undefined ? undefined : parseRange(warn),
      crit: crit === undefined ? undefined : parseRange(crit),
    };
    return [{ ...check, asked: planned(check) }];
  }
  if ([table, comm, where, by, pid, tid, container, map, netns, warn, crit, name].some((given) => given !== undefined)) {
    throw new UsageError("--file has its own tables, expressions and ranges: give nothing beside it");
  }
  return parseFile(file, parseChecks);
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
