// SPDX-License-Identifier: BSD-2-Clause
/** Network namespaces, by the files that stand for them. */

import { openSync, readdirSync, readlinkSync } from "node:fs";
import { TaskIterError } from "../errors.ts";
import { mounts } from "./mounts.ts";

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
  return mounts().flatMap(({ root, path, type }): [number, string][] => {
    const inode = /^net:\[([0-9]+)\]$/.exec(root)?.[1];
    return type === "nsfs" && inode !== undefined ? [[Number(inode), path]] : [];
  });
}

/**
 * A file for each network namespace that a process is in or that is mounted, in the order of their inode numbers. The list
 * lacks a namespace that only a later thread of a process, or only an open descriptor, keeps alive.
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

/** The file of the namespace for `--netns PID` or `--netns PATH`; for `all`, which comes first, this process's own. */
function namespaceFile(which: string): string {
  if (which === "all") return "/proc/self/ns/net";
  return /^[0-9]+$/.test(which) ? `/proc/${which}/ns/net` : which;
}

/**
 * A descriptor of the namespace that `--netns` names, and its file.
 *
 * @throws {TaskIterError} there is no such file or process, or it may not be opened
 */
export function openNamespace(which: string): { fd: number; path: string } {
  const path = namespaceFile(which);
  try {
    return { fd: openSync(path, "r"), path };
  } catch (error) {
    const { code, errno, message } = error as NodeJS.ErrnoException;
    const reason = code === "EACCES"
      ? "not permitted: CAP_SYS_PTRACE is missing for a namespace of other users' processes"
      : code !== "ENOENT"
      ? message
      : path === which
      ? "no such file"
      : `there is no process ${which}`;
    throw new TaskIterError("netns", Math.abs(errno ?? 0), `network namespace ${path}: ${reason}`);
  }
}
