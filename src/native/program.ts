// SPDX-License-Identifier: BSD-2-Clause
/** A loaded BPF program and the passes over its table. */

import { closeSync, readSync } from "node:fs";
import { LAYOUT } from "../query/query.ts";
import { cstring, type Handle, type Shim } from "./shim.ts";

/** How a row is written; each has a program of its own. */
export type Format = "text" | "csv" | "json" | "jsonl";
export const FORMATS: readonly Format[] = ["text", "csv", "json", "jsonl"];

/** Opens a library by its name; `needs` are the libraries that it needs, in the order of need. */
export type Libraries = (name: string, needs?: readonly string[]) => Shim;

/** The step at which the kernel or the system refused. */
export type Step = "open" | "configure" | "load" | "attach" | "iter_create" | "read" | "pin" | "wait";

/** A step failed; `errno` is positive, 0 where the system gave none. */
export class TaskIterError extends Error {
  override name = "TaskIterError";
  constructor(readonly step: Step, readonly errno: number, message: string, readonly log = "") {
    super(message);
  }
}

/** Errno values that this project decides by (asm-generic/errno-base.h, errno.h). */
export const EPERM = 1;
export const E2BIG = 7;
export const EACCES = 13;
export const EINVAL = 22;

/** A program to load. */
export interface Request {
  table: string;
  format: Format;
  /** The constant query (`encode`). */
  query: Uint8Array;
  /** Narrow the walk to a process or thread where the kernel can (Linux 6.1); the query's predicate must say it too. */
  pid?: number | undefined;
  tid?: number | undefined;
  /** The BPF map whose elements are read, by its ID. */
  map?: number | undefined;
  /** Keep the verifier's log. */
  verbose?: boolean | undefined;
  /** Skip the light skeleton, as on a kernel that cannot run it. */
  libbpf?: boolean | undefined;
}

const NEEDED_BY_LIBBPF = ["libz.so.1", "libelf.so.1", "libbpf.so.1"];

/**
 * Bytes per read. The kernel stops as soon as it has as many, so that nearly no row is formatted twice: with reads of its whole
 * 32 KiB buffer, the last row of each does not fit and is made again.
 */
const READ_SIZE = 16 * 1024;

export class Program implements Disposable {
  /** The log of a verbose load. */
  log = "";
  /** Whether the light skeleton served. */
  readonly light: boolean;
  readonly #shim: Shim;
  readonly #handle: Handle;
  readonly #counts = new BigUint64Array(2);

  private constructor(shim: Shim, handle: Handle, light: boolean) {
    this.#shim = shim;
    this.#handle = handle;
    this.light = light;
  }

  /**
   * Opens, configures, loads and attaches.
   *
   * @throws {TaskIterError} a step was refused
   */
  static load(libraries: Libraries, request: Request): Program {
    const name = cstring(`${request.table.replaceAll("-", "_")}_${request.format}`);
    if (!request.libbpf) {
      try {
        return Program.#start(libraries(`${request.table}.${request.format}.so`), name, request, true);
      } catch (error) {
        // What the other way of loading would be refused for as well.
        if (!(error instanceof TaskIterError) || error.errno === EPERM || error.step !== "load") throw error;
      }
    }
    return Program.#start(libraries("libbpf.so", NEEDED_BY_LIBBPF), name, request, false);
  }

  static #start(shim: Shim, name: Uint8Array, request: Request, light: boolean): Program {
    const version = shim.version();
    if (version !== LAYOUT) {
      const [have, want] = [version, LAYOUT].map((layout) => `${layout >>> 16} of ${layout & 0xffff} bytes`);
      throw new TaskIterError("open", 0, `the library's query layout is ${have}, this program's ${want}: build both anew`);
    }
    const handle = shim.open(name);
    if (!handle) throw new TaskIterError("open", 0, "the library does not hold the program");
    const program = new Program(shim, handle, light);
    try {
      program.#check("configure", shim.configure(handle, request.query, request.query.length, request.verbose ? 1 : 0));
      program.#check("load", shim.load(handle));
      if (request.verbose) program.log = shim.log(handle);
      const map = request.map ?? 0;
      let result = shim.attach(handle, request.pid ?? 0, request.tid ?? 0, map);
      if (result === -E2BIG && !map) result = shim.attach(handle, 0, 0, 0); // before 6.1 a walk has no arguments
      program.#check("attach", result);
    } catch (error) {
      program.close();
      throw error;
    }
    return program;
  }

  #check(step: Step, result: number): number {
    if (result >= 0) return result;
    throw new TaskIterError(step, -result, this.#shim.error(this.#handle), this.#shim.log(this.#handle));
  }

  /**
   * One pass over the table, from its beginning: reads into `buffer` and yields how many bytes it now holds, each time they are
   * `enough` and at the end. The caller takes bytes away by returning how many remain, moved to the front.
   *
   * @throws {TaskIterError} the kernel refused the iterator, or a read failed
   */
  *pass(buffer: Uint8Array, enough: number): Generator<number, void, number> {
    const fd = this.#check("iter_create", this.#shim.create(this.#handle));
    try {
      let used = 0;
      for (;;) {
        const read = readRetrying(fd, buffer, used, Math.min(READ_SIZE, buffer.length - used));
        used += read;
        if (read === 0 || used >= enough) used = (yield used) ?? 0;
        if (read === 0) return;
      }
    } finally {
      closeSync(fd);
    }
  }

  /** What the last pass walked and kept: elements, rows. */
  progress(): { walked: number; rows: number } {
    this.#shim.progress(this.#handle, this.#counts);
    return { walked: Number(this.#counts[0]), rows: Number(this.#counts[1]) };
  }

  /** The time in the rows of the next pass (jsonl): RFC 3339. */
  stamp(time: string): void {
    this.#shim.stamp(this.#handle, cstring(JSON.stringify(time)));
  }

  /**
   * Pins the link: afterwards a read of `path` is a pass.
   *
   * @throws {TaskIterError} `path` is not in bpffs, or is there already
   */
  pin(path: string): void {
    this.#check("pin", this.#shim.pin(this.#handle, cstring(path)));
  }

  /** From now on a signal that asks to end does not end the process: {@linkcode Program.wait} says that it came. */
  interrupts(): void {
    this.#check("wait", this.#shim.interrupts());
  }

  /**
   * Waits until `bytes` can be written to `fd` at once (0: nothing is to be written), nobody reads it any more, a signal comes, or
   * `ms` are over. After a signal has come, later waits are about `fd` only.
   */
  wait(fd: number, bytes: number, ms: number): { state: "nothing" | "writable" | "gone"; signal: number } {
    const result = this.#check("wait", this.#shim.wait(fd, bytes, Math.min(ms, 0x7fffffff)));
    return { state: (["nothing", "writable", "gone"] as const)[result & 0xff]!, signal: result >> 8 };
  }

  /** Bytes of the program after the verifier: what it kept of the columns and comparisons. */
  get size(): number {
    return this.#shim.program_size(this.#handle);
  }

  close(): void {
    this.#shim.free(this.#handle);
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

function readRetrying(fd: number, buffer: Uint8Array, offset: number, length: number): number {
  for (;;) {
    try {
      return readSync(fd, buffer, offset, length, null);
    } catch (error) {
      const { code, errno, message } = error as NodeJS.ErrnoException;
      // EAGAIN: a million elements in a row made no output.
      if (code !== "EAGAIN" && code !== "EINTR") throw new TaskIterError("read", Math.abs(errno ?? 0), `read: ${message}`);
    }
  }
}
