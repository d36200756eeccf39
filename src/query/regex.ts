// SPDX-License-Identifier: BSD-2-Clause
/**
 * Regular expressions as tables: a row of 256 next states for each state, which the program follows byte by byte
 * (bpf/engine/regex.h). A start loads this module only for a query with a regular expression.
 *
 * regexpp parses JavaScript's syntax (flags u and s). Then the usual way: an automaton with choices (Thompson), the subset
 * construction over sets of characters, which stops in time and knows `^` and `$`, characters as bytes, and the smallest automaton
 * of the same texts (Hopcroft). Each invalid part of a text reads as U+FFFD, as TextDecoder and the rows show it: an expression means
 * what it means for the JSON.
 */

import { type AST, RegExpParser, RegExpSyntaxError } from "@eslint-community/regexpp";
import { type CharacterSet, charactersOf, EVERY, LAST, SURROGATES } from "./characters.ts";
import { MAX_STATES } from "./layout.gen.ts";

/** The states of which nothing leads away: no text or every text matches, whatever follows. */
const [NEVER, ALWAYS] = [0, 1];

/** The length of a row. A state is the index of its row. */
const BYTES = 256;

/** States of the automaton over bytes before it is made as small as possible. */
const MAX_NODES = 10_000;

/** Steps of the subset construction: an expression is refused after less than a second. */
const MAX_WORK = 4_000_000;

/** An expression as a table. */
export interface Regex {
  /** Rows of {@linkcode BYTES} next states; those of {@linkcode NEVER} and {@linkcode ALWAYS} stay there. */
  rows: Uint16Array;
  start: number;
  /** A text that ends in this state or a later one matches, and one that ends in ALWAYS. */
  accepting: number;
}

/** The expression cannot be used; `position` counts its characters from 0. */
export class RegexError extends Error {
  override name = "RegexError";
  constructor(message: string, readonly position: number) {
    super(message);
  }
}

class TooLarge extends Error {}

const REPLACEMENT = 0xfffd;

/** A place in the expression: what leads away from it. */
interface Place {
  /** A character of the set to the next place. */
  set?: CharacterSet;
  next?: number;
  /** Nothing, to any of these; `at` the beginning or the end of the text only. */
  free: number[];
  at?: "start" | "end";
}

/** An expression as a graph. The first place is its end. */
class Graph {
  readonly places: Place[] = [{ free: [] }];
  readonly #ignoreCase: boolean;
  readonly #sets = new Map<string, CharacterSet>();

  constructor(ignoreCase: boolean) {
    this.#ignoreCase = ignoreCase;
  }

  #add(place: Place): number {
    if (this.places.length >= MAX_NODES) throw new TooLarge();
    return this.places.push(place) - 1;
  }

  /** The place before one of `alternatives`, each of which leads to `next`. */
  choice(alternatives: readonly (readonly AST.Element[])[], next: number): number {
    const free = alternatives.map((elements) => elements.reduceRight((after, element) => this.element(element, after), next));
    return free.length === 1 ? free[0]! : this.#add({ free });
  }

  /** The place before `element`, which leads to `next`. */
  element(element: AST.Element, next: number): number {
    switch (element.type) {
      case "Character":
      case "CharacterSet":
      case "CharacterClass": {
        const set = this.#sets.get(element.raw) ?? charactersOf(element, this.#ignoreCase);
        this.#sets.set(element.raw, set);
        return this.#add({ set, next, free: [] });
      }
      case "Group":
      case "CapturingGroup":
        return this.choice(element.alternatives.map(({ elements }) => elements), next);
      case "Quantifier":
        return this.#repeated(element, next);
      case "Assertion":
        if (element.kind === "start" || element.kind === "end") return this.#add({ free: [next], at: element.kind });
        throw this.#refusal(element, element.kind === "word" ? "word boundary" : "lookaround");
      case "Backreference":
        throw this.#refusal(element, "back reference");
      case "ExpressionCharacterClass":
        throw this.#refusal(element, "class of sets");
    }
  }

  #refusal({ raw, start }: AST.Element, what: string): RegexError {
    return new RegexError(`${raw} is a ${what}: the kernel's table of states has none`, start);
  }

  #repeated({ element, min, max }: AST.Quantifier, next: number): number {
    let before = next;
    if (max === Infinity) {
      before = this.#add({ free: [next] });
      this.places[before]!.free.push(this.element(element, before));
    } else {
      for (let i = min; i < max; i++) before = this.#add({ free: [next, this.element(element, before)] });
    }
    for (let i = 0; i < min; i++) before = this.element(element, before);
    return before;
  }
}

