// SPDX-License-Identifier: BSD-2-Clause
/**
 * A second, naive implementation of --where, over rows of JSON: what the kernel keeps is held against it. Written from the
 * documented language alone, with SQL's three truth values; it shares nothing with src/query/where.ts.
 */

import fc from "fast-check";
import type { Column } from "../src/query/schema.ts";

/** A cell as JSON has it; numbers are exact. */
export type Cell = bigint | string | boolean | null | string[];
export type CellRow = Record<string, Cell>;

/** Rows of JSON with numbers as bigint: a 64-bit number does not fit JSON.parse's. */
export function parseRows(text: string): CellRow[] {
  return (JSON.parse as (
    text: string,
    reviver: (key: string, value: unknown, context: { source: string }) => unknown,
  ) => unknown)(
    text,
    (_key, value, context) => typeof value === "number" ? BigInt(context.source) : value,
  ) as CellRow[];
}

/** A value to compare with, and how it is written. */
interface Operand {
  value: bigint | string | boolean | null;
  text: string;
  /** Of a pattern: where it has a star. */
  starts?: boolean;
  ends?: boolean;
}

export type Node =
  | { kind: "and" | "or"; parts: Node[] }
  | { kind: "not"; part: Node }
  | { kind: "in"; column: Column; operands: Operand[] }
  | { kind: "compare"; column: Column; sign: string; operand: Operand }
  | { kind: "pair"; left: Term; right: Term; sign: string }
  | { kind: "regex"; column: Column; sign: string; source: string; flags: string };

/** A number column and its factor, a decimal of at most three digits behind the point. */
interface Term {
  column: Column;
  factor: string | undefined;
  /** Whether the factor stands first. */
  first: boolean;
}

/** A thousand times the term's value. */
function thousandfold({ column, factor = "1" }: Term, row: CellRow): bigint | null {
  const cell = comparable(column, row[column.name]!);
  const [whole, fraction = ""] = factor.split(".");
  return cell === null ? null : (cell as bigint) * BigInt(whole! + fraction.padEnd(3, "0"));
}

const printTerm = ({ column, factor, first }: Term) =>
  factor === undefined ? column.name : first ? `${factor} * ${column.name}` : `${column.name}*${factor}`;

type Truth = boolean | null;

const not = (truth: Truth): Truth => truth === null ? null : !truth;

function comparable(column: Column, cell: Cell): bigint | string | boolean | null {
  if (column.type === "frames" || column.type === "numbers") return (cell as unknown[]).join(";");
  if (column.type === "hex" && cell !== null) return BigInt(cell as string);
  return cell as bigint | string | boolean | null;
}

function compare(cell: bigint | string | boolean | null, sign: string, operand: Operand): Truth {
  if (operand.value === null) return (cell === null) === (sign === "==");
  if (cell === null) return null;
  const { value } = operand;
  switch (sign) {
    case "==":
    case "=":
      return cell === value;
    case "!=":
      return cell !== value;
    case "<":
      return cell < value;
    case "<=":
      return cell <= value;
    case ">":
      return cell > value;
    case ">=":
      return cell >= value;
  }
  const [text, part] = [cell as string, value as string];
  let matches: boolean;
  if (operand.starts && operand.ends) matches = text.includes(part);
  else if (operand.starts) matches = text.endsWith(part);
  else if (operand.ends) matches = text.startsWith(part);
  else matches = text === part;
  return matches === (sign === "~");
}

/** The truth of `node` for a row. */
export function evaluate(node: Node, row: CellRow): Truth {
  switch (node.kind) {
    case "not":
      return not(evaluate(node.part, row));
    case "compare":
      return compare(comparable(node.column, row[node.column.name]!), node.sign, node.operand);
    case "pair": {
      const [left, right] = [thousandfold(node.left, row), thousandfold(node.right, row)];
      return right === null ? null : compare(left, node.sign, { value: right, text: "" });
    }
    case "regex": {
      const cell = comparable(node.column, row[node.column.name]!);
      if (cell === null) return null;
      return new RegExp(node.source, `us${node.flags}`).test(cell as string) === (node.sign === "=~");
    }
    case "in": {
      const parts = node.operands.map((operand): Node => ({ kind: "compare", column: node.column, sign: "==", operand }));
      return evaluate({ kind: "or", parts }, row);
    }
  }
  const truths = node.parts.map((part) => evaluate(part, row));
  const strong = node.kind === "or";
  return truths.includes(strong) ? strong : truths.includes(null) ? null : !strong;
}

