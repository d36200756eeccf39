// SPDX-License-Identifier: BSD-2-Clause
/**
 * The language of `--where`: from text to the flat list of comparisons that bpf/engine/where.h makes.
 *
 * A comparison with an absent value does not hold and neither does its negation, as with SQL's null; so `!` is pushed down to the
 * comparisons, and two truth values are enough.
 */

import { distance } from "fastest-levenshtein";
import { ACCEPT, MAX_TESTS, POOL_SIZE, REJECT, TEST_ABSENT, TEST_END, TEST_NEGATE, TEST_START } from "./layout.gen.ts";
import type { Column, Table } from "./schema.ts";

/** Characters shown on each side of an error's place. */
const AROUND = 60;

/** A character that moves others, or does worse to a terminal, is shown as "?". */
const visible = (text: string) => text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu, "?");

/** Places on a screen: none for combining marks, two for the wide characters of East Asia and emoji. */
function width(text: string): number {
  const wide = /[\p{Script=Han}\p{Script=Hangul}\p{Script=Hiragana}\p{Script=Katakana}\p{Emoji_Presentation}\uff01-\uff60]/u;
  return [...text].reduce((sum, char) => sum + (/\p{M}/u.test(char) ? 0 : wide.test(char) ? 2 : 1), 0);
}

/** The text cannot be understood; `position` counts its characters from 0. */
export class WhereError extends Error {
  override name = "WhereError";
  constructor(message: string, readonly text: string, readonly position: number) {
    super(message);
  }

  /** The message, the text around the place, and a caret under it. */
  explain(): string {
    const [before, after] = [[...this.text.slice(0, this.position)], [...this.text.slice(this.position)]];
    const left = before.length > AROUND ? ["...", ...before.slice(-AROUND)] : before;
    const right = after.length > AROUND ? [...after.slice(0, AROUND), "..."] : after;
    const indent = " ".repeat(width(visible(left.join(""))));
    return `${visible(this.message)}\n  ${visible(left.join("") + right.join(""))}\n  ${indent}^`;
  }
}

interface Comparison {
  kind: "comparison";
  column: number;
  flags: number;
  lo: bigint;
  hi: bigint;
  bytes: Uint8Array;
}

/** An expression without negations: those are inside its comparisons. */
export type Expression = { kind: "and"; parts: Expression[] } | { kind: "or"; parts: Expression[] } | Comparison;

/** One comparison as the kernel's program reads it: `struct test`, its string in the pool. */
export interface Test {
  column: number;
  flags: number;
  lo: bigint;
  hi: bigint;
  offset: number;
  length: number;
  onTrue: number;
  onFalse: number;
}

export interface Predicate {
  tests: Test[];
  pool: Uint8Array;
}

const OPERATORS = ["==", "!=", "<=", ">=", "<", ">", "!~", "~"] as const;
type Operator = typeof OPERATORS[number];

const U64_MAX = (1n << 64n) - 1n;
const SIGNED_BIAS = 1n << 63n;
const NOTHING = new Uint8Array();
const STAR = 42;
const BACKSLASH = 92;

function isString(column: Column): boolean {
  return ["string", "long", "symbol", "frames"].includes(column.type);
}

/** The candidate nearest to `word`, where one is near enough to be what was meant. */
export function nearest(word: string, candidates: readonly string[]): string | undefined {
  let best: string | undefined;
  let least = Math.max(2, Math.ceil(word.length / 3)) + 1;
  for (const candidate of candidates) {
    const far = distance(word.toLowerCase(), candidate.toLowerCase());
    if (far < least) [best, least] = [candidate, far];
  }
  return best;
}

function suggest(word: string, candidates: readonly string[]): string {
  const near = nearest(word, candidates);
  return near === undefined ? "" : ` (did you mean ${near}?)`;
}

interface Token {
  kind: "word" | "string" | "operator" | "end";
  text: string;
  bytes: Uint8Array;
  /** Where in `bytes` a `*` stands that is not escaped. */
  stars: number[];
  position: number;
}