/** Numbers for sets of characters that no set of `sets` parts; ranges in order, and for each set of `sets` its numbers. */
function partition(sets: readonly CharacterSet[]): { ranges: Characters["ranges"]; count: number; numbers: number[][] } {
  const cuts = new Set<number>();
  for (const [first, last] of sets.flat()) cuts.add(first).add(last + 1);
  const sorted = [...cuts].sort((a, b) => a - b);
  const known = new Map<string, number>();
  const numbers: Set<number>[] = sets.map(() => new Set());
  const ranges: Characters["ranges"] = [];
  /** For each set, the index of its first range that does not end before the cut. */
  const at = sets.map(() => 0);
  sorted.forEach((min, i) => {
    const members = sets.flatMap((set, number) => {
      while ((set[at[number]!]?.[1] ?? Infinity) < min) at[number]!++;
      return (set[at[number]!]?.[0] ?? Infinity) <= min ? number : [];
    });
    if (members.length === 0) return;
    const key = members.join();
    const set = known.get(key) ?? known.size;
    known.set(key, set);
    for (const member of members) numbers[member]!.add(set);
    ranges.push({ min, max: sorted[i + 1]! - 1, set });
  });
  return { ranges, count: known.size, numbers: numbers.map((set) => [...set]) };
}

/** An automaton over sets of characters, which are numbered. */
interface Characters {
  /** For each state the next one after each set of characters. */
  next: number[][];
  /** Whether a text that ends in this state matches. */
  accepts: boolean[];
  /** The ranges of characters in order, each with the number of its set. */
  ranges: { min: number; max: number; set: number }[];
}

/** The state of every text that has matched; the first state is the next one. */
const MATCHED = 0;
const FIRST = 1;

/** What an expression is one of: sequences of elements. */
type Alternatives = readonly (readonly AST.Element[])[];

/** By the subset construction, for a search: a match may begin at every character. @throws {TooLarge} */
function determine(alternatives: Alternatives, ignoreCase: boolean): Characters {
  const graph = new Graph(ignoreCase);
  const initial = graph.choice(alternatives, 0);
  const { places } = graph;
  const sets = [...new Set([EVERY, ...places.flatMap(({ set }) => set ? [set] : [])])];
  const { ranges, count, numbers } = partition(sets);
  const accepted = new Map(sets.map((set, i) => [set, new Set(numbers[i])]));
  /** For each place the numbers of the characters that lead on. */
  const leads = places.map(({ set }) => set && accepted.get(set)!);

  /** For each place the number of the last collection that has it: a set without a Set, which takes ten times as long. */
  const marks = new Uint32Array(places.length);
  const collected = new Uint16Array(places.length);
  let [mark, size, work] = [0, 0, 0];
  const collect = (place: number, start = false, end = false): void => {
    const waiting = [place];
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      work++;
      if (marks[next] === mark) continue;
      marks[next] = mark;
      const { set, free, at } = places[next]!;
      if (set || at === "end" && !end || next === 0) collected[size++] = next;
      if (at === undefined || (at === "start" ? start : end)) waiting.push(...free);
    }
    if (work > MAX_WORK) throw new TooLarge();
  };
  const begin = () => {
    mark++;
    size = 0;
  };
  /** Whether the last place is among the collected ones. */
  const isMatch = () => marks[0] === mark;

  begin();
  collect(initial, true);
  if (isMatch()) return { next: [[]], accepts: [true], ranges };
  const states: Uint16Array[] = [new Uint16Array(), collected.slice(0, size)];
  const known = new Map<string, number>();
  const next: number[][] = [Array<number>(count).fill(MATCHED)];
  begin();
  collect(initial, true, true);
  const accepts = [true, isMatch()];
  for (let state = FIRST; state < states.length; state++) {
    next[state] = Array.from({ length: count }, (_, character) => {
      begin();
      for (const place of states[state]!) if (leads[place]?.has(character)) collect(places[place]!.next!);
      work += states[state]!.length;
      collect(initial);
      if (isMatch()) return MATCHED;
      const members = collected.slice(0, size).sort();
      const key = String.fromCharCode(...members);
      let number = known.get(key);
      if (number === undefined) {
        number = states.push(members) - 1;
        if (number > MAX_STATES) throw new TooLarge();
        known.set(key, number);
        begin();
        for (const place of members) collect(place, false, true);
        accepts.push(isMatch());
      }
      return number;
    });
  }
  return { next, accepts, ranges };
}

/** An automaton over bytes. */
interface Bytes {
  next: Uint32Array[];
  accepts: boolean[];
}

/** First bytes of characters of two to four bytes: how many, the bits of the first byte, and the least character. */
const LENGTHS = [{ more: 1, from: 0xc2, to: 0xdf }, { more: 2, from: 0xe0, to: 0xef }, { more: 3, from: 0xf0, to: 0xf4 }];

