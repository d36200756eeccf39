// SPDX-License-Identifier: BSD-2-Clause
/** Passes over a table: the kernel's rows, read from one iterator after the other. */

import { closeSync, openSync } from "node:fs";
import { EAGAIN, EINTR, EINVAL, ENOSPC, EOPNOTSUPP, EPERM, TaskIterError } from "../errors.ts";
import type { Request } from "../query/request.ts";
import { everyNamespace, openNamespace } from "./netns.ts";
import { check, type Handle, type Shim } from "./shim.ts";

/**
 * Bytes per read. The kernel stops as soon as it has as many, so that nearly no row is formatted twice: with reads of its whole
 * 32 KiB buffer, the last row of each does not fit and is made again. Less would be worse where each read goes through the table
 * from its beginning again (netlink, cgroups).
 */
const READ_SIZE = 31 * 1024;

/** libbpf-shim/shim.h */
const STAGE_PREPARE = 1;
const STAGE_FINISH = 2;
const STAGE_GONE = 3;

/** The places of the iterators that end a pass. They are not paths. */
const FINISH = "";
const GONE = "\0";

/** The passes of one loaded and attached program. */
export class Walk {
  readonly #shim: Shim;
  readonly #handle: Handle;
  readonly #counts = new BigUint64Array(5);
  /** Elements and rows of this pass in the places already read. */
  #past = { walked: 0, rows: 0 };
  /** Descriptor of the one network namespace to walk. */
  #netns: number | undefined;
  readonly #everyNetns: boolean;
  readonly #prepare: boolean;
  readonly #finish: boolean;
  readonly #changes: boolean;
  /** Whether the iterator of GONE has written since it began. */
  #wroteGone = false;
  /** The places of a pass, in order: files of network namespaces, or `undefined` for the current namespace; and FINISH. */
  #places: (string | undefined)[] = [];
  /** The index of the current place, and the descriptor of its rows. */
  #place = 0;
  #rows = -1;

  /** @throws {TaskIterError} `netns` cannot be opened or entered; thrown before any row is written */
  constructor(
    shim: Shim,
    handle: Handle,
    { netns, prepare = false, finish = false, changes = false }: Pick<Request, "netns" | "prepare" | "finish" | "changes">,
  ) {
    this.#shim = shim;
    this.#handle = handle;
    this.#prepare = prepare;
    this.#finish = finish;
    this.#changes = changes;
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

  #createIn(netns: number, path: string, resume = false): number {
    const result = resume ? this.#shim.resume_in(this.#handle, netns) : this.#shim.create_in(this.#handle, netns);
    if (result >= 0) return result;
    const reason = result === -EINVAL
      ? "not a network namespace"
      : result === -EPERM
      ? "not permitted: CAP_SYS_ADMIN is missing"
      : this.#shim.error(this.#handle);
    throw new TaskIterError("netns", -result, `network namespace ${path}: ${reason}`);
  }

  /** A descriptor with the rows of the next place; -1 where the place no longer exists, or nothing is gone. */
  #open(place: string | undefined): number {
    if (this.#prepare && this.#place === 0) this.#runPreparation();
    if (place === FINISH) return this.#stage(STAGE_FINISH);
    if (place === GONE) return this.#unmet > 0 ? this.#stage(STAGE_GONE) : -1;
    return this.#walk(place, false);
  }