/** The node in the language; `and` below `or` needs no parentheses, but may have them. */
export function print(node: Node): string {
  switch (node.kind) {
    case "not":
      return `!(${print(node.part)})`;
    case "compare":
      return `${node.column.name} ${node.sign} ${node.operand.text}`;
    case "pair":
      return `${printTerm(node.left)} ${node.sign} ${printTerm(node.right)}`;
    case "regex":
      return `${node.column.name} ${node.sign} /${node.source}/${node.flags}`;
    case "in":
      return `${node.column.name} in (${node.operands.map(({ text }) => text).join(", ")})`;
    case "and":
      return node.parts.map((part) => part.kind === "or" ? `(${print(part)})` : print(part)).join(" && ");
    case "or":
      return node.parts.map(print).join(" || ");
  }
}

/** How many comparisons it has. */
export function size(node: Node): number {
  if (node.kind === "compare" || node.kind === "pair" || node.kind === "regex") return 1;
  if (node.kind === "in") return node.operands.length;
  return node.kind === "not" ? size(node.part) : node.parts.reduce((sum, part) => sum + size(part), 0);
}

/** A string in quotes, every byte that is not plain ASCII or a star as an escape when `escaped`. */
export function quote(text: string, escaped: boolean): string {
  let quoted = "";
  for (const byte of new TextEncoder().encode(text)) {
    const char = String.fromCharCode(byte);
    quoted += /[A-Za-z0-9/_. -]/.test(char) && !escaped ? char : "\\x" + byte.toString(16).padStart(2, "0");
  }
  return `"${quoted}"`;
}

const U64 = (1n << 64n) - 1n;
const S64 = (1n << 63n) - 1n;

function numberOperand({ type, name }: Column, seen: bigint[]): fc.Arbitrary<Operand> {
  const unit = type === "hex" ? undefined : /_(ns|us)$/.exec(name)?.[1];
  const [least, most] = type === "signed" ? [-S64 - 1n, S64] : [0n, U64];
  const near = seen.length > 0
    ? fc.tuple(fc.constantFrom(...seen), fc.bigInt(-2n, 2n)).map(([value, by]) => value + by)
    : fc.constant(0n);
  const edges = fc.constantFrom(least, least + 1n, most, most - 1n, 0n, 1n, S64, 1n << 32n, (1n << 32n) - 1n);
  const value = fc.oneof(near, near, edges, fc.bigInt(least, most)).map((value) =>
    value < least ? least : value > most ? most : value
  );
  return fc.tuple(value, fc.constantFrom("decimal", "hex", "suffix")).map(([value, style]) => {
    const [sign, size] = value < 0n ? ["-", -value] : ["", value];
    if (style === "hex") return { value, text: `${sign}0x${size.toString(16)}` };
    if (style === "suffix" && unit !== undefined) {
      const units = { ns: 1n, us: 1000n, ms: 1_000_000n, s: 1_000_000_000n, m: 60_000_000_000n, h: 3600_000_000_000n };
      const scale = units[unit as "ns" | "us"];
      const [suffix, ns] = Object.entries(units).findLast(([, ns]) => (size * scale) % ns === 0n)!;
      if (sign === "") return { value, text: `${size * scale / ns}${suffix}` };
    } else if (style === "suffix" && size % 1024n === 0n) return { value, text: `${sign}${size / 1024n}k` };
    return { value, text: String(value) };
  });
}

function stringOperand(seen: string[]): fc.Arbitrary<string> {
  const whole = seen.length > 0 ? fc.constantFrom(...seen) : fc.constant("x");
  const part = fc.tuple(whole, fc.nat(), fc.nat()).map(([text, from, length]) => {
    const chars = [...text];
    const start = chars.length > 0 ? from % chars.length : 0;
    return chars.slice(start, start + length % 40).join("");
  });
  const wrong = whole.map((text) => text + "x");
  return fc.oneof(whole, part, part, wrong, fc.constant(""), fc.string({ maxLength: 12 })).map((text) => {
    return text.isWellFormed() && !text.includes("\ufffd") && text.length < 200 ? text : text.slice(0, 3).toWellFormed();
  });
}

/** A character as an expression writes it; no slash, which would end the literal. */
const literal = (char: string) => /[\p{L}\p{N} _<>:=-]/u.test(char) ? char : `\\u{${char.codePointAt(0)!.toString(16)}}`;

/** Expressions of which many match parts of `seen`. */
export function regexSources(seen: string[]): fc.Arbitrary<string> {
  const fragment = stringOperand(seen).map((text) => [...text].slice(0, 8).map(literal).join(""));
  const set = fc.constantFrom(
    ".",
    "[a-f]",
    "[^a-z]",
    "\\d",
    "\\w",
    "\\s",
    "\\S",
    "[^]",
    "\\p{L}",
    "[\\d_-]",
    "[é-日]",
    "[/:]",
    "\\ufffd",
  );
  const { node } = fc.letrec<{ node: string }>((tie) => ({
    node: fc.oneof(
      { maxDepth: 4 },
      fc.oneof(fragment, fragment, set),
      fc.tuple(tie("node"), tie("node")).map(([one, other]) => one + other),
      fc.tuple(tie("node"), tie("node")).map(([one, other]) => `(${one}|${other})`),
      fc.tuple(tie("node"), fc.constantFrom("*", "+", "?", "{2}", "{1,3}", "{0,2}", "*?")).map(([one, times]) =>
        `(?:${one})${times}`
      ),
      fc.tuple(tie("node"), fc.constantFrom("^", "(?:^|x)")).map(([one, begin]) => begin + one),
      fc.tuple(tie("node"), fc.constantFrom("$", "(?:$|x)")).map(([one, end]) => one + end),
    ),
  }));
  return node.map((source) => source || "(?:)");
}

