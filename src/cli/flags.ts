// SPDX-License-Identifier: BSD-2-Clause
/**
 * Every option, once. The quick path (quick.ts) and commander (options.ts) read this list; the help, the completions and the manual
 * page are made from commander. This module imports nothing, because every start reads it.
 */

/** The commands that take options of rows; the others have only a format. */
export type FlagCommand = "read" | "count" | "check" | "pin" | "tables" | "doctor" | "snapshot" | "report" | "flame";

export interface Flag {
  /** The long name, without its dashes. */
  long: string;
  short?: string;
  /** The value as help shows it, `<must>` or `[may]`; none for a switch. */
  value?: string;
  /** How to parse the value; without a kind the value stays a string. */
  kind?: "list" | "lists" | "several" | "positive" | "duration" | "format" | "read" | "count" | "report" | "names" | "engine";
  /** The default value, by command. */
  initial?: Partial<Record<FlagCommand, string>>;
  /** Whether the quick path understands it. */
  quick?: boolean;
  /** The commands that have the option: its group and its text in their help. An empty text hides the option. */
  on: Partial<Record<FlagCommand, readonly [group: string, help: string]>>;
}

/** The groups of a command's help, in order. */
export const GROUPS: Readonly<Record<FlagCommand, readonly string[]>> = {
  read: ["Rows and columns:", "Output:", "Other:"],
  count: ["Rows:", "Groups:", "Output:", "Other:"],
  check: ["Rows:", "Thresholds:", "Other:"],
  pin: ["Rows:", "Other:"],
  tables: [""],
  doctor: [""],
  snapshot: [""],
  report: [""],
  flame: [""],
};

/** An option that chooses rows: the text in the help of each command that reads rows. */
const ofRows = (read: string, check = read, pin = read): Flag["on"] => ({
  read: ["Rows and columns:", read],
  count: ["Rows:", check],
  check: ["Rows:", check],
  pin: ["Rows:", pin],
});

