// SPDX-License-Identifier: BSD-2-Clause
/** The package for Debian: installed, used and removed in roots of Debian 11, 12 and 13, under a systemd of each. */

import { deepStrictEqual as equal, match, ok } from "node:assert";
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { architecture, ARCHITECTURES, debianRoot, pieces, version } from "./pieces.ts";
import { cgroupRoot, type Result, root, run, TemporaryFolder } from "./support.ts";

const deb = async () => `${await pieces()}/task-iter_${version}_${ARCHITECTURES[architecture].debian}.deb`;

Deno.test("lintian has no word about the packages for Debian", async () => {
  const folder = await pieces();
  const packages = readdirSync(folder).filter((name) => name.endsWith(".deb"));
  ok(packages.length > 0);
  for (const name of packages) {
    const words = ["--allow-root", "--fail-on", "error,warning", "--display-info", "--tag-display-limit", "0"];
    const { status, stdout } = run("lintian", [...words, `${folder}/${name}`]);
    // Hints of the lowest rank are about how Bun was compiled.
    equal([status, stdout.split("\n").filter((line) => /^[EW]:/.test(line))], [0, []]);
  }
});

/**
 * A Debian with a systemd as its first process, in namespaces and a control group of its own; what it writes is in memory. Only
 * the network namespace is the test's, because tables of sockets belong to it.
 */
class Machine implements AsyncDisposable {
  private constructor(
    private readonly child: ChildProcess,
    private readonly init: string,
    private readonly cgroup: string,
    readonly path: string,
  ) {}

