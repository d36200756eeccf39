// SPDX-License-Identifier: BSD-2-Clause
/** Why the kernel cannot be asked, in one line that says what to do. */

import { EACCES, EINVAL, EMFILE, ENFILE, ENOSYS, EPERM, type TaskIterError } from "../errors.ts";
import {
  before,
  filtersCalls,
  hasBtf,
  hasIterator,
  inUserNamespace,
  lockdown,
  missingCapabilities,
  release,
} from "../native/kernel.ts";
import { findTable } from "../query/plan.ts";
import type { Table } from "../query/schema.ts";
import { WhereError } from "../query/where.ts";
import { Refused } from "./read.ts";

/** The reason behind a refusal. */
export function explain(error: TaskIterError, table: Table): string {
  const what = `cannot read table ${table.name}`;
  const kernel = release();
  const missing = missingCapabilities();
  if (error.step === "read" || error.step === "netns") return `${what}: ${error.message}`;
  if (!hasIterator(table.iterator)) {
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
  const refused = error.errno === EPERM || error.step === "load" && error.errno === EINVAL;
  const locked = refused ? lockdown() : "none";
  if (locked === "confidentiality") {
    return `${what}: the kernel is locked down (confidentiality), no BPF program may read it: boot with lockdown=integrity`;
  }
  if ((error.errno === EPERM || error.errno === ENOSYS) && filtersCalls()) {
    return `${what}: not permitted, probably by a seccomp filter: allow the system call bpf (SystemCallFilter= of a systemd unit, or ` +
      "the container's seccomp profile)";
  }
  if (error.errno === ENOSYS) return `${what}: this kernel has no BPF: use one built with CONFIG_BPF_SYSCALL=y`;
  if (error.errno === EMFILE) return `${what}: too many open files: raise the limit (ulimit -n)`;
  if (error.errno === ENFILE) return `${what}: too many open files on this machine (fs.file-max)`;
  if (error.errno === EPERM && error.step === "load") {
    return `${what}: not permitted, though no capability is missing: this host refuses the ${table.iterator} iterator`;
  }
  if (!hasBtf()) {
    return `${what}: this kernel has no BTF (/sys/kernel/btf/vmlinux): use one built with CONFIG_DEBUG_INFO_BTF=y`;
  }
  if (error.step === "load" && error.errno === EINVAL) {
    const why = locked === "unknown"
      ? "; the kernel may be locked down (confidentiality): after mount -t securityfs none /sys/kernel/security, task-iter doctor tells"
      : "";
    return `${what}: the kernel refused the program (${error.message})${why}: -v shows its verifier's log`;
  }
  return `${what}: ${error.message}`;
}

/** An error's message in one line; for an expression, two more lines show the place of the mistake. */
export function messageOf(error: Error): string {
  if (error instanceof Refused) return explain(error.reason, findTable(error.table));
  return error instanceof WhereError ? error.explain() : error.message.replace(/\s*\n\s*/g, " ");
}
