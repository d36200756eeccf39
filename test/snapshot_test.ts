// SPDX-License-Identifier: BSD-2-Clause
/** `task-iter snapshot`, read by tar, zstd and gzip, and compared with the commands that read one table. */

import { deepStrictEqual as equal, match, ok } from "node:assert";
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { tables } from "../src/query/schema.ts";
import { executable, Fixture, type Row, run, taskIter, TemporaryFolder } from "./support.ts";

/** The files of an archive that GNU tar unpacks into `folder`, by name; they lie in one folder of their own. */
function unpacked(archive: string, folder: string): Map<string, string> {
  mkdirSync(folder);
  const { status, stderr } = run("tar", ["-xf", archive, "-C", folder]);
  equal([status, stderr], [0, ""]);
  const top = readdirSync(folder);
  equal(top.length, 1);
  return filesOf(`${folder}/${top[0]}`);
}

function filesOf(folder: string): Map<string, string> {
  const names = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((name) =>
    statSync(`${folder}/${name}`).isFile()
  );
  return new Map(names.sort().map((name) => [name, readFileSync(`${folder}/${name}`, "utf8")]));
}

const rowsOf = (text: string | undefined): Row[] => (text ?? "").split("\n").filter(Boolean).map((line) => JSON.parse(line));

const manifestOf = (files: Map<string, string>): Row => JSON.parse(files.get("manifest.json")!);

const tableOf = (files: Map<string, string>, name: string): Row =>
  manifestOf(files).tables.find((table: Row) => table.name === name);

for (const end of [".tar.zst", ".tar.gz", ".tgz", ".tar", ""]) {
  Deno.test(`a snapshot as ${end || "a folder"} has every table's rows as jsonl, and a manifest that counts them`, async () => {
    await using fixture = await Fixture.start("name", "snap");
    using folder = new TemporaryFolder();
    const path = `${folder.path}/machine${end}`;
    equal(taskIter("snapshot", path), { status: 0, stdout: "", stderr: "" });
    equal(readdirSync(folder.path), [`machine${end}`], "nothing lies beside it");
    equal(statSync(path).mode & 0o077, 0, "only its owner may read it");
    const files = end ? unpacked(path, `${folder.path}/unpacked`) : filesOf(path);
    const manifest = manifestOf(files);
    equal([manifest.format, manifest.redacted], [1, false]);
    equal(manifest.tables.map(({ name }: Row) => name), tables.map(({ name }) => name));
    for (const table of manifest.tables as Row[]) {
      const text = files.get(`tables/${table.name}.jsonl`);
      equal(table.state, /^(elems|sk-storage|sockmap)$/.test(table.name) ? "left out" : text === undefined ? "absent" : "read");
      if (text === undefined) {
        match(table.reason, /^(it reads one BPF map|kernel \S+ has no \w+ iterator)/);
        continue;
      }
      equal([rowsOf(text).length, new TextEncoder().encode(text).length], [table.rows, table.bytes], table.name);
      const columns = table.columns.map(({ name }: Row) => name);
      equal(columns, tables.find(({ name }) => name === table.name)!.columns.map(({ name }) => name));
      for (const row of rowsOf(text)) equal(Object.keys(row), columns);
    }
    // What does not change from one moment to the next is the same as by the command that reads one table.
    const own = (name: string) => rowsOf(files.get(`tables/${name}.jsonl`)).filter(({ pid }) => pid === fixture.pid);
    for (const name of ["files", "stacks", "vmas"]) {
      ok(own(name).length > 0);
      equal(own(name), rowsOf(taskIter(name, "--pid", String(fixture.pid), "-c", "all", "-f", "jsonl").stdout), name);
    }
    equal(own("tasks").map(({ comm, ppid }) => [comm, ppid]), [["snap", Deno.pid]]);
    ok(rowsOf(files.get("tables/ksyms.jsonl")).length > 10_000);
  });
}

Deno.test("a snapshot has every table also where the process may have few open files", () => {
  using folder = new TemporaryFolder();
  const { status, stderr } = run("bash", ["-c", 'ulimit -n 40; exec "$0" snapshot "$1"', executable, `${folder.path}/machine`]);
  equal([status, stderr], [0, ""]);
});

