// SPDX-License-Identifier: BSD-2-Clause
/**
 * Sets of Unicode characters as regular expressions name them. Properties and the relation of upper and lower case come from the
 * runtime's own regular expressions, so that the project carries no tables of Unicode, which are larger than everything else of it.
 */

import type { AST } from "@eslint-community/regexpp";

/** Ranges of code points in order, each from its first to its last one; none touches the next. */
export type CharacterSet = readonly (readonly [number, number])[];

export const LAST = 0x10ffff;

/** No text has surrogates. */
export const SURROGATES = [0xd800, 0xdfff] as const;

/** The characters of any of `sets`. */
export function union(...sets: CharacterSet[]): CharacterSet {
  const result: [number, number][] = [];
  for (const [first, last] of sets.flat().sort((a, b) => a[0] - b[0])) {
    const previous = result.at(-1);
    if (previous && first <= previous[1] + 1) previous[1] = Math.max(previous[1], last);
    else result.push([first, last]);
  }
  return result;
}

/** All other characters. */
export function complement(set: CharacterSet): CharacterSet {
  const result: [number, number][] = [];
  let from = 0;
  for (const [first, last] of union(set, [SURROGATES])) {
    if (first > from) result.push([from, first - 1]);
    from = last + 1;
  }
  if (from <= LAST) result.push([from, LAST]);
  return result;
}

export const EVERY: CharacterSet = complement([]);

const SETS: Readonly<Record<"digit" | "word" | "space", CharacterSet>> = {
  digit: [[0x30, 0x39]],
  word: [[0x30, 0x39], [0x41, 0x5a], [0x5f, 0x5f], [0x61, 0x7a]],
  space: union(
    [[9, 13], [0x20, 0x20], [0xa0, 0xa0], [0x1680, 0x1680], [0x2000, 0x200a]],
    [[0x2028, 0x2029], [0x202f, 0x202f], [0x205f, 0x205f], [0x3000, 0x3000], [0xfeff, 0xfeff]],
  ),
};

let text: string | undefined;

/** The characters that the runtime finds with `source`, a class of characters: it searches a text of all of them. */
function found(source: string): CharacterSet {
  text ??= EVERY.map(([first, last]) => {
    let part = "";
    for (let from = first; from <= last; from += 4096) {
      part += String.fromCodePoint(...Array.from({ length: Math.min(4096, last - from + 1) }, (_, i) => from + i));
    }
    return part;
  }).join("");
  const surrogates = SURROGATES[1] - SURROGATES[0] + 1;
  const [basic, plane] = [0x10000 - surrogates, 0x10000];
  const at = (index: number) => index >= basic ? plane + (index - basic) / 2 : index < SURROGATES[0] ? index : index + surrogates;
  const ranges: [number, number][] = [];
  for (const { 0: run, index } of text.matchAll(new RegExp(`${source}+`, "gu"))) {
    const end = index + run.length;
    ranges.push([at(index), at(end) - 1]);
  }
  // The runs end where the text leaves out the surrogates, or go on behind them.
  return ranges.flatMap(([first, last]): [number, number][] =>
    first < SURROGATES[0] && last >= SURROGATES[0]
      ? last > SURROGATES[1] ? [[first, SURROGATES[0] - 1], [SURROGATES[1] + 1, last]] : [[first, SURROGATES[0] - 1]]
      : [[first, last]]
  );
}

let relatives: ReadonlySet<ReadonlySet<string>> | undefined;

/** Groups of characters that may be the same one in another case, and of texts that such characters become. */
function related(): ReadonlySet<ReadonlySet<string>> {
  if (relatives) return relatives;
  const groups = new Map<string, Set<string>>();
  for (const [first, last] of found("[\\p{Changes_When_Casemapped}\\p{Changes_When_Casefolded}]")) {
    for (let point = first; point <= last; point++) {
      const char = String.fromCodePoint(point);
      const forms = [char, char.toLowerCase(), char.toUpperCase()];
      const group = new Set(forms.flatMap((form) => [...groups.get(form) ?? [form]]));
      for (const form of group) groups.set(form, group);
    }
  }
  return relatives = new Set(groups.values());
}

/** The set with the characters that are the same as one of its own in another case. */
function withCases(set: CharacterSet): CharacterSet {
  const added: [number, number][] = [];
  if (set.every(([, last]) => last < 0x80)) {
    // The usual case does without the search: besides letters of ASCII, the Kelvin sign is a k, and the long s an s.
    for (const [first, last] of set) {
      for (let point = first; point <= last; point++) {
        const lower = String.fromCharCode(point).toLowerCase();
        for (const other of [lower, lower.toUpperCase(), ...(lower === "k" ? ["\u212a"] : lower === "s" ? ["\u017f"] : [])]) {
          added.push([other.charCodeAt(0), other.charCodeAt(0)]);
        }
      }
    }
    return union(set, added);
  }
  const has = (point: number) => set.some(([first, last]) => first <= point && point <= last);
  for (const group of related()) {
    const chars = [...group].filter((form) => String.fromCodePoint(form.codePointAt(0)!) === form);
    const inside = chars.filter((char) => has(char.codePointAt(0)!));
    if (inside.length === 0 || inside.length === chars.length) continue;
    const same = new RegExp(`^[${inside.map((char) => `\\u{${char.codePointAt(0)!.toString(16)}}`).join("")}]$`, "iu");
    for (const char of chars) if (same.test(char)) added.push([char.codePointAt(0)!, char.codePointAt(0)!]);
  }
  return union(set, added);
}

/** The characters of one element, or of an element of a class. */
function plain(
  element: AST.Character | AST.CharacterSet | AST.ClassRangesCharacterClassElement,
  ignoreCase: boolean,
): CharacterSet {
  switch (element.type) {
    case "Character":
      return [[element.value, element.value]];
    case "CharacterClassRange":
      return [[element.min.value, element.max.value]];
    case "CharacterSet": {
      if (element.kind === "any") return EVERY;
      if (element.kind === "property") return found(element.raw);
      const set = element.kind === "word" && ignoreCase ? withCases(SETS.word) : SETS[element.kind];
      return element.negate ? complement(set) : set;
    }
  }
}

/** The characters that `element` matches. */
export function charactersOf(element: AST.Character | AST.CharacterSet | AST.CharacterClass, ignoreCase: boolean): CharacterSet {
  const parts = element.type === "CharacterClass" ? element.elements as AST.ClassRangesCharacterClassElement[] : [element];
  const set = union(...parts.map((part) => plain(part, ignoreCase)));
  const full = ignoreCase ? withCases(set) : set;
  // Twice the complement: without surrogates.
  return element.type === "CharacterClass" && element.negate ? complement(full) : complement(complement(full));
}