/**
 * Characters as UTF-8. A character's first bytes lead to states of their own. A byte that cannot follow there makes the bytes before
 * it one U+FFFD and counts anew, as in the Encoding Standard.
 *
 * @throws {TooLarge}
 */
function encode({ next, accepts, ranges }: Characters): Bytes {
  const rows: Uint32Array[] = next.map(() => new Uint32Array(BYTES));
  const ends = [...accepts];
  /** For each inner state: the states after its 64 bytes, or -1, and the state after U+FFFD. */
  const inner: { state: number; kids: number[]; broken: number }[] = [];
  const shared = new Map<string, number>();
  const made = (kids: number[], broken: number): number => {
    const key = `${broken}:${kids.join()}`;
    const state = shared.get(key) ?? rows.length;
    if (state < rows.length) return state;
    if (state >= MAX_NODES) throw new TooLarge();
    shared.set(key, state);
    rows.push(new Uint32Array(BYTES));
    ends.push(accepts[broken]!);
    inner.push({ state, kids, broken });
    return state;
  };
  /** The index of the first range that has the character, or later ones: no range has surrogates. */
  const rangeOf = (character: number): number => {
    let [low, high] = [0, ranges.length - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (ranges[middle]!.max < character) low = middle + 1;
      else high = middle;
    }
    return low;
  };
  next.forEach((targets, state) => {
    const target = (character: number) => targets[ranges[rangeOf(character)]!.set]!;
    const row = rows[state]!;
    if (state === MATCHED) return;
    const broken = target(REPLACEMENT);
    for (let byte = 0; byte < BYTES; byte++) row[byte] = byte < 0x80 ? target(byte) : broken;
    /** The states of characters that all lead to one state, 1 to 3 bytes before their end. */
    const chains = new Map<number, number[]>();
    const chain = (end: number, more: number): number => {
      const chain = chains.get(end) ?? [end];
      chains.set(end, chain);
      while (chain.length <= more) chain.push(made(Array<number>(64).fill(chain.at(-1)!), broken));
      return chain[more]!;
    };
    /** The one state after each of `size` characters from `min` on; `undefined` where there are several. */
    const oneOf = (min: number, size: number): number | undefined => {
      let at = rangeOf(min);
      if (min < ranges[at]!.min) return undefined;
      const one = targets[ranges[at]!.set]!;
      for (; ranges[at]!.max < min + size - 1; at++) {
        const following = ranges[at + 1];
        if (following?.min !== ranges[at]!.max + 1 || targets[following.set] !== one) return undefined;
      }
      return one;
    };
    /** The state before the last `more` bytes of the characters from `min` on; -1 where these bytes are of no character. */
    const before = (min: number, more: number): number => {
      const least = [0, 0, 0x800, 0x10000][more]!;
      const one = min < least ? undefined : oneOf(min, 64 ** more);
      if (one !== undefined) return chain(one, more);
      const size = 64 ** (more - 1);
      const kids = Array.from({ length: 64 }, (_, i) => {
        const from = min + i * size;
        return from < least || from > LAST || (from >= SURROGATES[0] && from <= SURROGATES[1]) ? -1 : before(from, more - 1);
      });
      return made(kids, broken);
    };
    for (const { more, from, to } of LENGTHS) {
      for (let byte = from; byte <= to; byte++) row[byte] = before((byte & (0x3f >> more)) << 6 * more, more);
    }
  });
  for (const { state, kids, broken } of inner) {
    rows[state]!.set(rows[broken]!);
    kids.forEach((kid, i) => kid >= 0 && (rows[state]![0x80 + i] = kid));
  }
  return { next: rows, accepts: ends };
}

/** The numbers of equal things, in the order of their first. */
function numbered<T>(things: Iterable<T>, keyOf: (thing: T) => string): number[] {
  const known = new Map<string, number>();
  return [...things].map((thing) => {
    const key = keyOf(thing);
    const number = known.get(key) ?? known.size;
    known.set(key, number);
    return number;
  });
}

/** Hopcroft's algorithm. @returns the block of each state */
function blocks(columns: readonly Uint32Array[], accepts: readonly boolean[]): Uint32Array {
  const count = accepts.length;
  const block = new Uint32Array(count);
  const members: number[][] = [[], []];
  accepts.forEach((accept, state) => members[block[state] = accept ? 1 : 0]!.push(state));
  const before = columns.map((column) => {
    const lists: number[][] = Array.from({ length: count }, () => []);
    column.forEach((target, state) => lists[target]!.push(state));
    return lists;
  });
  const waiting = new Set([0, 1]);
  for (const splitter of waiting) {
    waiting.delete(splitter);
    const targets = [...members[splitter]!];
    for (const lists of before) {
      const touched = new Map<number, number[]>();
      for (const target of targets) {
        for (const state of lists[target]!) {
          const list = touched.get(block[state]!);
          if (list) list.push(state);
          else touched.set(block[state]!, [state]);
        }
      }
      for (const [number, inside] of touched) {
        const all = members[number]!;
        if (inside.length === all.length) continue;
        const part = new Set(inside);
        const outside = all.filter((state) => !part.has(state));
        const fresh = members.length;
        const [kept, moved] = waiting.has(number) || inside.length > outside.length ? [inside, outside] : [outside, inside];
        members[number] = kept;
        members.push(moved);
        for (const state of moved) block[state] = fresh;
        waiting.add(fresh);
      }
    }
  }
  return block;
}

