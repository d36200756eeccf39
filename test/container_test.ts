// SPDX-License-Identifier: BSD-2-Clause
/** The image of packaging/Dockerfile, run by podman with the rights that packaging/daemonset.yaml gives. */

import { deepStrictEqual as equal, match } from "node:assert";
import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { parse } from "yaml";
import { debianRoot, pieces } from "./pieces.ts";
import { executable, Fixture, type Result, run, TemporaryFolder } from "./support.ts";

/** podman with a storage of its own. */
class Podman implements Disposable {
  readonly #folder = new TemporaryFolder();
  readonly #cgroup = `task-iter-test-${process.pid}`;

  /**
   * Runs podman with some words, where `inContainer` adds those of a container that this machine can run. Where both versions of
   * control groups are mounted, crun wants one of them: the second is hidden from it.
   */
  run(...words: string[]): Result {
    const settings = [
      "--storage-driver=overlay",
      "--cgroup-manager=cgroupfs",
      "--runtime=crun",
      "--events-backend=none",
      "--log-level=error",
    ];
    const places = [
      "--root",
      `${this.#folder.path}/store`,
      "--runroot",
      `${this.#folder.path}/run`,
      "--tmpdir",
      `${this.#folder.path}/tmp`,
    ];
    const script = `[ ! -d /sys/fs/cgroup/unified ] || umount /sys/fs/cgroup/unified /sys/fs/cgroup/systemd; exec podman "$@"`;
    return run("unshare", ["--mount", "--propagation", "private", "sh", "-c", script, "sh", ...settings, ...places, ...words]);
  }

  must(...words: string[]): string {
    const { status, stdout, stderr } = this.run(...words);
    equal(status, 0, `podman ${words.join(" ")}: ${stdout}${stderr}`);
    return stdout;
  }

  container(rights: readonly string[], ...words: string[]): Result {
    const limits = ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1000:1000"];
    return this.run(
      "run",
      "--rm",
      "--pull=never",
      "--cgroup-parent",
      `/${this.#cgroup}`,
      ...limits,
      ...rights,
      "task-iter",
      ...words,
    );
  }

  [Symbol.dispose](): void {
    run("find", ["/sys/fs/cgroup", "-depth", "-type", "d", "-path", `*/${this.#cgroup}*`, "-exec", "rmdir", "{}", ";"]);
    this.#folder[Symbol.dispose]();
  }
}

interface Spec {
  hostPID: boolean;
  hostNetwork: boolean;
  containers: [{
    args: string[];
    securityContext: {
      runAsUser: number;
      privileged: boolean;
      allowPrivilegeEscalation: boolean;
      readOnlyRootFilesystem: boolean;
      capabilities: { drop: string[]; add: string[] };
    };
  }];
}

Deno.test("the image has nothing but the executable and its libraries, and reads the node with the rights of the DaemonSet", async (test) => {
  using podman = new Podman();
  using work = new TemporaryFolder();
  await using fixture = await Fixture.start("descriptors", work.path);
  const released = await pieces();
  copyFileSync(`${released}/Dockerfile`, `${work.path}/Dockerfile`);
  copyFileSync(executable, `${work.path}/task-iter`);
  const imported = run("sh", [
    "-c",
    `tar --create --directory "$1" --exclude ./dev . >"$2"`,
    "sh",
    debianRoot("bookworm"),
    `${work.path}/root.tar`,
  ]);
  equal(imported.status, 0, imported.stderr);
  podman.must("import", "--quiet", `${work.path}/root.tar`, "docker.io/library/debian:12-slim");
  podman.must("build", "--quiet", "--pull=never", "--network=none", "--tag", "task-iter", work.path);

  await test.step("files", () => {
    podman.must("save", "--quiet", "--format", "oci-dir", "--output", `${work.path}/image`, "task-iter");
    const read = (name: string) => JSON.parse(readFileSync(`${work.path}/image/${name}`, "utf8"));
    const blob = ({ digest }: { digest: string }) => `blobs/${digest.replace(":", "/")}`;
    const files = read(blob(read("index.json").manifests[0])).layers.flatMap((layer: { digest: string }) =>
      run("tar", ["--list", "--file", `${work.path}/image/${blob(layer)}`]).stdout.split("\n").filter((name) =>
        name && !name.endsWith("/")
      )
    ).map((name: string) => name.replace(/^.*\//, ""));
    const needed = run("ldd", [executable]).stdout.match(/\/[^ ]+/g)!.map((path) => path.replace(/^.*\//, ""));
    equal(files.sort(), [...needed, "task-iter"].sort());
  });

  const { spec } = parse(readFileSync(`${released}/daemonset.yaml`, "utf8")).spec.template as { spec: Spec };
  const [{ args, securityContext }] = spec.containers;
  const { add, drop } = securityContext.capabilities;
  equal([add, drop, securityContext.privileged], [["BPF", "PERFMON"], ["ALL"], false]);
  // The profile of containerd and Docker: that of podman before version 4.4 lets nobody but CAP_SYS_ADMIN call bpf(2).
  const profile = JSON.parse(readFileSync("/usr/share/containers/seccomp.json", "utf8"));
  for (const rule of profile.syscalls) {
    if (rule.action !== "SCMP_ACT_ALLOW") rule.names = rule.names.filter((name: string) => name !== "bpf");
  }
  profile.syscalls.push({ names: ["bpf"], action: "SCMP_ACT_ALLOW", includes: { caps: ["CAP_BPF"] } });
  writeFileSync(`${work.path}/seccomp.json`, JSON.stringify(profile));
  const rights = (capabilities: string[], host = true) => [
    ...drop.map((name) => `--cap-drop=${name}`),
    ...capabilities.map((name) => `--cap-add=${name}`),
    ...(host && spec.hostPID ? ["--pid=host"] : []),
    ...(spec.hostNetwork ? ["--network=host"] : ["--network=none"]),
    ...(securityContext.readOnlyRootFilesystem ? ["--read-only", "--read-only-tmpfs=false"] : []),
    ...(securityContext.allowPrivilegeEscalation ? [] : ["--security-opt=no-new-privileges"]),
    `--user=${securityContext.runAsUser}`,
    `--security-opt=seccomp=${work.path}/seccomp.json`,
  ];

  await test.step("its arguments are a read that works", () => {
    equal(podman.container(rights(add), ...args, "--count", "1").status, 0);
  });
  await test.step("rows of the node", () => {
    const ask = ["files", "--pid", String(fixture.pid), "--format", "json"];
    equal(podman.container(rights(add), ...ask), run(executable, ask));
    const listeners = ["tcp", "--where", "state == LISTEN", "--format", "json", "--columns", "local_port,ino"];
    equal(podman.container(rights(add), ...listeners), run(executable, listeners));
  });
  await test.step("less than these rights are too few", () => {
    for (const name of add) {
      const fewer = [...rights(add.filter((other) => other !== name)), "--security-opt=seccomp=unconfined"];
      const { status, stderr } = podman.container(fewer, "tasks", "--pid", "1");
      equal(status, 3, stderr);
      match(stderr, new RegExp(`CAP_${name}`));
    }
    const alone = podman.container(rights(add, false), "tasks", "--format", "jsonl");
    equal(alone.status, 0, alone.stderr);
    equal(alone.stdout.trim().split("\n").map((line) => JSON.parse(line).pid), [1]);
  });
});
