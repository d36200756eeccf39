// SPDX-License-Identifier: BSD-2-Clause
/** Why the kernel cannot be asked, in one line that says what to do. */

import { existsSync, readFileSync } from "node:fs";
import { EACCES, EINVAL, EPERM, type TaskIterError } from "../native/program.ts";
import type { Table } from "../query/schema.ts";

function read(path: string): string {
  try {
    return readFileSync(path, "utf8").trim();
  } catch {
    return "";
  }
}

/** The running kernel, "6.12.1-amd64". */
export const release = (): string => read("/proc/sys/kernel/osrelease");

/** Whether version `a`, "5.10", is before `b`. */
export function before(a: string, b: string): boolean {
  const [major = 0, minor = 0] = a.split(/[.-]/).map(Number);
  const [otherMajor = 0, otherMinor = 0] = b.split(".").map(Number);
  return major < otherMajor || (major === otherMajor && minor < otherMinor);
}

/** capabilities(7) */
const CAPABILITIES = { CAP_SYS_ADMIN: 21, CAP_PERFMON: 38, CAP_BPF: 39 };

/** The capabilities that are needed and that this process lacks. */
export function missingCapabilities(): string[] {
  const effective = BigInt("0x" + (/^CapEff:\s*([0-9a-f]+)$/m.exec(read("/proc/self/status"))?.[1] ?? "0"));
  const has = (bit: number) => (effective >> BigInt(bit) & 1n) === 1n;
  if (has(CAPABILITIES.CAP_SYS_ADMIN)) return [];
  return (["CAP_BPF", "CAP_PERFMON"] as const).filter((name) => !has(CAPABILITIES[name]));
}

/** The kernel's BTF, by which programs find its structures. */
export const hasBtf = (): boolean => existsSync("/sys/kernel/btf/vmlinux");

/**
 * Tells whether this kernel's BTF has a name: of a type, a function, an enumerator. Distributions carry features back to older
 * kernels, which makes the version say less.
 */
export function kernelHas(): (name: string) => boolean {
  const btf = hasBtf() ? readFileSync("/sys/kernel/btf/vmlinux") : Buffer.alloc(0);
  return (name) => btf.includes(`\0${name}\0`);
}

/** Tells whether this kernel has an iterator: a function of that name, which it looks up when a program is loaded. */
export function iterators(): (iterator: string) => boolean {
  const has = kernelHas();
  return (iterator) => has(`bpf_iter_${iterator}`);
}

/** "none", "integrity" or "confidentiality". */
export const lockdown = (): string => /\[(\w+)\]/.exec(read("/sys/kernel/security/lockdown"))?.[1] ?? "none";

/** Whether user 0 here is another one outside: what such a namespace grants does not count for BPF. */
const inUserNamespace = (): boolean => !/^(0 +0 +4294967295)?$/.test(read("/proc/self/uid_map").replace(/\s+/g, " "));

/** The reason behind a refusal. */
export function explain(error: TaskIterError, table: Table): string {
  const what = `cannot read table ${table.name}`;
  const kernel = release();
  const missing = missingCapabilities();
  if (error.step === "read" || error.step === "netns") return `${what}: ${error.message}`;
  if (!iterators()(table.iterator)) {
    if (before(kernel, table.since)) {
      return `${what}: kernel ${kernel} has no ${table.iterator} iterator (Linux ${table.since} or later)`;
    }
    if (hasBtf()) return `${what}: kernel ${kernel} was built without the ${table.iterator} iterator`;
  }
  if ((error.errno === EPERM || error.errno === EACCES) && missing.length > 0) {
    return `${what}: not permitted, ${missing.join(" and ")} missing: run it as root, or grant them (setcap, or ` +
      "AmbientCapabilities= of a systemd unit)";
  }
  if (error.errno === EPERM && error.message.startsWith("map:")) {
    return `${what}: not permitted, CAP_SYS_ADMIN missing: the kernel opens a BPF map by its ID for nobody else`;
  }
  if (error.errno === EPERM && inUserNamespace()) {
    return `${what}: not permitted inside a user namespace, whatever it grants: run it outside (not rootless)`;
  }
  if (error.errno === EPERM && lockdown() === "confidentiality") {
    return `${what}: the kernel is locked down (confidentiality), no BPF program may read it: boot with lockdown=integrity`;
  }
  if (!hasBtf()) {
    return `${what}: this kernel has no BTF (/sys/kernel/btf/vmlinux): use one built with CONFIG_DEBUG_INFO_BTF=y`;
  }
  if (error.step === "load" && error.errno === EINVAL) {
    return `${what}: the kernel refused the program (${error.message}): -v shows its verifier's log`;
  }
  return `${what}: ${error.message}`;
}
