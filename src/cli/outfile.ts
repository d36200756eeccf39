// SPDX-License-Identifier: BSD-2-Clause
/**
 * `--output FILE`: a file that at any moment holds a whole output, the old one or the new one. `--output FOLDER/`: a new file for
 * each pass of `--interval`.
 */

import {
  closeSync,
  fchmodSync,
  fchownSync,
  fsyncSync,
  openSync,
  realpathSync,
  renameSync,
  statSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { OutputError, type Redirection } from "./output.ts";

/** Imported when needed: a plain read starts a millisecond earlier without it. */
const paths = () => process.getBuiltinModule("node:path");

/** Writes beside the file; {@linkcode OutputFile.commit} then renames. */
export class OutputFile implements Redirection {
  readonly #path: string;
  /** The file that a symbolic link leads to is replaced, not the link. */
  readonly #target: string;
  #temporary: string | undefined;
  #fd = -1;
  #committed = false;

  /** @throws {OutputError} there is something at `path` that is not a regular file */
  constructor(path: string) {
    this.#path = path;
    this.#target = this.#try(() => {
      const status = statSync(path, { throwIfNoEntry: false });
      if (!status) return paths().resolve(path);
      if (!status.isFile()) throw new Error("not a regular file");
      return realpathSync(path);
    });
  }

  #try<T>(action: () => T): T {
    try {
      return action();
    } catch (error) {
      this.abandon();
      const { code = "", message } = error as NodeJS.ErrnoException;
      // "ENOSPC: no space left on device, write": without the code and the name of the call
      const reason = message.startsWith(`${code}: `) ? message.slice(code.length + 2).replace(/, \w+(?: '.*)?$/, "") : message;
      throw new OutputError(`cannot write ${this.#path}: ${reason}`);
    }
  }

  #open(): void {
    if (this.#fd >= 0) return;
    const { dirname, basename, join } = paths();
    const temporary = join(dirname(this.#target), `.${basename(this.#target)}.${process.pid}.${crypto.randomUUID().slice(0, 8)}`);
    this.#fd = openSync(temporary, "wx");
    this.#temporary = temporary;
    const old = statSync(this.#target, { throwIfNoEntry: false });
    if (!old) return;
    fchownSync(this.#fd, old.uid, old.gid);
    fchmodSync(this.#fd, old.mode & 0o7777);
  }

  write(bytes: Uint8Array | string): void {
    const rest = typeof bytes === "string" ? new TextEncoder().encode(bytes) : bytes;
    this.#try(() => {
      this.#open();
      for (let at = 0; at < rest.length;) at += writeSync(this.#fd, rest, at, rest.length - at);
    });
  }

  /**
   * Puts what was written since the last call in the file's place; when nothing was ever written, an empty file.
   *
   * @throws {OutputError} the old file is still there
   */
  commit(): void {
    // After the last snapshot of --interval nothing more was written, but no output at all is an empty file.
    if (this.#committed && this.#fd < 0) return;
    this.#try(() => {
      this.#open();
      fsyncSync(this.#fd);
      renameSync(this.#temporary!, this.#target);
      this.#temporary = undefined;
      this.#committed = true;
      this.abandon();
      const folder = openSync(paths().dirname(this.#target), "r");
      try {
        fsyncSync(folder);
      } finally {
        closeSync(folder);
      }
    });
  }

  /** Removes what was written since the last commit. */
  abandon(): void {
    if (this.#fd >= 0) closeSync(this.#fd);
    this.#fd = -1;
    if (this.#temporary !== undefined) unlinkSync(this.#temporary);
    this.#temporary = undefined;
  }
}

/** A file for each pass that has rows, `FOLDER/20261125T031200.123Z.jsonl`: the names are in the order of the passes. */
export class Spool implements Redirection {
  readonly #folder: string;
  readonly #extension: string;
  #name = "";
  #file: OutputFile | undefined;

  constructor(folder: string, extension: string) {
    this.#folder = folder;
    this.#extension = extension;
  }

  begin(time: string): void {
    this.#name = `${time.replace(/[-:]/g, "")}.${this.#extension}`;
  }

  write(bytes: Uint8Array | string): void {
    this.#file ??= new OutputFile(`${this.#folder}${this.#name}`);
    this.#file.write(bytes);
  }

  commit(): void {
    this.#file?.commit();
    this.#file = undefined;
  }

  abandon(): void {
    this.#file?.abandon();
    this.#file = undefined;
  }
}
