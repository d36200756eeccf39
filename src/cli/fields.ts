// SPDX-License-Identifier: BSD-2-Clause
/** Files of checks and counts: JSON objects with known keys, and errors that say which object is wrong and why. */

import { readFileSync } from "node:fs";
import { UsageError } from "../errors.ts";
import type { Query } from "../query/plan.ts";
import { nearest, WhereError } from "../query/where.ts";

/** The keys that choose rows, in every such file. */
export const QUERY_KEYS = ["table", "where", "comm", "pid", "tid", "container", "map", "netns"] as const;

/** The values of one object. Every function throws a UsageError where the value has another type. */
export class Fields<Key extends string> {
  readonly #given: Readonly<Record<string, unknown>>;

  /** @throws {UsageError} `value` is not an object, or has a key besides `keys` */
  constructor(value: unknown, keys: readonly Key[]) {
    if (typeof value !== "object" || value === null || Array.isArray(value)) throw new UsageError("not an object");
    this.#given = value as Record<string, unknown>;
    for (const key of Object.keys(value)) {
      if ((keys as readonly string[]).includes(key)) continue;
      const near = nearest(key, keys);
      throw new UsageError(`unknown key ${JSON.stringify(key)}${near ? ` (did you mean ${near}?)` : ""}`);
    }
  }

  /** The value as it stands in the file. */
  get(key: Key): unknown {
    return this.#given[key];
  }

  string(key: Key): string | undefined {
    const found = this.get(key);
    if (found === undefined || typeof found === "string") return found;
    throw new UsageError(`${key} is not a string`);
  }

  number(key: Key): number | undefined {
    const found = this.get(key);
    if (found === undefined) return undefined;
    if (Number.isInteger(found) && (found as number) > 0 && (found as number) <= 0x7fffffff) return found as number;
    throw new UsageError(`${key} is not a positive number`);
  }

  /** A list of strings, or one string with commas. */
  list(key: Key): string[] | undefined {
    const found = this.get(key);
    if (found === undefined) return undefined;
    if (typeof found === "string") return found.split(",");
    if (Array.isArray(found) && found.every((part) => typeof part === "string")) return found;
    throw new UsageError(`${key} is neither a string nor a list of strings`);
  }
}

/** The part of a check or a count that chooses rows. */
export function queryOf(fields: Fields<typeof QUERY_KEYS[number]>): Query {
  const table = fields.string("table");
  if (table === undefined) throw new UsageError("table is missing");
  return {
    table,
    where: fields.string("where"),
    comm: fields.string("comm"),
    pid: fields.number("pid"),
    tid: fields.number("tid"),
    container: fields.string("container"),
    map: fields.number("map"),
    netns: fields.string("netns"),
  };
}

/** Calls `parse` for each element of a list; an error then says which element is wrong. */
export function parseEach<T>(kind: string, value: unknown, parse: (element: unknown) => T): T[] {
  if (!Array.isArray(value)) throw new UsageError(`not an array of ${kind}s`);
  if (value.length === 0) throw new UsageError(`there is no ${kind} in it`);
  return value.map((element, i) => {
    const named = typeof element?.name === "string" ? ` (${element.name})` : "";
    try {
      return parse(element);
    } catch (error) {
      if (!(error instanceof UsageError || error instanceof WhereError)) throw error;
      const place = error instanceof WhereError ? `where, at character ${error.position + 1}: ` : "";
      throw new UsageError(`${kind} ${i + 1}${named}: ${place}${error.message}`);
    }
  });
}

/** @throws {UsageError} `text` is not JSON */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new UsageError(`not JSON: ${(error as Error).message}`);
  }
}

/** Parses the text of the file at `path`, `-` for standard input. @throws {UsageError} with the path in its message */
export function parseFile<T>(path: string, parse: (text: string) => T): T {
  let text;
  try {
    text = readFileSync(path === "-" ? 0 : path, "utf8");
  } catch (error) {
    throw new UsageError(`cannot read ${path}: ${(error as Error).message}`);
  }
  try {
    return parse(text);
  } catch (error) {
    throw error instanceof UsageError ? new UsageError(`${path}: ${error.message}`) : error;
  }
}
