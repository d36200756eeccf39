// SPDX-License-Identifier: BSD-2-Clause
/** An emulated machine that runs one of Debian's kernels, with the suite as its only program. */

import { execFileSync, spawn } from "node:child_process";
import fs from "node:fs";
import { basename, dirname } from "node:path";
import { type Architecture, ARCHITECTURES, bunOf, embedded, foreign, libraryFolder } from "../../scripts/architecture.ts";
import { unpacked } from "../../scripts/debian.ts";

/** QEMU's machines. Each has two serial lines: the kernel's console, and what the suite says. */
const MACHINES = {
  x64: {
    qemu: "qemu-system-x86_64",
    packages: ["qemu-system-x86"],
    machine: ["-cpu", "max"],
    // Feature 141, cmpxchg16b: QEMU 7.2 may return from it with random flags, and 6.12 panics once in some runs.
    parameters: "clearcpuid=141",
    results: (file: string) => ["-serial", `file:${file}`],
    lines: ["ttyS0", "ttyS1"],
  },
  arm64: {
    qemu: "qemu-system-aarch64",
    packages: ["qemu-system-arm", "libc6-arm64-cross"],
    // pauth-impdef: the architecture's own algorithm for signed pointers is slow in software (QEMU, "Arm CPU Features").
    machine: ["-machine", "virt", "-cpu", "max,pauth-impdef=on"],
    results: (file: string) => ["-chardev", `file,id=results,path=${file}`, "-device", "pci-serial,chardev=results"],
    parameters: "",
    lines: ["ttyAMA0", "ttyS0"],
  },
} as const;

/** Debian's packages that this machine needs to emulate one of that architecture. */
export const packages = (architecture: Architecture): readonly string[] => [
  ...MACHINES[architecture].packages,
  ...foreign(architecture) ? [] : ["busybox-static"],
  "cpio",
];

const init = ([console, results]: readonly [string, string]) =>
  `#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin HOME=/
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t bpf bpf /sys/fs/bpf
mount -t debugfs debug /sys/kernel/debug
mount -t cgroup2 cgroup2 /sys/fs/cgroup && mkdir -p /sys/fs/cgroup/one/two
ifconfig lo up
/bun run /suite.js /task-iter /lib/task-iter > /dev/${results} 2> /dev/${console}
poweroff -f
`;

/** What the dynamic linker will look for, with the linker itself, by their paths in the guest and here. */
function needed(executable: string, gnu: string): [string, string][] {
  const said = execFileSync("readelf", ["--dynamic", "--program-headers", executable], { encoding: "utf8" });
  const linker = /program interpreter: (\S+)\]/.exec(said)![1]!;
  const names = [...said.matchAll(/\(NEEDED\).*\[(\S+)\]/g)].map(([, name]) => `/lib/${name}`);
  return [linker, ...names].map((path) => {
    const print = [`--target=${gnu}-linux-gnu`, `-print-file-name=${basename(path)}`];
    return [path, execFileSync("clang-19", print, { encoding: "utf8" }).trim()];
  });
}

/** An initial RAM file system that is the whole machine: the executable, its libraries, busybox, the suite and what runs it. */
export function initramfs(folder: string, architecture: Architecture, executable: string, suite: string): string {
  const { debian, gnu } = ARCHITECTURES[architecture];
  const libraries = libraryFolder(architecture);
  const root = `${folder}/root`;
  const copy = (from: string, to: string): void => {
    fs.mkdirSync(dirname(root + to), { recursive: true });
    fs.copyFileSync(from, root + to);
  };
  for (const name of ["proc", "sys", "dev", "tmp"]) fs.mkdirSync(`${root}/${name}`, { recursive: true });
  copy(`${foreign(architecture) ? unpacked("bookworm", debian, ["busybox-static"]) : ""}/bin/busybox`, "/bin/busybox");
  copy(executable, "/task-iter");
  copy(suite, "/suite.js");
  copy(bunOf(architecture), "/bun");
  for (const name of embedded(architecture)) copy(libraries + name, `/lib/task-iter/${name}`);
  for (const [there, here] of needed(executable, gnu)) copy(here, there);
  fs.writeFileSync(`${root}/init`, init(MACHINES[architecture].lines), { mode: 0o755 });
  const names = execFileSync("find", ["."], { cwd: root });
  const image = `${folder}/initramfs`;
  execFileSync("cpio", ["--quiet", "-o", "-H", "newc", "-F", image], {
    cwd: root,
    input: names,
    stdio: ["pipe", "ignore", "inherit"],
  });
  fs.rmSync(root, { recursive: true });
  return image;
}

/** What the suite said, what else there is to read, and whether its time was over before its end. */
export interface Said {
  results: string;
  console: string;
  late: boolean;
}

/** Boots a kernel and waits until it has powered off, or until `seconds` are over. */
export async function boot(
  folder: string,
  architecture: Architecture,
  kernel: string,
  initramfs: string,
  seconds: number,
): Promise<Said> {
  const { qemu, machine, results, lines, parameters } = MACHINES[architecture];
  const files = fs.mkdtempSync(`${folder}/machine-`);
  const image = ["-kernel", kernel, "-initrd", initramfs, "-append", `console=${lines[0]} quiet panic=-1 ${parameters}`];
  // A /dev/kvm may exist and not work; emulation works everywhere.
  const rest = [
    "-accel",
    "tcg",
    "-m",
    "3072",
    "-display",
    "none",
    "-nodefaults",
    "-no-reboot",
    "-serial",
    `file:${files}/console`,
  ];
  const child = spawn(qemu, [...machine, ...rest, ...results(`${files}/results`), ...image], {
    stdio: ["ignore", "ignore", "inherit"],
  });
  let late = false;
  const timer = setTimeout(() => late = child.kill("SIGKILL"), seconds * 1000);
  await new Promise((resolve, reject) => child.once("exit", resolve).once("error", reject));
  clearTimeout(timer);
  const read = (name: string) => fs.readFileSync(`${files}/${name}`, "utf8");
  return { results: read("results"), console: read("console"), late };
}
