// SPDX-License-Identifier: BSD-2-Clause
/** Network namespaces, by the files that stand for them. */

import { readdirSync, readFileSync, readlinkSync } from "node:fs";

/** The inode number in a link such as `net:[4026531833]`; `undefined` where there is none: the process is gone or a zombie. */
function inodeOf(link: string): number | undefined {
  try {
    const match = /^net:\[([0-9]+)\]$/.exec(readlinkSync(link));
    return match ? Number(match[1]) : undefined;
  } catch {
    return undefined;
  }
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder).filter((name) => /^[0-9]+$/.test(name));
  } catch {
    return [];
  }
}

/** The namespaces that are mounted, as `ip netns` and container engines do: inode number and path. */
function mounted(): [number, string][] {
  return readFileSync("/proc/self/mountinfo", "utf8").split("\n").flatMap((line): [number, string][] => {
    // 640 27 0:4 net:[4026532289] /run/netns/blue rw shared:1 - nsfs nsfs rw
    const match = /^\S+ \S+ \S+ net:\[([0-9]+)\] (\S+) .* - nsfs /.exec(line);
    if (!match) return [];
    const path = match[2]!.replace(/\\([0-7]{3})/g, (_, octal) => String.fromCharCode(parseInt(octal, 8)));
    return [[Number(match[1]), path]];
  });
}

/**
 * A file for each network namespace that a process is in or that is mounted, in the order of their inode numbers. One that only
 * a thread besides the first, or only an open descriptor, keeps alive is not found.
 */
export function everyNamespace(): string[] {
  const paths = new Map<number, string>(mounted());
  for (const pid of list("/proc")) {
    const link = `/proc/${pid}/ns/net`;
    const inode = inodeOf(link);
    if (inode !== undefined) {
      if (!paths.has(inode)) paths.set(inode, link);
      continue;
    }
    // Its first thread may have exited before the others.
    for (const tid of list(`/proc/${pid}/task`)) {
      const link = `/proc/${pid}/task/${tid}/ns/net`;
      const inode = inodeOf(link);
      if (inode !== undefined && !paths.has(inode)) paths.set(inode, link);
    }
  }
  return [...paths].sort(([a], [b]) => a - b).map(([, path]) => path);
}

/** The file of what `--netns` names: a process, or the path of a namespace. */
export const namespaceFile = (which: string): string => /^[0-9]+$/.test(which) ? `/proc/${which}/ns/net` : which;
