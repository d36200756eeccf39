// SPDX-License-Identifier: BSD-2-Clause
/** What a snapshot and its page say of themselves: shared by the command that writes the page and the code that runs in it. */

/** A column, as the schema of the program that took the snapshot declares it. */
export interface ColumnFacts {
  name: string;
  type: string;
  /** Shown when no columns are asked for. */
  shown: boolean;
  doc: string;
}

/** How a table of the snapshot came out. */
export interface TableFacts {
  name: string;
  /** read: whole. failed: the kernel refused, `reason` says why; rows read before are kept. absent, left out: no file. */
  state: "read" | "failed" | "absent" | "left out";
  reason: string | null;
  /** What a row is, in the plural. */
  plural: string;
  where: string | null;
  /** Of tables of sockets: "all" network namespaces, or the "current" one where others may not be entered. */
  netns: "all" | "current" | null;
  rows: number;
  bytes: number;
  /** Milliseconds. */
  load_ms: number;
  walk_ms: number;
  columns: ColumnFacts[];
}

/** manifest.json of a snapshot. */
export interface Manifest {
  /** Raised when a reader of older snapshots could not read newer ones. */
  format: 1;
  task_iter: string;
  /** RFC 3339, when the first table was begun. */
  time: string;
  duration_ms: number;
  redacted: boolean;
  tables: TableFacts[];
}

/** host.json of a snapshot. */
export interface Host {
  hostname: string;
  kernel: { release: string; version: string; machine: string; cmdline: string };
  os: string;
  cpus: number;
  uptime_s: number;
  load: number[];
  /** KiB, by the names of /proc/meminfo. */
  memory: Record<string, number>;
  /** v1, v2, hybrid or none. */
  cgroups: string;
  /** Process ID of the task-iter that took the snapshot. */
  pid: number;
  mounts: { path: string; root: string; type: string; source: string; options: string }[];
}

/** A row of doctor.json. */
export interface Finding {
  check: string;
  ok: boolean;
  found: string;
  advice: string;
}

/** checks.json, as `check --format json` writes it. */
export interface Checks {
  state: string;
  checks: { name: string; table: string | null; state: string; rows: number | null; text: string }[];
}

/** A cell of a row. Frames are an array; integers beyond 2^53 are strings of digits. */
export type Cell = string | number | boolean | null | readonly string[];

/** A small table of the summary. */
export interface Card {
  id: string;
  title: string;
  /** Said instead of rows, or beside them. */
  note: string;
  columns: string[];
  rows: Cell[][];
  /** How many rows there are, of which `rows` shows the first. */
  total: number;
  /** The table, and the search in it, that shows all of them. */
  link: { table: string; search: string } | null;
  /** The column whose numbers are drawn as bars, or -1. */
  bars: number;
}

/** What the page shows before any table is decoded. */
export interface Facts {
  manifest: Manifest;
  host: Host | null;
  cards: Card[];
}

/** The beginning of a block: a JSON text after its length, 4 bytes little endian. The columns' codes follow. */
export interface BlockHeader {
  rows: number;
  columns: {
    name: string;
    /** Each different value once. */
    values: Cell[];
    /** Bytes of a code, an index into `values`, little endian; the codes of a column follow each other. 0: one value, no codes. */
    width: 0 | 1 | 2 | 4;
  }[];
}
