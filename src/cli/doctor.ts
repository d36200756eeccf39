// SPDX-License-Identifier: BSD-2-Clause
/** `task-iter doctor`: what this kernel and these privileges allow, and what to do about the rest. */

import { hasBtf, hasIterator, kernelHas, lockdown, missingCapabilities, release } from "../native/kernel.ts";
import type { Libraries } from "../native/load.ts";
import { MAP_TYPES, plan } from "../query/plan.ts";
import type { Format, Request } from "../query/request.ts";
import { type Table, tables } from "../query/schema.ts";
import { explain } from "./explain.ts";
import { load, Refused } from "./read.ts";
import { writeRows } from "./rows.ts";

/** One finding; `advice` is empty where nothing needs to be done. */
type Finding = { check: string; ok: boolean; found: string; advice: string };

const ADVICE_PRIVILEGES = "run it as root, or grant them: setcap, or AmbientCapabilities= of a systemd unit";

/** Kernel functions that some kernels lack, by their names in the kernel's BTF; and the feature that needs each. */
const HELPERS: readonly (readonly [string, string, string])[] = [
  ["BPF_FUNC_check_mtu", "bpf_d_path in iterators", "Linux 5.12 or later, for paths of files"],
  ["BPF_FUNC_snprintf", "bpf_snprintf", "Linux 5.13 or later, to compare symbols in --where"],
  ["BPF_FUNC_loop", "bpf_loop", "Linux 5.17 or later, for light skeletons: a run starts ten times as fast"],
  ["BPF_FUNC_copy_from_user_task", "bpf_copy_from_user_task", "Linux 5.18 or later, for command lines of tasks"],
];

const anyMap = (table: Table) => MAP_TYPES[table.name] && 1;

/** What {@linkcode attempt} loads. */
export const attempted = (table: Table): Request =>
  plan({ table: table.name, columns: [table.columns[0]!.name], map: anyMap(table) }, "csv").request;

/** Loads the program of `table` and closes it. Says how the load worked, or why it failed. */
export function attempt(libraries: Libraries, table: Table): ReturnType<Attempt> {
  try {
    using program = load(libraries, attempted(table), false);
    return { ok: true, found: program.light ? "light skeleton" : "libbpf" };
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    // Whether a walk works is known only with a map of the right type.
    if (anyMap(table) && error.reason.step === "attach") return { ok: true, found: `${table.iterator} iterator` };
    return { ok: false, found: explain(error.reason, table).replace(/^cannot read table \S+: /, "") };
  }
}

/** Whether a table's program can be loaded, and how. */
type Attempt = (table: Table) => { ok: boolean; found: string };

function tableFinding(table: Table, available: boolean, attempt: Attempt): Finding {
  const check = `table ${table.name}`;
  if (!available) return { check, ok: false, found: `no ${table.iterator} iterator`, advice: `Linux ${table.since} or later` };
  const { ok, found } = attempt(table);
  return { check, ok, found, advice: ok ? "" : `task-iter -v ${table.name} shows the verifier's log` };
}

/** All findings; the default table is the last of the general part. */
export function examine(attempt: Attempt): Finding[] {
  const missing = missingCapabilities();
  const level = lockdown();
  const locked = level === "confidentiality";
  const btf = hasBtf();
  const found: Finding[] = [
    { check: "kernel", ok: true, found: release(), advice: "" },
    {
      check: "btf",
      ok: btf,
      found: btf ? "/sys/kernel/btf/vmlinux" : "none",
      advice: btf ? "" : "use a kernel built with CONFIG_DEBUG_INFO_BTF=y, and mount sysfs on /sys",
    },
    {
      check: "privileges",
      ok: missing.length === 0,
      found: missing.length === 0 ? "enough" : `${missing.join(" and ")} missing`,
      advice: missing.length === 0 ? "" : ADVICE_PRIVILEGES,
    },
    {
      check: "lockdown",
      ok: !locked,
      found: level,
      advice: locked
        ? "boot with lockdown=integrity, or without"
        : level === "unknown"
        ? "mount -t securityfs none /sys/kernel/security, to see"
        : "",
    },
  ];
  for (const [mark, name, advice] of HELPERS) {
    const ok = kernelHas(mark);
    found.push({ check: `helper ${name}`, ok, found: ok ? "there" : "missing", advice: ok ? "" : advice });
  }
  return [...found, ...tables.map((table) => tableFinding(table, hasIterator(table.iterator), attempt))];
}

/** Writes what it finds; the exit status is 0 when the default table can be read, else 3. */
export function doctor(libraries: Libraries, format: Format): void {
  const findings = examine((table) => attempt(libraries, table));
  writeRows(["check", "ok", "found", "advice"], findings, format);
  if (!findings.some(({ check, ok }) => check === "table stacks" && ok)) process.exitCode = 3;
}
