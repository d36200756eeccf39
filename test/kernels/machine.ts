// SPDX-License-Identifier: BSD-2-Clause
/** An emulated machine that runs one of Debian's kernels with Debian's C library of the same release, and the suite. */

import { execFileSync, spawn } from "node:child_process";
import fs from "node:fs";
import { dirname } from "node:path";
import { type Architecture, ARCHITECTURES, bunOf, embedded, libraryFolder } from "../../scripts/architecture.ts";
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
    packages: ["qemu-system-arm"],
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
/suite/bun run /suite/suite.js /task-iter /suite/lib "$@" > /dev/${results} 2> /dev/${console}
poweroff -f
`;

/** A folder as an initial RAM file system. */
function archive(root: string, image: string): string {
  const names = execFileSync("find", ["."], { cwd: root });
  execFileSync("cpio", ["--quiet", "-o", "-H", "newc", "-F", image], {
    cwd: root,
    input: names,
    stdio: ["pipe", "ignore", "inherit"],
  });
  fs.rmSync(root, { recursive: true });
  return image;
}

/** What every machine gets of ours: the executable alone, and in /suite the suite, what runs it, and the libraries that it loads. */
export function ours(folder: string, architecture: Architecture, executable: string, suite: string): string {
  const root = `${folder}/root`;
  const copy = (from: string, to: string): void => {
    fs.mkdirSync(dirname(root + to), { recursive: true });
    fs.copyFileSync(from, root + to);
  };
  for (const name of ["proc", "sys", "dev", "tmp"]) fs.mkdirSync(`${root}/${name}`, { recursive: true });
  copy(executable, "/task-iter");
  copy(suite, "/suite/suite.js");
  copy(bunOf(architecture), "/suite/bun");
  for (const name of embedded(architecture)) copy(libraryFolder(architecture) + name, `/suite/lib/${name}`);
  fs.writeFileSync(`${root}/init`, init(MACHINES[architecture].lines), { mode: 0o755 });
  return archive(root, `${folder}/ours`);
}

/**
 * The rest of a machine, from packages of one of Debian's suites: the C library, and busybox, which needs only that.
 *
 * @throws {Unavailable}
 */
export function debian(folder: string, architecture: Architecture, suite: string): string {
  const packages = unpacked(suite, ARCHITECTURES[architecture].debian, ["libc6", "busybox"]);
  const root = fs.mkdtempSync(`${folder}/debian-`);
  fs.cpSync(packages, root, { recursive: true, verbatimSymlinks: true });
  fs.rmSync(`${root}/usr/share`, { recursive: true, force: true });
  // As every Debian has it since 12; the packages of older ones are for both forms.
  for (const name of ["bin", "lib", "lib64"]) {
    if (fs.existsSync(`${root}/${name}`)) {
      fs.cpSync(`${root}/${name}`, `${root}/usr/${name}`, { recursive: true, verbatimSymlinks: true });
      fs.rmSync(`${root}/${name}`, { recursive: true });
    }
    if (fs.existsSync(`${root}/usr/${name}`)) fs.symlinkSync(`usr/${name}`, `${root}/${name}`);
  }
  return archive(root, `${root}.cpio`);
}

/** What the suite said, what else there is to read, and whether its time was over before its end. */
export interface Said {
  results: string;
  console: string;
  late: boolean;
}

/**
 * Boots a kernel with the parts of its initial RAM file system, and waits until it has powered off, or until `seconds` are over.
 * `more` is for the kernel's command line; words behind a -- are for the suite.
 */
export async function boot(
  folder: string,
  architecture: Architecture,
  kernel: string,
  parts: readonly string[],
  more: string,
  seconds: number,
): Promise<Said> {
  const { qemu, machine, results, lines, parameters } = MACHINES[architecture];
  const files = fs.mkdtempSync(`${folder}/machine-`);
  const initramfs = `${files}/initramfs`;
  for (const part of parts) execFileSync("sh", ["-c", 'exec cat "$1" >> "$2"', "sh", part, initramfs]);
  const image = ["-kernel", kernel, "-initrd", initramfs, "-append", `console=${lines[0]} quiet panic=-1 ${parameters} ${more}`];
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
  fs.rmSync(initramfs);
  const read = (name: string) => fs.readFileSync(`${files}/${name}`, "utf8");
  return { results: read("results"), console: read("console"), late };
}