  static async start(suite: string, work: string): Promise<Machine> {
    const cgroup = `${cgroupRoot}/task-iter-test-${process.pid}-${suite}`;
    mkdirSync(cgroup);
    // The shell enters the control group before unshare makes that the root of the new namespace.
    const script = `echo $$ >"$3/cgroup.procs"
      exec unshare --mount --pid --fork --kill-child --cgroup --uts --ipc --propagation private sh -euc '
        mount -t tmpfs tmpfs "$2"
        mkdir "$2/upper" "$2/work" "$2/root"
        mount -t overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" overlay "$2/root"
        cd "$2/root"
        mount -t proc proc proc
        mount -t sysfs sysfs sys
        mount -t cgroup2 cgroup2 sys/fs/cgroup
        mount -t tmpfs tmpfs run
        mount -t tmpfs tmpfs tmp
        mount -t tmpfs -o mode=755 tmpfs dev
        mkdir dev/pts dev/shm
        mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts dev/pts
        ln -s pts/ptmx dev/ptmx
        for device in "null 3" "zero 5" "full 7" "random 8" "urandom 9"; do mknod -m 666 "dev/\${device% *}" c 1 "\${device#* }"; done
        pivot_root . mnt
        exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin container=other chroot . sh -c "umount -l /mnt; exec /lib/systemd/systemd --log-target=null"
      ' sh "$1" "$2"`;
    const child = spawn("sh", ["-c", script, "sh", debianRoot(suite), work, cgroup], { stdio: ["ignore", "ignore", "inherit"] });
    for (;;) {
      if (child.exitCode !== null) throw new Error(`no systemd of ${suite}`);
      const children = `/proc/${child.pid}/task/${child.pid}/children`;
      const init = existsSync(children) ? readFileSync(children, "utf8").trim() : "";
      if (init) {
        const machine = new Machine(child, init, cgroup, `/proc/${init}/root`);
        // Degraded: a container cannot load modules.
        if (/^(running|degraded)$/.test(machine.run("systemctl", "is-system-running").stdout.trim())) return machine;
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  /** Runs a command in it as root. */
  run(...words: string[]): Result {
    const enter = ["--target", this.init, "--mount", "--pid", "--cgroup", "--uts", "--ipc", "--root", "--wd"];
    const env = ["env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8"];
    return run("nsenter", [...enter, ...env, ...words]);
  }

  must(...words: string[]): string {
    const { status, stdout, stderr } = this.run(...words);
    equal(status, 0, `${words.join(" ")}: ${stdout}${stderr}`);
    return stdout;
  }

  /**
   * Runs the service, with `settings` added to those of its file.
   *
   * @returns its exit status, and what it wrote
   */
  service(...settings: string[]): { status: number; output: string } {
    const folder = "/run/systemd/system/task-iter-checks.service.d";
    const lines = ["[Service]", "StandardOutput=file:/output", "StandardError=file:/output", ...settings];
    this.must("sh", "-c", `mkdir -p ${folder} && rm -f /output && printf '%s\\n' "$@" >${folder}/test.conf`, "sh", ...lines);
    this.must("systemctl", "daemon-reload");
    this.run("systemctl", "reset-failed", "task-iter-checks.service");
    this.run("systemctl", "start", "task-iter-checks.service");
    const status = this.must("systemctl", "show", "--property=ExecMainStatus", "task-iter-checks.service");
    return { status: Number(status.match(/=(\d+)/)![1]), output: this.run("cat", "/output").stdout };
  }

  /** All files but those that change by themselves. */
  files(): string {
    const apart = ["/proc", "/sys", "/run", "/tmp", "/dev", "/var/lib/dpkg", "/var/log", "/var/cache", "/var/lib/systemd"];
    return this.must("find", "/", ...apart.flatMap((path) => ["-path", path, "-prune", "-o"]), "-print");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = new Promise((resolve) => this.child.once("exit", resolve));
    this.child.kill("SIGKILL"); // --kill-child: and with it all processes of the namespace
    await ended;
    const remove = (folder: string): void => {
      for (const entry of readdirSync(folder, { withFileTypes: true })) {
        if (entry.isDirectory()) remove(`${folder}/${entry.name}`);
      }
      for (;;) {
        try {
          return rmdirSync(folder);
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code !== "EBUSY") throw error; // its processes are about to end
        }
      }
    };
    remove(this.cgroup);
  }
}

/** Numbers of system calls. */
const CALLS = {
  x64: {
    unshare: 272,
    personality: 135,
    sched_setscheduler: 144,
    sethostname: 170,
    syslog: 103,
    adjtimex: 159,
    perf_event_open: 298,
  },
  arm64: {
    unshare: 97,
    personality: 92,
    sched_setscheduler: 119,
    sethostname: 161,
    syslog: 116,
    adjtimex: 171,
    perf_event_open: 241,
  },
}[architecture];

/** A program that tries what the settings of the service forbid, and prints what came of each. */
const PROBE = `use Socket;
sub say_ { print "$_[0]: $_[1]\\n" }
sub try_ { my ($name, $result) = @_; say_($name, defined $result && $result ne "-1" ? "done" : "$!") }
open my $status, "<", "/proc/self/status";
while (<$status>) { say_($1, $2) if /^(CapEff|CapBnd|NoNewPrivs|Seccomp):\\s*(\\S+)/ }
open my $mounts, "<", "/proc/self/mountinfo";
my %last;
while (<$mounts>) { my @field = split; $last{$field[4]} = $field[5] =~ /^ro/ ? "read-only" : "writable" }
say_("mount $_", $last{$_} // "no mount") for "/", "/proc/sys", "/sys/fs/cgroup";
say_("user", $> == 0 ? "root" : "another");
say_("umask", sprintf "%04o", umask);
say_("sees $_", -e $_ ? "yes" : "no") for "/home/secret", "/root/secret", "/tmp/secret", "/dev/secret", "/usr/lib/modules/secret", "/proc/1/comm";
try_("write below /usr", open(my $file, ">", "/usr/probe") || undef);
try_("inet socket", socket(my $inet, AF_INET, SOCK_STREAM, 0) || undef);
try_("unix socket", socket(my $unix, AF_UNIX, SOCK_STREAM, 0) || undef);
open my $own, ">", "/tmp/own";
try_("setuid file", chmod(04755, "/tmp/own") || undef);
try_("personality", syscall(${CALLS.personality}, 8) . "");
my $priority = pack("i", 1);
try_("real time", syscall(${CALLS.sched_setscheduler}, 0, 1, $priority) . "");
my $name = "probe";
try_("host name", syscall(${CALLS.sethostname}, $name, 5) . "");
try_("kernel log", syscall(${CALLS.syslog}, 10, 0, 0) . "");
my $clock = "\\0" x 256;
try_("clock", syscall(${CALLS.adjtimex}, $clock) . "");
try_("call of a debugger", syscall(${CALLS.perf_event_open}, 0, 0, 0, 0, 0) . "");
try_("user namespace", syscall(${CALLS.unshare}, 0x10000000) . "");
`;

/** What the program prints outside of the service, and in it. */
const EXPECTED: Record<string, [outside: RegExp, inside: RegExp]> = {
  CapEff: [/^[0-9a-f]{16}$/, /^000000c000000000$/], // CAP_PERFMON, CAP_BPF
  CapBnd: [/^[0-9a-f]{16}$/, /^000000c000000000$/],
  NoNewPrivs: [/^0$/, /^1$/],
  Seccomp: [/^0$/, /^2$/],
  "mount /": [/^writable$/, /^read-only$/],
  "mount /proc/sys": [/^no mount$/, /^read-only$/],
  "mount /sys/fs/cgroup": [/^writable$/, /^read-only$/],
  user: [/^root$/, /^another$/],
  umask: [/^0022$/, /^0077$/],
  "sees /home/secret": [/^yes$/, /^no$/],
  "sees /root/secret": [/^yes$/, /^no$/],
  "sees /tmp/secret": [/^yes$/, /^no$/],
  "sees /dev/secret": [/^yes$/, /^no$/],
  "sees /usr/lib/modules/secret": [/^yes$/, /^no$/],
  "sees /proc/1/comm": [/^yes$/, /^no$/],
  "write below /usr": [/^done$/, /^Read-only file system$/],
  "inet socket": [/^done$/, /^Address family not supported by protocol$/],
  "unix socket": [/^done$/, /^done$/],
  "setuid file": [/^done$/, /^Operation not permitted$/],
  "user namespace": [/^done$/, /^Operation not permitted$/],
  personality: [/^done$/, /^Operation not permitted$/],
  "real time": [/^done$/, /^Operation not permitted$/],
  "host name": [/^done$/, /^Operation not permitted$/],
  "kernel log": [/^done$/, /^Operation not permitted$/],
  clock: [/^done$/, /^Operation not permitted$/],
  "call of a debugger": [/^(Bad address|Argument list too long|No such file or directory)$/, /^Operation not permitted$/],
};

function compareFacts(output: string, side: 0 | 1): void {
  const facts = Object.fromEntries(output.trim().split("\n").map((line) => line.split(": ", 2) as [string, string]));
  for (const [name, patterns] of Object.entries(EXPECTED)) match(facts[name] ?? "", patterns[side], `${name}: ${output}`);
}

for (const [suite, release] of [["bullseye", 11], ["bookworm", 12], ["trixie", 13]] as const) {
  Deno.test(`the package installs, checks by a timer within its bounds, and is removed, on Debian ${release}`, async () => {
    using work = new TemporaryFolder();
    await using machine = await Machine.start(suite, work.path);
    const before = machine.files();
    const copied = await Deno.readFile(await deb());
    writeFileSync(`${machine.path}/tmp/task-iter.deb`, copied);
    machine.must("dpkg", "--install", "/tmp/task-iter.deb");
    equal(machine.must("dpkg", "--verify", "task-iter"), "");
    equal(machine.must("task-iter", "--version"), `${version}\n`);
    equal(machine.must("task-iter", "tasks", "--pid", "1", "--format", "csv", "--columns", "pid,comm"), "pid,comm\n1,systemd\n");
    for (
      const [file, text] of [["usr/share/bash-completion/completions/task-iter", "bash"], [
        "usr/share/zsh/vendor-completions/_task-iter",
        "zsh",
      ], ["usr/share/fish/vendor_completions.d/task-iter.fish", "fish"]] as const
    ) {
      equal(readFileSync(`${machine.path}/${file}`, "utf8"), run(`${root}dist/task-iter`, ["completions", text]).stdout);
    }
    match(
      machine.must("sh", "-c", "zcat /usr/share/man/man8/task-iter.8.gz"),
      /\.SH NAME\ntask\\-iter \\- read Linux kernel tables/,
    );

    // systemd knows all settings, and nothing runs before the administrator says so.
    const verify = ["systemd-analyze", "verify", "--man=no", "task-iter-checks.service", "task-iter-checks.timer"];
    equal(machine.run(...verify), { status: 0, stdout: "", stderr: "" });
    match(machine.run("systemctl", "is-enabled", "task-iter-checks.timer").stdout, /^disabled/);
    match(machine.run("systemctl", "is-active", "task-iter-checks.timer").stdout, /^inactive/);
    equal(machine.service(), { status: 0, output: "" }); // no checks

    // The example is a file of checks that the service can run, whatever this machine's state is.
    machine.must("mkdir", "/etc/task-iter");
    machine.must("cp", "/usr/share/doc/task-iter/examples/checks.json", "/etc/task-iter/checks.json");
    const example = machine.service();
    ok(example.status < 3, `${example.status} ${example.output}`);
    match(example.output, /^TAP version 13\n1\.\.\d+\n/);
    // 0, 2 and 3 for what is known to be well, ill and unknown.
    const checks = (crit: string, table = "tasks") =>
      writeFileSync(
        `${machine.path}/etc/task-iter/checks.json`,
        JSON.stringify([{ name: "init", table, where: "pid == 1", crit }]),
      );
    checks("1:1");
    const well = machine.service();
    equal(well.status, 0, well.output);
    match(well.output, /^ok 1 - init/m);
    checks("0");
    equal(machine.service().status, 2);
    checks("0", "nothing");
    equal(machine.service().status, 3);
    checks("1:1");

    // Each setting takes away what it says.
    for (const folder of ["home", "root", "tmp", "usr/lib/modules"]) {
      mkdirSync(`${machine.path}/${folder}`, { recursive: true });
      writeFileSync(`${machine.path}/${folder}/secret`, "");
    }
    machine.must("chmod", "755", "/root");
    machine.must("mknod", "/dev/secret", "c", "1", "3");
    writeFileSync(`${machine.path}/usr/probe.pl`, PROBE);
    compareFacts(machine.must("perl", "/usr/probe.pl"), 0);
    machine.must("rm", "-f", "/usr/probe");
    compareFacts(machine.service("ExecStart=", "ExecStart=/usr/bin/perl /usr/probe.pl").output, 1);
    // What the unit's file says it cannot have.
    const noCode = machine.service("MemoryDenyWriteExecute=yes");
    equal(noCode.status, 3, noCode.output);
    equal(machine.service("PrivateUsers=yes").status, 3);

    // The timer runs the service, until the package is removed.
    machine.service();
    machine.must("rm", "-f", "/output");
    machine.must("systemctl", "enable", "--quiet", "task-iter-checks.timer");
    const soon = "/run/systemd/system/task-iter-checks.timer.d";
    machine.must(
      "sh",
      "-c",
      `mkdir ${soon} && printf '[Timer]\\nOnActiveSec=0s\\nAccuracySec=1ms\\n' >${soon}/soon.conf && systemctl daemon-reload`,
    );
    machine.must("systemctl", "start", "task-iter-checks.timer");
    while (!/^ok 1 - init/m.test(machine.run("cat", "/output").stdout)) await new Promise((resolve) => setTimeout(resolve, 50));
    machine.must("dpkg", "--remove", "task-iter");
    match(machine.run("systemctl", "is-active", "task-iter-checks.timer").stdout, /^(inactive|unknown)/);
    machine.must("dpkg", "--purge", "task-iter");
    machine.must(
      "rm",
      "-rf",
      "/etc/task-iter",
      "/output",
      "/home/secret",
      "/root/secret",
      "/usr/lib/modules",
      "/usr/probe.pl",
      "/usr/probe",
    );
    equal(machine.files(), before);
  });
}
