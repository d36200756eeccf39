// SPDX-License-Identifier: BSD-2-Clause
/**
 * A snapshot's files in a tar archive, compressed by zstd or gzip, or in a folder. Archives are written piece by piece, each piece a
 * zstd frame or gzip member of its own, so that memory holds only compressed rows: a tar header has the size of what follows it.
 */

import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { Header } from "tar/header";
import { UsageError } from "../../errors.ts";
import { isTerminal, OutputError, standardOutput } from "../output.ts";

/** A file of a snapshot that is being written. */
export interface Part {
  write(bytes: Uint8Array): void;
  end(): void;
}

/** Where the files of a snapshot go, one after the other. */
export interface Destination {
  begin(name: string): Part;
  /** All files are written: gives the snapshot its name. @throws {OutputError} */
  finish(): void;
  /** Removes what is there so far. */
  abandon(): unknown;
}

/** The part of Bun that this module uses (see native/embedded.ts). To load node:zlib takes 20 ms on a slow machine. */
declare const Bun: {
  zstdCompressSync(bytes: Uint8Array): Uint8Array;
  gzipSync(bytes: Uint8Array): Uint8Array;
};

/** Bytes that are compressed together. */
const PIECE = 1024 * 1024;

const BLOCK = 512;

type Compress = (bytes: Uint8Array) => Uint8Array;

/** By the ends of archives' names. */
const COMPRESSIONS: Readonly<Record<string, Compress>> = {
  ".tar.zst": (bytes) => Bun.zstdCompressSync(bytes),
  ".tar.gz": (bytes) => Bun.gzipSync(bytes),
  ".tgz": (bytes) => Bun.gzipSync(bytes),
  ".tar": (bytes) => bytes.slice(),
};

/** Calls `write`; its error in words. */
function writing<T>(path: string, write: () => T): T {
  try {
    return write();
  } catch (error) {
    if (error instanceof Error && "code" in error) {
      throw new OutputError(`cannot write ${path}: ${error.message.replace(/^\w+: |, .*$/g, "")}`);
    }
    throw error;
  }
}

function writeAll(fd: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length;) at += writeSync(fd, bytes, at);
}

/** Writes an archive by `put`; its files lie in `folder`. */
class Archive {
  readonly #put: (bytes: Uint8Array) => void;
  readonly #compress: Compress;
  readonly #folder: string;
  readonly #time: Date;
  readonly #buffer = new Uint8Array(PIECE);

  constructor(put: (bytes: Uint8Array) => void, compress: Compress, folder: string, time: Date) {
    this.#put = put;
    this.#compress = compress;
    this.#folder = folder;
    this.#time = time;
  }

