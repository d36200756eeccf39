// SPDX-License-Identifier: BSD-2-Clause
/// <reference lib="dom" />
/** A table of the page: decoded when it is first shown, sorted and searched by its columns' dictionaries. */

import type { BlockHeader, Cell, TableFacts } from "./data.ts";

interface Column {
  name: string;
  type: string;
  shown: boolean;
  doc: string;
  values: Cell[];
  /** Index into `values` of each row; undefined where all rows have the one value. */
  codes: Uint8Array | Uint16Array | Uint32Array | undefined;
}

/** The bytes of a block of the page: base64 of gzip. */
export async function unpack(id: string): Promise<Uint8Array> {
  const text = document.getElementById(id)?.textContent ?? "";
  const from = Uint8Array as unknown as { fromBase64?: (text: string) => Uint8Array };
  const packed = from.fromBase64?.(text) ?? Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  const stream = new Blob([packed as BlobPart]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** A value as text, for search and for a cell. */
export const textOf = (value: Cell): string => value === null ? "" : Array.isArray(value) ? value.join("; ") : String(value);

const isNumber = (type: string) => type === "number" || type === "signed";

function compare(a: Cell, b: Cell): number {
  if (typeof a === "number" && typeof b === "number") return a - b;
  const [x, y] = [textOf(a), textOf(b)];
  // Integers beyond 2^53 are strings.
  if (/^-?\d+$/.test(x) && /^-?\d+$/.test(y)) {
    const [i, j] = [BigInt(x), BigInt(y)];
    return i < j ? -1 : i > j ? 1 : 0;
  }
  return x < y ? -1 : x > y ? 1 : 0;
}

/** A word of a search: text anywhere, or a comparison of one column. */
type Term = { column: Column | undefined; holds: (value: Cell) => boolean };

export class Table {
  readonly #ranks = new Map<Column, Uint32Array>();

  private constructor(readonly facts: TableFacts, readonly rows: number, readonly columns: readonly Column[]) {}

  static async decode(facts: TableFacts): Promise<Table> {
    const bytes = await unpack(`table-${facts.name}`);
    const length = new DataView(bytes.buffer).getUint32(0, true);
    const header: BlockHeader = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + length)));
    let at = 4 + length;
    const columns = header.columns.map(({ name, values, width }) => {
      const declared = facts.columns.find((column) => column.name === name)!;
      // A copy, because a typed array begins at a multiple of its width.
      const part = bytes.slice(at, at += width * header.rows);
      const codes = width === 0
        ? undefined
        : width === 1
        ? part
        : width === 2
        ? new Uint16Array(part.buffer)
        : new Uint32Array(part.buffer);
      return { ...declared, values, codes };
    });
    return new Table(facts, header.rows, columns);
  }

  cell(row: number, column: Column): Cell {
    return column.values[column.codes ? column.codes[row]! : 0] ?? null;
  }

  /** Which column of that name, and where, or undefined. */
  named(name: string): Column | undefined {
    return this.columns.find((column) => column.name === name);
  }

  /** The words of a search: `text`, `column=text`, `column:part`, `column>number`, `column<number`; quotes keep blanks. */
  #terms(search: string): Term[] {
    const words = search.match(/(?:[^\s"]|"[^"]*"?)+/g) ?? [];
    return words.map((word): Term => {
      const [, name = "", operator = "", rest = ""] = /^(\w+)([=:<>])(.*)$/.exec(word) ?? [];
      const column = this.named(name);
      const bare = (text: string) => text.replaceAll('"', "").toLowerCase();
      if (!column) {
        const wanted = bare(word);
        return { column: undefined, holds: (value) => textOf(value).toLowerCase().includes(wanted) };
      }
      const wanted = bare(rest);
      switch (operator) {
        case "=":
          return { column, holds: (value) => textOf(value).toLowerCase() === wanted };
        case ":":
          return { column, holds: (value) => textOf(value).toLowerCase().includes(wanted) };
        default:
          return {
            column,
            holds: (value) => value !== null && wanted !== "" && compare(value, wanted) * (operator === ">" ? 1 : -1) > 0,
          };
      }
    });
  }

  /** The rows that have all words of the search, by number; undefined for all rows. Each different value is tested once. */
  search(search: string): Uint32Array | undefined {
    const terms = this.#terms(search);
    if (terms.length === 0) return undefined;
    const tested = terms.map(({ column, holds }) =>
      (column ? [column] : this.columns).map((column) => ({
        codes: column.codes,
        good: Uint8Array.from(column.values, (value) => holds(value) ? 1 : 0),
      })).filter(({ good }) => good.includes(1))
    );
    const found = new Uint32Array(this.rows);
    let count = 0;
    for (let row = 0; row < this.rows; row++) {
      let all = true;
      for (const columns of tested) {
        let any = false;
        for (const { codes, good } of columns) {
          if (good[codes ? codes[row]! : 0]) {
            any = true;
            break;
          }
        }
        if (!any) {
          all = false;
          break;
        }
      }
      if (all) found[count++] = row;
    }
    return found.subarray(0, count);
  }

  /** The order of each of a column's values; those that are absent are last either way. */
  #rankOf(column: Column): Uint32Array {
    const known = this.#ranks.get(column);
    if (known) return known;
    const order = column.values.map((_, code) => code).sort((a, b) => compare(column.values[a]!, column.values[b]!));
    const ranks = new Uint32Array(column.values.length);
    order.forEach((code, rank) => ranks[code] = rank);
    this.#ranks.set(column, ranks);
    return ranks;
  }

  /** `rows` sorted by a column: by counting, so that a million rows take no longer than some passes over them. */
  sort(rows: Uint32Array | undefined, column: Column, descending: boolean): Uint32Array {
    const all = rows ?? Uint32Array.from({ length: this.rows }, (_, row) => row);
    const { codes } = column;
    if (!codes) return all;
    const ranks = this.#rankOf(column);
    const size = ranks.length;
    const absent = column.values.indexOf(null);
    const place = (row: number) => {
      const code = codes[row]!;
      return code === absent ? size : descending ? size - 1 - ranks[code]! : ranks[code]!;
    };
    const starts = new Uint32Array(size + 2);
    for (const row of all) starts[place(row) + 1]!++;
    for (let i = 1; i < starts.length; i++) starts[i]! += starts[i - 1]!;
    const sorted = new Uint32Array(all.length);
    for (const row of all) sorted[starts[place(row)]!++] = row;
    return sorted;
  }

  /** Whether a column's cells stand at the right. */
  isRight(column: Column): boolean {
    return isNumber(column.type);
  }
}

export type { Column };
