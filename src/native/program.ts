// SPDX-License-Identifier: BSD-2-Clause
/** A BPF program in the kernel, attached to its table. */

import type { Step } from "../errors.ts";
import { check, cstring, type Handle, type Shim } from "./shim.ts";
import type { Walk } from "./walk.ts";

/** The result of load.ts. */
export class Program implements Disposable {
  /** Whether the loader program was used, not libbpf. */
  readonly light: boolean;
  /** The log of a verbose load. */
  readonly log: string;
  /** Its passes. */
  readonly walk: Walk;
  readonly #shim: Shim;
  readonly #handle: Handle;

  constructor(shim: Shim, handle: Handle, light: boolean, log: string, walk: Walk) {
    this.#shim = shim;
    this.#handle = handle;
    this.light = light;
    this.log = log;
    this.walk = walk;
  }

  #check(step: Step, result: number): number {
    return check(this.#shim, this.#handle, step, result);
  }

  /**
   * Writes all of `bytes`, with as many writes as the descriptor needs.
   *
   * @throws {TaskIterError} a closed pipe, a full disk
   */
  write(fd: number, bytes: Uint8Array): void {
    this.#check("write", this.#shim.write(this.#handle, fd, bytes, bytes.length));
  }

  /**
   * The first members in the rows of the next pass (jsonl): `t`, the time by RFC 3339, and what is constant.
   *
   * @throws {TaskIterError} they have more bytes than the program has room for
   */
  stamp(members: Readonly<{ t: string; [name: string]: string }>): void {
    this.#check("configure", this.#shim.stamp(this.#handle, cstring(JSON.stringify(members).slice('{"t":'.length, -1))));
  }

  /**
   * Pins the link: afterwards a read of `path` is a pass.
   *
   * @throws {TaskIterError} `path` is not in bpffs, or is there already
   */
  pin(path: string): void {
    this.#check("pin", this.#shim.pin(this.#handle, cstring(path)));
  }

  /** From now on SIGINT, SIGTERM and SIGHUP do not end the process: {@linkcode Program.wait} reports them. */
  interrupts(): void {
    this.#check("wait", this.#shim.interrupts(this.#handle));
  }

  /**
   * Waits until `bytes` can be written to `fd` at once (0: nothing is to be written), nobody reads it any more, a signal comes, or
   * `ms` milliseconds are over, or half an hour. After a signal has come, later waits are about `fd` only.
   */
  wait(fd: number, bytes: number, ms: number): { state: "nothing" | "writable" | "gone"; signal: number } {
    const result = this.#check("wait", this.#shim.wait(this.#handle, fd, bytes, Math.min(Math.ceil(ms * 1000), 0x7fffffff)));
    return { state: (["nothing", "writable", "gone"] as const)[result & 0xff]!, signal: result >> 8 };
  }

  /** Bytes of the program after verification, without the columns and comparisons that the verifier has removed. */
  get size(): number {
    return this.#shim.program_size(this.#handle);
  }

  close(): void {
    this.walk.close();
    this.#shim.free(this.#handle);
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
