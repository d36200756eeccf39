// SPDX-License-Identifier: BSD-2-Clause
/** From what a user asks for to a request of the native side. */

import { UsageError } from "../errors.ts";
import { possibleCpus } from "./cpus.ts";
import { shapeOf } from "./elements.ts";
import {
  AGGREGATE_DISTINCT,
  AGGREGATE_MAX,
  AGGREGATE_MIN,
  AGGREGATE_SUM,
  AGGREGATE_SUM_SIGNED,
  MAX_AGGREGATES,
  MAX_COLUMNS,
  NAME_SIZE,
  QUERY_BLOCKS,
  QUERY_CHANGES,
  QUERY_COUNT,
  QUERY_FINISH,
  QUERY_LINES,
  QUERY_NAMES,
  QUERY_PREPARE,
  QUERY_SHARED,
  QUERY_STAMP,
} from "./layout.gen.ts";
import { attributeOf } from "./otel.ts";
import { encode } from "./query.ts";
import { type Format, type Request, writerOf } from "./request.ts";
import { type Column, type Table, tables, TUTORIAL_COLUMNS } from "./schema.ts";
import { all, columnsOf, compile, equals, type Expression, fixed, isFull, nearest, parse } from "./where.ts";

/** Other names that columns may have. */
export const NAMES = ["otel"] as const;
export type Names = typeof NAMES[number];

/** What to read. */
export interface Query {
  table: string;
  /** In the order of the row; `["all"]` for every column; those shown by default otherwise. */
  columns?: readonly string[] | undefined;
  /** A predicate in the language of `--where`. */
  where?: string | undefined;
  /** Exact name of a thread, at most 15 bytes. */
  comm?: string | undefined;
  /** Process and thread, as the reader's pid namespace numbers them. */
  pid?: number | undefined;
  tid?: number | undefined;
  /** A container: its ID or the beginning of its ID in hexadecimal digits, or its name. */
  container?: string | undefined;
  /** The network namespace: a path, a process's ID or `all`; the current one otherwise. Adds the column to those by default. */
  netns?: string | undefined;
  /** A BPF map's ID, for tables that read one map's elements. */
  map?: number | undefined;
  /** Only rows that are new, changed or gone since the pass before; how many rows the kernel may remember. */
  changes?: number | undefined;
  /** Other names of the columns, for jsonl: those of OpenTelemetry's semantic conventions. */
  names?: Names | undefined;
  /** Count rows by groups in place of writing them. */
  grouping?: Grouping | undefined;
}

/** What a count computes of a column's values in each group; absent values do not take part. */
export const AGGREGATES = ["sum", "max", "min", "distinct"] as const;

export interface Aggregate {
  kind: typeof AGGREGATES[number];
  column: string;
}

/** How rows are counted; the columns of the query are those that rows of a group have in common. */
export interface Grouping {
  aggregates: readonly Aggregate[];
  /** How many entries the kernel keeps; a group has one, and one more for each {@linkcode GROUP_BYTES} of text. */
  limit: number;
}

/** How many distinct values are kept for each entry of a grouping's limit. */
const DISTINCT_PER_GROUP = 4;

/** The tables that read one BPF map, each with the map types that its iterator accepts. */
export const MAP_TYPES: Readonly<Record<string, readonly string[]>> = {
  elems: ["hash", "percpu_hash", "lru_hash", "lru_percpu_hash", "array", "percpu_array"],
  "sk-storage": ["sk_storage"],
  sockmap: ["sockmap", "sockhash"],
};

/** A column by which no row changes (bpf/engine/changes.h): with `--changes` it is the last one. */
const AGING = "age_ns";

/** Columns of a socket or BPF object that tell of its owner (bpf/subjects/owners.h); those that the map `texts` is for. */
const OWNER_TEXTS: readonly string[] = ["exe", "cgroup", "container", "pod"];
const OF_OWNER: readonly string[] = [...OWNER_TEXTS, "pid", "comm", "fd", "owners", "ppid", "task_uid", "ns_pid"];

