// SPDX-License-Identifier: BSD-2-Clause
/** Programs that are loaded before they are asked for. A module of its own: a plain read starts earlier without the class. */

import { readFileSync } from "node:fs";
import { TaskIterError } from "../errors.ts";
import type { Request } from "../query/request.ts";
import { configured, type Libraries, LIGHT, lightQuery, programOf } from "./load.ts";
import type { Handle, Shim } from "./shim.ts";

/** How many programs may be loading or loaded: enough for a table of many rows, which this thread reads meanwhile. */
const MOST = 6;

/** For one of them more: it has a dozen descriptors or two, and other code wants some. */
const DESCRIPTORS = 128;

function most(): number {
  const limit = Number(/^Max open files\s+([0-9]+)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1] ?? 0);
  return Math.min(MOST, Math.floor(limit / DESCRIPTORS));
}

/** What a handle is loaded with. */
const keyOf = (request: Request): string => `${programOf(request)} ${lightQuery(request)}`;

/**
 * Opens each library once, for many programs, and loads the programs in threads of the library, several at once, while this thread reads
 * the rows of those before.
 */
export class Ahead implements Libraries, Disposable {
  readonly open: Libraries["open"];
  readonly program: Libraries["program"];
  readonly #requests: Iterator<Request>;
  readonly #begun = new Map<string, Handle>();
  #most: number;

  /**
   * @param requests in the order in which they will be asked for; all of them will be, and none with a log. A generator makes each
   * one when its load can begin
   */
  constructor(libraries: Libraries, requests: Iterable<Request>) {
    const opened = new Map<string, Shim>();
    this.open = (name) => {
      const shim = opened.get(name) ?? libraries.open(name);
      opened.set(name, shim);
      return shim;
    };
    this.program = (name) => libraries.program(name);
    this.#requests = requests[Symbol.iterator]();
    this.#most = Array.isArray(requests) && requests.length < 2 ? 0 : most();
    this.#begin();
  }

  #begin(): void {
    while (this.#begun.size < this.#most) {
      const { value: request, done } = this.#requests.next();
      if (done) return;
      const key = keyOf(request);
      if (this.#begun.has(key)) continue;
      const shim = this.open(LIGHT);
      try {
        const handle = configured(shim, this.program(programOf(request)), request, true);
        if (shim.begin(handle) < 0) shim.free(handle);
        else this.#begun.set(key, handle);
      } catch (error) {
        if (!(error instanceof TaskIterError)) throw error; // the load that is asked for will say so
      }
    }
  }

  begun(request: Request): Handle | undefined {
    const key = keyOf(request);
    const handle = this.#begun.get(key);
    this.#begun.delete(key);
    this.#begin();
    return handle;
  }

  /** Ends all loads that nobody has asked for. */
  [Symbol.dispose](): void {
    this.#most = 0;
    for (const handle of this.#begun.values()) this.open(LIGHT).free(handle);
    this.#begun.clear();
  }
}
