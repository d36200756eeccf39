// SPDX-License-Identifier: BSD-2-Clause
/** What a page shows first: a few small tables that answer what people ask of a machine that misbehaves. */

import type { Card, Cell, Checks, Finding, Manifest } from "../../report/data.ts";
import type { Columns } from "./tables.ts";

/** Rows of a card; the table behind its link has all of them. */
const MOST = 10;

type Tables = ReadonlyMap<string, Columns>;

interface Described {
  id: string;
  title: string;
  note?: string;
  columns: string[];
  rows: Cell[][];
  link?: { table: string; search: string };
  bars?: number;
  /** All rows are shown, however many. */
  whole?: boolean;
}

function card({ id, title, note = "", columns, rows, link, bars = -1, whole = false }: Described): Card {
  return {
    id,
    title,
    note: rows.length === 0 && note === "" ? "none" : note,
    columns,
    rows: whole ? rows : rows.slice(0, MOST),
    total: rows.length,
    link: link ?? null,
    bars,
  };
}

/** Rows of `table` for which `keep` holds, by number. */
function* rowsOf(table: Columns | undefined, keep: (row: number) => boolean = () => true): Generator<number> {
  for (let row = 0; row < (table?.length ?? 0); row++) if (keep(row)) yield row;
}

/** How many rows have each value, the largest number first. */
function counted(table: Columns, name: string, keep?: (row: number) => boolean): [Cell, number][] {
  const counts = new Map<Cell, number>();
  for (const row of rowsOf(table, keep)) {
    const value = table.cell(row, name);
    counts.set(value, (counts.get(value) ?? 0) + 1);
  }
  return [...counts].sort(([, a], [, b]) => b - a);
}

const number = (cell: Cell): number => Number(cell ?? 0);

/** Sockets that take connections or datagrams, each with who holds it. */
function listeners(tables: Tables): Card | undefined {
  if (!tables.has("tcp") && !tables.has("udp")) return undefined;
  const files = tables.get("files");
  const holders = new Map<string, Set<string>>();
  const add = (key: string, comm: Cell, pid: Cell) => {
    const names = holders.get(key) ?? new Set();
    names.add(`${comm} (${pid})`);
    holders.set(key, names);
  };
  for (const row of rowsOf(files, (row) => files!.cell(row, "type") === "SOCK")) {
    add(String(files!.cell(row, "ino")), files!.cell(row, "comm"), files!.cell(row, "pid"));
  }
  const found: Cell[][] = [];
  for (const name of ["tcp", "udp"]) {
    const table = tables.get(name);
    const listens = (row: number) =>
      name === "tcp" ? table!.cell(row, "state") === "LISTEN" : number(table!.cell(row, "remote_port")) === 0;
    for (const row of rowsOf(table, listens)) {
      const ino = table!.cell(row, "ino");
      const names = holders.get(String(ino)) ?? new Set<string>();
      // The table itself names the owner where it has those columns.
      const pid = table!.cell(row, "pid");
      if (pid !== null && names.size === 0) names.add(`${table!.cell(row, "comm")} (${pid})`);
      found.push([
        name,
        table!.cell(row, "local_addr"),
        table!.cell(row, "local_port"),
        table!.cell(row, "uid"),
        [...names].join(", ") || null,
      ]);
    }
  }
  found.sort((a, b) => number(a[2]!) - number(b[2]!));
  return card({
    id: "listeners",
    title: "Listeners",
    columns: ["protocol", "address", "port", "uid", "held by"],
    rows: found,
    link: { table: "tcp", search: "state=LISTEN" },
  });
}

