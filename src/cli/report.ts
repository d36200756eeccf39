// SPDX-License-Identifier: BSD-2-Clause
/** Checks, their outcomes, and how monitoring and CI systems read them. */

import type { Query } from "../query/plan.ts";
import { harmlessLine as line, hasColours } from "./output.ts";
import { exposition, type Metric } from "./prom.ts";

export const REPORT_FORMATS = ["nagios", "json", "tap", "junit", "prom"] as const;
export type ReportFormat = typeof REPORT_FORMATS[number];

/**
 * The states of a plugin, from harmless to worst; the number is its exit status (Monitoring Plugins Development Guidelines). UNKNOWN
 * is the worst, because it may hide any other state.
 */
export const STATES = ["OK", "WARNING", "CRITICAL", "UNKNOWN"] as const;
export type State = typeof STATES[number];

/** A range of values. Values outside `lo` to `hi` raise an alert, or with `inside` the values within; the ends belong to the range. */
export interface Range {
  text: string;
  lo: number;
  hi: number;
  inside: boolean;
}

export interface Check {
  name: string;
  query: Query;
  /** Columns: the check is about the worst of the groups that have them in common. */
  by?: readonly string[] | undefined;
  warn?: Range | undefined;
  crit?: Range | undefined;
}

/** The outcome of a check. */
export interface Outcome {
  check: Check;
  state: State;
  /** Number of matching rows, of the worst group where the check has columns; `undefined` when the kernel could not be read. */
  rows: number | undefined;
  /** The cells of that group as JSON, each with a comma before it; none where no row matched. */
  group?: string | undefined;
  /** One line for people. */
  text: string;
  /** Milliseconds to load and count; 0 when another check's count served. */
  time: number;
}

const SGR: Record<State, string> = { OK: "32", WARNING: "33", CRITICAL: "31", UNKNOWN: "35" };

/** `'label'=rows;warn;crit`; a label has no = and doubles its quotes, trailing semicolons are left out. */
function performanceData({ check, rows }: Outcome, label: string): string {
  const name = /^\w+$/.test(label) ? label : `'${line(label).replaceAll("=", "_").replaceAll("|", "/").replaceAll("'", "''")}'`;
  return `${name}=${[rows ?? "U", check.warn?.text ?? "", check.crit?.text ?? ""].join(";").replace(/;+$/, "")}`;
}

/** Monitoring Plugins Development Guidelines: a line, behind its | the numbers; of a file, then a line for each check. */
function nagios(outcomes: readonly Outcome[], state: State, file: boolean): string {
  const colours = hasColours(1);
  const word = (state: State) => colours ? `\x1b[${SGR[state]}m${state}\x1b[0m` : state;
  // A monitoring system reads the text after a | as numbers.
  const plain = (text: string) => line(text).replaceAll("|", "/");
  if (!file) {
    const outcome = outcomes[0]!;
    const { table } = outcome.check.query;
    const name = outcome.check.name === table ? table.toUpperCase() : outcome.check.name;
    const numbers = outcome.rows === undefined ? "" : ` | ${performanceData(outcome, "rows")}`;
    return `${plain(name)} ${word(state)} - ${plain(outcome.text)}${numbers}\n`;
  }
  const tally = (["UNKNOWN", "CRITICAL", "WARNING", "OK"] as const)
    .map((state) => [outcomes.filter((outcome) => outcome.state === state).length, state.toLowerCase()] as const)
    .filter(([count]) => count > 0).map((part) => part.join(" ")).join(", ");
  const numbers = outcomes.map((outcome) => performanceData(outcome, outcome.check.name)).join(" ");
  const lines = outcomes.map(({ check, state, text }) => `${word(state)} ${plain(check.name)}: ${plain(text)}\n`);
  return `CHECKS ${word(state)} - ${tally} | ${numbers}\n${lines.join("")}`;
}

function json(outcomes: readonly Outcome[], state: State): string {
  const lines = outcomes.map(({ check: { name, query, by, warn, crit }, state, rows, group, text }) =>
    JSON.stringify({
      name,
      table: query.table || null,
      where: query.where ?? null,
      ...(by && { by: group === undefined ? null : JSON.parse(`{${group.slice(1)}}`) }),
      state,
      rows: rows ?? null,
      warn: warn?.text ?? null,
      crit: crit?.text ?? null,
      text,
    })
  );
  return `{"state":"${state}","checks":[\n${lines.join(",\n")}\n]}\n`;
}

