// SPDX-License-Identifier: BSD-2-Clause
/**
 * The rows of a snapshot by column. Each column is a dictionary, its different values once, and a code for each row: this is what
 * the page needs to sort and search a million rows, and gzip makes little of it.
 */

import { UsageError } from "../../errors.ts";
import type { BlockHeader, Cell, Manifest, TableFacts } from "../../report/data.ts";
import type { Files } from "./archive.ts";

/** Bytes that are decoded together. */
const PART = 1 << 24;

export class Column {
  /** Each different value once, in the order of their first row. */
  readonly values: Cell[] = [];
  readonly #codes = new Map<unknown, number>();
  #rows = new Uint32Array(256);
  #length = 0;

  constructor(readonly name: string) {}

  add(value: Cell): void {
    // An array is known by its text, which no string of a row can be: a line end separates its elements.
    const key = Array.isArray(value) ? `\n${value.join("\n")}` : value;
    let code = this.#codes.get(key);
    if (code === undefined) {
      code = this.values.push(value) - 1;
      this.#codes.set(key, code);
    }
    if (this.#length === this.#rows.length) {
      const larger = new Uint32Array(2 * this.#length);
      larger.set(this.#rows);
      this.#rows = larger;
    }
    this.#rows[this.#length++] = code;
  }

  at(row: number): Cell {
    return this.values[this.#rows[row]!] ?? null;
  }

  /** The code of each row. */
  get codes(): Uint32Array {
    return this.#rows.subarray(0, this.#length);
  }
}

export class Columns {
  readonly columns: readonly Column[];
  readonly #byName: ReadonlyMap<string, Column>;
  length = 0;

  constructor(readonly facts: TableFacts) {
    this.columns = facts.columns.map(({ name }) => new Column(name));
    this.#byName = new Map(this.columns.map((column) => [column.name, column]));
  }

  add(row: Readonly<Record<string, unknown>>): void {
    for (const column of this.columns) column.add(cellOf(row[column.name]));
    this.length++;
  }

  column(name: string): Column | undefined {
    return this.#byName.get(name);
  }

  /** The cell of that column; null where the table has no such column. */
  cell(row: number, name: string): Cell {
    return this.#byName.get(name)?.at(row) ?? null;
  }

  /** The block of bytes that the page decodes. */
  encode(): Uint8Array {
    const header: BlockHeader = { rows: this.length, columns: [] };
    const bodies: Uint8Array[] = [];
    for (const { name, values, codes } of this.columns) {
      const width = values.length <= 1 ? 0 : values.length <= 0x100 ? 1 : values.length <= 0x10000 ? 2 : 4;
      header.columns.push({ name, values, width });
      if (width === 0) continue;
      const body = width === 1 ? Uint8Array.from(codes) : width === 2 ? Uint16Array.from(codes) : codes;
      bodies.push(new Uint8Array(body.buffer, body.byteOffset, body.byteLength));
    }
    const text = new TextEncoder().encode(JSON.stringify(header));
    const block = new Uint8Array(4 + text.length + bodies.reduce((sum, { length }) => sum + length, 0));
    new DataView(block.buffer).setUint32(0, text.length, true);
    block.set(text, 4);
    let at = 4 + text.length;
    for (const body of bodies) {
      block.set(body, at);
      at += body.length;
    }
    return block;
  }
}

/** A value of a row. An object, as elements of some columns are, becomes its JSON. */
function cellOf(value: unknown): Cell {
  if (value === undefined || value === null) return null;
  if (Array.isArray(value)) return value.map((part) => typeof part === "string" ? part : JSON.stringify(part));
  return typeof value === "object" ? JSON.stringify(value) : value as Cell;
}

/** Integers that a number does not hold exactly become strings. A quote before a colon ends a name, unless it is escaped. */
const exact = (line: string): string => line.replace(/(?<!\\)(":)(-?[0-9]{16,})(?=[,}\]])/g, '$1"$2"');

/** Rows of jsonl, whose pieces may end anywhere. @throws {UsageError} damaged */
export function columnsOf(facts: TableFacts, pieces: readonly Uint8Array[], change: (line: string) => string): Columns {
  const columns = new Columns(facts);
  const decoder = new TextDecoder();
  let rest = "";
  const take = (text: string) => {
    if (text === "") return;
    try {
      columns.add(JSON.parse(exact(change(text))));
    } catch {
      throw new UsageError(`not a snapshot: row ${columns.length + 1} of ${facts.name} is not JSON`);
    }
  };
  for (const piece of pieces) {
    for (let at = 0; at < piece.length;) {
      // A part at a time: no string may have more than half a gigabyte.
      const end = Math.min(piece.length, at + PART);
      const lines = (rest + decoder.decode(piece.subarray(at, end), { stream: true })).split("\n");
      rest = lines.pop()!;
      for (const line of lines) take(line);
      at = end;
    }
  }
  take(rest);
  return columns;
}

/** A JSON file of the snapshot; `undefined` where it has none. @throws {UsageError} damaged */
export function jsonOf<T>(files: Files, name: string): T | undefined {
  const pieces = files(name);
  if (!pieces) return undefined;
  try {
    return JSON.parse(Buffer.concat(pieces).toString("utf8"));
  } catch {
    throw new UsageError(`not a snapshot: ${name} is not JSON`);
  }
}

/** The manifest, as far as this program relies on it. @throws {UsageError} there is none, or a newer one */
export function manifestIn(files: Files, path: string): Manifest {
  const manifest = jsonOf<Manifest>(files, "manifest.json");
  if (!manifest || !Array.isArray(manifest.tables)) throw new UsageError(`${path} is not a snapshot: it has no manifest.json`);
  if (manifest.format !== 1) {
    throw new UsageError(
      `${path} is of format ${manifest.format}, which task-iter ${manifest.task_iter} writes: this one reads format 1`,
    );
  }
  for (const { name, columns } of manifest.tables) {
    if (!/^[\w-]+$/.test(String(name)) || !Array.isArray(columns)) {
      throw new UsageError(`${path} is not a snapshot: its manifest is damaged`);
    }
  }
  return manifest;
}
