// SPDX-License-Identifier: BSD-2-Clause
/** Arguments of options, understood or refused. */

import { InvalidArgumentError } from "@commander-js/extra-typings";
import { nearest } from "../query/where.ts";

const UNITS: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** Milliseconds. */
export function duration(text: string): number {
  const match = /^([0-9]+(?:\.[0-9]+)?)(ms|s|m|h)$/.exec(text);
  const ms = match ? Number(match[1]) * UNITS[match[2]!]! : 0;
  if (ms <= 0) throw new InvalidArgumentError("a duration is 500ms, 2s or 1m.");
  return ms;
}

export function positive(text: string): number {
  const number = Number(text);
  if (!/^[0-9]+$/.test(text) || number < 1 || number > 0x7fffffff) throw new InvalidArgumentError("it is a positive number.");
  return number;
}

/** One of `words`, with the one that was probably meant when it is none. */
export function oneOf<T extends string>(words: readonly T[]): (text: string) => T {
  return (text) => {
    const word = words.find((word) => word === text);
    if (word !== undefined) return word;
    const near = nearest(text, words);
    throw new InvalidArgumentError(`${near ? `Did you mean ${near}? ` : ""}It is one of ${words.join(", ")}.`);
  };
}