const WORD = /[^\s()!=<>~&|,"']+/y;
const PUNCTUATION = /&&|\|\||==|!=|<=|>=|!~|[<>~!(),]/y;
const ESCAPES: Record<string, number> = { n: 10, t: 9, r: 13, '"': 34, "'": 39, "*": 42, "\\": 92 };

function tokenize(text: string): Token[] {
  const tokens: Token[] = [];
  const encoder = new TextEncoder();
  let at = 0;
  while (at < text.length) {
    const char = text[at]!;
    if (/\s/.test(char)) {
      at++;
      continue;
    }
    if (char === '"' || char === "'") {
      const bytes: number[] = [];
      const stars: number[] = [];
      let end = at + 1;
      while (text[end] !== char) {
        if (end >= text.length) throw new WhereError("a string without its end", text, at);
        const point = text.codePointAt(end)!;
        if (point !== BACKSLASH) {
          if (point === STAR) stars.push(bytes.length);
          bytes.push(...encoder.encode(String.fromCodePoint(point)));
          end += point > 0xffff ? 2 : 1;
          continue;
        }
        const hex = /^x([0-9a-fA-F]{2})/.exec(text.slice(end + 1, end + 4));
        const escaped = hex ? parseInt(hex[1]!, 16) : ESCAPES[text[end + 1] ?? ""];
        if (escaped === undefined) {
          throw new WhereError("an unknown escape: \\n \\t \\r \\\" \\' \\* \\\\ and \\xHH are known", text, end);
        }
        bytes.push(escaped);
        end += hex ? 4 : 2;
      }
      tokens.push({ kind: "string", text: text.slice(at + 1, end), bytes: new Uint8Array(bytes), stars, position: at });
      at = end + 1;
      continue;
    }
    PUNCTUATION.lastIndex = WORD.lastIndex = at;
    const punctuation = PUNCTUATION.exec(text)?.[0];
    const word = WORD.exec(text)?.[0];
    if (punctuation !== undefined) {
      tokens.push({ kind: "operator", text: punctuation, bytes: NOTHING, stars: [], position: at });
    } else if (word !== undefined) {
      const bytes = encoder.encode(word);
      const stars = [...bytes.keys()].filter((i) => bytes[i] === STAR);
      tokens.push({ kind: "word", text: word, bytes, stars, position: at });
    } else {
      const meant: Record<string, string> = { "=": "==", "&": "&&", "|": "||" };
      throw new WhereError(`${char} is not an operator (did you mean ${meant[char]}?)`, text, at);
    }
    at += (punctuation ?? word)!.length;
  }
  tokens.push({ kind: "end", text: "", bytes: NOTHING, stars: [], position: text.length });
  return tokens;
}

/** Deeper than anyone writes, shallower than any stack. */
const MAX_DEPTH = 200;

class Parser {
  readonly tokens: Token[];
  at = 0;
  depth = 0;
  comparisons = 0;
  /** Of strings. */
  bytes = 0;

  constructor(readonly text: string, readonly table: Table) {
    this.tokens = tokenize(text);
  }

  get next(): Token {
    return this.tokens[this.at]!;
  }

  fail(message: string, token: Token = this.next): never {
    throw new WhereError(message, this.text, token.position);
  }

  accept(operator: string): boolean {
    const found = this.next.kind === "operator" && this.next.text === operator;
    if (found) this.at++;
    return found;
  }

  /** `negated`: under an odd number of `!`, where and and or change places. */
  or(negated: boolean): Expression {
    const parts = [this.and(negated)];
    while (this.accept("||")) parts.push(this.and(negated));
    return parts.length === 1 ? parts[0]! : { kind: negated ? "and" : "or", parts };
  }

  and(negated: boolean): Expression {
    const parts = [this.unary(negated)];
    while (this.accept("&&")) parts.push(this.unary(negated));
    return parts.length === 1 ? parts[0]! : { kind: negated ? "or" : "and", parts };
  }

  unary(negated: boolean): Expression {
    if (this.depth++ > MAX_DEPTH) this.fail(`an expression has at most ${MAX_DEPTH} levels of ( and !`);
    let result: Expression;
    if (this.accept("!")) {
      result = this.unary(!negated);
    } else if (this.accept("(")) {
      result = this.or(negated);
      if (!this.accept(")")) this.fail("a ) is missing");
    } else {
      result = this.comparison(negated);
    }
    this.depth--;
    return result;
  }

  comparison(negated: boolean): Expression {
    const name = this.next;
    if (name.kind !== "word") this.fail("a column's name is missing");
    const number = this.table.columns.findIndex((column) => column.name === name.text);
    if (number < 0) {
      const names = this.table.columns.map((column) => column.name);
      this.fail(`${this.table.name} has no column ${name.text}${suggest(name.text, names)}`);
    }
    this.at++;
    const operator = this.next;
    if (operator.kind === "word" && operator.text === "in") {
      this.at++;
      return this.list(number, negated);
    }
    if (operator.kind !== "operator" || !OPERATORS.includes(operator.text as Operator)) {
      this.fail(`${name.text} is compared with nothing: ${OPERATORS.join(" ")} or in (...) must follow`);
    }
    this.at++;
    return this.compare(number, operator, this.value(), negated);
  }

  list(column: number, negated: boolean): Expression {
    const equal: Token = { kind: "operator", text: "==", bytes: NOTHING, stars: [], position: this.next.position };
    if (!this.accept("(")) this.fail("in needs a list: in (a, b, c)");
    const parts: Expression[] = [];
    do parts.push(this.compare(column, equal, this.value(), negated)); while (this.accept(","));
    if (!this.accept(")")) this.fail("a , or ) is missing");
    return { kind: negated ? "and" : "or", parts };
  }

  value(): Token {
    const value = this.next;
    if (value.kind !== "word" && value.kind !== "string") this.fail("a value is missing");
    this.at++;
    return value;
  }

  compare(number: number, operator: Token, value: Token, negated: boolean): Comparison {
    const comparison = this.comparisonOf(number, operator, value, negated);
    if (++this.comparisons > MAX_TESTS) this.fail(`an expression has at most ${MAX_TESTS} comparisons: here is one more`, value);
    this.bytes += comparison.bytes.length;
    if (this.bytes > POOL_SIZE) {
      this.fail(`an expression's strings have at most ${POOL_SIZE} bytes together: with this one ${this.bytes}`, value);
    }
    return comparison;
  }

  comparisonOf(number: number, operator: Token, value: Token, negated: boolean): Comparison {
    const column = this.table.columns[number]!;
    const sign = operator.text as Operator;
    const equality = sign === "==" || sign === "!=";
    const negate = (sign.startsWith("!") !== negated) ? TEST_NEGATE : 0;
    if (value.kind === "word" && value.text === "null") {
      if (!equality) this.fail("null is compared with == or !=", operator);
      return { kind: "comparison", column: number, flags: TEST_ABSENT | negate, lo: 0n, hi: 0n, bytes: NOTHING };
    }
    if (isString(column)) {
      if (!equality && !sign.endsWith("~")) this.fail(`${column.name} is a string: == != ~ or !~ compare it`, operator);
      let bytes = value.bytes;
      let flags = TEST_START | TEST_END | negate;
      if (sign.endsWith("~")) {
        const last = bytes.length - 1;
        if (value.stars.some((star) => star !== 0 && star !== last)) {
          this.fail('a * stands only at the start and at the end of a pattern ("\\\\*" is the character itself)', value);
        }
        if (value.stars.includes(last)) [bytes, flags] = [bytes.subarray(0, -1), flags & ~TEST_END];
        if (value.stars.includes(0)) [bytes, flags] = [bytes.subarray(1), flags & ~TEST_START];
      }
      return { kind: "comparison", column: number, flags, lo: 0n, hi: 0n, bytes };
    }
    if (sign.endsWith("~")) this.fail(`${column.name} is not a string: ~ compares strings`, operator);
    if ((column.type === "enum" || column.type === "boolean") && !equality) {
      this.fail(`${column.name} has no order: == != or in compare it`, operator);
    }
    const bias = column.type === "signed" ? SIGNED_BIAS : 0n;
    const [lo, hi, inverse] = interval(sign, this.number(column, value) + bias);
    return { kind: "comparison", column: number, flags: (inverse !== negated) ? TEST_NEGATE : 0, lo, hi, bytes: NOTHING };
  }

  number(column: Column, value: Token): bigint {
    if (column.type === "boolean") {
      if (value.text !== "true" && value.text !== "false") this.fail(`${column.name} is true or false`, value);
      return value.text === "true" ? 1n : 0n;
    }
    const word = column.words.find(([, word]) => word === value.text) ??
      column.words.find(([, word]) => word.toLowerCase() === value.text.toLowerCase());
    if (word) return BigInt(word[0]);
    const match = /^(-?)(0[xX][0-9a-fA-F]+|[0-9]+)([kKmMgG]?)$/.exec(value.text);
    if (!match) {
      if (column.type !== "enum") this.fail(`${column.name} is a number, not ${value.text}`, value);
      const words = column.words.map(([, word]) => word);
      this.fail(`${column.name} is never ${value.text}${suggest(value.text, words)}`, value);
    }
    const scale = 1024n ** BigInt(" kmg".indexOf(match[3]!.toLowerCase() || " "));
    const number = BigInt(match[2]!) * scale * (match[1] ? -1n : 1n);
    const signed = column.type === "signed";
    if (number < 0n && !signed) this.fail(`${column.name} is never negative`, value);
    const [least, most] = signed ? [-SIGNED_BIAS, SIGNED_BIAS - 1n] : [0n, U64_MAX];
    if (number < least || number > most) this.fail(`${column.name} is a number from ${least} to ${most}`, value);
    return number;
  }
}

/** The values for which `value OPERATOR number` holds: lo to hi, or all but those. */
function interval(operator: Operator, number: bigint): [bigint, bigint, boolean] {
  switch (operator) {
    case "==":
      return [number, number, false];
    case "!=":
      return [number, number, true];
    case "<=":
      return [0n, number, false];
    case ">":
      return [0n, number, true];
    case ">=":
      return [number, U64_MAX, false];
    default:
      return number === 0n ? [0n, U64_MAX, true] : [0n, number - 1n, false];
  }
}

/**
 * The expression that `text` stands for.
 *
 * @throws {WhereError} it stands for none
 */
export function parse(text: string, table: Table): Expression {
  const parser = new Parser(text, table);
  const expression = parser.or(false);
  const { kind, text: word } = parser.next;
  const meant = /^(and|or)$/i.test(word) ? ` (did you mean ${/and/i.test(word) ? "&&" : "||"}?)` : "";
  if (kind !== "end") parser.fail(`&& or || is missing${meant}`);
  return expression;
}

/** `column == value` as an expression, for the options that are shorthands. */
export function equals(table: Table, column: string, value: string): Expression {
  const number = table.columns.findIndex(({ name }) => name === column);
  const bytes = new TextEncoder().encode(value);
  if (isString(table.columns[number]!)) {
    return { kind: "comparison", column: number, flags: TEST_START | TEST_END, lo: 0n, hi: 0n, bytes };
  }
  return { kind: "comparison", column: number, flags: 0, lo: BigInt(value), hi: BigInt(value), bytes: NOTHING };
}

/** All of `parts`; `undefined` when there are none. */
export function all(parts: Expression[]): Expression | undefined {
  return parts.length > 1 ? { kind: "and", parts } : parts[0];
}

/** The one value that the expression leaves to a number column; `undefined` when it does not fix it. */
export function fixed(expression: Expression | undefined, column: number): number | undefined {
  if (!expression) return undefined;
  if (expression.kind === "and") {
    return expression.parts.map((part) => fixed(part, column)).find((value) => value !== undefined);
  }
  if (expression.kind === "or") {
    const [first, ...others] = expression.parts.map((part) => fixed(part, column));
    return others.every((value) => value === first) ? first : undefined;
  }
  if (expression.column !== column || expression.flags !== 0) return undefined;
  return expression.lo === expression.hi ? Number(expression.lo) : undefined;
}

/**
 * The flat list: comparisons in the order of the text, each with the number of the one that follows when it fails and when it
 * holds.
 *
 * @throws {RangeError} more comparisons, or more bytes of strings, than the program has room for
 */
export function compile(expression: Expression): Predicate {
  const tests: Test[] = [];
  const pool: number[] = [];
  type Label = { at: number };

  const emit = (node: Expression, onTrue: Label, onFalse: Label, jumps: [Label, Label][]): void => {
    if (node.kind === "comparison") {
      jumps.push([onTrue, onFalse]);
      tests.push({
        column: node.column,
        flags: node.flags,
        lo: node.lo,
        hi: node.hi,
        offset: pool.length,
        length: node.bytes.length,
        onTrue: 0,
        onFalse: 0,
      });
      for (const byte of node.bytes) pool.push(byte);
      return;
    }
    node.parts.forEach((part, i) => {
      if (i === node.parts.length - 1) return emit(part, onTrue, onFalse, jumps);
      const next: Label = { at: 0 };
      if (node.kind === "and") emit(part, next, onFalse, jumps);
      else emit(part, onTrue, next, jumps);
      next.at = tests.length;
    });
  };
  const jumps: [Label, Label][] = [];
  emit(expression, { at: ACCEPT }, { at: REJECT }, jumps);
  if (tests.length > MAX_TESTS) {
    throw new RangeError(
      `the query has ${tests.length} comparisons, --comm, --pid and --tid among them; ${MAX_TESTS} is the limit`,
    );
  }
  if (pool.length > POOL_SIZE) {
    throw new RangeError(`the query's strings have ${pool.length} bytes, --comm among them; ${POOL_SIZE} is the limit`);
  }
  tests.forEach((test, i) => [test.onTrue, test.onFalse] = [jumps[i]![0].at, jumps[i]![1].at]);
  return { tests, pool: new Uint8Array(pool) };
}
