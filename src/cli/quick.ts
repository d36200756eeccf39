// SPDX-License-Identifier: BSD-2-Clause
/**
 * The command line that is nearly always typed, `TABLE [-f FORMAT] [-c COLUMNS] [-w EXPR]`, read without commander: to load and
 * set that up would be 2 ms more of a start of 9. What is here means the same there; everything else is left to it.
 */

import { type Format, FORMATS } from "../native/program.ts";
import type { Query } from "../query/plan.ts";
import { type Prepared, prepared } from "../query/prepared.ts";

type Option = "format" | "columns" | "where";

/** The one that a word names; no Map and no find() here: the first ones of a process take 0.05 ms each. */
function optionOf(word: string): Option | undefined {
  switch (word) {
    case "-f":
    case "--format":
      return "format";
    case "-c":
    case "--columns":
      return "columns";
    case "-w":
    case "--where":
      return "where";
  }
  return undefined;
}

const isFormat = (word: string): word is Format => (FORMATS as readonly string[]).includes(word);

/** A question of that form. */
export interface Question {
  query: Query;
  format: Format;
  /** Its plan where that is prepared. */
  plan: (() => Prepared) | undefined;
}

/** The question that `words` ask; `undefined` when they are not of that form. */
export function quick(words: readonly string[]): Question | undefined {
  const [table = "", ...rest] = words;
  if (!Object.hasOwn(prepared, `${table}.text`)) return undefined;
  const options: { [Name in Option]?: string } = {};
  for (let i = 0; i < rest.length; i++) {
    const word = rest[i]!;
    const equals = word.startsWith("--") ? word.indexOf("=") : -1;
    const name = optionOf(equals > 0 ? word.slice(0, equals) : word);
    const value = equals > 0 ? word.slice(equals + 1) : rest[++i];
    if (name === undefined || options[name] !== undefined || !value || value.startsWith("-")) return undefined;
    options[name] = value;
  }
  const { format = "text", columns, where } = options;
  if (!isFormat(format)) return undefined;
  const plan = columns === undefined && where === undefined ? prepared[`${table}.${format}`] : undefined;
  return { query: { table, columns: columns?.split(","), where }, format, plan };
}
