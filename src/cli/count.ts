// SPDX-License-Identifier: BSD-2-Clause
/** `task-iter count`: rows counted by groups in the kernel; here the groups are sorted, cut and framed. */

import { UsageError } from "../errors.ts";
import { aggregateName, cellsOf, type Count, type Group, groupingOf, merge, takeGroups } from "../groups.ts";
import { Ahead } from "../native/ahead.ts";
import type { Libraries } from "../native/load.ts";
import { type Aggregate, AGGREGATES, type Plan, plan, type Query, textHeader } from "../query/plan.ts";
import { FORMATS } from "../query/request.ts";
import type { Column } from "../query/schema.ts";
import { checkList, perform, type PlannedCheck, requestsOf } from "./check.ts";
import { Fields, parseEach, parseFile, parseJson, QUERY_KEYS, queryOf } from "./fields.ts";
import { mapFor } from "./map.ts";
import { harmless, hasColours, isTerminal, say, standardOutput } from "./output.ts";
import { exposition, inBaseUnits, type Metric } from "./prom.ts";
import { load, stats } from "./read.ts";
import { checkMetrics } from "./report.ts";

/** The formats of a count: those of rows, metrics, and stacks for flame graphs. */
export const COUNT_FORMATS = [...FORMATS, "prom", "folded"] as const;
export type CountFormat = typeof COUNT_FORMATS[number];

/** One count. */
interface Counting {
  /** The end of the metrics' names: the table's name, or another one. */
  name: string;
  query: Query;
  top: number;
}

/** A count that has been made. */
interface Counted extends Counting {
  planned: Plan;
  count: Count;
}

/** Loads and counts. @throws {Refused} the kernel cannot be asked */
function countNow(
  libraries: Libraries,
  counting: Counting,
  planned: Plan,
  { verbose, stats: withStats }: Pick<CountOptions, "verbose" | "stats">,
): Counted {
  const started = performance.now();
  using program = load(libraries, planned.request, verbose);
  const loaded = performance.now();
  const count = takeGroups(program.walk, planned, counting.top);
  const progress = program.walk.progress();
  if (withStats) {
    const walk = performance.now() - loaded;
    say(stats({ load: loaded - started, walk, ...progress, bytes: count.bytes }));
  }
  const { limit } = counting.query.grouping!;
  if (count.lost > 0) {
    say(
      `task-iter: ${count.lost} ${planned.table.plural} are in groups beyond the limit of ${limit} (--groups); the last row has them`,
    );
  }
  if (count.incomplete.length > 0) {
    const names = count.incomplete.map(aggregateName).join(", ");
    say(`task-iter: there are more distinct values than the kernel keeps (--groups): some of ${names} are not known`);
  }
  return { ...counting, planned, count };
}

/** What is at the rest's place in a column of text. */
function restLabel({ others }: Count): string {
  return others === undefined ? "(rest)" : `(${others} more group${others === 1 ? "" : "s"})`;
}

/** The count and the aggregates of a group, `absent` for those that are not known. */
const numbersOf = (
  { rows, values }: Group,
  absent: string,
) => [String(rows), ...values.map((value) => value?.toString() ?? absent)];

function text({ planned, count }: Counted, names: readonly string[], header: boolean): string {
  const { groups, rest } = count;
  const rows = [...groups, ...rest.rows > 0 ? [rest] : []].map((group) => ({
    numbers: numbersOf(group, "-"),
    text: group === rest ? ` ${restLabel(count)}` : group.text,
  }));
  const widths = names.map((name, i) => Math.max(name.length, ...rows.map(({ numbers }) => numbers[i]!.length)));
  const columns = names.map((name, i): Column => ({ name, width: widths[i]!, type: "number", shown: true, doc: "", words: [] }));
  const first = textHeader([...columns, ...planned.columns]);
  const lines = rows.map(({ numbers, text }) => numbers.map((number, i) => number.padStart(widths[i]!)).join(" ") + text + "\n");
  return (!header ? "" : hasColours(1) ? `\x1b[1m${first.trimEnd()}\x1b[0m\n` : first) + lines.join("");
}

function csv({ planned, count, top }: Counted, names: readonly string[], header: boolean): string {
  const { groups, rest } = count;
  const withRest = top !== Infinity || rest.rows > 0;
  const line = (cells: readonly string[], text: string, last: string) =>
    cells.join(",") + text + (withRest ? `,${last}\n` : "\n");
  const columns = planned.columns.map(({ name }) => `,${name}`).join("");
  return (header ? line(names, columns, "rest") : "") +
    groups.map((group) => line(numbersOf(group, ""), group.text, "")).join("") +
    (rest.rows > 0 ? line(numbersOf(rest, ""), planned.columns.map(() => ",").join(""), "true") : "");
}

