// SPDX-License-Identifier: BSD-2-Clause
/**
 * The language of `--where`: from text to the flat list of comparisons that bpf/engine/where.h makes.
 *
 * A comparison with an absent value does not hold and neither does its negation, as with SQL's null; so `!` is pushed down to the
 * comparisons, and two truth values are enough.
 */

import { distance } from "fastest-levenshtein";
import {
  ACCEPT,
  MAX_STATES,
  MAX_TESTS,
  PAIR_LESS,
  PAIR_OTHER_SIGNED,
  PAIR_SIGNED,
  POOL_SIZE,
  REJECT,
  TEST_ABSENT,
  TEST_END,
  TEST_NEGATE,
  TEST_PAIR,
  TEST_REGEX,
  TEST_START,
} from "./layout.gen.ts";
import type { Regex } from "./regex.ts";
import { type Column, type Table, unitOf } from "./schema.ts";

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
  /** The column that this one is compared with, and the PAIR_* bits that say how. */
  pair?: { column: number; how: number };
  /** The table of a regular expression. */
  regex?: Regex;
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
  /** Rows of 256 next states: the regular expressions' automaton. */
  states: Uint16Array;
}

/** A comparison that only the full program makes. */
export const isFull = ({ tests }: Predicate): boolean => tests.some(({ flags }) => (flags & TEST_PAIR) !== 0);

/** The columns that a predicate reads. */
export const columnsOf = ({ tests }: Predicate): number[] =>
  tests.flatMap(({ column, flags, offset }) => flags & TEST_PAIR ? [column, offset] : [column]);

let compileRegex: typeof import("./regex.ts").compileRegex | undefined;

/** Loads what compiles regular expressions, which is large. Without it {@linkcode parse} takes none. */
export async function learnRegex(): Promise<void> {
  compileRegex ??= (await import("./regex.ts")).compileRegex;
}

const OPERATORS = ["==", "!=", "<=", ">=", "<", ">", "=~", "!~", "~"] as const;
type Operator = typeof OPERATORS[number];

const U64_MAX = (1n << 64n) - 1n;
const SIGNED_BIAS = 1n << 63n;
const NOTHING = new Uint8Array();
const STAR = 42;
const BACKSLASH = 92;

function isString(column: Column): boolean {
  return ["string", "long", "symbol", "frames", "numbers", "json"].includes(column.type);
}

/** A column that numbers and other such columns are compared with. */
function isNumber(column: Column): boolean {
  return ["number", "signed", "hex"].includes(column.type);
}

/** A positive number. */
interface Ratio {
  over: bigint;
  under: bigint;
}

const isWhole = ({ over, under }: Ratio) => over === under;

/** A column and its factor. */
interface Term {
  column: number;
  factor: Ratio;
}

const gcd = (a: bigint, b: bigint): bigint => b === 0n ? a : gcd(b, a % b);

const NANOSECONDS: Readonly<Record<string, bigint>> = {
  ns: 1n,
  us: 1000n,
  ms: 1_000_000n,
  s: 1_000_000_000n,
  m: 60_000_000_000n,
  h: 3600_000_000_000n,
  d: 86_400_000_000_000n,
};
const DURATIONS = "ns us ms s m h d";

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
  kind: "word" | "string" | "operator" | "regex" | "end";
  text: string;
  bytes: Uint8Array;
  /** Where in `bytes` a `*` stands that is not escaped. */
  stars: number[];
  position: number;
  /** Of a regular expression. */
  flags?: string;
}

const WORD = /[^\s()!=<>~&|,"']+/y;
const PUNCTUATION = /&&|\|\||==|!=|<=|>=|!~|=~|[<>=~!(),]/y;
/** Between slashes; a slash inside has a backslash before it or is in a class. */
const REGEX = /\/((?:[^/\\[]|\\[^]|\[(?:[^\]\\]|\\[^])*\])+)\/([a-zA-Z]*)(?=[\s)&|,]|$)/y;
const ESCAPES: Record<string, number> = { n: 10, t: 9, r: 13, '"': 34, "'": 39, "*": 42, "\\": 92 };

/**
 * The regular expression that begins at `at`, after `operator`. After !~ a pattern may begin with a slash too, and does where the
 * bare word there is followed by what may follow a comparison, unless that word itself stands between slashes.
 */
