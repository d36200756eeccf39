// SPDX-License-Identifier: BSD-2-Clause
/** A loaded BPF program and the passes over its table. */

import { closeSync, openSync } from "node:fs";
import { LAYOUT } from "../query/query.ts";
import { before, hasBtf, kernelHas, release } from "./kernel.ts";
import { everyNamespace, namespaceFile } from "./netns.ts";
import { cstring, type Handle, type Shim } from "./shim.ts";

/** How a row is written; each has a program of its own. */
export type Format = "text" | "csv" | "json" | "jsonl";
export const FORMATS: readonly Format[] = ["text", "csv", "json", "jsonl"];

/** Opens a library by its name; `needs` are the libraries that it needs, in the order of need. */
export type Libraries = (name: string, needs?: readonly string[]) => Shim;

/** The step at which the kernel or the system refused. */
export type Step = "open" | "configure" | "load" | "attach" | "netns" | "iter_create" | "read" | "write" | "pin" | "wait";

/** A step failed; `errno` is positive, 0 where the system gave none. */
export class TaskIterError extends Error {
  override name = "TaskIterError";
  constructor(readonly step: Step, readonly errno: number, message: string, readonly log = "") {
    super(message);
  }
}

/** Errno values that this project decides by (asm-generic/errno-base.h, errno.h). */
export const EPERM = 1;
export const EINTR = 4;
export const E2BIG = 7;
export const EAGAIN = 11;
export const EACCES = 13;
export const EINVAL = 22;
export const ENFILE = 23;
export const EMFILE = 24;
export const EOPNOTSUPP = 95;

/** A program to load. */
export interface Request {
  table: string;
  format: Format;
  /** The constant query (`encode`). */
  query: Uint8Array;
  /** It asks for columns shown by default and has no predicate: a smaller program answers it. */
  plain?: boolean | undefined;
  /** A column of symbols that the predicate compares, which not every kernel can. */
  compared?: string | undefined;
  /** Narrow the walk to a process or thread where the kernel can (Linux 6.1); the query's predicate must say it too. */
  pid?: number | undefined;
  tid?: number | undefined;
  /** The query without its predicate, where that says nothing but `pid` and the plain program answers the rest. */
  narrowed?: Uint8Array | undefined;
  /** The BPF map whose elements are read, by its ID. */
  map?: number | undefined;
  /** The network namespace to walk, a path or a process's ID; `all` for all of them; the current one otherwise. */
  netns?: string | undefined;
  /** Walk the tree of control groups. */
  cgroups?: boolean | undefined;
  /** Keep the verifier's log; or of it only the line with the numbers, which costs next to nothing. */
  verbose?: boolean | "numbers" | undefined;
  /** Take no other way of loading than by libbpf, as on a kernel that cannot run a light skeleton; or, `false`, than by that. */
  libbpf?: boolean | undefined;
}

type Library = Pick<Request, "table" | "format" | "plain" | "narrowed">;

/** The library that holds the light skeleton for `request`. */
export const libraryOf = ({ table, format, plain, narrowed }: Library): string =>
  `${table}.${format}${plain || narrowed ? ".plain" : ""}.so`;

const NEEDED_BY_LIBBPF = ["libz.so.1", "libelf.so.1", "libbpf.so.1"];

/**
 * Bytes per read. The kernel stops as soon as it has as many, so that nearly no row is formatted twice: with reads of its whole
 * 32 KiB buffer, the last row of each does not fit and is made again.
 */
const READ_SIZE = 16 * 1024;

/**
 * Whether a walk can be narrowed to a thread: from 6.1 to 6.11 the kernel took its number for a process's and found only leaders
 * (9495a5b731fc, "bpf: Fix iter/task tid filtering").
 */
const findsThreads = (): boolean => !before(release(), "6.12");

/** Whether programs can have symbols as strings, by bpf_snprintf. Without BTF the load will say what is missing. */
const comparesSymbols = (): boolean => !before(release(), "5.13") || !hasBtf() || kernelHas()("BPF_FUNC_snprintf");