Deno.test("a snapshot has the facts of the host, the doctor's findings and the ready checks", () => {
  using folder = new TemporaryFolder();
  equal(taskIter("snapshot", `${folder.path}/machine`).status, 0);
  const files = filesOf(`${folder.path}/machine`);
  const host = JSON.parse(files.get("host.json")!);
  const uname = (flag: string) => run("uname", [flag]).stdout.trim();
  equal([host.hostname, host.kernel.release, host.kernel.version], [hostname(), uname("-r"), uname("-v")]);
  equal(host.kernel.machine, uname("-m"));
  equal(host.kernel.cmdline, readFileSync("/proc/cmdline", "utf8").trim());
  equal(host.cpus, Number(run("getconf", ["_NPROCESSORS_ONLN"]).stdout));
  equal(host.memory.MemTotal, Number(/^MemTotal:\s+(\d+)/m.exec(readFileSync("/proc/meminfo", "utf8"))![1]));
  match(readFileSync("/etc/os-release", "utf8"), new RegExp(`^PRETTY_NAME="?${host.os.replace(/[^\w ]/g, ".")}"?$`, "m"));
  const mounts = run("findmnt", ["-rno", "TARGET,FSTYPE"]).stdout.trimEnd().split("\n");
  equal(host.mounts.map(({ path, type }: Row) => `${path.replaceAll(" ", "\\x20")} ${type}`).sort(), mounts.sort());
  equal(JSON.parse(files.get("doctor.json")!), JSON.parse(taskIter("doctor", "-f", "json").stdout));
  const ready = taskIter("check", "--file", "docs/checks.json", "--format", "json").stdout;
  const names = (text: string) => JSON.parse(text).checks.map(({ name }: Row) => name);
  equal(names(files.get("checks.json")!), names(ready));
});

Deno.test("--where keeps rows of the tables that it names", async () => {
  await using fixture = await Fixture.start("name", "chosen");
  using folder = new TemporaryFolder();
  const args = ["--where", `files:pid == ${fixture.pid}`, "-w", "ksyms: name == schedule"];
  equal(taskIter("snapshot", `${folder.path}/machine`, ...args).status, 0);
  const files = filesOf(`${folder.path}/machine`);
  const pids = rowsOf(files.get("tables/files.jsonl")).map(({ pid }) => pid);
  equal([pids.length > 0, pids.every((pid) => pid === fixture.pid)], [true, true]);
  ok(rowsOf(files.get("tables/ksyms.jsonl")).every(({ name }) => name === "schedule"));
  ok(rowsOf(files.get("tables/tasks.jsonl")).length > 1);
  equal(tableOf(files, "files").where, `pid == ${fixture.pid}`);
});

Deno.test("a wrong command line is status 2, says what is wrong, and makes nothing", () => {
  using folder = new TemporaryFolder();
  writeFileSync(`${folder.path}/full`, "");
  for (
    const [path, args, words] of [
      ["a.tar.gz", ["--where", "comm == x"], /--where is TABLE:EXPR here/],
      ["a.tar.gz", ["--where", "fils:comm == x"], /no table fils \(did you mean files\?\)/],
      ["a.tar.gz", ["--where", "files:com == x"], /com/],
      ["a.tar.gz", ["--where", "files:pid == 1", "--where", "files:fd == 1"], /two expressions for files/],
      ["a.tar.gz", ["--where", "elems:key == 1"], /elems reads one BPF map/],
      ["a.zip", [], /not a \.zip file/],
      ["full", [], /exists/],
    ] as [string, string[], RegExp][]
  ) {
    const { status, stdout, stderr } = taskIter("snapshot", `${folder.path}/${path}`, ...args);
    equal([status, stdout], [2, ""], stderr);
    match(stderr, words);
    equal(readdirSync(folder.path), ["full"]);
  }
  equal(taskIter("snapshot").status, 2);
});

Deno.test("an existing archive is replaced whole, an empty folder filled", () => {
  using folder = new TemporaryFolder();
  writeFileSync(`${folder.path}/a.tar.gz`, "old");
  chmodSync(`${folder.path}/a.tar.gz`, 0o444);
  mkdirSync(`${folder.path}/b`);
  for (const name of ["a.tar.gz", "b"]) equal(taskIter("snapshot", `${folder.path}/${name}`).status, 0);
  equal(run("tar", ["-tf", `${folder.path}/a.tar.gz`]).status, 0);
  ok(existsSync(`${folder.path}/b/manifest.json`));
});

Deno.test("standard output takes an archive, a terminal none", () => {
  using folder = new TemporaryFolder();
  const { status, stderr } = run("sh", ["-c", '"$1" snapshot - > "$2"', "sh", executable, `${folder.path}/out.tar.zst`]);
  equal([status, stderr], [0, ""]);
  ok(unpacked(`${folder.path}/out.tar.zst`, `${folder.path}/unpacked`).has("manifest.json"));
  const terminal = run("script", ["-qec", `"${executable}" snapshot -`, "/dev/null"], { input: "" });
  equal(terminal.status, 2);
  match(terminal.stdout, /standard output is a terminal/);
});

