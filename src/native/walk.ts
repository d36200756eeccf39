// SPDX-License-Identifier: BSD-2-Clause
/** Passes over a table: the kernel's rows, read from one iterator after the other. */

import { closeSync, openSync } from "node:fs";
import { EAGAIN, EINTR, EINVAL, EOPNOTSUPP, EPERM, TaskIterError } from "../errors.ts";
import { everyNamespace, openNamespace } from "./netns.ts";
import { check, type Handle, type Shim } from "./shim.ts";

/**
 * Bytes per read. The kernel stops as soon as it has as many, so that nearly no row is formatted twice: with reads of its whole
 * 32 KiB buffer, the last row of each does not fit and is made again.
 */
const READ_SIZE = 16 * 1024;

/** The passes of one loaded and attached program. */
export class Walk {
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

  /** @throws {TaskIterError} `netns` cannot be opened or entered: that is known before any row is written */
  constructor(shim: Shim, handle: Handle, netns: string | undefined) {
    this.#shim = shim;
    this.#handle = handle;
    this.#everyNetns = netns === "all";
    if (netns === undefined) return;
    const { fd, path } = openNamespace(netns);
    this.#netns = fd;
    try {
      shim.close(this.#createIn(fd, path));
    } catch (error) {
      this.close();
      throw error;
    }
  }

  #createIn(netns: number, path: string): number {
    const result = this.#shim.create_in(this.#handle, netns);
    if (result >= 0) return result;
    const reason = result === -EINVAL
      ? "not a network namespace"
      : result === -EPERM
      ? "not permitted: CAP_SYS_ADMIN is missing"
      : this.#shim.error(this.#handle);
    throw new TaskIterError("netns", -result, `network namespace ${path}: ${reason}`);
  }

  /** A descriptor with the rows of the next place of {@linkcode Walk.begin}; -1 where it is gone. */
  #open(place: string | undefined): number {
    if (place === undefined) {
      return this.#netns === undefined
        ? check(this.#shim, this.#handle, "iter_create", this.#shim.create(this.#handle))
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
      const next = check(this.#shim, this.#handle, "iter_create", this.#shim.resume(this.#handle));
      this.#shim.close(this.#rows);
      this.#rows = next;
      read = this.#read(next, buffer);
    }
    return check(this.#shim, this.#handle, "read", read) || this.#leave();
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

  /** What the last pass walked and kept: elements, rows. */
  progress(): { walked: number; rows: number } {
    if (this.#rows < 0) return this.#past;
    this.#shim.progress(this.#handle, this.#counts);
    return { walked: this.#past.walked + Number(this.#counts[0]), rows: this.#past.rows + Number(this.#counts[1]) };
  }

  /** Ends the pass, and lets go of the namespace. */
  close(): void {
    this.end();
    if (this.#netns !== undefined) closeSync(this.#netns);
    this.#netns = undefined;
  }
}
