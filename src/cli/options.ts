// SPDX-License-Identifier: BSD-2-Clause
/** The options of flags.ts for commander, and their values, understood or refused. */

import { type CommandUnknownOpts, InvalidArgumentError, Option } from "@commander-js/extra-typings";
import { UsageError } from "../errors.ts";
import { NAMES, type Names } from "../query/plan.ts";
import { type Format, FORMATS } from "../query/request.ts";
import { nearest } from "../query/where.ts";
import { type FlagCommand, FLAGS, GROUPS } from "./flags.ts";
import { ENGINES } from "./ddl.ts";
import { COUNT_FORMATS, type CountFormat } from "./count.ts";
import { REPORT_FORMATS, type ReportFormat } from "./report.ts";

const UNITS: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** Milliseconds. */
export function duration(text: string): number {
  const match = /^([0-9]+(?:\.[0-9]+)?)(ms|s|m|h)$/.exec(text);
  const ms = match ? Number(match[1]) * UNITS[match[2]!]! : 0;
  if (ms <= 0) throw new InvalidArgumentError("a duration is 500ms, 2s or 1m.");
  return ms;
}

export function positive(text: string): number {
  const number = Number(text);
  if (!/^[0-9]+$/.test(text) || number < 1 || number > 0x7fffffff) throw new InvalidArgumentError("it is a positive number.");
  return number;
}

/** Parses one of `words`; the error suggests the nearest word. */
export function oneOf<T extends string>(words: readonly T[]): (text: string) => T {
  return (text) => {
    const word = words.find((word) => word === text);
    if (word !== undefined) return word;
    const near = nearest(text, words);
    throw new InvalidArgumentError(`${near ? `Did you mean ${near}? ` : ""}It is one of ${words.join(", ")}.`);
  };
}

/** The options of a command, as commander parses them. */
interface RowOptions {
  where?: string;
  comm?: string;
  pid?: number;
  tid?: number;
  container?: string;
  map?: string;
  netns?: string;
  verbose?: true;
}

export interface ReadOptions extends RowOptions {
  columns?: string[];
  files?: string | true;
  format: Format | "folded";
  header: boolean;
  interval?: number;
  count?: number;
  changes?: true;
  remember: number;
  stats?: true;
  host?: string | true;
  names?: Names;
}

export interface CountOptions extends RowOptions {
  by?: string[];
  sum?: string[];
  max?: string[];
  min?: string[];
  distinct?: string[];
  top?: number;
  groups?: number;
  file?: string;
  format?: CountFormat;
  header: boolean;
  stats?: true;
}

export interface CheckOptions extends RowOptions {
  by?: string[];
  warn?: string;
  crit?: string;
  name?: string;
  file?: string;
  format: ReportFormat;
}

export interface PinOptions extends RowOptions {
  columns?: string[];
  output?: string;
  format: Format;
  list?: true;
}

export interface SnapshotOptions {
  where?: string[];
  redact?: true;
}

/** What {@linkcode Query} takes too. */
export type FlameOptions = Pick<RowOptions, "where" | "comm" | "pid" | "tid">;

/** The format before a command's name, for commands that write rows. @throws {UsageError} they have no stacks to fold */
export function rowFormat(program: CommandUnknownOpts): Format {
  const { format } = program.opts() as unknown as ReadOptions;
  if (format === "folded") throw new UsageError("folded is a format of stacks");
  return format;
}

const READ_FORMATS = [...FORMATS, "folded"] as const;

const CHOICES = {
  format: FORMATS,
  read: READ_FORMATS,
  count: COUNT_FORMATS,
  report: REPORT_FORMATS,
  names: NAMES,
  engine: ENGINES,
};

const PARSERS = {
  list: (text: string) => text.split(","),
  several: (text: string, before: string[] = []) => [...before, text],
  lists: (text: string, before: string[] = []) => [...before, ...text.split(",")],
  positive,
  duration,
  format: oneOf(FORMATS),
  read: oneOf(READ_FORMATS),
  count: oneOf(COUNT_FORMATS),
  report: oneOf(REPORT_FORMATS),
  names: oneOf(NAMES),
  engine: oneOf(ENGINES),
};

/** Gives `command` the options that flags.ts has for it. */
export function addFlags(command: CommandUnknownOpts, name: FlagCommand): void {
  for (const group of GROUPS[name]) {
    if (group) command.optionsGroup(group);
    for (const { long, short, value, kind, initial, on } of FLAGS) {
      const [place, help] = on[name] ?? [];
      if (place !== group) continue;
      const option = new Option(`${short ? `-${short}, ` : ""}--${long}${value ? ` ${value}` : ""}`, help);
      if (kind && kind in CHOICES) option.choices(CHOICES[kind as keyof typeof CHOICES]);
      if (kind) option.argParser(PARSERS[kind] as (text: string) => unknown);
      if (initial?.[name] !== undefined) option.default(initial[name]);
      if (!help) option.hideHelp();
      command.addOption(option);
    }
  }
}
