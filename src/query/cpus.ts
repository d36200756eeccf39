// SPDX-License-Identifier: BSD-2-Clause
/** Sizes of the machine that a query needs to know. */

import { existsSync, readFileSync } from "node:fs";

/** The number of CPUs in a list as the kernel writes it, "0-3,8". */
export function countCpus(list: string): number {
  return list.trim().split(",").reduce((sum, range) => {
    const [first = 0, last = first] = range.split("-").map(Number);
    return sum + last - first + 1;
  }, 0);
}

/** One more than the highest number of a NUMA node; 1 where the kernel has none. */
export function possibleNodes(): number {
  const list = "/sys/devices/system/node/possible";
  return existsSync(list) ? Number(/[0-9]+$/.exec(readFileSync(list, "utf8").trim())![0]) + 1 : 1;
}

/** CPUs that are or may come online: an element of a per-CPU map has a value for each. */
export const possibleCpus = (): number => countCpus(readFileSync("/sys/devices/system/cpu/possible", "utf8"));

/**
 * Entries that the map of sockets' owners needs: one for each socket. No more sockets than open files have an owner; a quarter as many
 * again may be opened meanwhile. And the entries for texts of these owners: a few for each process with sockets.
 */
export function roomForOwners(): { ownersMax: number; textsMax: number } {
  const [files = 0] = readFileSync("/proc/sys/fs/file-nr", "utf8").split("\t").map(Number);
  return { ownersMax: 1024 + Math.ceil(1.25 * files), textsMax: 16_384 + Math.ceil(files / 2) };
}
