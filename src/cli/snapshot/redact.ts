// SPDX-License-Identifier: BSD-2-Clause
/** `--redact`: what a snapshot leaves out so that it may be shown to others. SECURITY.md says what remains. */

import { isIP } from "node:net";

/** Stands for what was left out. */
export const REDACTED = "[redacted]";

/** Below a folder of that name, also where another root has it, a path says whose files these are. */
const PRIVATE = /(\/(?:home|root)\/)[^]+?( \(deleted\))?$/;

/** What may be an address: digits and letters of one, with its dots or colons, not within a longer word. */
const ADDRESS = /(?<![\w.:-])(?:[0-9]{1,3}(?:\.[0-9]{1,3}){3}|[0-9a-fA-F:]*:[0-9a-fA-F:.]*)(?![\w:])/g;

/** Addresses that say nothing about a network: unspecified, and the loopback. */
const COMMON = /^(0\.0\.0\.0|127\.[0-9.]+|::1?|::ffff:(0\.0\.0\.0|127\.[0-9.]+))$/i;

/** The columns with command lines. */
const COMMANDS: readonly string[] = ["cmdline"];

/** Replaces command lines, paths below /home and /root, and network addresses. */
export class Redactor {
  readonly #addresses = new Map<string, string>();

  /** The same address has the same number everywhere in a snapshot, so that both ends of a connection still meet. */
  #address(address: string): string {
    if (COMMON.test(address) || isIP(address) === 0) return address;
    const key = address.toLowerCase();
    const known = this.#addresses.get(key) ?? `[address ${this.#addresses.size + 1}]`;
    this.#addresses.set(key, known);
    return known;
  }

  text(text: string): string {
    if (!/[/:.]/.test(text)) return text;
    return text
      .replace(PRIVATE, (_, folder, deleted) => `${folder}${REDACTED}${deleted ?? ""}`)
      .replace(ADDRESS, (address) => this.#address(address));
  }

  /** A line of JSON, a row as the kernel's program writes it. */
  line(line: string): string {
    return line.replace(/"(\w+)":"((?:[^"\\]|\\.)*)"/g, (_, column, value) => {
      const kept = value !== "" && COMMANDS.includes(column) ? REDACTED : this.text(value);
      return `"${column}":"${kept}"`;
    });
  }
}