function objects({ planned, count }: Counted, names: readonly string[]): string[] {
  const object = (group: Group, cells: string) =>
    `{${numbersOf(group, "null").map((number, i) => `"${names[i]}":${number}`).join(",")}${cells}}`;
  const nulls = planned.columns.map(({ name }) => `,"${name}":null`).join("");
  const { groups, rest } = count;
  return [...groups.map((group) => object(group, group.text)), ...rest.rows > 0 ? [object(rest, `${nulls},"rest":true`)] : []];
}

const prefixOf = (name: string) => `task_iter_${name.replaceAll("-", "_")}`;

/** The name of a metric and the way to write its values. */
function metricOf(name: string, { kind, column }: Aggregate): { name: string; write(value: bigint): string } {
  const unit = kind === "distinct" ? { name: column, write: String } : inBaseUnits(column);
  return { name: `${prefixOf(name)}_${kind}_${unit.name}`, write: unit.write };
}

/** The names of the metrics that a count makes. */
const metricNames = (
  { name, query }: Counting,
) => [prefixOf(name), ...query.grouping!.aggregates.map((aggregate) => metricOf(name, aggregate).name)];

/** The metrics of a count: the number of rows and each aggregate, labelled with the columns. */
function metricsOf({ name, planned, count, query }: Counted): Metric[] {
  const { table, columns } = planned;
  const by = columns.length === 0 ? "" : ` by ${columns.map(({ name }) => name).join(", ")}`;
  const [first = "", ...others] = table.plural;
  const what = `${first.toUpperCase()}${others.join("")}${by}`;
  const metrics: Metric[] = [{ name: prefixOf(name), help: `Number of ${table.plural}${by}.`, samples: [] }];
  const units = query.grouping!.aggregates.map((aggregate) => {
    const metric = metricOf(name, aggregate);
    metrics.push({ name: metric.name, help: `${what}: ${KINDS[aggregate.kind]} ${aggregate.column}.`, samples: [] });
    return metric;
  });
  const write = (group: Group, labels: (readonly [string, string])[]) => {
    metrics[0]!.samples.push({ labels, value: String(group.rows) });
    group.values.forEach((value, i) => {
      if (value !== undefined) metrics[i + 1]!.samples.push({ labels, value: units[i]!.write(value) });
    });
  };
  // A label that is empty is no label: an absent value and an empty string are the same.
  const same = new Map<string, [Group, (readonly [string, string])[]]>();
  for (const group of count.groups) {
    const labels = cellsOf(group.text).map((cell, i) => [columns[i]!.name, cell ?? ""] as const);
    const key = JSON.stringify(labels);
    const known = same.get(key);
    if (known) merge(known[0], group, query.grouping!.aggregates);
    else same.set(key, [{ ...group, values: [...group.values] }, labels]);
  }
  for (const [group, labels] of same.values()) write(group, labels);
  if (count.rest.rows > 0) write(count.rest, [["rest", "true"]]);
  return metrics;
}

const KINDS = { sum: "sum of", max: "largest", min: "smallest", distinct: "number of distinct values of" };

/** Percent-encodes what separates frames, stacks and counts, and control characters. */
const folded = (text: string) =>
  // deno-lint-ignore no-control-regex
  text.replace(/[\x00-\x20;%\x7f-\x9f]/g, (char) => encodeURIComponent(char));