export class Program implements Disposable {
  /** The log of a verbose load. */
  log = "";
  /** Whether the light skeleton served. */
  readonly light: boolean;
  readonly #shim: Shim;
  readonly #handle: Handle;
  readonly #counts = new BigUint64Array(2);
  /** Elements and rows of the places of this pass that are done with. */
  #past = { walked: 0, rows: 0 };
  /** Descriptor of the one network namespace to walk. */
  #netns: number | undefined;
  readonly #everyNetns: boolean;
  /** What a pass walks one after the other: files of network namespaces, or `undefined` for what needs none named. */
  #places: (string | undefined)[] = [];
  /** Which of them it is at, and the descriptor of its rows. */
  #place = 0;
  #rows = -1;

  private constructor(shim: Shim, handle: Handle, light: boolean, everyNetns: boolean) {
    this.#shim = shim;
    this.#handle = handle;
    this.light = light;
    this.#everyNetns = everyNetns;
  }

  /**
   * Opens, configures, loads and attaches.
   *
   * @throws {TaskIterError} a step was refused
   */
  static load(libraries: Libraries, request: Request): Program {
    const name = cstring(`${request.table.replaceAll("-", "_")}_${request.format}`);
    if (request.compared !== undefined && !comparesSymbols()) {
      // The program would find every symbol absent (bpf/symbol.h), and no row.
      throw new TaskIterError(
        "configure",
        EOPNOTSUPP,
        `kernel ${release()} cannot compare the symbols of ${request.compared} (Linux 5.13 or later): leave that column out of --where`,
      );
    }
    if (!request.libbpf) {
      try {
        return Program.#start(libraries(libraryOf(request)), name, request, true);
      } catch (error) {
        if (request.narrowed && error instanceof TaskIterError && error.step === "attach" && error.errno === E2BIG) {
          return Program.load(libraries, { ...request, narrowed: undefined });
        }
        // Before 5.11 even EPERM may mean only that: maps count against RLIMIT_MEMLOCK, which libbpf raises.
        if (!(error instanceof TaskIterError) || error.step !== "load" || request.libbpf === false) throw error;
        // The other way takes more descriptors, and would fail for a reason less clear.
        if (error.errno === EMFILE || error.errno === ENFILE) throw error;
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
    const program = new Program(shim, handle, light, request.netns === "all");
    const verbosity = request.verbose === "numbers" ? 4 : request.verbose ? 1 : 0;
    try {
      const query = light && request.narrowed || request.query;
      program.#check("configure", shim.configure(handle, query, query.length, verbosity));
      program.#check("load", shim.load(handle));
      if (request.verbose) program.log = shim.log(handle);
      const map = request.map ?? 0;
      const tid = request.tid && findsThreads() ? request.tid : 0;
      let result = request.cgroups ? shim.attach_cgroups(handle) : shim.attach(handle, request.pid ?? 0, tid, map);
      // Before 6.1 a walk has no arguments.
      if (result === -E2BIG && !map && query === request.query) result = shim.attach(handle, 0, 0, 0);
      program.#check("attach", result);
      if (request.netns !== undefined) program.#chooseNetns(request.netns);
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

  /** Opens the namespace, or for `all` the own one, and enters it once: what is wrong is known before any row is written. */
  #chooseNetns(which: string): void {
    const path = which === "all" ? "/proc/self/ns/net" : namespaceFile(which);
    try {
      this.#netns = openSync(path, "r");
    } catch (error) {
      const { code, errno, message } = error as NodeJS.ErrnoException;
      const reason = code === "EACCES"
        ? "not permitted: CAP_SYS_PTRACE is missing for a namespace of other users' processes"
        : code !== "ENOENT"
        ? message
        : path === which
        ? "no such file"
        : `there is no process ${which}`;
      throw new TaskIterError("netns", Math.abs(errno ?? 0), `network namespace ${path}: ${reason}`);
    }
    this.#shim.close(this.#createIn(this.#netns, path));
  }

  #createIn(netns: number, path: string): number {
    const result = this.#shim.create_in(this.#handle, netns);
    if (result >= 0) return result;
    const reason = result === -EINVAL
      ? "it is no network namespace"
      : result === -EPERM
      ? "not permitted: CAP_SYS_ADMIN is missing"
      : this.#shim.error(this.#handle);
    throw new TaskIterError("netns", -result, `network namespace ${path}: ${reason}`);
  }

  /** A descriptor with the rows of the next place of {@linkcode Program.begin}; -1 where it is gone. */
  #open(place: string | undefined): number {
    if (place === undefined) {
      return this.#netns === undefined
        ? this.#check("iter_create", this.#shim.create(this.#handle))
        : this.#createIn(this.#netns, "");
    }
    let netns;
    try {
      netns = openSync(place, "r");
    } catch {
      return -1;
    }
    try {
      return this.#createIn(netns, place);
    } finally {
      closeSync(netns);
    }
  }

  /** Begins a pass over the table; one that is under way ends. (No generator: a runtime's first one takes 0.15 ms of a start.) */
  begin(): void {
    this.end();
    this.#past = { walked: 0, rows: 0 };
    this.#places = this.#everyNetns ? everyNamespace() : [undefined];
    this.#place = 0;
  }

  /** Whether the pass is at its end. */
  get ended(): boolean {
    return this.#place === this.#places.length;
  }

  /** Ends the pass where it is. */
  end(): void {
    this.#leave();
    this.#place = this.#places.length;
  }

  /**
   * Reads on into `buffer`, behind the `used` bytes that it holds, until they are `enough` or the pass ends.
   *
   * @returns how many bytes it holds
   * @throws {TaskIterError} the kernel refused the iterator, or a read failed: the pass has ended
   */
  fill(buffer: Uint8Array, used: number, enough: number): number {
    try {
      while (!this.ended && used < enough) used += this.#readOn(buffer.subarray(used, used + READ_SIZE));
      return used;
    } catch (error) {
      this.end();
      throw error;
    }
  }

  /** One read, of whatever the pass is at. @returns how many bytes */
  #readOn(buffer: Uint8Array): number {
    if (this.#rows < 0) this.#rows = this.#open(this.#places[this.#place]);
    if (this.#rows < 0) return this.#leave();
    let read = this.#read(this.#rows, buffer);
    if (read === -EOPNOTSUPP) {
      // A walk over cgroups has no second buffer. One that came to nothing will not come further.
      const next = this.#check("iter_create", this.#shim.resume(this.#handle));
      this.#shim.close(this.#rows);
      this.#rows = next;
      read = this.#read(next, buffer);
    }
    return this.#check("read", read) || this.#leave();
  }

  /** On to the next place. */
  #leave(): 0 {
    if (this.#rows >= 0) {
      this.#past = this.progress();
      this.#shim.close(this.#rows);
      this.#rows = -1;
    }
    this.#place++;
    return 0;
  }

  #read(fd: number, buffer: Uint8Array): number {
    for (;;) {
      const read = this.#shim.read(this.#handle, fd, buffer, buffer.length);
      // EAGAIN: a million elements in a row made no output.
      if (read !== -EAGAIN && read !== -EINTR) return read;
    }
  }