function regexAt(text: string, at: number, operator: string): RegExpExecArray | undefined {
  REGEX.lastIndex = WORD.lastIndex = at;
  const literal = REGEX.exec(text);
  if (operator === "=~" || !literal) return literal ?? undefined;
  if (!/^i?$/.test(literal[2]!)) return undefined;
  const word = WORD.exec(text)![0];
  if (word === literal[0]) return literal;
  return /^\s*(&&|\|\||\)|$)/.test(text.slice(at + word.length)) ? undefined : literal;
}

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
    const before = tokens.at(-1);
    if (char === "/" && before?.kind === "operator" && /^[=!]~$/.test(before.text)) {
      const literal = regexAt(text, at, before.text);
      if (literal) {
        const [whole, source, flags] = literal;
        tokens.push({ kind: "regex", text: source!, bytes: NOTHING, stars: [], position: at, flags: flags! });
        at += whole.length;
        continue;
      }
      if (before.text === "=~") throw new WhereError("a regular expression without its end: =~ /.../ or =~ /.../i", text, at);
    }
    PUNCTUATION.lastIndex = WORD.lastIndex = at;
    const punctuation = PUNCTUATION.exec(text)?.[0];
    const word = WORD.exec(text)?.[0];
    if (punctuation !== undefined) {
      tokens.push({ kind: "operator", text: punctuation === "=" ? "==" : punctuation, bytes: NOTHING, stars: [], position: at });
    } else if (word !== undefined) {
      const bytes = encoder.encode(word);
      const stars = [...bytes.keys()].filter((i) => bytes[i] === STAR);
      tokens.push({ kind: "word", text: word, bytes, stars, position: at });
    } else {
      const meant: Record<string, string> = { "&": "&&", "|": "||" };
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
  /** Of regular expressions. */
  states = 0;

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
    const left = this.term();
    const column = this.table.columns[left.column]!;
    const operator = this.next;
    if (operator.kind === "word" && operator.text === "in" && isWhole(left.factor)) {
      this.at++;
      return this.list(left.column, negated);
    }
    if (operator.kind !== "operator" || !OPERATORS.includes(operator.text as Operator)) {
      this.fail(`${column.name} is compared with nothing: ${OPERATORS.join(" ")} or in (...) must follow`);
    }
    this.at++;
    if (operator.text === "=~" && this.next.kind !== "regex") {
      this.fail("=~ is followed by a regular expression between slashes: =~ /.../");
    }
    const value = this.next;
    if (this.isTerm(column)) return this.counted(this.pair(left, operator, this.term(), negated, value), value);
    if (isWhole(left.factor)) return this.counted(this.comparisonOf(left.column, operator, this.value(), negated), value);
    return this.counted(this.scaled(left, operator, this.value(), negated), value);
  }

  /** The words of a product, which blanks may part, as one word; they stay where they are. */
  product(): { text: string; words: number } {
    let [text, words] = [this.next.text, 1];
    for (;;) {
      const { kind, text: word } = this.tokens[this.at + words] ?? { kind: "end", text: "" };
      if (kind !== "word" || !text.endsWith("*") && !word.startsWith("*")) return { text, words };
      text += word;
      words++;
    }
  }

  /** The number of the column of that name; below 0 without such a column. */
  find(name: string): number {
    return this.table.columns.findIndex((column) => column.name === name);
  }

  /** Whether what follows is a column with or without a factor, not a value to compare `column` with. */
  isTerm(column: Column): boolean {
    if (this.next.kind !== "word" || !isNumber(column)) return false;
    const parts = this.product().text.split("*");
    return parts.length > 1 || this.find(parts[0]!) >= 0;
  }

  /** A column, `fds`, or a column and its factors, `2 * fds`. */
  term(): Term {
    const token = this.next;
    if (token.kind !== "word") this.fail("a column's name is missing");
    const { text, words } = this.product();
    const factor: Ratio = { over: 1n, under: 1n };
    const parts = text.split("*");
    const names = parts.filter((part) => {
      const match = parts.length > 1 && /^([0-9]+)(?:\.([0-9]+))?$/.exec(part);
      if (!match) return true;
      const [, whole, fraction = ""] = match;
      factor.over *= BigInt(whole! + fraction);
      factor.under *= 10n ** BigInt(fraction.length);
      return false;
    });
    const [name = ""] = names;
    if (names.includes("")) this.fail("a factor is missing: 2 * column or column * 0.9", token);
    if (names.length !== 1) this.fail(`${text} is not a column with a number as its factor`, token);
    const column = this.find(name);
    if (column < 0) {
      this.fail(`${this.table.name} has no column ${name}${suggest(name, this.table.columns.map(({ name }) => name))}`, token);
    }
    if (parts.length > 1 && !isNumber(this.table.columns[column]!)) this.fail(`${name} is not a number: it has no factor`, token);
    if (factor.over === 0n) this.fail("a factor is above 0", token);
    this.at += words;
    return { column, factor };
  }

  list(column: number, negated: boolean): Expression {
    const equal: Token = { kind: "operator", text: "==", bytes: NOTHING, stars: [], position: this.next.position };
    if (!this.accept("(")) this.fail("in needs a list: in (a, b, c)");
    const parts: Expression[] = [];
    do {
      const value = this.value();
      parts.push(this.counted(this.comparisonOf(column, equal, value, negated), value));
    } while (this.accept(","));
    if (!this.accept(")")) this.fail("a , or ) is missing");
    return { kind: negated ? "and" : "or", parts };
  }

  value(): Token {
    const value = this.next;
    if (!["word", "string", "regex"].includes(value.kind)) this.fail("a value is missing");
    this.at++;
    return value;
  }

  /** Holds the limits of an expression. */
  counted(comparison: Comparison, value: Token): Comparison {
    if (++this.comparisons > MAX_TESTS) this.fail(`an expression has at most ${MAX_TESTS} comparisons: here is one more`, value);
    this.bytes += comparison.bytes.length;
    if (this.bytes > POOL_SIZE) {
      this.fail(`an expression's strings have at most ${POOL_SIZE} bytes together: with this one ${this.bytes}`, value);
    }
    this.states += (comparison.regex?.rows.length ?? 0) / 256;
    if (this.states > MAX_STATES) {
      this.fail(
        `an expression's regular expressions have at most ${MAX_STATES} states together: with this one ${this.states}`,
        value,
      );
    }
    return comparison;
  }

  /** Two columns: factors become whole numbers, which the program multiplies exactly. */
  pair(left: Term, operator: Token, right: Term, negated: boolean, value: Token): Comparison {
    const sign = operator.text as Operator;
    const [one, other] = [left, right].map(({ column }) => this.table.columns[column]!) as [Column, Column];
    if (!isNumber(other)) this.fail(`${other.name} is not a number, and ${one.name} is one`, value);
    if (sign.endsWith("~")) this.fail(`${one.name} is not a string: ${sign} compares strings`, operator);
    const swapped = sign === ">" || sign === "<=";
    const [first, second] = swapped ? [right, left] : [left, right];
    let [lo, hi] = [first.factor.over * second.factor.under, second.factor.over * first.factor.under];
    const divisor = gcd(lo, hi);
    [lo, hi] = [lo / divisor, hi / divisor];
    if (lo > U64_MAX || hi > U64_MAX) {
      this.fail("these factors are too exact: as whole numbers they have more than 64 bits", value);
    }
    const isSigned = ({ column }: Term) => this.table.columns[column]!.type === "signed";
    const how = (sign === "==" || sign === "!=" ? 0 : PAIR_LESS) | (isSigned(first) ? PAIR_SIGNED : 0) |
      (isSigned(second) ? PAIR_OTHER_SIGNED : 0);
    const inverse = sign === "!=" || sign === ">=" || sign === "<=";
    return {
      kind: "comparison",
      column: first.column,
      flags: TEST_PAIR | (inverse !== negated ? TEST_NEGATE : 0),
      lo,
      hi,
      bytes: NOTHING,
      pair: { column: second.column, how },
    };
  }

  /** A column with a factor and a number: the column and a whole number. */
  scaled({ column: number, factor }: Term, operator: Token, value: Token, negated: boolean): Comparison {
    const column = this.table.columns[number]!;
    const sign = operator.text as Operator;
    if (sign.endsWith("~") || value.text === "null") return this.comparisonOf(number, operator, value, negated);
    const product = this.number(column, value) * factor.under;
    const floor = product / factor.over - (product < 0n && product % factor.over !== 0n ? 1n : 0n);
    const isExact = product % factor.over === 0n;
    const bound = isExact || sign === "<=" || sign === ">" ? floor : floor + 1n;
    const signed = column.type === "signed";
    const [least, most] = signed ? [-SIGNED_BIAS, SIGNED_BIAS - 1n] : [0n, U64_MAX];
    let [lo, hi, inverse] = [0n, U64_MAX, true];
    if (sign === "==" || sign === "!=" ? !isExact || bound < least || bound > most : bound < least || bound > most) {
      const holds = sign === "!=" || (bound > most ? sign.startsWith("<") : sign.startsWith(">"));
      inverse = sign === "==" || !holds;
    } else {
      [lo, hi, inverse] = interval(sign, bound + (signed ? SIGNED_BIAS : 0n));
    }
    return { kind: "comparison", column: number, flags: (inverse !== negated) ? TEST_NEGATE : 0, lo, hi, bytes: NOTHING };
  }

  regex(column: Column, operator: Token, value: Token): Regex {
    if (!isString(column)) this.fail(`${column.name} is not a string: ${operator.text} compares strings`, operator);
    const flags = value.flags ?? "";
    if (flags !== "" && flags !== "i") this.fail(`i is the only flag of a regular expression, not ${flags}`, value);
    if (!compileRegex) throw new Error("regular expressions are not loaded (learnRegex)");
    try {
      return compileRegex(value.text, flags);
    } catch (error) {
      if (!(error instanceof Error) || !("position" in error)) throw error;
      this.fail(error.message, { ...value, position: value.position + 1 + Number(error.position) });
    }
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
    if (value.kind === "regex") {
      const regex = this.regex(column, operator, value);
      return { kind: "comparison", column: number, flags: TEST_REGEX | negate, lo: 0n, hi: 0n, bytes: NOTHING, regex };
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
    const unit = unitOf(column);
    const time = /^([0-9]+)(?:\.([0-9]+))?(ns|us|ms|s|m|h|d)$/.exec(value.text);
    if (time && unit !== undefined) {
      const [, whole, fraction = "", suffix] = time;
      const [product, divisor] = [BigInt(whole! + fraction) * NANOSECONDS[suffix!]!, unit * 10n ** BigInt(fraction.length)];
      if (product % divisor !== 0n) this.fail(`${column.name} is never ${value.text}: its unit is larger`, value);
      return this.inRange(column, product / divisor, value);
    }
    if (time && time[3] !== "m" && column.type !== "enum") {
      this.fail(`${column.name} is not a time: ${DURATIONS} are compared with columns that end in _ns or _us`, value);
    }
    const match = /^(-?)(0[xX][0-9a-fA-F]+|[0-9]+)([kKmMgG]?)$/.exec(value.text);
    if (match?.[3] && unit !== undefined) {
      this.fail(`${column.name} is a time, and ${match[3]} is a size: ${DURATIONS} follow a duration's number`, value);
    }
    if (!match) {
      if (column.type !== "enum") {
        const names = this.table.columns.filter(isNumber).map(({ name }) => name);
        this.fail(`${column.name} is a number, not ${value.text}${suggest(value.text, names)}`, value);
      }
      const words = column.words.map(([, word]) => word);
      this.fail(`${column.name} is never ${value.text}${suggest(value.text, words)}`, value);
    }
    const scale = 1024n ** BigInt(" kmg".indexOf(match[3]!.toLowerCase() || " "));
    return this.inRange(column, BigInt(match[2]!) * scale * (match[1] ? -1n : 1n), value);
  }

  inRange(column: Column, number: bigint, value: Token): bigint {
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

/** `column == value`, or that a string begins with `value`, as an expression, for the options that are shorthands. */
export function equals(table: Table, column: string, value: string, isPrefix = false): Expression {
  const number = table.columns.findIndex(({ name }) => name === column);
  const bytes = new TextEncoder().encode(value);
  if (isString(table.columns[number]!)) {
    return { kind: "comparison", column: number, flags: isPrefix ? TEST_START : TEST_START | TEST_END, lo: 0n, hi: 0n, bytes };
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
  const automaton: Uint16Array[] = [];
  let states = 0;
  type Label = { at: number };

  /** Adds the states of a regular expression. The first two states, which have no successors, are those of all. */
  const append = ({ rows, start, accepting }: Regex): { lo: bigint; hi: bigint } => {
    const [shared, by] = [2, Math.max(0, states - 2)];
    const moved = (state: number) => state < shared ? state : state + by;
    automaton.push(rows.subarray(states === 0 ? 0 : shared * 256).map(moved));
    states += automaton.at(-1)!.length / 256;
    return { lo: BigInt(moved(start)), hi: BigInt(moved(accepting)) };
  };
  const emit = (node: Expression, onTrue: Label, onFalse: Label, jumps: [Label, Label][]): void => {
    if (node.kind === "comparison") {
      jumps.push([onTrue, onFalse]);
      tests.push({
        column: node.column,
        flags: node.flags,
        lo: node.lo,
        hi: node.hi,
        offset: node.pair?.column ?? pool.length,
        length: node.pair?.how ?? node.bytes.length,
        onTrue: 0,
        onFalse: 0,
        ...(node.regex && append(node.regex)),
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
  const all = new Uint16Array(states * 256);
  automaton.reduce((at, rows) => (all.set(rows, at), at + rows.length), 0);
  return { tests, pool: new Uint8Array(pool), states: all };
}