/** Comparisons of two columns of numbers. */
function pairs(columns: readonly Column[]): fc.Arbitrary<Node>[] {
  const numbers = columns.filter(({ type }) => ["number", "signed", "hex"].includes(type));
  if (numbers.length === 0) return [];
  const factor = fc.constantFrom(undefined, undefined, "1", "2", "0.5", "0.9", "1.125", "1000", "18446744073709", "0.001");
  const term = fc.record({ column: fc.constantFrom(...numbers), factor, first: fc.boolean() });
  const sign = fc.constantFrom("==", "=", "!=", "<", "<=", ">", ">=");
  return [
    fc.record({ kind: fc.constant("pair" as const), left: term, right: term, sign }),
  ];
}

function comparison(column: Column, rows: CellRow[]): fc.Arbitrary<Node> {
  const seen = rows.map((row) => comparable(column, row[column.name]!)).filter((cell) => cell !== null);
  const absent = fc.constantFrom("==", "!=").map((sign): Node => ({
    kind: "compare",
    column,
    sign,
    operand: { value: null, text: "null" },
  }));
  const from = (signs: string[], operand: fc.Arbitrary<Operand>): fc.Arbitrary<Node> =>
    fc.oneof(
      {
        weight: 6,
        arbitrary: fc.record({
          kind: fc.constant("compare" as const),
          column: fc.constant(column),
          sign: fc.constantFrom(...signs),
          operand,
        }),
      },
      {
        weight: 2,
        arbitrary: fc.array(operand, { minLength: 1, maxLength: 4 }).map((operands): Node => ({ kind: "in", column, operands })),
      },
      { weight: 1, arbitrary: absent },
    );
  switch (column.type) {
    case "boolean":
      return from(["==", "!="], fc.boolean().map((value) => ({ value, text: String(value) })));
    case "enum":
      return from(
        ["==", "!="],
        fc.constantFrom(...column.words).chain(([number, word]) => {
          const numbers = fc.constantFrom(word, word, String(number));
          return numbers.map((text) => ({ value: word, text }));
        }),
      );
    case "number":
    case "signed":
    case "hex":
      return from(["==", "!=", "<", "<=", ">", ">="], numberOperand(column, seen as bigint[]));
  }
  const equal = fc.tuple(stringOperand(seen as string[]), fc.boolean()).map(([value, escaped]) => ({
    value,
    text: quote(value, escaped),
  }));
  const pattern = fc.tuple(stringOperand(seen as string[]), fc.boolean(), fc.boolean()).map(([value, starts, ends]): Operand => {
    const inner = [...new TextEncoder().encode(value)].map((byte) => "\\x" + byte.toString(16).padStart(2, "0")).join("");
    return { value, starts, ends, text: `"${starts ? "*" : ""}${inner}${ends ? "*" : ""}"` };
  });
  const match = fc.record({
    kind: fc.constant("compare" as const),
    column: fc.constant(column),
    sign: fc.constantFrom("~", "!~"),
    operand: pattern,
  });
  const regex = fc.record({
    kind: fc.constant("regex" as const),
    column: fc.constant(column),
    sign: fc.constantFrom("=~", "!~"),
    source: regexSources(seen as string[]),
    flags: fc.constantFrom("", "", "i"),
  });
  return fc.oneof(from(["==", "!="], equal), match, regex);
}

/** Expressions over `columns`, with values like those of `rows`. */
export function expressions(columns: readonly Column[], rows: CellRow[], maxDepth = 4): fc.Arbitrary<Node> {
  const single = fc.constantFrom(...columns).chain((column) => comparison(column, rows));
  const leaf = fc.oneof({ weight: 6, arbitrary: single }, ...pairs(columns));
  const { node } = fc.letrec<{ node: Node }>((tie) => ({
    node: fc.oneof(
      { maxDepth, withCrossShrink: true },
      leaf,
      fc.record({
        kind: fc.constantFrom("and" as const, "or" as const),
        parts: fc.array(tie("node"), { minLength: 2, maxLength: 4 }),
      }),
      tie("node").map((part): Node => ({ kind: "not", part })),
    ),
  }));
  return node;
}