/** A request, and the text around its rows. */
export interface Plan {
  table: Table;
  /** The columns of a row, in order. */
  columns: Column[];
  /** How rows are counted. */
  grouping: Grouping | undefined;
  request: Request;
  /** The line before the rows of text and CSV; "" where there is none. */
  header: string;
  /** The tutorial's last line, before and after the number of rows; other formats have none. */
  summary: readonly [string, string] | undefined;
}

const isRight = (column: Column) => column.type === "number" || column.type === "signed";

/** Column names as text shows them, aligned as the program aligns the cells. */
export function textHeader(columns: readonly Column[]): string {
  const cells = columns.map((column, i) => {
    const name = column.name.toUpperCase();
    if (isRight(column)) return name.padStart(column.width);
    return i === columns.length - 1 ? name : name.padEnd(column.width);
  });
  return cells.join(" ") + "\n";
}

/** PID_MAX_LIMIT of include/linux/threads.h: no number of a process or thread is larger. */
const PID_MAX = 4 * 1024 * 1024;

/** The table of that name. @throws {UsageError} there is none */
export function findTable(name: string): Table {
  const table = tables.find((table) => table.name === name);
  if (table) return table;
  const near = nearest(name, tables.map(({ name }) => name));
  throw new UsageError(`there is no table ${name}${near ? ` (did you mean ${near}?)` : ""}: task-iter tables lists them`);
}

function chooseColumns(table: Table, words: readonly string[]): number[] {
  const names = words.map((word) => word.trim());
  if (names.length === 1 && names[0] === "all") return table.columns.map((_, i) => i);
  const numbers = names.map((name) => {
    const number = table.columns.findIndex((column) => column.name === name);
    if (number >= 0) return number;
    const near = nearest(name, table.columns.map((column) => column.name));
    throw new UsageError(`${table.name} has no column ${name}${near ? ` (did you mean ${near}?)` : ""}`);
  });
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) throw new UsageError(`column ${twice} is asked for twice`);
  return numbers;
}

/** `names` of bpf/formats/json.h: the text before each column's value. */
function namesOf(table: Table): Uint8Array {
  const bytes = new Uint8Array(MAX_COLUMNS * NAME_SIZE);
  table.columns.forEach(({ name }, i) => {
    const { written } = new TextEncoder().encodeInto(`,"${attributeOf(table.name, name)}":`, bytes.subarray(i * NAME_SIZE));
    bytes[(i + 1) * NAME_SIZE - 1] = written;
  });
  return bytes;
}

function expressionOf(table: Table, query: Query): Expression | undefined {
  const parts: Expression[] = [];
  const has = (column: string) => table.columns.some(({ name }) => name === column);
  for (const column of ["comm", "pid", "tid"] as const) {
    const value = query[column];
    if (value === undefined) continue;
    if (!has(column)) throw new UsageError(`${table.name} has no column ${column}: its rows belong to no task`);
    if (column === "comm" && new TextEncoder().encode(String(value)).length > 15) {
      throw new UsageError(`a thread's name has at most 15 bytes: ${value}`);
    }
    if (column !== "comm" && (!Number.isSafeInteger(value) || Number(value) < 0)) {
      throw new UsageError(`${column} is the number of a ${column === "pid" ? "process" : "thread"}, not ${value}`);
    }
    parts.push(equals(table, column, String(value)));
  }
  if (query.container !== undefined) {
    if (!has("container")) throw new UsageError(`${table.name} has no column container: its rows belong to no task`);
    // The column has an ID's first 12 digits; fewer of them are the beginning of an ID.
    const isId = /^[0-9a-f]+$/.test(query.container);
    parts.push(equals(table, "container", isId ? query.container.slice(0, 12) : query.container, isId));
  }
  if (query.where !== undefined) parts.push(parse(query.where, table));
  return all(parts);
}

