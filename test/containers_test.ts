// SPDX-License-Identifier: BSD-2-Clause
/** The columns container and pod, by real control groups with the names that runtimes give theirs. */

import { deepStrictEqual as equal, match } from "node:assert";
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, readlinkSync, rmdirSync, writeFileSync } from "node:fs";
import { libraries } from "../src/mod.ts";
import { load as loadProgram } from "../src/native/load.ts";
import { plan } from "../src/query/plan.ts";
import { chunks } from "../src/stream.ts";
import { cgroupRoot, Fixture, fixtureProgram, type Row, rows, taskIter, TemporaryFolder } from "./support.ts";

const ID = "4f8c2a0b9d1e7f63a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0abcd";
const OTHER = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const UID = "7d5f8a1c-3b2e-4c6d-9e0f-a1b2c3d4e5f6";
const SLICE = UID.replaceAll("-", "_");
const HASH = "5a4a8a7e0e1c2b3d4f5e6a7b8c9d0e1f";

/** The path of a control group, the container and the pod. */
const FORMS: readonly (readonly [path: string, container: string | null, pod: string | null])[] = [
  // Docker by systemd and by cgroupfs, with a service inside, and one container inside another.
  [`system.slice/docker-${ID}.scope`, "4f8c2a0b9d1e", null],
  [`docker/${ID}`, "4f8c2a0b9d1e", null],
  [`docker/${ID}/system.slice/cron.service`, "4f8c2a0b9d1e", null],
  [`docker/${OTHER}/docker/${ID}`, "4f8c2a0b9d1e", null],
  // containerd
  [`kubepods.slice/kubepods-pod${SLICE}.slice/cri-containerd-${ID}.scope`, "4f8c2a0b9d1e", UID],
  [
    `kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod${SLICE}.slice/cri-containerd-${ID}.scope`,
    "4f8c2a0b9d1e",
    UID,
  ],
  [`kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod${SLICE}.slice/cri-containerd-${ID}.scope`, "4f8c2a0b9d1e", UID],
  [`kubepods/besteffort/pod${UID}/${ID}`, "4f8c2a0b9d1e", UID],
  [`kubepods/burstable/pod${HASH}/${ID}`, "4f8c2a0b9d1e", HASH],
  [`system.slice/containerd.service/kubepods-burstable-pod${SLICE}.slice:cri-containerd:${ID}`, "4f8c2a0b9d1e", UID],
  [`kubepods/pod${UID}`, null, UID],
  [`default/${ID}`, "4f8c2a0b9d1e", null],
  [`system.slice/nerdctl-${ID}.scope`, "4f8c2a0b9d1e", null],
  // CRI-O; conmon watches over a container from outside
  [`kubepods.slice/kubepods-pod${HASH}.slice/crio-${ID}.scope`, "4f8c2a0b9d1e", HASH],
  [`kubepods.slice/kubepods-pod${SLICE}.slice/crio-${ID}.scope/container`, "4f8c2a0b9d1e", UID],
  [`system.slice/crio-conmon-${ID}.scope`, null, null],
  // podman
  [`machine.slice/libpod-${ID}.scope/container`, "4f8c2a0b9d1e", null],
  [`user.slice/user-1000.slice/user@1000.service/user.slice/libpod-${ID}.scope`, "4f8c2a0b9d1e", null],
  [`machine.slice/libpod-conmon-${ID}.scope`, null, null],
  [`libpod_parent/libpod-${ID}`, "4f8c2a0b9d1e", null],
  // ECS, on EC2 and on Fargate
  [`ecs/${HASH}/${ID}`, "4f8c2a0b9d1e", null],
  [`ecs/${HASH}/${HASH}-1234567890`, `${HASH}-1234567890`, null],
  [`ecs/${HASH}`, null, null],
  [`ecstasks.slice/ecstasks-${HASH}.slice/docker-${ID}.scope`, "4f8c2a0b9d1e", null],
  // systemd-nspawn, which escapes names; its supervisor and virtual machines are no containers
  ["machine.slice/machine-web.scope/payload/init.scope", "web", null],
  ["machine.slice/machine-my\\x2ddebian\\x2e12.scope", "my-debian.12", null],
  ["machine.slice/machine-web.scope/supervisor", null, null],
  ["machine.slice/systemd-nspawn@my\\x2dweb.service/payload", "my-web", null],
  ["machine.slice/systemd-nspawn@web.service/supervisor", null, null],
  ["machine.slice/machine-qemu\\x2d1\\x2dvm.scope/emulator", null, null],
  // LXC
  ["lxc.payload.web-1", "web-1", null],
  ["lxc.payload.web-1/system.slice/ssh.service", "web-1", null],
  ['lxc.payload.a "b", ü', 'a "b", ü', null],
  ["lxc.payload/old", "old", null],
  ["lxc/101/ns", "101", null],
  ["lxc.monitor.web-1", null, null],
  ["lxc", null, null],
  // Names that are nearly such
  [`docker/${ID}0`, null, null],
  [`docker/${ID.slice(1)}`, null, null],
  [`docker/${ID.slice(1)}g`, null, null],
  [`system.slice/docker${ID}.scope`, null, null],
  [`system.slice/docker-${ID.toUpperCase()}.scope`, null, null],
  [`kubepods/mypod${UID}`, null, null],
  [`kubepods/pod${UID.slice(1)}`, null, null],
  ["user.slice/user-0.slice/session-1.scope", null, null],
  ["lxc.payload.", null, null],
  ["x".repeat(255), null, null],
];