/** In the order of the help. */
export const FLAGS: readonly Flag[] = [
  {
    long: "format",
    short: "f",
    value: "<format>",
    kind: "read",
    quick: true,
    initial: { read: "text" },
    on: { read: ["Output:", "output format; folded: stacks for flame graphs"] },
  },
  {
    long: "format",
    short: "f",
    value: "<format>",
    kind: "count",
    on: { count: ["Output:", "output format; prom: metrics, folded: stacks for flame graphs"] },
  },
  {
    long: "format",
    short: "f",
    value: "<format>",
    kind: "format",
    initial: { pin: "text" },
    on: {
      pin: ["Rows:", "output format"],
      tables: ["", "output format"],
      doctor: ["", "output format"],
    },
  },
  {
    long: "format",
    short: "f",
    value: "<format>",
    kind: "report",
    initial: { check: "nagios" },
    on: { check: ["Other:", "how to report"] },
  },
  {
    long: "columns",
    short: "c",
    value: "<a,b,c>",
    kind: "list",
    quick: true,
    on: {
      read: ["Rows and columns:", "columns to show; all for every column"],
      pin: ["Rows:", "columns to show; all for every column"],
    },
  },
  {
    long: "where",
    short: "w",
    value: "<expr>",
    quick: true,
    on: {
      ...ofRows(
        "keep rows for which it holds, tested in the kernel",
        "count rows for which it holds",
        "keep rows for which it holds",
      ),
      flame: ["", "keep stacks for which it holds, tested in the kernel"],
    },
  },
  {
    long: "where",
    short: "w",
    value: "<table:expr>",
    kind: "several",
    on: {
      snapshot: ["", "of a table, keep rows for which it holds; may be given for several tables"],
      report: ["", "the same as for snapshot, of a machine that is read now"],
    },
  },
  {
    long: "redact",
    on: {
      snapshot: ["", "without command lines, paths below /home and /root, network addresses"],
      report: ["", "without command lines, paths below /home and /root, network addresses"],
    },
  },
  { long: "files", value: "[comm]", on: { read: ["Rows and columns:", "the same as: files [comm]"] } },
  {
    long: "comm",
    value: "<name>",
    quick: true,
    on: { ...ofRows("rows of threads of that name"), flame: ["", "stacks of threads of that name"] },
  },
  {
    long: "pid",
    value: "<pid>",
    kind: "positive",
    quick: true,
    on: { ...ofRows("rows of that process"), flame: ["", "stacks of that process"] },
  },
  {
    long: "tid",
    value: "<tid>",
    kind: "positive",
    quick: true,
    on: { ...ofRows("rows of that thread"), flame: ["", "stacks of that thread"] },
  },
  {
    long: "container",
    value: "<id|name>",
    quick: true,
    on: ofRows("rows of tasks in that container: its ID, the beginning of its ID, or its name"),
  },
  {
    long: "map",
    value: "<id|name>",
    on: ofRows(
      "the BPF map that elems, sk-storage and sockmap read",
      "the BPF map whose elements are counted",
      "the BPF map whose elements are read",
    ),
  },
  {
    long: "netns",
    value: "<all|path|pid>",
    on: ofRows(
      "tcp, udp, unix, netlink: the network namespace to read, or all of them",
      "tcp, udp, unix, netlink: the network namespace to count in, or all of them",
      "", // known only to refuse it with the reason
    ),
  },
  {
    long: "by",
    value: "<a,b,c>",
    kind: "list",
    on: {
      count: ["Groups:", "the columns that rows of a group have in common; without, all rows are one"],
      check: ["Thresholds:", "count by these columns, and judge the worst group"],
    },
  },
  { long: "sum", value: "<column>", kind: "lists", on: { count: ["Groups:", "the sum of a column in each group"] } },
  { long: "max", value: "<column>", kind: "lists", on: { count: ["Groups:", "its largest value"] } },
  { long: "min", value: "<column>", kind: "lists", on: { count: ["Groups:", "its smallest value"] } },
  { long: "distinct", value: "<column>", kind: "lists", on: { count: ["Groups:", "how many different values it has"] } },
  { long: "top", value: "<n>", kind: "positive", on: { count: ["Groups:", "the n largest groups, and one row for the rest"] } },
  {
    long: "groups",
    value: "<n>",
    kind: "positive",
    on: { count: ["Groups:", "how many groups the kernel keeps (default: 65536)"] },
  },
  {
    long: "no-header",
    on: {
      read: ["Output:", "text and csv without the header line"],
      count: ["Output:", "text and csv without the header line"],
    },
  },
  {
    long: "output",
    short: "o",
    value: "<file>",
    on: {
      read: ["Output:", "write beside the file and rename: whole, or not at all; FOLDER/ with --interval: a file for each pass"],
      count: ["Output:", "write beside the file and rename: whole, or not at all"],
      check: ["Other:", "write beside the file and rename: whole, or not at all"],
      pin: ["Other:", "with --list: write beside the file and rename"],
      tables: ["", "write beside the file and rename: whole, or not at all"],
      doctor: ["", "write beside the file and rename: whole, or not at all"],
    },
  },
  {
    long: "interval",
    value: "<duration>",
    kind: "duration",
    on: { read: ["Output:", "read again every 500ms, 2s, 1m ..."] },
  },
  { long: "changes", on: { read: ["Output:", "with --interval: only rows that are new, changed or gone"] } },
  {
    long: "remember",
    value: "<n>",
    kind: "positive",
    initial: { read: "262144" },
    on: { read: ["Output:", "rows that --changes may remember"] },
  },
  { long: "count", value: "<n>", kind: "positive", on: { read: ["Output:", "how many times, with --interval"] } },
  {
    long: "host",
    value: "[name]",
    on: { read: ["Output:", "jsonl: each row has the time and the host's name, with --changes also the time of the first pass"] },
  },
  { long: "names", value: "<convention>", kind: "names", on: { read: ["Output:", "jsonl: other names of the columns"] } },
  { long: "ddl", value: "<engine>", kind: "engine", on: { tables: ["", "the statement that makes a table for the rows"] } },
  { long: "warn", value: "<range>", on: { check: ["Thresholds:", "WARNING when the count is outside the range"] } },
  { long: "crit", value: "<range>", on: { check: ["Thresholds:", "CRITICAL when the count is outside the range"] } },
  { long: "name", value: "<text>", on: { check: ["Thresholds:", "what the check is called"] } },
  {
    long: "file",
    value: "<path>",
    on: {
      count: ["Groups:", "many counts and checks, as JSON, for --format prom; - for standard input"],
      check: ["Thresholds:", "many checks, as JSON; - for standard input"],
    },
  },
  { long: "list", on: { pin: ["Other:", "show what is pinned"] } },
  {
    long: "stats",
    on: {
      read: ["Other:", "on stderr at the end: rows, bytes, milliseconds"],
      count: ["Other:", "on stderr at the end: rows, bytes, milliseconds"],
    },
  },
  {
    long: "verbose",
    short: "v",
    on: {
      read: ["Other:", "on stderr: libbpf's and the verifier's log"],
      count: ["Other:", "on stderr: libbpf's and the verifier's log"],
      check: ["Other:", "on stderr: libbpf's and the verifier's log"],
      pin: ["Other:", "on stderr: libbpf's and the verifier's log"],
    },
  },
];
