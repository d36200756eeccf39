// SPDX-License-Identifier: BSD-2-Clause
/**
 * task-iter as a library, for Deno, Node.js and Bun.
 *
 * ```ts
 * import { rows } from "task-iter";
 * for (const file of rows({ table: "files", where: "deleted == true" })) console.log(file.pid, file.path);
 * ```
 */

import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { folder } from "./folder.ts";
import { type Libraries, load } from "./native/load.ts";
import type { Runtime } from "./native/shim.ts";
import { plan, type Query } from "./query/plan.ts";
import type { Format } from "./query/request.ts";
import { learnRegex } from "./query/where.ts";
import { chunks } from "./stream.ts";

export { TaskIterError, UsageError } from "./errors.ts";
export type { Query } from "./query/plan.ts";
export { type Format, FORMATS } from "./query/request.ts";
export { type Column, type ColumnType, type Table, tables } from "./query/schema.ts";
export { WhereError } from "./query/where.ts";

await learnRegex();

const runtime: Runtime = "Bun" in globalThis
  ? (await import("./native/bun.ts")).bun
  : "Deno" in globalThis
  ? (await import("./native/deno.ts")).deno
  : (await import("./native/node.ts")).node;

/** The libraries and programs that the build has made. */
export const libraries: Libraries = {
  open: (name) => runtime.open(fileURLToPath(new URL(name, folder))),
  program: (name) => readFileSync(new URL(name, folder)),
};

/** A value of a row: a list of symbols or numbers is an array, a decoded element of a BPF map any of these. */
export type Value = string | number | boolean | null | Value[] | { [member: string]: Value };

/** A row: columns by name; an absent value is `null`. */
export type Row = Record<string, Value>;

/**
 * The rows of `query`, one by one.
 *
 * @throws {UsageError} an unknown table or column
 * @throws {WhereError} `query.where` is not in the language
 * @throws {TaskIterError} the kernel refused a step; `step` and `errno` say which and why
 */
export function* rows(query: Query): Generator<Row, void, void> {
  const decoder = new TextDecoder();
  for (const chunk of bytes(query, "jsonl")) {
    for (const line of decoder.decode(chunk).split("\n")) {
      if (line) yield JSON.parse(line);
    }
  }
}

/**
 * The rows of `query` as they are written in `format`, in chunks of whole lines and without header or summary. A chunk is valid
 * until the next one is asked for.
 *
 * @throws as {@linkcode rows}
 */
export function* bytes(query: Query, format: Format): Generator<Uint8Array, void, void> {
  using program = load(libraries, plan(query, format).request);
  yield* chunks(program.walk, format);
}

/** {@linkcode bytes} as a web stream; chunks are the reader's own. */
export function stream(query: Query, format: Format): ReadableStream<Uint8Array> {
  const source = bytes(query, format);
  return new ReadableStream({
    pull(controller) {
      const { done, value } = source.next();
      if (done) controller.close();
      else controller.enqueue(value.slice());
    },
    cancel() {
      source.return();
    },
  });
}
