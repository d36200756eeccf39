// SPDX-License-Identifier: BSD-2-Clause
/** Stacks as a tree, as a flame graph draws them. */

/** A frame and what it called; `value` counts the threads in it or below. */
export interface Frame {
  name: string;
  value: number;
  children: Frame[];
}

/** Of a thread that runs, or that ended, the kernel has no stack. */
const NO_STACK = "(no kernel stack)";

/** A frame without its place in the function, so that two calls from one function are one frame. */
const symbolOf = (frame: string): string => frame.replace(/\+0x[0-9a-f]+\/0x[0-9a-f]+/, "");

/**
 * The tree of `stacks`: name of the thread, frames from the innermost, number of threads. Below the root are the names, below
 * them the frames from the outermost. Children are in the order of the alphabet.
 */
export function treeOf(stacks: Iterable<readonly [comm: string, frames: readonly string[], count: number]>): Frame {
  const root: Frame = { name: "all threads", value: 0, children: [] };
  const index = new Map<Frame, Map<string, Frame>>();
  for (const [comm, frames, count] of stacks) {
    let at = root;
    at.value += count;
    const way = frames.length > 0 ? frames.map(symbolOf).reverse() : [NO_STACK];
    for (const name of [comm, ...way]) {
      const known: Map<string, Frame> = index.get(at) ?? new Map();
      index.set(at, known);
      let next = known.get(name);
      if (!next) {
        next = { name, value: 0, children: [] };
        known.set(name, next);
        at.children.push(next);
      }
      next.value += count;
      at = next;
    }
  }
  for (const { children } of index.keys()) children.sort((a, b) => a.name < b.name ? -1 : 1);
  return root;
}

/** A name as people should see it: control characters and those that turn the direction of writing become escapes. */
export function visible(text: string): string {
  // deno-lint-ignore no-control-regex
  return text.replace(/[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]/gu, (character) => {
    const code = character.codePointAt(0)!;
    return code < 0x100 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u{${code.toString(16)}}`;
  });
}

/** The colour of a frame, warm, the same for the same name. */
export function colorOf(name: string): string {
  let hash = 2166136261;
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 16777619);
  const part = (hash >>> 0) % 1000 / 1000;
  return `hsl(${Math.round(8 + 42 * part)} ${Math.round(75 + 15 * part)}% ${Math.round(62 + 10 * part)}%)`;
}
