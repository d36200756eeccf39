// SPDX-License-Identifier: BSD-2-Clause
/** Debian's kernels, and a machine in software that runs one of them with the suite as its only program. */

import { execFileSync, spawn } from "node:child_process";
import fs from "node:fs";
import { homedir, tmpdir } from "node:os";
import { dirname } from "node:path";

/** What stands in the way of a kernel: no network, a suite that the mirror no longer has. */
export class Unavailable extends Error {
  override name = "Unavailable";
}

const cache = `${process.env.XDG_CACHE_HOME || `${homedir()}/.cache`}/task-iter/kernels`;

/** The mirrors that this machine's apt uses: of the archive, and of security updates. */
function mirrors(): { archive: string; security: string | undefined } {
  const lines = execFileSync("apt-get", ["indextargets", "--format", "$(SITE) $(RELEASE)", "Created-By: Packages"], {
    encoding: "utf8",
  });
  const pairs = lines.split("\n").filter(Boolean).map((line) => line.split(" ") as [string, string]);
  const archive = pairs.find(([, release]) => /^[a-z]+$/.test(release))?.[0];
  if (!archive) throw new Unavailable("apt has no archive of Debian");
  return { archive, security: pairs.find(([, release]) => release.endsWith("-security"))?.[0] };
}

/** The kernel image of a Debian suite, fetched once; to fetch a newer one remove the file. @throws {Unavailable} */
export function kernelOf(suite: string): string {
  const image = `${cache}/${suite}`;
  if (fs.existsSync(image)) return image;
  // apt with a configuration of its own: the machine's sources, lists and packages stay as they are.
  const folder = fs.mkdtempSync(`${tmpdir()}/task-iter-apt-`);
  try {
    const { archive, security } = mirrors();
    const signed = "[signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]";
    const sources = [`deb ${signed} ${archive} ${suite} main`];
    // Kernels of an old suite are updated there only.
    if (suite === "bullseye" && security) sources.push(`deb ${signed} ${security} ${suite}-security main`);
    fs.mkdirSync(`${folder}/lists/partial`, { recursive: true });
    fs.writeFileSync(`${folder}/status`, "");
    fs.writeFileSync(`${folder}/sources.list`, sources.join("\n") + "\n");
    const settings = Object.entries({
      "Dir::State": folder,
      "Dir::State::status": `${folder}/status`,
      "Dir::Cache": folder,
      "Dir::Etc::sourcelist": `${folder}/sources.list`,
      "Dir::Etc::sourceparts": "/dev/null",
      "Acquire::Languages": "none",
      "APT::Architecture": "amd64",
      "APT::Sandbox::User": "root",
    }).flatMap(([key, value]) => ["-o", `${key}=${value}`]);
    const apt = (command: string, ...words: string[]): string =>
      execFileSync(command, [...settings, ...words], { cwd: folder, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
    /** A package's dependency whose name matches. */
    const needed = (name: string, pattern: RegExp): string => {
      const found = apt("apt-cache", "depends", name).match(pattern);
      if (!found) throw new Unavailable(`${name} of ${suite} names no kernel`);
      return found[0];
    };
    /** The image in a package, if it has one. */
    const extract = (name: string): Buffer | undefined => {
      apt("apt-get", "download", name);
      const file = fs.readdirSync(folder).find((file) => file.startsWith(`${name}_`))!;
      const listed = execFileSync("dpkg-deb", ["--contents", file], { cwd: folder, encoding: "utf8", maxBuffer: 1 << 28 });
      const path = /\.\/\S*vmlinuz\S*$/m.exec(listed)?.[0];
      if (path === undefined) return undefined;
      const pipe = 'dpkg-deb --fsys-tarfile "$1" | tar --extract --to-stdout "$2"';
      return execFileSync("sh", ["-c", pipe, "sh", file, path], { cwd: folder, maxBuffer: 1 << 28 });
    };
    apt("apt-get", "--quiet", "update");
    const package_ = needed("linux-image-cloud-amd64", /linux-image-[0-9]\S*-cloud-amd64/);
    const bytes = extract(package_) ?? extract(needed(package_, /linux-binary-[0-9]\S*-cloud-amd64/));
    if (!bytes) throw new Unavailable(`${package_} of ${suite} has no kernel in it`);
    fs.mkdirSync(cache, { recursive: true });
    fs.writeFileSync(`${image}.new`, bytes);
    fs.renameSync(`${image}.new`, image);
    return image;
  } catch (error) {
    const { stderr, message } = error as { stderr?: string | Buffer; message: string };
    throw new Unavailable(`no kernel of ${suite}: ${String(stderr || message).trim().split("\n")[0]}`);
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
}

const INIT = `#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin HOME=/
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t bpf bpf /sys/fs/bpf
mount -t cgroup2 cgroup2 /sys/fs/cgroup && mkdir -p /sys/fs/cgroup/one/two
ifconfig lo up
/bun run /suite.js /task-iter /lib/task-iter > /dev/ttyS1 2> /dev/ttyS0
poweroff -f
`;

/** An initial RAM file system that is the whole machine: the executable, its libraries, busybox, the suite and what runs it. */
export function initramfs(folder: string, executable: string, libraries: string, suite: string, bun: string): string {
  const root = `${folder}/root`;
  const copy = (from: string, to: string): void => {
    fs.mkdirSync(dirname(root + to), { recursive: true });
    fs.copyFileSync(from, root + to);
  };
  for (const name of ["proc", "sys", "dev", "tmp"]) fs.mkdirSync(`${root}/${name}`, { recursive: true });
  copy("/bin/busybox", "/bin/busybox");
  copy(executable, "/task-iter");
  copy(suite, "/suite.js");
  copy(bun, "/bun");
  for (const name of fs.readdirSync(libraries)) {
    if (/\.so(\.1)?$/.test(name)) copy(libraries + name, `/lib/task-iter/${name}`);
  }
  const needed = execFileSync("ldd", [executable], { encoding: "utf8" });
  for (const [path] of needed.matchAll(/\/\S+/g)) copy(path, path);
  fs.writeFileSync(`${root}/init`, INIT, { mode: 0o755 });
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

/** Boots `kernel` and waits until it has powered off: what the suite said, and the console. */
export async function boot(
  folder: string,
  kernel: string,
  initramfs: string,
  seconds: number,
): Promise<{ results: string; console: string }> {
  const files = fs.mkdtempSync(`${folder}/machine-`);
  // /dev/kvm is not always what it seems; emulation works everywhere.
  const machine = ["-accel", "tcg", "-cpu", "max", "-m", "3072", "-display", "none", "-nodefaults", "-no-reboot"];
  const serial = ["-serial", `file:${files}/console`, "-serial", `file:${files}/results`];
  const image = ["-kernel", kernel, "-initrd", initramfs, "-append", "console=ttyS0 quiet panic=-1"];
  const child = spawn("qemu-system-x86_64", [...machine, ...serial, ...image], { stdio: ["ignore", "ignore", "inherit"] });
  const timer = setTimeout(() => child.kill("SIGKILL"), seconds * 1000);
  await new Promise((resolve, reject) => child.once("exit", resolve).once("error", reject));
  clearTimeout(timer);
  const [results, console] = ["results", "console"].map((name) => fs.readFileSync(`${files}/${name}`, "utf8")) as [
    string,
    string,
  ];
  return { results, console };
}
