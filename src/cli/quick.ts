// SPDX-License-Identifier: BSD-2-Clause
/**
 * The command line that is nearly always typed, `TABLE [-f FORMAT] [-c COLUMNS] [-w EXPR]`, read without commander: to load and
 * set that up would be 2 ms of a start of 11. What is here means the same there; everything else is left to it.
 */

import { type Format, FORMATS } from "../native/program.ts";
import { MAP_TYPES, type Query } from "../query/plan.ts";
import { tables } from "../query/schema.ts";

type Option = "format" | "columns" | "where";

const OPTIONS = new Map<string, Option>([
  ["-f", "format"],
  ["--format", "format"],
  ["-c", "columns"],
  ["--columns", "columns"],
  ["-w", "where"],
  ["--where", "where"],
]);

/** The question that `words` ask; `undefined` when they are not of that form. */
export function quick(words: readonly string[]): { query: Query; format: Format } | undefined {
  const [table, ...rest] = words;
  if (table === undefined || MAP_TYPES[table] || !tables.some(({ name }) => name === table)) return undefined;
  const options: { [Name in Option]?: string } = {};
  for (let i = 0; i < rest.length; i++) {
    const word = rest[i]!;
    const equals = word.startsWith("--") ? word.indexOf("=") : -1;
    const name = OPTIONS.get(equals > 0 ? word.slice(0, equals) : word);
    const value = equals > 0 ? word.slice(equals + 1) : rest[++i];
    if (name === undefined || options[name] !== undefined || !value || value.startsWith("-")) return undefined;
    options[name] = value;
  }
  const { format = "text", columns, where } = options;
  const known = FORMATS.find((name) => name === format);
  return known && { query: { table, columns: columns?.split(","), where }, format: known };
}