  /**
   * Writes all of `bytes`, however little the descriptor takes at a time.
   *
   * @throws {TaskIterError} a closed pipe, a full disk
   */
  write(fd: number, bytes: Uint8Array): void {
    this.#check("write", this.#shim.write(this.#handle, fd, bytes, bytes.length));
  }

  /** What the last pass walked and kept: elements, rows. */
  progress(): { walked: number; rows: number } {
    if (this.#rows < 0) return this.#past;
    this.#shim.progress(this.#handle, this.#counts);
    return { walked: this.#past.walked + Number(this.#counts[0]), rows: this.#past.rows + Number(this.#counts[1]) };
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
   * `ms` milliseconds are over, or half an hour. After a signal has come, later waits are about `fd` only.
   */
  wait(fd: number, bytes: number, ms: number): { state: "nothing" | "writable" | "gone"; signal: number } {
    const result = this.#check("wait", this.#shim.wait(fd, bytes, Math.min(Math.ceil(ms * 1000), 0x7fffffff)));
    return { state: (["nothing", "writable", "gone"] as const)[result & 0xff]!, signal: result >> 8 };
  }

  /** Bytes of the program after the verifier: what it kept of the columns and comparisons. */
  get size(): number {
    return this.#shim.program_size(this.#handle);
  }

  close(): void {
    this.end();
    if (this.#netns !== undefined) closeSync(this.#netns);
    this.#netns = undefined;
    this.#shim.free(this.#handle);
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