  /** A descriptor with the rows that follow in the same place. */
  #resume(place: string | undefined): number {
    if (place === FINISH) return this.#stage(STAGE_FINISH);
    if (place === GONE) return this.#stage(STAGE_GONE);
    return this.#walk(place, true);
  }

  /** A descriptor with the rows of a place that is no stage, or with those that follow; -1 where the place no longer exists. */
  #walk(place: string | undefined, resume: boolean): number {
    if (place === undefined) {
      if (this.#netns !== undefined) return this.#createIn(this.#netns, "", resume);
      const fd = resume ? this.#shim.resume(this.#handle) : this.#shim.create(this.#handle);
      return check(this.#shim, this.#handle, "iter_create", fd);
    }
    let netns;
    try {
      netns = openSync(place, "r");
    } catch {
      return -1;
    }
    try {
      return this.#createIn(netns, place, resume);
    } finally {
      closeSync(netns);
    }
  }

  #stage(stage: number): number {
    return check(this.#shim, this.#handle, "iter_create", this.#shim.stage(this.#handle, stage));
  }

  /**
   * Runs the walk that comes before a pass. That walk writes nothing.
   *
   * @throws {TaskIterError} its map had no room for all that it found: rows would lack what they should show
   */
  #runPreparation(): void {
    const fd = this.#stage(STAGE_PREPARE);
    try {
      check(this.#shim, this.#handle, "read", this.#read(fd, new Uint8Array(1)));
    } finally {
      this.#shim.close(fd);
    }
    const lost = check(this.#shim, this.#handle, "read", this.#shim.lost(this.#handle));
    if (lost === 0) return;
    throw new TaskIterError("read", ENOSPC, `too many owners for their map, by ${lost}: read again`);
  }

  /** Begins a pass over the table, and ends the current pass. (No generator: the first one takes 0.15 ms of a start.) */
  begin(): void {
    this.end();
    this.#past = { walked: 0, rows: 0 };
    this.#places = this.#everyNetns ? everyNamespace() : [undefined];
    if (this.#finish) this.#places.push(FINISH);
    if (this.#changes) this.#places.push(GONE);
    this.#place = 0;
  }

  /** Whether the pass is at its end. */
  get ended(): boolean {
    return this.#place === this.#places.length;
  }

  /** Ends the pass early. */
  end(): void {
    this.#leave();
    this.#place = this.#places.length;
  }

  /**
   * Reads into `buffer` after its `used` bytes, until it holds `enough` bytes or the pass ends.
   *
   * @returns the number of bytes in the buffer
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

  /** Reads once from the current place. @returns the number of bytes */
  #readOn(buffer: Uint8Array): number {
    if (this.#rows < 0) this.#rows = this.#open(this.#places[this.#place]);
    if (this.#rows < 0) return this.#leave();
    let read = this.#read(this.#rows, buffer);
    // The kernel ends a walk over cgroups after one buffer, the program one over unix or its own map: the next part needs a new
    // iterator.
    while (read === -EOPNOTSUPP || ((read === 0 || read === -EAGAIN) && this.#isCut())) {
      const next = this.#resume(this.#places[this.#place]);
      this.#shim.close(this.#rows);
      this.#rows = next;
      if (next < 0) return this.#leave();
      read = this.#read(next, buffer);
    }
    check(this.#shim, this.#handle, "read", read);
    if (this.#places[this.#place] === GONE) return this.#readGone(read);
    return read || this.#leave();
  }

  /**
   * The iterator of GONE removes what it writes from the map that it walks over, and may then miss others after a full buffer: so it
   * walks again until all of them are written.
   */
  #readGone(read: number): number {
    if (read > 0) this.#wroteGone = true;
    else if (this.#wroteGone) {
      this.#wroteGone = false;
      this.#shim.close(this.#rows);
      this.#rows = -1;
    } else this.#leave();
    return read;
  }

  /** Goes on to the next place. */
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
      // EAGAIN: a million elements in succession made no output, or the program ended the walk.
      if (read === -EINTR || (read === -EAGAIN && !this.#isCut())) continue;
      return read;
    }
  }

  /** Whether the program ended the walk before its end. */
  #isCut(): boolean {
    this.#shim.progress(this.#handle, this.#counts);
    return this.#counts[4] !== 0n;
  }

  /** The numbers of elements and rows of the last pass. */
  progress(): { walked: number; rows: number } {
    // The iterators of FINISH and GONE walk no table: the counts are those of the place before.
    const place = this.#places[this.#place];
    if (this.#rows < 0 || place === FINISH || place === GONE) return this.#past;
    this.#shim.progress(this.#handle, this.#counts);
    return { walked: this.#past.walked + Number(this.#counts[0]), rows: this.#past.rows + Number(this.#counts[1]) };
  }

  /** The number of rows in the kernel's memory that the pass has not met. */
  get #unmet(): number {
    this.#shim.progress(this.#handle, this.#counts);
    return Number(this.#counts[3]);
  }

  /** The number of rows in all passes that found no room in the kernel's memory of rows. */
  get lost(): number {
    this.#shim.progress(this.#handle, this.#counts);
    return Number(this.#counts[2]);
  }

  /** Ends the pass, and closes the namespace. */
  close(): void {
    this.end();
    if (this.#netns !== undefined) closeSync(this.#netns);
    this.#netns = undefined;
  }
}
