// SPDX-License-Identifier: BSD-2-Clause
/**
 * The names that OpenTelemetry's semantic conventions have for columns: registry attributes of process, thread, container, k8s, file
 * and network (https://opentelemetry.io/docs/specs/semconv/registry/attributes/).
 */

/** Attributes of a column's task, file or socket. A column that the conventions do not name keeps its name in a namespace of its own. */
const ATTRIBUTES: Readonly<Record<string, string>> = {
  pid: "process.pid",
  ppid: "process.parent_pid",
  pgid: "process.group_leader.pid",
  sid: "process.session_leader.pid",
  ns_pid: "process.vpid",
  tid: "thread.id",
  comm: "thread.name",
  cmdline: "process.command_line",
  exe: "process.executable.path",
  cwd: "process.working_directory",
  cgroup: "process.linux.cgroup",
  container: "container.id",
  pod: "k8s.pod.uid",
  cpu: "cpu.logical_number",
  path: "file.path",
  size: "file.size",
  local_addr: "network.local.address",
  local_port: "network.local.port",
  remote_addr: "network.peer.address",
  remote_port: "network.peer.port",
};

/** What these names mean only in some tables: a path of a control group is no file, a buffer's size no file's. */
const TABLES: Readonly<Record<string, readonly string[]>> = {
  path: ["files", "vmas", "unix"],
  size: ["files"],
  pid: ["files", "stacks", "tasks", "vmas", "tcp", "udp", "unix", "netlink"],
};

/** The attribute for a column. */
export function attributeOf(table: string, column: string): string {
  const attribute = ATTRIBUTES[column];
  const fits = TABLES[column]?.includes(table) ?? true;
  return attribute !== undefined && fits ? attribute : `task_iter.${column}`;
}