function ofTasks(tables: Tables): Card[] {
  const tasks = tables.get("tasks");
  if (!tasks) return [];
  const cell = (row: number, name: string) => tasks.cell(row, name);
  const leads = (row: number) => cell(row, "pid") === cell(row, "tid");
  const stuck = [...rowsOf(tasks, (row) => cell(row, "state") === "D")];
  const zombies = [...rowsOf(tasks, (row) => cell(row, "state") === "Z")];
  const byMemory = [...rowsOf(tasks, (row) => leads(row) && number(cell(row, "rss_kb")) > 0)]
    .sort((a, b) => number(cell(b, "rss_kb")) - number(cell(a, "rss_kb")));
  const pick = (rows: number[], ...names: string[]) => rows.map((row) => names.map((name) => cell(row, name)));
  return [
    card({
      id: "states",
      title: "Threads by state",
      columns: ["state", "threads"],
      rows: counted(tasks, "state"),
      link: { table: "tasks", search: "" },
      bars: 1,
    }),
    card({
      id: "memory",
      title: "Memory",
      columns: ["pid", "comm", "rss_kb"],
      rows: pick(byMemory, "pid", "comm", "rss_kb"),
      link: { table: "tasks", search: "" },
      bars: 2,
    }),
    card({
      id: "stuck",
      title: "In D state",
      columns: ["pid", "tid", "comm", "wchan"],
      rows: pick(stuck, "pid", "tid", "comm", "wchan"),
      link: { table: "tasks", search: "state=D" },
    }),
    card({
      id: "zombies",
      title: "Zombies",
      columns: ["pid", "ppid", "comm"],
      rows: pick(zombies, "pid", "ppid", "comm"),
      link: { table: "tasks", search: "state=Z" },
    }),
  ];
}

function ofFiles(tables: Tables): Card[] {
  const files = tables.get("files");
  if (!files) return [];
  const cell = (row: number, name: string) => files.cell(row, name);
  const tasks = tables.get("tasks");
  const limits = new Map<Cell, Cell>();
  for (const row of rowsOf(tasks)) limits.set(tasks!.cell(row, "pid"), tasks!.cell(row, "nofile"));
  const comms = new Map<Cell, Cell>();
  for (const row of rowsOf(files)) comms.set(cell(row, "pid"), cell(row, "comm"));
  // Memory that was made without a name (memfd) is no file that somebody unlinked.
  const deleted = [
    ...rowsOf(
      files,
      (row) => cell(row, "deleted") === true && cell(row, "type") === "REG" && !String(cell(row, "path")).startsWith("/memfd:"),
    ),
  ].sort((a, b) => number(cell(b, "size")) - number(cell(a, "size")));
  return [
    card({
      id: "descriptors",
      title: "Descriptors",
      columns: ["pid", "comm", "open", "limit"],
      rows: counted(files, "pid").map(([pid, count]) => [pid, comms.get(pid) ?? null, count, limits.get(pid) ?? null]),
      link: { table: "files", search: "" },
      bars: 2,
    }),
    card({
      id: "deleted",
      title: "Deleted but open",
      columns: ["pid", "comm", "size", "path"],
      rows: deleted.map((row) => [cell(row, "pid"), cell(row, "comm"), cell(row, "size"), cell(row, "path")]),
      link: { table: "files", search: "deleted=true type=REG" },
    }),
  ];
}

/** The cards, in the order of the page. */
export function summarize(tables: Tables, manifest: Manifest, checks: Checks | undefined, findings: readonly Finding[]): Card[] {
  const tcp = tables.get("tcp");
  const listening = listeners(tables);
  const unread = manifest.tables.filter(({ state }) => state !== "read");
  const wrong = findings.filter(({ ok, check }) => !ok && !check.startsWith("table "));
  return [
    ...(checks
      ? [card({
        id: "checks",
        title: `Checks: ${checks.state}`,
        columns: ["state", "check", "found"],
        rows: checks.checks.map(({ name, state, text }) => [state, name, text]),
        whole: true,
      })]
      : []),
    ...ofTasks(tables),
    ...ofFiles(tables),
    ...(listening ? [listening] : []),
    ...(tcp
      ? [card({
        id: "tcp",
        title: "TCP sockets by state",
        columns: ["state", "sockets"],
        rows: counted(tcp, "state"),
        link: { table: "tcp", search: "" },
        bars: 1,
      })]
      : []),
    ...(wrong.length > 0
      ? [card({
        id: "doctor",
        title: "What this kernel or these privileges lack",
        columns: ["check", "found", "advice"],
        rows: wrong.map(({ check, found, advice }) => [check, found, advice]),
        whole: true,
      })]
      : []),
    ...(unread.length > 0
      ? [card({
        id: "unread",
        title: "Tables that are not here",
        columns: ["table", "state", "reason"],
        rows: unread.map(({ name, state, reason }) => [name, state, reason]),
        whole: true,
      })]
      : []),
  ];
}