/** The smallest table of the same texts. @throws {TooLarge} */
function minimize({ next, accepts }: Bytes): Regex {
  const classes = numbered(Array.from({ length: BYTES }, (_, byte) => byte), (byte) => next.map((row) => row[byte]).join());
  const representatives = [...new Set(classes)].map((number) => classes.indexOf(number));
  const columns = representatives.map((byte) => Uint32Array.from(next, (row) => row[byte]!));
  const block = blocks(columns, accepts);
  const count = Math.max(...block) + 1;
  const example = new Int32Array(count).fill(-1);
  block.forEach((number, state) => example[number] = state);
  const stays = (number: number) => columns.every((column) => block[column[example[number]!]!] === number);
  const numbers = new Uint16Array(count);
  let free = 2;
  let accepting = 0;
  for (const accept of [false, true]) {
    if (accept) accepting = free;
    for (let number = 0; number < count; number++) {
      if (example[number]! < 0 || accepts[example[number]!] !== accept) continue;
      numbers[number] = stays(number) ? accept ? ALWAYS : NEVER : free++;
    }
  }
  if (free - 2 > MAX_STATES) throw new TooLarge();
  const rows = new Uint16Array(free * BYTES);
  rows.fill(ALWAYS, ALWAYS * BYTES, (ALWAYS + 1) * BYTES);
  for (let number = 0; number < count; number++) {
    const at = numbers[number]! * BYTES;
    if (example[number]! < 0 || numbers[number]! <= ALWAYS) continue;
    next[example[number]!]!.forEach((target, byte) => rows[at + byte] = numbers[block[target]!]!);
  }
  const first = accepts.length > 1 ? FIRST : MATCHED;
  return { rows, start: numbers[block[first]!]!, accepting };
}

function tableOf(alternatives: Alternatives, ignoreCase: boolean): Regex {
  const characters = determine(alternatives, ignoreCase);
  if (characters.next.length === 1) return { rows: new Uint16Array(2 * BYTES).fill(ALWAYS, BYTES), start: ALWAYS, accepting: 2 };
  return minimize(encode(characters));
}

/** Where the first part stands with which the expression is too large. */
function culprit(alternatives: Alternatives, ignoreCase: boolean): AST.Element | undefined {
  const isTooLarge = (alternatives: Alternatives): boolean => {
    try {
      tableOf(alternatives, ignoreCase);
      return false;
    } catch (error) {
      if (error instanceof TooLarge) return true;
      throw error;
    }
  };
  const first = (count: number, isEnough: (count: number) => boolean) => {
    let low = 1;
    while (low < count) {
      const middle = (low + count) >> 1;
      if (isEnough(middle)) count = middle;
      else low = middle + 1;
    }
    return low;
  };
  const part = first(alternatives.length, (count) => isTooLarge(alternatives.slice(0, count)));
  const [before, elements] = [alternatives.slice(0, part - 1), alternatives[part - 1]!];
  return elements[first(elements.length, (count) => isTooLarge([...before, elements.slice(0, count)])) - 1];
}

/**
 * The table of an expression in JavaScript's syntax, searched for anywhere in a text; a `.` is any character.
 *
 * @param flags "i" or ""
 * @throws {RegexError} wrong syntax, what no table can do, or too large a table
 */
export function compileRegex(source: string, flags: string): Regex {
  let pattern: AST.Pattern;
  try {
    pattern = new RegExpParser({ ecmaVersion: 2024 }).parsePattern(source, 0, source.length, { unicode: true });
  } catch (error) {
    if (!(error instanceof RegExpSyntaxError)) throw error;
    const reason = error.message.slice(`Invalid regular expression: /${source}/u: `.length);
    throw new RegexError(reason[0]!.toLowerCase() + reason.slice(1), error.index);
  }
  const alternatives = pattern.alternatives.map(({ elements }) => elements);
  try {
    return tableOf(alternatives, flags === "i");
  } catch (error) {
    if (!(error instanceof TooLarge)) throw error;
    const { raw, start } = culprit(alternatives, flags === "i") ?? { raw: source, start: 0 };
    throw new RegexError(`the expression is too large because of ${raw}: a table has at most ${MAX_STATES} states`, start);
  }
}