  begin(name: string): Part {
    const pieces: Uint8Array[] = [];
    const buffer = this.#buffer;
    let [used, size] = [0, 0];
    const compressPiece = () => {
      if (used > 0) pieces.push(this.#compress(buffer.subarray(0, used)));
      used = 0;
    };
    return {
      write(bytes) {
        size += bytes.length;
        for (let at = 0; at < bytes.length;) {
          const part = bytes.subarray(at, at + PIECE - used);
          buffer.set(part, used);
          used += part.length;
          at += part.length;
          if (used === PIECE) compressPiece();
        }
      },
      end: () => {
        compressPiece();
        const header = new Header({
          path: `${this.#folder}/${name}`,
          mode: 0o600,
          uid: 0,
          gid: 0,
          size,
          mtime: this.#time,
          type: "File",
        });
        header.encode();
        this.#put(this.#compress(header.block!));
        for (const piece of pieces) this.#put(piece);
        const padding = -size & BLOCK - 1;
        if (padding > 0) this.#put(this.#compress(new Uint8Array(padding)));
      },
    };
  }

  /** Two blocks of zeroes. */
  end(): void {
    this.#put(this.#compress(new Uint8Array(2 * BLOCK)));
  }
}

/** Removes a file or folder that this process has made. */
const remove = (path: string) => rmSync(path, { recursive: true, force: true });

function archiveAt(path: string, compress: Compress, folder: string, time: Date): Destination {
  // Beside, so that renaming is one step, and under a name that no other process chooses.
  const beside = `${path}.${process.pid}.part`;
  // Made when the first program has been loaded: from then on a signal does not end the process where it is. Only its owner may
  // read what every process of the machine does.
  let made: number | undefined;
  const fd = () => made ??= openSync(beside, "wx", 0o600);
  const archive = new Archive((bytes) => writing(path, () => writeAll(fd(), bytes)), compress, folder, time);
  return {
    begin: (name) => archive.begin(name),
    finish() {
      archive.end();
      writing(path, () => {
        closeSync(fd());
        renameSync(beside, path);
      });
    },
    abandon: () => made !== undefined && remove(beside),
  };
}

function archiveToOutput(folder: string, time: Date): Destination {
  if (isTerminal(1)) throw new UsageError("standard output is a terminal: redirect it, or give a FILE");
  const archive = new Archive((bytes) => standardOutput.write(bytes), COMPRESSIONS[".tar.zst"]!, folder, time);
  return { begin: (name) => archive.begin(name), finish: () => archive.end(), abandon() {} };
}

function folderAt(path: string): Destination {
  if (existsSync(path) && (!statSync(path).isDirectory() || readdirSync(path).length > 0)) {
    throw new UsageError(`${path} exists: give another name, or remove it first`);
  }
  const beside = `${path.replace(/\/+$/, "")}.${process.pid}.part`;
  let made = false;
  return {
    begin(name) {
      let fd: number | undefined;
      const open = () => {
        if (!made) mkdirSync(beside, { mode: 0o700 });
        made = true;
        mkdirSync(`${beside}/${name}`.replace(/\/[^/]*$/, ""), { recursive: true, mode: 0o700 });
        return openSync(`${beside}/${name}`, "wx", 0o600);
      };
      return {
        write: (bytes) => writing(path, () => writeAll(fd ??= open(), bytes)),
        end: () => writing(path, () => closeSync(fd ?? open())),
      };
    },
    finish: () =>
      writing(path, () => {
        if (existsSync(path)) rmdirSync(path);
        renameSync(beside, path);
      }),
    abandon: () => made && remove(beside),
  };
}

/**
 * Where `path` says: `-` for standard output, an archive by the end of its name, else a folder. The files of an archive lie in
 * `folder`, with the time `time`.
 *
 * @throws {UsageError} no such form, or a folder that is not empty
 * @throws {OutputError} it cannot be made
 */
export function destinationAt(path: string, folder: string, time: Date): Destination {
  if (path === "-") return archiveToOutput(folder, time);
  const end = Object.keys(COMPRESSIONS).find((end) => path.endsWith(end));
  if (end !== undefined) return archiveAt(path, COMPRESSIONS[end]!, folder, time);
  const other = /\.(7z|bz2|csv|gz|html?|json|jsonl|txt|xz|zip|zst)$/.exec(path)?.[0];
  if (other !== undefined) throw new UsageError(`a snapshot is a .tar.zst, a .tar.gz or a folder, not a ${other} file`);
  return folderAt(path);
}

/** The files of a snapshot by name; `undefined` for one that it does not have. */
export type Files = (name: string) => readonly Uint8Array[] | undefined;

/** A destination in memory, for a page of the machine itself. */
export function inMemory(): Destination & { files: Files } {
  const files = new Map<string, Uint8Array[]>();
  return {
    begin(name) {
      const pieces: Uint8Array[] = [];
      return { write: (bytes) => void pieces.push(bytes.slice()), end: () => void files.set(name, pieces) };
    },
    finish() {},
    abandon() {},
    files: (name) => files.get(name),
  };
}

/** @throws {UsageError} damaged */
function decompressed(path: string, bytes: Uint8Array): Uint8Array {
  try {
    const { gunzipSync, zstdDecompressSync } = process.getBuiltinModule("node:zlib");
    if (bytes[0] === 0x1f && bytes[1] === 0x8b) return gunzipSync(bytes);
    if (bytes[0] === 0x28 && bytes[1] === 0xb5 && bytes[2] === 0x2f && bytes[3] === 0xfd) return zstdDecompressSync(bytes);
  } catch (error) {
    throw new UsageError(`${path} is damaged: ${(error as Error).message}`);
  }
  return bytes;
}

/** The files of a snapshot at `path`, by their names without the archive's folder; `-` is standard input. @throws {UsageError} */
export function filesOf(path: string): Files {
  if (path !== "-" && statSync(path, { throwIfNoEntry: false })?.isDirectory()) {
    return (name) => existsSync(`${path}/${name}`) ? [readFileSync(`${path}/${name}`)] : undefined;
  }
  let archive;
  try {
    archive = readFileSync(path === "-" ? 0 : path);
  } catch (error) {
    throw new UsageError(`cannot read ${path}: ${(error as Error).message.replace(/^\w+: |, .*$/g, "")}`);
  }
  const what = path === "-" ? "standard input" : path;
  const bytes = Buffer.from(decompressed(what, archive));
  const files = new Map<string, Uint8Array>();
  for (let at = 0; at + BLOCK <= bytes.length;) {
    const header = new Header(bytes, at);
    if (header.nullBlock) break;
    if (!header.cksumValid) throw new UsageError(`${what} is not a snapshot: no tar archive`);
    const size = header.size ?? 0;
    at += BLOCK;
    if (at + size > bytes.length) throw new UsageError(`${what} is damaged: it ends within ${header.path}`);
    if (header.type === "File") files.set(header.path!.replace(/^.*?(?=(tables\/)?[^/]+$)/, ""), bytes.subarray(at, at + size));
    at += size + (-size & BLOCK - 1);
  }
  return (name) => files.has(name) ? [files.get(name)!] : undefined;
}