/** Groups below one of the test's own, removed afterwards, when their processes have ended. */
class Groups implements Disposable {
  readonly #made: string[] = [];
  readonly #root: string;

  constructor(root = cgroupRoot) {
    this.#root = root;
    this.#make(this.folder(""));
  }

  folder(path: string): string {
    return `${this.#root}/task-iter-test-${Deno.pid}${path && `/${path}`}`;
  }

  #make(folder: string): void {
    if (existsSync(folder)) return;
    mkdirSync(folder);
    this.#made.push(folder);
  }

  /** Puts the process into the group at `path`, which is made. */
  put(pid: number, path: string): void {
    const parts = path.split("/");
    parts.forEach((_, i) => this.#make(this.folder(parts.slice(0, i + 1).join("/"))));
    writeFileSync(`${this.folder(path)}/cgroup.procs`, String(pid));
  }

  /** Takes the process out of the test's groups. */
  free(pid: number): void {
    writeFileSync(`${this.#root}/cgroup.procs`, String(pid));
  }

  [Symbol.dispose](): void {
    for (const folder of this.#made.reverse()) rmdirSync(folder);
  }
}

const readByLibbpf = (pid: number): Row[] => {
  const { request } = plan({ table: "tasks", pid, columns: ["container", "pod"] }, "json");
  using program = loadProgram(libraries, { ...request, libbpf: true });
  let text = "";
  for (const chunk of chunks(program.walk, "json")) text += new TextDecoder().decode(chunk);
  return JSON.parse(text);
};

Deno.test("container and pod follow from every form of a control group's path", async () => {
  using groups = new Groups();
  await using fixture = await Fixture.start("threads", "0");
  const { pid } = fixture;
  const wrong: unknown[] = [];
  // One program reads all of them, as --interval does: what it remembers of a group is that group's.
  const { request } = plan({ table: "tasks", pid, columns: ["container", "pod"] }, "json");
  using program = loadProgram(libraries, request);
  for (const [path, container, pod] of FORMS) {
    groups.put(pid, path);
    let text = "";
    for (const chunk of chunks(program.walk, "json")) text += new TextDecoder().decode(chunk);
    const found = JSON.parse(text);
    if (JSON.stringify(found) !== JSON.stringify([{ container, pod }])) wrong.push({ path, container, pod, found });
  }
  equal(wrong, []);
});

Deno.test("programs for older kernels know the same containers", async () => {
  using groups = new Groups();
  await using fixture = await Fixture.start("threads", "0");
  const { pid } = fixture;
  for (const [path, container, pod] of FORMS.filter((_, i) => i % 4 === 1)) {
    groups.put(pid, path);
    equal(readByLibbpf(pid), [{ container, pod }], path);
  }
});

Deno.test("every table of tasks has the task's own columns, equal to those of tasks", async () => {
  using groups = new Groups();
  await using fixture = await Fixture.start("threads", "2");
  const { pid } = fixture;
  groups.put(pid, `kubepods/besteffort/pod${UID}/${ID}`);
  const columns = ["ppid", "uid", "exe", "cgroup", "net_ns", "container", "pod", "ns_pid"];
  const [expected] = rows("tasks", `--pid=${pid}`, `--columns=${columns}`);
  equal([expected!.container, expected!.pod, expected!.ns_pid], ["4f8c2a0b9d1e", UID, pid]);
  equal(expected!.ppid, Deno.pid);
  for (const table of ["files", "stacks", "vmas"]) {
    const own = columns.map((name) => table === "files" && name === "uid" ? "task_uid" : name);
    const where = `container == 4f8c2a0b9d1e && pod == ${UID} && ${own[1]} == 0 && exe ~ "*/fixture" && ppid == ${Deno.pid}`;
    const found = rows(table, `--columns=pid,${own}`, "--where", where);
    equal(found.length > 0, true, table);
    for (const row of found) {
      equal(own.map((name) => row[name]), columns.map((name) => expected![name]), table);
      equal(row.pid, pid);
    }
    equal(rows(table, "--columns=pid", "--where", `pid == ${pid} && (container == null || pod != ${UID})`), [], table);
  }
  groups.free(pid);
  equal(rows("files", `--pid=${pid}`, "--columns=container,pod")[0], { container: null, pod: null });
});

Deno.test("--container takes the ID, a prefix of the ID, or the name", async () => {
  using groups = new Groups();
  await using one = await Fixture.start("threads", "0");
  await using two = await Fixture.start("threads", "0");
  groups.put(one.pid, `docker/${ID}`);
  groups.put(two.pid, "lxc.payload.web-1");
  const pids = (...args: string[]) => rows("tasks", "--columns=pid", ...args).map(({ pid }) => pid);
  for (const container of [ID, ID.slice(0, 12), ID.slice(0, 20), ID.slice(0, 4)]) {
    equal(pids("--container", container, "--comm", "fixture"), [one.pid], container);
    equal(pids(`--container=${container}`, "--stats"), [one.pid], `${container}, by commander`);
  }
  equal(pids("--container", "web-1"), [two.pid]);
  equal(pids("--container", "web"), []);
  equal(pids("--container", ID.slice(1)), []);
  const open = readdirSync(`/proc/${two.pid}/fd`).length;
  const count = taskIter("check", "files", "--container", "web-1", `--warn=${open}:${open}`);
  match(count.stdout, /^FILES OK - /);
});

/** Where a hierarchy of version 1 is mounted that a container's tasks are in. */
const v1 = readFileSync("/proc/self/mounts", "utf8").split("\n").map((line) => line.split(" "))
  .find(([, , type, options]) => type === "cgroup" && /\bpids\b/.test(options!))?.[1];

Deno.test({
  name: "the hierarchies of version 1 name the container where version 2 does not",
  ignore: v1 === undefined,
  async fn() {
    using groups = new Groups(v1);
    await using fixture = await Fixture.start("threads", "0");
    const { pid } = fixture;
    const named = () => rows("tasks", `--pid=${pid}`, "--columns=container,pod");
    equal(named(), [{ container: null, pod: null }]);
    groups.put(pid, `kubepods/besteffort/pod${UID}/${ID}`);
    equal(named(), [{ container: "4f8c2a0b9d1e", pod: UID }]);
    equal(readByLibbpf(pid), [{ container: "4f8c2a0b9d1e", pod: UID }]);
    groups.put(pid, `docker/${OTHER}`);
    equal(named(), [{ container: "0123456789ab", pod: null }]);
  },
});

Deno.test("ns_pid is the last number of NStgid, for threads too", async () => {
  await using fixture = await Fixture.start("threads", "2");
  equal(rows("tasks", `--pid=${fixture.pid}`, "--columns=ns_pid"), Array(3).fill({ ns_pid: fixture.pid }));
  // From outside, the number inside differs from the process's own.
  const child = spawn("unshare", ["--pid", "--fork", "--kill-child", fixtureProgram(), "threads", "1"]);
  await new Promise((resolve) => child.stdout.once("data", resolve));
  const inner = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, "utf8").trim();
  const numbers = /^NStgid:\t(.*)$/m.exec(readFileSync(`/proc/${inner}/status`, "utf8"))![1]!.split("\t");
  equal(numbers.at(-1), "1");
  equal(rows("tasks", `--pid=${inner}`, "--columns=pid,ns_pid"), Array(2).fill({ pid: Number(inner), ns_pid: 1 }));
  equal(rows("files", `--pid=${inner}`, "--columns=pid,ns_pid,fd", "--where=fd == 0"), [{
    pid: Number(inner),
    ns_pid: 1,
    fd: 0,
  }]);
  const ended = new Promise((resolve) => child.once("exit", resolve));
  child.stdin.end();
  await ended;
});