/** A frame without offset and size; the name of its module follows without a blank. */
const frameOf = (frame: string) => folded(frame.replace(/\+0x[0-9a-f]+\/0x[0-9a-f]+/, "").replace(/ (?=\[)/, ""));

/** Stacks for flame graphs: one line for each distinct stack, the outermost frame first, below the other columns. */
function stacks({ planned, count }: Counted): string {
  const place = planned.columns.findIndex(({ type }) => type === "frames");
  const lines = new Map<string, number>();
  const add = (frames: readonly string[], rows: number) => {
    const stack = frames.join(";") || "[no_stack]";
    lines.set(stack, (lines.get(stack) ?? 0) + rows);
  };
  for (const { text, rows } of count.groups) {
    const cells = cellsOf(text);
    const frames = (cells[place] ?? "").split(";").filter(Boolean).map(frameOf).reverse();
    add([...cells.filter((_, i) => i !== place).map((cell) => folded(cell ?? "-") || "-"), ...frames], rows);
  }
  if (count.rest.rows > 0) add(["[rest]"], count.rest.rows);
  return [...lines].sort(([, a], [, b]) => b - a).map(([stack, rows]) => `${stack} ${rows}\n`).join("");
}

/** What the command line or an element of a file says of a count. */
interface Given {
  by?: string[] | undefined;
  sum?: string[] | undefined;
  max?: string[] | undefined;
  min?: string[] | undefined;
  distinct?: string[] | undefined;
  top?: number | undefined;
  groups?: number | undefined;
  name?: string | undefined;
}

/** @throws {UsageError|WhereError} */
function countingOf(query: Query, given: Given): Counting {
  const grouping = groupingOf(given);
  return { name: given.name ?? query.table, query: { ...query, columns: given.by ?? [], grouping }, top: given.top ?? Infinity };
}

const KEYS = [...QUERY_KEYS, "name", "by", ...AGGREGATES, "top", "groups"] as const;

/** One element of a file of counts. */
function elementOf(value: unknown): Counting {
  const fields = new Fields(value, KEYS);
  const name = fields.string("name");
  if (name !== undefined && !/^[a-z][a-z0-9_]*$/.test(name)) {
    throw new UsageError(`name is the end of a metric's name, of the letters a to z, digits and _: ${name}`);
  }
  const [sum, max, min, distinct] = AGGREGATES.map((kind) => fields.list(kind));
  const [top, groups] = [fields.number("top"), fields.number("groups")];
  const counting = countingOf(queryOf(fields), { by: fields.list("by"), sum, max, min, distinct, top, groups, name });
  plan(counting.query, "jsonl");
  return counting;
}

/** The counts and checks in a file's text: an array of counts, or an object with `counts`, `checks` or both. */
function parseMetrics(text: string): { counts: Counting[]; checks: PlannedCheck[] } {
  const value = parseJson(text);
  const fields = Array.isArray(value) ? undefined : new Fields(value, ["counts", "checks"]);
  const list = fields ? fields.get("counts") : value;
  const counts = list === undefined ? [] : parseEach("count", list, elementOf);
  const checks = fields?.get("checks") === undefined ? [] : checkList(fields.get("checks"));
  if (counts.length + checks.length === 0) throw new UsageError("there is no count in it");
  const names = counts.flatMap(metricNames);
  const twice = names.findIndex((name, i) => names.indexOf(name) !== i);
  if (twice >= 0) throw new UsageError(`two counts make the metric ${names[twice]}: give one of them a name`);
  return { counts, checks };
}

/** The command line of `task-iter count`. */
export interface CountOptions extends Given, Omit<Query, "table" | "columns" | "map"> {
  table?: string | undefined;
  /** A map as it was typed: an ID or a name. */
  map?: string | undefined;
  file?: string | undefined;
  format?: CountFormat | undefined;
  header: boolean;
  stats: boolean;
  verbose: boolean;
}

/** All metrics of a file: those of counts, then those of checks. */
function metricsOfFile(libraries: Libraries, path: string, options: CountOptions): string {
  const { counts, checks } = parseFile(path, parseMetrics);
  const planned = counts.map(({ query }) => plan(query, "jsonl"));
  using ahead = new Ahead(libraries, options.verbose ? [] : [...planned.map(({ request }) => request), ...requestsOf(checks)]);
  const counted = counts.map((counting, i) => countNow(ahead, counting, planned[i]!, options));
  return exposition([...counted.flatMap(metricsOf), ...checks.length > 0 ? checkMetrics(perform(ahead, checks)) : []]);
}

/** The output of a count in `format`. */
function written(counted: Counted, format: CountFormat, header: boolean): string {
  const names = ["count", ...counted.query.grouping!.aggregates.map(aggregateName)];
  switch (format) {
    case "text":
      return text(counted, names, header);
    case "csv":
      return csv(counted, names, header);
    case "jsonl":
      return objects(counted, names).map((line) => `${line}\n`).join("");
    case "json": {
      const lines = objects(counted, names);
      return lines.length === 0 ? "[]\n" : `[\n${lines.join(",\n")}\n]\n`;
    }
    case "prom":
      return exposition(metricsOf(counted));
    case "folded":
      return stacks(counted);
  }
}

/** `task-iter count`. @throws see failure.ts */
export function count(libraries: Libraries, options: CountOptions): void {
  const { table, where, comm, pid, tid, container, netns, map, file, header, verbose, ...given } = options;
  const format = options.format ?? (file === undefined ? "text" : "prom");
  const isBare = format === "csv" || format === "prom" || format === "folded";
  const write = (text: string) => standardOutput.write(isBare && isTerminal(1) ? harmless(text) : text);
  if (file !== undefined) {
    const beside = [
      table,
      where,
      comm,
      pid,
      tid,
      container,
      netns,
      map,
      ...AGGREGATES.map((kind) => given[kind]),
      given.by,
      given.top,
      given.groups,
    ];
    if (beside.some((word) => word !== undefined)) {
      throw new UsageError("--file has its own tables and columns: give nothing beside it");
    }
    if (format !== "prom") throw new UsageError("--file makes metrics: its format is prom");
    return write(metricsOfFile(libraries, file, options));
  }
  if (table === undefined) throw new UsageError("count needs a TABLE, or --file with counts");
  const query: Query = { table, where, comm, pid, tid, container, netns };
  const counting = countingOf(query, given);
  if (
    format === "folded" && (table !== "stacks" || !given.by?.includes("frames") || counting.query.grouping!.aggregates.length > 0)
  ) {
    throw new UsageError("folded stacks are counts of the table stacks by frames, without other numbers");
  }
  counting.query.map = mapFor(libraries, table, map, verbose);
  const planned = plan(counting.query, format === "prom" || format === "folded" ? "jsonl" : format);
  write(written(countNow(libraries, counting, planned, options), format, header));
}
