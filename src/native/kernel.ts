// SPDX-License-Identifier: BSD-2-Clause
/** The running kernel: its version, its features, and this process's rights. */

import { closeSync, existsSync, openSync, readdirSync, readFileSync, readSync } from "node:fs";

function read(path: string): string {
  try {
    return readFileSync(path, "utf8").trim();
  } catch {
    return "";
  }
}

/** The running kernel, "6.12.1-amd64". A /proc with processes alone (ProcSubset=pid of a systemd unit) does not say. */
export const release = (): string => read("/proc/sys/kernel/osrelease") || process.getBuiltinModule("node:os").release();

/** The name of this machine, or of this process's UTS namespace. */
export const hostname = (): string => read("/proc/sys/kernel/hostname");

/** Whether version `a`, "5.10", is before `b`. */
export function before(a: string, b: string): boolean {
  const [major = 0, minor = 0] = a.split(/[.-]/).map(Number);
  const [otherMajor = 0, otherMinor = 0] = b.split(".").map(Number);
  return major < otherMajor || (major === otherMajor && minor < otherMinor);
}

/** capabilities(7) */
const CAPABILITIES = { CAP_SYS_ADMIN: 21, CAP_PERFMON: 38, CAP_BPF: 39 };

/** The needed capabilities that this process lacks. */
export function missingCapabilities(): string[] {
  const effective = BigInt("0x" + (/^CapEff:\s*([0-9a-f]+)$/m.exec(read("/proc/self/status"))?.[1] ?? "0"));
  const has = (bit: number) => (effective >> BigInt(bit) & 1n) === 1n;
  if (has(CAPABILITIES.CAP_SYS_ADMIN)) return [];
  return (["CAP_BPF", "CAP_PERFMON"] as const).filter((name) => !has(CAPABILITIES[name]));
}

/** The kernel's BTF, by which programs find its structures. */
export const hasBtf = (): boolean => existsSync("/sys/kernel/btf/vmlinux");

/** What the names begin with that are asked for: functions of iterators, and numbers of helpers. */
const ASKED_FOR = ["bpf_iter_", "BPF_FUNC_"];

let names: Set<string> | undefined;

/**
 * Tells whether this kernel's BTF has a name: of an iterator's function, or of a helper's number. Distributions backport features to
 * older kernels, so the version alone is not enough.
 */
export function kernelHas(name: string): boolean {
  names ??= hasBtf() ? namesOfBtf("/sys/kernel/btf/vmlinux") : new Set();
  return names.has(name);
}

/** Reads the file from `start` on into `bytes`. @returns the number of bytes */
function fill(fd: number, bytes: Buffer, start: number): number {
  let length = 0;
  for (let read = 1; read > 0 && length < bytes.length; length += read) {
    read = readSync(fd, bytes, length, bytes.length - length, start + length);
  }
  return length;
}

/**
 * The names that are asked for, from the section of names of BTF, less than half of it (struct btf_header,
 * Documentation/bpf/btf.rst). They are read in pieces: memory that is new takes longer than reading.
 */
function namesOfBtf(path: string): Set<string> {
  const found = new Set<string>();
  const piece = Buffer.alloc(64 * 1024);
  const fd = openSync(path, "r");
  try {
    fill(fd, piece, 0);
    let start = piece.readUInt32LE(4) + piece.readUInt32LE(16);
    const end = start + piece.readUInt32LE(20);
    // Each piece begins with the NUL that ends the piece before, and is looked through up to its last NUL.
    for (let last = 1; last > 0; start += last) {
      const length = Math.min(fill(fd, piece, start), end - start);
      last = piece.lastIndexOf(0, length - 1);
      for (const begin of ASKED_FOR) {
        for (let at = piece.indexOf(`\0${begin}`); at >= 0 && at < last; at = piece.indexOf(`\0${begin}`, at + 1)) {
          found.add(piece.toString("latin1", at + 1, piece.indexOf(0, at + 1)));
        }
      }
    }
  } finally {
    closeSync(fd);
  }
  return found;
}

/** Tells whether this kernel has an iterator: a function of that name, which it looks up when a program is loaded. */
export const hasIterator = (iterator: string): boolean => kernelHas(`bpf_iter_${iterator}`);

/**
 * Whether the kernel is locked down: "none", "integrity" or "confidentiality". The answer is a file in securityfs. Where securityfs is
 * not mounted, the answer is "unknown", unless the kernel was booted with the highest level: root may raise a lower one.
 */
export function lockdown(): string {
  const level = /\[(\w+)\]/.exec(read("/sys/kernel/security/lockdown"))?.[1];
  if (level !== undefined) return level;
  if (existsSync("/sys/kernel/security") && readdirSync("/sys/kernel/security").length > 0) return "none"; // built without it
  return /(?:^|\s)lockdown=confidentiality(?:\s|$)/.test(read("/proc/cmdline")) ? "confidentiality" : "unknown";
}

/** Whether this is a user namespace with another user as its user 0: its capabilities do not count for BPF. */
export const inUserNamespace = (): boolean => !/^(0 +0 +4294967295)?$/.test(read("/proc/self/uid_map").replace(/\s+/g, " "));

/** Whether seccomp filters the system calls of this process. */
export const filtersCalls = (): boolean => /^Seccomp:\s*2$/m.test(read("/proc/self/status"));