/** Test Anything Protocol, version 13; the diagnosis is YAML, of which a JSON string is a part. */
function tap(outcomes: readonly Outcome[]): string {
  const lines = outcomes.map(({ check, state, rows, text }, i) => {
    const name = line(check.name).replaceAll("\\", "\\\\").replaceAll("#", "\\#");
    if (state === "OK") return `ok ${i + 1} - ${name}\n`;
    const diagnosis = {
      message: text,
      state,
      rows: rows ?? null,
      warn: check.warn?.text ?? null,
      crit: check.crit?.text ?? null,
    };
    const yaml = Object.entries(diagnosis).map(([key, value]) => `  ${key}: ${JSON.stringify(value)}\n`).join("");
    return `not ok ${i + 1} - ${name}\n  ---\n${yaml}  ...\n`;
  });
  return `TAP version 13\n1..${outcomes.length}\n${lines.join("")}`;
}

const ENTITIES: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };

/** The XML that CI systems know as JUnit's: a check with an alert is a failure, an UNKNOWN check an error. */
function junit(outcomes: readonly Outcome[]): string {
  const text = (text: string) => line(text).toWellFormed().replace(/[&<>"]|[\ufffe\uffff]/g, (char) => ENTITIES[char] ?? "?");
  const seconds = (ms: number) => (ms / 1000).toFixed(3);
  const count = (...states: State[]) => outcomes.filter(({ state }) => states.includes(state)).length;
  const cases = outcomes.map(({ check, state, text: message, time }) => {
    const open = `    <testcase classname="${text(["task-iter", check.query.table].filter(Boolean).join("."))}" name="${
      text(check.name)
    }" time="${seconds(time)}"`;
    if (state === "OK") return `${open}/>\n`;
    const kind = state === "UNKNOWN" ? "error" : "failure";
    return `${open}>\n      <${kind} type="${state}" message="${text(message)}"/>\n    </testcase>\n`;
  });
  const total = seconds(outcomes.reduce((sum, { time }) => sum + time, 0));
  const counts = `tests="${outcomes.length}" failures="${count("WARNING", "CRITICAL")}" errors="${
    count("UNKNOWN")
  }" time="${total}"`;
  return `<?xml version="1.0" encoding="UTF-8"?>\n<testsuites ${counts}>\n  <testsuite name="task-iter" ${counts}>\n` +
    `${cases.join("")}  </testsuite>\n</testsuites>\n`;
}

/** The checks as metrics: how many rows each has found, and its state. */
export function checkMetrics(outcomes: readonly Outcome[]): Metric[] {
  const samples = (valueOf: (outcome: Outcome) => number | undefined) =>
    outcomes.flatMap((outcome) => {
      const value = valueOf(outcome);
      return value === undefined ? [] : { labels: [["check", outcome.check.name] as const], value: String(value) };
    });
  return [
    { name: "task_iter_check_rows", help: "Rows that a check found; of the worst group.", samples: samples(({ rows }) => rows) },
    {
      name: "task_iter_check_status",
      help: `State of a check: ${STATES.map((state, i) => `${i} ${state}`).join(", ")}.`,
      samples: samples(({ state }) => STATES.indexOf(state)),
    },
  ];
}

/** The whole report. `file` says whether the checks come from a file. */
export function report(outcomes: readonly Outcome[], state: State, format: ReportFormat, file: boolean): string {
  switch (format) {
    case "nagios":
      return nagios(outcomes, state, file);
    case "json":
      return json(outcomes, state);
    case "tap":
      return tap(outcomes);
    case "junit":
      return junit(outcomes);
    case "prom":
      return exposition(checkMetrics(outcomes));
  }
}

/** The report when no check could be parsed; `message` gives the reason. */
export function refusal(message: string, format: ReportFormat): string {
  const check = { name: "CHECK", query: { table: "" } };
  return report([{ check, state: "UNKNOWN", rows: undefined, text: message, time: 0 }], "UNKNOWN", format, false);
}