Deno.test("cwd and root are what /proc says: deleted, mounted elsewhere, below another root", async () => {
  using folder = new TemporaryFolder();
  await using fixture = await Fixture.start("directories", folder.path);
  const { pid } = fixture;
  const shown = () => rows("tasks", `--pid=${pid}`, "--columns=cwd,root")[0]!;
  const proc = () => ({ cwd: readlinkSync(`/proc/${pid}/cwd`), root: readlinkSync(`/proc/${pid}/root`) });
  const seen = [shown()];
  equal(seen[0], proc());
  for (const step of ["deleted", "mount", "chroot"]) {
    await fixture.tell(step);
    seen.push(shown());
    equal(seen.at(-1), proc(), step);
  }
  const place = `${folder.path}/mount "a"\n`;
  equal(seen, [
    { cwd: `/proc/${pid}/fdinfo`, root: "/" },
    { cwd: `${folder.path}/gone (deleted)`, root: "/" },
    { cwd: `${place}/inner`, root: "/" },
    { cwd: `${place}/inner/below`, root: `${place}/inner` },
  ]);
  equal(rows("tasks", "--columns=pid", "--where", `cwd ~ "${folder.path}/*" && root != "/"`), [{ pid }]);
  equal(rows("tasks", "--pid=2", "--columns=cwd,root"), [{ cwd: "/", root: "/" }]);
  await using zombie = await Fixture.start("zombie");
  equal(rows("tasks", `--pid=${zombie.facts.child}`, "--columns=cwd,root"), [{ cwd: null, root: null }]);
});
