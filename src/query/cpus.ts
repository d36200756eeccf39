// SPDX-License-Identifier: BSD-2-Clause
/** The machine's CPUs. */

import { readFileSync } from "node:fs";

/** The number of CPUs in a list as the kernel writes it, "0-3,8". */
export function countCpus(list: string): number {
  return list.trim().split(",").reduce((sum, range) => {
    const [first = 0, last = first] = range.split("-").map(Number);
    return sum + last - first + 1;
  }, 0);
}

/** CPUs that are or may come online: an element of a per-CPU map has a value for each. */
export const possibleCpus = (): number => countCpus(readFileSync("/sys/devices/system/cpu/possible", "utf8"));
