// SPDX-License-Identifier: BSD-2-Clause
/** The libraries inside the executable. */

import { dlopen, read } from "bun:ffi";
import { readFileSync } from "node:fs";
import { EACCES, EFBIG, EMFILE, ENFILE, ENOSYS, EPERM } from "../errors.ts";
import type { Request } from "../query/request.ts";
import { archived, fileIn } from "./archive.ts";
import { bun } from "./bun.ts";
import { isStored, type Libraries, LIGHT, programOf } from "./load.ts";
import { cstring } from "./shim.ts";

const MFD_CLOEXEC = 1;
const MFD_ALLOW_SEALING = 2;
const MFD_NOEXEC_SEAL = 8; // Linux 6.3: vm.memfd_noexec may demand this flag; the file can still be mapped as code
const F_ADD_SEALS = 1033;
const SEAL_EVERYTHING = 15;

/** memfd_create(2). The function of that name came in glibc 2.27. */
const SYS_MEMFD_CREATE = process.arch === "arm64" ? 279 : 319;

/** The functions of libc for this module, bound at the first call: no handler could report an error at module level. */
function bindLibc() {
  try {
    return dlopen("libc.so.6", {
      syscall: { args: ["i64", "ptr", "u32"], returns: "i32" },
      write: { args: ["i32", "ptr", "u64"], returns: "i64_fast" },
      fcntl: { args: ["i32", "i32", "i32"], returns: "i32" },
      close: { args: ["i32"], returns: "i32" },
      _exit: { args: ["i32"], returns: "void" },
    }).symbols;
  } catch (error) {
    const { message } = error as Error;
    if (!message.includes("JIT")) throw new Error(`cannot call the C library: ${message}`);
    throw new Error(
      "cannot call the C library: this process may not make code at run time: allow it (MemoryDenyWriteExecute=no in a systemd unit), " +
        "or more address space (ulimit -v unlimited)",
    );
  }
}

let bound: ReturnType<typeof bindLibc> | undefined;
const libc = () => bound ??= bindLibc();

/** Ends the process, when all output is written: the runtime's own end takes 0.6 ms. Returns where the C library is not bound. */
export const exit = (status: number): void => bound?._exit(status);

const pathOf = (name: string) => `${import.meta.dirname}/lib/${isStored(name) ? name : `${archived(name)?.archive ?? name}.zst`}`;

/** The file `name` of the bytes at its path. */
function unpacked(name: string, bytes: Uint8Array): Uint8Array {
  if (isStored(name)) return bytes;
  const whole = Bun.zstdDecompressSync(bytes);
  const place = archived(name);
  return place ? fileIn(whole, place.index) : whole;
}

/** The part of Bun that this module uses; Bun's own types would change the types of all modules. */
declare const Bun: {
  file(path: string): { bytes(): Promise<Uint8Array> };
  zstdDecompressSync(bytes: Uint8Array): Uint8Array;
};

/** The files that {@linkcode prefetch} has read. */
const fetched = new Map<string, Uint8Array>();

/** Reads the files that `request` needs first. Without this, {@linkcode embedded} must load node:fs to read them. */
export async function prefetch(request: Request): Promise<void> {
  const program = programOf(request);
  const [light, bytes] = await Promise.all([Bun.file(pathOf(LIGHT)).bytes(), Bun.file(pathOf(program)).bytes()]);
  fetched.set(LIGHT, unpacked(LIGHT, light));
  fetched.set(program, unpacked(program, bytes));
}

const bytesOf = (name: string): Uint8Array => fetched.get(name) ?? unpacked(name, readFileSync(pathOf(name)));

/** Number of files made in memory so far. */
let made = 0;

/** Why `call` of libc fails, in words; it is made again, because binding the place of errno may have changed errno. */
function reasonOf(call: string, again: () => unknown): string {
  const place = dlopen("libc.so.6", { __errno_location: { args: [], returns: "ptr" } }).symbols.__errno_location();
  again();
  switch (place && read.i32(place, 0)) {
    case EPERM:
    case EACCES:
    case ENOSYS:
      return `${call} is not permitted: allow that system call (SystemCallFilter= of a systemd unit, or the container's seccomp profile)`;
    case EMFILE:
      return "too many open files: raise the limit (ulimit -n)";
    case ENFILE:
      return "too many open files on this machine (fs.file-max)";
    case EFBIG:
      return "files may not be that large: raise the limit (ulimit -f)";
    default:
      return "no memory";
  }
}

/**
 * Calls `use` with an embedded library as a path for dlopen: a sealed file in memory. Nothing is written to a disk, and a read-only or noexec
 * temporary folder does not matter.
 *
 * @throws {Error} the kernel refused it, in words
 */
function withMemoryFile<T>(name: string, use: (path: string) => T): T {
  const bytes = bytesOf(name);
  const create = (more: number): number =>
    libc().syscall(SYS_MEMFD_CREATE, cstring(name), MFD_CLOEXEC | MFD_ALLOW_SEALING | more);
  let fd = create(MFD_NOEXEC_SEAL);
  if (fd < 0) fd = create(0);
  if (fd < 0) throw new Error(`cannot make a file in memory: ${reasonOf("memfd_create", () => create(0))}`);
  try {
    for (let at = 0; at < bytes.length;) {
      const write = () => Number(libc().write(fd, bytes.subarray(at), bytes.length - at));
      const wrote = write();
      if (wrote <= 0) throw new Error(`cannot fill a file in memory: ${reasonOf("write", write)}`);
      at += wrote;
    }
    const seal = () => libc().fcntl(fd, F_ADD_SEALS, SEAL_EVERYTHING);
    if (seal() < 0) throw new Error(`cannot seal a file in memory: ${reasonOf("fcntl", seal)}`);
    // dlopen() identifies a loaded library by its path alone, so each path has to be unique, also when a number comes again.
    return use(`/proc/self/fd/${"./".repeat(made++)}${fd}`);
  } finally {
    libc().close(fd); // so that the table of open files does not show this deleted file of its own reader
  }
}

export const embedded: Libraries = {
  open: (name) =>
    withMemoryFile(name, (path) => {
      try {
        return bun.open(path);
      } catch (error) {
        const reason = (error as Error).message.split(": ").at(-1)!;
        const advice = reason.includes("open files") ? ": raise the limit (ulimit -n)" : "";
        throw new Error(`cannot load ${name} from memory: ${reason.toLowerCase()}${advice}`);
      }
    }),
  program: bytesOf,
};