/** The aggregates as the program takes them. @throws {UsageError} too many, an unknown column, one that has no numbers */
function aggregatesOf(table: Table, { aggregates }: Grouping): { column: number; kind: number }[] {
  if (aggregates.length > MAX_AGGREGATES) throw new UsageError(`a count has at most ${MAX_AGGREGATES} aggregates`);
  return aggregates.map(({ kind, column: name }) => {
    const column = chooseColumns(table, [name])[0]!;
    const { type } = table.columns[column]!;
    if (kind === "distinct") return { column, kind: AGGREGATE_DISTINCT };
    if (!isRight(table.columns[column]!)) throw new UsageError(`${table.name}: ${name} is not a number: ${kind} takes numbers`);
    const sum = type === "signed" ? AGGREGATE_SUM_SIGNED : AGGREGATE_SUM;
    return { column, kind: { sum, max: AGGREGATE_MAX, min: AGGREGATE_MIN }[kind] };
  });
}

/**
 * Plans a query.
 *
 * @param stamped jsonl rows carry the time of their snapshot
 * @param description the description of a pinned query, which several readers may run at once
 * @throws {UsageError} an unknown table or column, too large an expression, a map missing or out of place
 * @throws {WhereError} `where` is not in the language
 */
export function plan(query: Query, format: Format, stamped = false, description?: string): Plan {
  const table = findTable(query.table);
  if (query.netns !== undefined && !table.columns.some(({ name }) => name === "netns")) {
    const those = tables.filter(({ columns }) => columns.some(({ name }) => name === "netns")).map(({ name }) => name);
    throw new UsageError(`${table.name} takes no network namespace; those that do: ${those.join(", ")}`);
  }
  if (query.names !== undefined && format !== "jsonl") throw new UsageError("--names is for --format jsonl");
  const changes = query.changes !== undefined;
  if (changes && format === "json") throw new UsageError("changes have no end, an array has: choose jsonl, csv or text for them");
  const tutorial = format === "text" && query.columns === undefined && !changes;
  // Text in the tutorial's blocks of lines has no columns; each ends with an empty line.
  const blocks = tutorial && table.name === "stacks";
  const summarized = tutorial && (table.name === "stacks" || table.name === "files");
  const byDefault = (tutorial && TUTORIAL_COLUMNS[table.name]) ||
    table.columns.filter(({ name, shown }) => shown || name === "netns" && query.netns !== undefined).map(({ name }) => name);
  const identity = changes ? chooseColumns(table, [...query.netns === undefined ? [] : ["netns"], ...table.identity]) : undefined;
  const chosen = chooseColumns(table, query.columns ?? byDefault);
  const aging = table.columns.findIndex(({ name }) => name === AGING);
  const numbers = identity
    ? [...new Set([...identity, ...chosen.filter((number) => number !== aging), ...chosen.filter((number) => number === aging)])]
    : chosen;
  const columns = numbers.map((number) => table.columns[number]!);
  const expression = expressionOf(table, query);
  const narrow = (name: string) => {
    const value = fixed(expression, table.columns.findIndex((column) => column.name === name));
    return value !== undefined && value > 0 && value <= PID_MAX ? value : undefined;
  };
  let predicate;
  try {
    predicate = expression && compile(expression);
  } catch (error) {
    if (error instanceof RangeError) throw new UsageError(error.message);
    throw error;
  }
  const mapTypes = MAP_TYPES[table.name];
  if (mapTypes && query.map === undefined) throw new UsageError(`${table.name} reads one BPF map: say which, by its ID`);
  if (!mapTypes && query.map !== undefined) {
    throw new UsageError(`${table.name} does not read a map: --map has no meaning for it`);
  }
  const walksTasks = table.iterator.startsWith("task");
  const pid = walksTasks ? narrow("pid") : undefined;
  const { grouping } = query;
  const aggregates = grouping && aggregatesOf(table, grouping);
  const read = [...numbers, ...predicate ? columnsOf(predicate) : [], ...aggregates?.map(({ column }) => column) ?? []];
  const used = read.map((number) => table.columns[number]!);
  const isMore = changes || query.grouping !== undefined || query.names !== undefined ||
    (predicate !== undefined && isFull(predicate));
  const full = isMore || used.some(({ full }) => full);
  const hasOwners = table.columns.some(({ name }) => name === "owners");
  const prepare = hasOwners && used.some(({ name }) => OF_OWNER.includes(name));
  if (prepare && description !== undefined) {
    throw new UsageError("a pinned query cannot look up owners: leave out their columns, or pin files");
  }
  const isPlain = columns.every(({ shown }) => shown);
  const tested = predicate?.tests.map(({ column }) => column) ?? [];
  // A group is found by its text, and an aggregate reads values as a comparison does.
  const compared = grouping
    ? [...tested, ...numbers, ...aggregates!.map(({ column }) => column)]
    : changes
    ? [...tested, ...numbers]
    : tested;
  const constant = {
    columns: numbers,
    long: columns.filter(({ type }) => type === "long" || type === "json").length,
    flags: (blocks ? QUERY_BLOCKS : 0) | (stamped ? QUERY_STAMP : 0) | (query.names ? QUERY_NAMES : 0) |
      (description === undefined ? 0 : QUERY_SHARED) | (grouping ? QUERY_COUNT | QUERY_FINISH : 0) |
      (format === "jsonl" ? QUERY_LINES : 0) | (prepare ? QUERY_PREPARE : 0) | (changes ? QUERY_CHANGES : 0),
    machine: full || table.name === "elems",
    owners: prepare,
    ownerTexts: prepare && used.some(({ name }) => OWNER_TEXTS.includes(name)),
    ownerPid: prepare ? narrow("pid") : undefined,
    groupsMax: grouping?.limit,
    distinctMax: aggregates?.some(({ kind }) => kind === AGGREGATE_DISTINCT) ? grouping!.limit * DISTINCT_PER_GROUP : 0,
    aggregates,
    changesMax: query.changes,
    identity,
    description,
  };
  return {
    table,
    columns,
    grouping,
    header: format === "csv"
      ? [...changes ? ["op", "t"] : [], ...columns.map(({ name }) => name)].join(",") + "\n"
      : format === "text" && !blocks
      ? (changes ? "  " : "") + textHeader(columns)
      : "",
    summary: summarized ? [`${blocks ? "" : "\n"}=== Summary: `, ` ${table.plural} shown ===\n`] : undefined,
    request: {
      table: table.name,
      format,
      query: encode({ ...constant, predicate }),
      compared: compared.map((column) => table.columns[column]!)
        .find(({ type }) => type === "symbol" || type === "frames")?.name,
      plain: !predicate && isPlain,
      wide: full && !isMore && !predicate && writerOf(format) === "json",
      full,
      finish: grouping !== undefined,
      prepare,
      fill: query.names || predicate?.states.length
        ? {
          ...(query.names && { names: namesOf(table) }),
          ...(predicate?.states.length && { automaton: new Uint8Array(predicate.states.buffer) }),
        }
        : undefined,
      pid,
      changes,
      narrowed: !grouping && !changes && pid !== undefined && !query.names && predicate!.tests.length === 1 && isPlain
        ? encode({ ...constant, predicate: undefined })
        : undefined,
      // The other walks leave out threads that share what they show with their leader, but not when narrowed to such a thread.
      tid: table.iterator === "task" ? narrow("tid") : undefined,
      map: query.map,
      decode: table.name === "elems" ? (map, btf) => shapeOf(map, btf, possibleCpus(), format === "csv") : undefined,
      netns: query.netns,
      cgroups: table.iterator === "cgroup",
    },
  };
}