Deno.test("a disk that is full is status 1 and one line, and leaves nothing", () => {
  using folder = new TemporaryFolder();
  const script = 'mount -t tmpfs -o size=64k tmpfs "$1" && { "$2" snapshot "$1/$3"; echo "$?"; ls -A "$1"; }';
  for (const name of ["a.tar.zst", "a.tar.gz", "folder"]) {
    const { stdout, stderr } = run("unshare", ["-m", "sh", "-c", script, "sh", folder.path, executable, name]);
    equal(stdout, "1\n");
    match(stderr, /^task-iter: cannot write [^\n]+: no space left on device\n$/);
  }
  const { status, stderr } = taskIter("snapshot", `${folder.path}/missing/a.tar.gz`);
  equal(status, 1);
  match(stderr, /^task-iter: cannot write [^\n]+: no such file or directory\n$/);
});

Deno.test("a signal ends it and leaves nothing", async () => {
  using folder = new TemporaryFolder();
  for (const name of ["a.tar.zst", "folder"]) {
    const child = new Deno.Command(executable, { args: ["snapshot", `${folder.path}/${name}`], stderr: "inherit" }).spawn();
    while (readdirSync(folder.path).length === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    child.kill("SIGINT");
    equal([(await child.status).code, readdirSync(folder.path)], [130, []]);
  }
});

Deno.test("a table that fails is recorded with its reason; none at all is status 3", () => {
  using folder = new TemporaryFolder();
  // The kernel refuses one call, of one table: one of those that load its program.
  const failing = (call: number) => {
    const fault = ["-f", "-o", "/dev/null", "-e", "trace=bpf", "-e", `inject=bpf:error=EMFILE:when=${call}`];
    const some = run("strace", [...fault, executable, "snapshot", `${folder.path}/${call}`]);
    equal([some.status, some.stdout], [0, ""]);
    const files = filesOf(`${folder.path}/${call}`);
    const failed = manifestOf(files).tables.filter(({ state }: Row) => state === "failed");
    equal(failed.length, 1);
    const finding: Row = JSON.parse(files.get("doctor.json")!).find(({ check }: Row) => check === `table ${failed[0].name}`);
    return { some, failed, finding };
  };
  let attempt = failing(40);
  for (let call = 39; attempt.finding.ok && call > 25; call--) attempt = failing(call);
  const { some, failed, finding } = attempt;
  equal(some.stderr, `task-iter: cannot read ${failed[0].name}: ${failed[0].reason}\n`);
  match(failed[0].reason, /too many open files/i);
  equal([finding.ok, finding.found], [false, failed[0].reason]);
  const none = run("setpriv", ["--bounding-set=-all", "--inh-caps=-all", executable, "snapshot", `${folder.path}/none`]);
  equal(none.status, 3);
  match(none.stderr, /^task-iter: cannot read any table: not permitted[^\n]+\n$/);
  equal(tableOf(filesOf(`${folder.path}/none`), "tasks").state, "failed");
});

Deno.test("sockets of every network namespace are in a snapshot, with CAP_BPF and CAP_PERFMON alone of the current one", async () => {
  await using fixture = await Fixture.start("inet");
  using folder = new TemporaryFolder();
  const ino = statSync(`/proc/${fixture.pid}/ns/net`).ino;
  equal(taskIter("snapshot", `${folder.path}/all`).status, 0);
  const all = filesOf(`${folder.path}/all`);
  equal(tableOf(all, "tcp").netns, "all");
  const found = ["tcp", "udp", "unix", "netlink"].flatMap((name) => rowsOf(all.get(`tables/${name}.jsonl`)));
  ok(found.some(({ netns }) => netns === ino), `a socket of namespace ${ino}`);
  const capabilities = ["--inh-caps=+bpf,+perfmon", "--ambient-caps=+bpf,+perfmon"];
  const user = ["--reuid=65534", "--regid=65534", "--clear-groups", ...capabilities];
  chmodSync(folder.path, 0o777);
  equal(run("setpriv", [...user, executable, "snapshot", `${folder.path}/current`]).status, 0);
  const current = filesOf(`${folder.path}/current`);
  equal([tableOf(current, "tcp").state, tableOf(current, "tcp").netns], ["read", "current"]);
});

Deno.test("--redact leaves out command lines, paths below /home and /root, and addresses, also in another's place", async () => {
  using folder = new TemporaryFolder();
  // A file system of its own, so that /home is the test's; the process is in the machine's pid namespace.
  const secret = "open-sesame-4711";
  mkdirSync(`${folder.path}/home/alice`, { recursive: true });
  writeFileSync(`${folder.path}/home/alice/${secret}`, "");
  await using _sockets = await Fixture.start("addresses", "198.51.100.7", "2001:db8::7", "127.0.0.9", "::");
  await using title = await Fixture.start("title", `server --password=${secret} 203.0.113.9`);
  await using named = await Fixture.start("name", "10.1.2.3-mgr");
  await using held = await Fixture.start("mappings", `${folder.path}/home/alice/${secret}`);
  const rowsBy = (args: string[], name: string) => {
    const path = `${folder.path}/${args.length}`;
    equal(taskIter("snapshot", path, ...args).status, 0);
    return {
      files: filesOf(path),
      text: [...filesOf(path).values()].join(""),
      of: (table: string) => rowsOf(filesOf(path).get(`tables/${table}.jsonl`)),
      name,
    };
  };
  const plain = rowsBy([], "plain");
  const redacted = rowsBy(["--redact"], "redacted");
  ok(plain.text.includes(secret) && plain.text.includes("203.0.113.9") && plain.text.includes(hostname()));
  for (const gone of [secret, "203.0.113.9", "10.1.2.3", JSON.parse(plain.files.get("host.json")!).kernel.cmdline]) {
    ok(!redacted.text.includes(gone), gone);
  }
  equal(manifestOf(redacted.files).redacted, true);
  equal(JSON.parse(redacted.files.get("host.json")!).hostname, "[redacted]");
  const task = (pid: number, tid = pid) => redacted.of("tasks").find((row) => row.pid === pid && row.tid === tid)!;
  equal(task(title.pid).cmdline, "[redacted]");
  match(task(named.pid).comm, /^\[address \d+\]-mgr$/);
  const mapped = redacted.of("vmas").filter((row) => row.pid === held.pid).map(({ path }) => path);
  ok(mapped.includes(`${folder.path}/home/[redacted]`), mapped.join());
  // The same address has the same number, so both ends of a connection still meet; unspecified and loopback addresses stay.
  const bound = (rows: Row[]) => new Map(rows.map(({ netns, ino, local_addr }) => [`${netns} ${ino}`, local_addr]));
  const after = bound(redacted.of("udp"));
  const names = new Map<string, string>();
  for (const [socket, address] of bound(plain.of("udp"))) {
    if (after.has(socket)) names.set(address, after.get(socket));
  }
  for (const same of ["127.0.0.9", "::"]) equal(names.get(same), same);
  for (const gone of ["198.51.100.7", "2001:db8::7"]) match(names.get(gone)!, /^\[address \d+\]$/);
  ok(names.get("198.51.100.7") !== names.get("2001:db8::7"));
  // Everything else is as it was.
  equal(redacted.of("tasks").map((row) => Object.keys(row)).at(0), plain.of("tasks").map((row) => Object.keys(row)).at(0));
});

/** The scripts of the recipe `name`, by the key before each. */
function scripts(name: string): string[] {
  const document = readFileSync("docs/snapshot.md", "utf8");
  const text = new RegExp("```yaml\\n# recipe: " + name + "\\n([^]*?)```").exec(document)![1]!;
  return [...text.matchAll(/(?:run: \||script:)\n((?: {4}.*\n)+)/g)].map(([, lines]) => lines!.replace(/^ {4}(- )?/gm, ""));
}

for (const name of ["github", "gitlab"]) {
  for (const how of ["hangs", "fails", "succeeds"]) {
    Deno.test(`recipe: ${name} keeps a snapshot and a report of a job that ${how === "succeeds" ? "does not succeed" : how}`, () => {
      using folder = new TemporaryFolder();
      const command = (name: string, text: string) =>
        writeFileSync(`${folder.path}/${name}`, `#!/bin/sh\n${text}\n`, { mode: 0o755 });
      Deno.symlinkSync(executable, `${folder.path}/task-iter`);
      command("sudo", 'exec "$@"');
      // A job that hangs is ended after the watch has taken its snapshot; the watch of the others comes too late.
      command(
        "make",
        how === "hangs"
          ? "until test -e machine.tar.zst; do sleep 0.05; done; exit 1"
          : how === "fails"
          ? "sleep 0.3; exit 1"
          : "sleep 0.3",
      );
      command(
        "sleep",
        how === "hangs" ? "exec /bin/sleep 0.1" : 'case "$1" in 1500) exec /bin/sleep 30;; *) exec /bin/sleep "$1";; esac',
      );
      const env = {
        ...process.env,
        PATH: `${folder.path}:${process.env.PATH}`,
        CI_JOB_STATUS: how === "succeeds" ? "success" : "failed",
      };
      const [job, after] = scripts(name);
      const step = (script: string) =>
        run("bash", ["--noprofile", "--norc", "-eo", "pipefail", "-c", script], { cwd: folder.path, env });
      equal(step(job!).status, how === "succeeds" ? 0 : 1);
      // GitHub decides by the step's own condition.
      if (name === "gitlab" || how !== "succeeds") equal(step(after!).status, 0);
      equal(existsSync(`${folder.path}/report.html`), how !== "succeeds");
      if (how !== "succeeds") ok(readFileSync(`${folder.path}/report.html`, "utf8").startsWith("<!DOCTYPE html>"));
    });
  }
}
