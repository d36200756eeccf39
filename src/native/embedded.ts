// SPDX-License-Identifier: BSD-2-Clause
/** The libraries inside the executable. */

import { dlopen } from "bun:ffi";
import { closeSync, readFileSync, writeSync } from "node:fs";
import { bun } from "./bun.ts";
import type { Libraries } from "./program.ts";
import { cstring } from "./shim.ts";

const MFD_CLOEXEC = 1;
const MFD_ALLOW_SEALING = 2;
const MFD_NOEXEC_SEAL = 8; // Linux 6.3: what vm.memfd_noexec asks for; a mapping may be executable all the same
const F_ADD_SEALS = 1033;
const SEAL_EVERYTHING = 15;
const RTLD_NOW = 2;

/** How many files in memory there have been. */
let made = 0;

/**
 * Calls `use` with an embedded library as a path for dlopen: a sealed file in memory. Nothing is written to a disk, and a read-only or noexec
 * temporary folder does not matter.
 *
 * @throws {Error} the kernel refused it, in words
 */
function withMemoryFile<T>(name: string, use: (path: string) => T): T {
  const { symbols: libc } = dlopen("libc.so.6", {
    memfd_create: { args: ["ptr", "u32"], returns: "i32" },
    fcntl: { args: ["i32", "i32", "i32"], returns: "i32" },
  });
  const bytes = readFileSync(new URL(`./lib/${name}`, import.meta.url));
  const flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
  let fd = libc.memfd_create(cstring(name), flags | MFD_NOEXEC_SEAL);
  if (fd < 0) fd = libc.memfd_create(cstring(name), flags);
  if (fd < 0) throw new Error("cannot make a file in memory (memfd_create): too many open files (ulimit -n), or no memory");
  for (let at = 0; at < bytes.length;) at += writeSync(fd, bytes, at);
  if (libc.fcntl(fd, F_ADD_SEALS, SEAL_EVERYTHING) < 0) throw new Error("cannot seal a file in memory");
  try {
    // The dynamic linker takes a path that it has seen for the library that it loaded then, whatever the number stands for now.
    return use(`/proc/self/fd/${"./".repeat(made++)}${fd}`);
  } finally {
    closeSync(fd); // a table of open files shall not show its own reader with a deleted one
  }
}

/** By name; `needs` are loaded first, so that the dynamic linker finds them by their sonames and not in a folder. */
export const embedded: Libraries = (name, needs = []) => {
  if (needs.length > 0) {
    const { symbols: libc } = dlopen("libc.so.6", { dlopen: { args: ["ptr", "i32"], returns: "ptr" } });
    for (const library of needs) withMemoryFile(library, (path) => libc.dlopen(cstring(path), RTLD_NOW));
  }
  return withMemoryFile(name, (path) => bun.open(path));
};
