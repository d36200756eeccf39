// SPDX-License-Identifier: BSD-2-Clause
/** The mounts that this process sees. */

import { readFileSync } from "node:fs";

/** A line of /proc/self/mountinfo (proc(5)). */
export interface Mount {
  /** The mounted part of the file system: a folder, or `net:[4026532289]` for a network namespace. */
  root: string;
  path: string;
  type: string;
  /** What is mounted: a device, or what the file system takes for one. */
  source: string;
  /** Of the mount, not of the file system. */
  options: string;
}

/** A path of mountinfo, where a blank is \040. */
const unescapeMount = (path: string) => path.replace(/\\([0-7]{3})/g, (_, octal) => String.fromCharCode(parseInt(octal, 8)));

export function mounts(): Mount[] {
  return readFileSync("/proc/self/mountinfo", "utf8").split("\n").filter(Boolean).map((line) => {
    // 640 27 0:4 net:[4026532289] /run/netns/blue rw shared:1 - nsfs nsfs rw
    const [fields = "", type = ""] = line.split(" - ");
    const [, , , root = "", path = "", options = ""] = fields.split(" ");
    const [kind = "", source = ""] = type.split(" ");
    return { root: unescapeMount(root), path: unescapeMount(path), type: kind, source: unescapeMount(source), options };
  });
}
