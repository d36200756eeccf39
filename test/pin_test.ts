// SPDX-License-Identifier: BSD-2-Clause
import { deepStrictEqual as equal, match, ok } from "node:assert";
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { load as loadProgram } from "../src/native/load.ts";
import { libraries } from "../src/mod.ts";
import { plan } from "../src/query/plan.ts";
import { executable, Fixture, type Result, rows, run, taskIter, TemporaryFolder } from "./support.ts";

/**
 * A BPF file system of the test's own: mounted in a mount namespace that a process keeps, so that the machine needs none and is left
 * as it was. Others reach the files by `path`, through that process's root.
 */
class Bpffs implements AsyncDisposable {
  private constructor(private readonly keeper: ChildProcessWithoutNullStreams) {}

  static async mount(): Promise<Bpffs> {
    const script = "mount -t bpf bpf /sys/fs/bpf && echo mounted && read -r line";
    const keeper = spawn("unshare", ["--mount", "--propagation=private", "sh", "-c", script]);
    keeper.stderr.pipe(process.stderr);
    const [outcome] = await Promise.race([once(keeper.stdout, "data"), once(keeper, "exit")]);
    equal(String(outcome), "mounted\n");
    return new Bpffs(keeper);
  }

  get path(): string {
    return `/proc/${this.keeper.pid}/root/sys/fs/bpf`;
  }

  /** Runs task-iter in the namespace, where the file system is at /sys/fs/bpf. */
  inside(...args: string[]): Result {
    return run("nsenter", ["--mount", `--target=${this.keeper.pid}`, executable, ...args]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = once(this.keeper, "exit");
    this.keeper.stdin.end();
    await ended;
  }
}

const cat = (path: string) => run("cat", [path]);

Deno.test("a pinned query gives fresh, complete rows with no task-iter running", async () => {
  await using fixture = await Fixture.start("name", "pinned");
  await using folder = await Bpffs.mount();
  const path = `${folder.path}/files`;
  const where = "comm == pinned || comm == pinned-later";
  equal(taskIter("pin", "files", path, "--where", where, "-c", "pid,fd", "--format=json"), { status: 0, stdout: "", stderr: "" });
  const read = () => {
    const { status, stdout } = cat(path);
    equal(status, 0);
    return stdout.trimEnd().split("\n").filter((line) => line).map((line) => JSON.parse(line));
  };
  const expected = rows("files", "--where", where, "-c", "pid,fd");
  ok(expected.length > 0 && expected.every(({ pid }) => pid === fixture.pid));
  equal(read(), expected);
  await using later = await Fixture.start("name", "pinned-later");
  ok(read().some(({ pid }) => pid === later.pid));
});

Deno.test("csv and text are pinned as rows without a header", async () => {
  await using fixture = await Fixture.start("name", "pinned");
  await using folder = await Bpffs.mount();
  for (const format of ["csv", "text"]) {
    const query = ["files", "--pid", String(fixture.pid), "-c", "pid,fd,type"];
    equal(taskIter("pin", query[0]!, `${folder.path}/${format}`, ...query.slice(1), "--format", format).status, 0);
    equal(cat(`${folder.path}/${format}`).stdout, taskIter(...query, "--format", format, "--no-header").stdout);
  }
});

Deno.test("pin --list shows each query in words, unpin removes it and nothing else", async () => {
  await using folder = await Bpffs.mount();
  const path = `${folder.path}/open`;
  const where = `path ~ "/it's/*" && fd > 2`;
  equal(taskIter("pin", "files", path, "-w", where, "--comm", "a b", "-f", "csv").status, 0);
  const listed = JSON.parse(folder.inside("pin", "--list", "--format=json").stdout) as { path: string; query: string }[];
  equal(listed.map((pin) => pin.path), ["/sys/fs/bpf/open"]);
  const { query } = listed[0]!;
  equal(query, `files --format=csv --where='path ~ "/it'\\''s/*" && fd > 2' --comm='a b'`);
  // The words are a command line.
  equal(run("bash", ["-c", `set -- ${query}; printf '%s\n' "$3"`]).stdout, `--where=${where}\n`);
  match(folder.inside("pin", "--list").stdout, /^PATH +QUERY\n/);
  equal(taskIter("unpin", path), { status: 0, stdout: "", stderr: "" });
  ok(!existsSync(path));
  const again = taskIter("unpin", path);
  equal([again.status, again.stdout], [2, ""]);
  match(again.stderr, /is not a query that task-iter has pinned/);
  // A map of somebody else.
  const map = `${folder.path}/map`;
  const create = ["map", "create", map, "type", "array", "key", "4", "value", "4", "entries", "1", "name", "other"];
  equal(run("bpftool", create).status, 0);
  equal(taskIter("unpin", map).status, 2);
  ok(existsSync(map));
});

Deno.test("what cannot be pinned is refused in one line that says what to do", async () => {
  using folder = new TemporaryFolder();
  await using pins = await Bpffs.mount();
  const refused = (status: number, message: RegExp, ...args: string[]) => {
    const result = taskIter("pin", ...args);
    equal([result.status, result.stdout], [status, ""], args.join(" "));
    match(result.stderr, message);
    equal(result.stderr.split("\n").length, 2);
  };
  refused(2, /is not in a BPF file system.* mount -t bpf bpf \/sys\/fs\/bpf$/m, "files", `${folder.path}/x`);
  ok(!existsSync(`${folder.path}/x`));
  refused(2, /ENOENT/, "files", `${pins.path}/nowhere/x`);
  refused(1, /a name in bpffs has no dot/, "files", `${pins.path}/x.csv`);
  refused(2, /no table fils \(did you mean files\?\)/, "fils", `${pins.path}/x`);
  refused(2, /needs a TABLE and a PATH/, "files");
  refused(2, /a pinned file shows the network namespace of the process that reads it/, "tcp", `${pins.path}/x`, "--netns", "all");
  equal(taskIter("pin", "files", `${pins.path}/x`).status, 0);
  refused(1, /is there already: task-iter unpin/, "files", `${pins.path}/x`);
});

Deno.test("a pinned table of sockets shows the network namespace of the process that reads it", async () => {
  await using fixture = await Fixture.start("inet");
  await using folder = await Bpffs.mount();
  const path = `${folder.path}/tcp`;
  const query = ["--where", "state == LISTEN", "-c", "local_port,ino"];
  equal(taskIter("pin", "tcp", path, ...query, "--format=json").status, 0);
  const { stdout } = run("nsenter", ["--net", `--target=${fixture.pid}`, "cat", path]);
  const found = stdout.trimEnd().split("\n").map((line) => JSON.parse(line));
  equal(found, rows("tcp", "--netns", String(fixture.pid), ...query));
});

/** What `readers` at once read from `path`, `times` each. */
async function readTogether(path: string, readers: number, times: number): Promise<string[]> {
  const outputs = await Promise.all(Array.from({ length: readers }, async () => {
    const child = spawn("sh", [
      "-c",
      'i=0; while [ $i -lt "$2" ]; do cat "$1" || exit 1; echo ==; i=$((i + 1)); done',
      "sh",
      path,
      String(times),
    ]);
    let output = "";
    child.stdout.setEncoding("utf8").on("data", (data) => output += data);
    let errors = "";
    child.stderr.setEncoding("utf8").on("data", (data) => errors += data);
    const [status] = await once(child, "close");
    equal([status, errors], [0, ""]);
    return output.split("==\n").slice(0, -1);
  }));
  return outputs.flat();
}

// The light program takes turns by an atomic exchange, the one for older kernels under a spin lock.
for (const libbpf of [false, true]) {
  Deno.test(`many readers at once each get whole rows (${libbpf ? "libbpf" : "light skeleton"})`, async () => {
    await using fixture = await Fixture.start("name", "shared");
    await using folder = await Bpffs.mount();
    const path = `${folder.path}/shared`;
    {
      const columns = ["comm", "pid", "fd", "type", "path", "file_ops"];
      const query = { table: "files", columns, where: `pid == ${fixture.pid}` };
      const { request } = plan(query, "jsonl", false, "files");
      using program = loadProgram(libraries, { ...request, libbpf });
      equal(program.light, !libbpf);
      program.pin(path);
    }
    const expected = cat(path).stdout;
    ok(expected.includes(`"pid":${fixture.pid},`));
    for (const output of await readTogether(path, 12, 20)) equal(output, expected);
  });

  Deno.test(`long outputs read at once are whole (${libbpf ? "libbpf" : "light skeleton"})`, async () => {
    await using folder = await Bpffs.mount();
    const path = `${folder.path}/shared`;
    {
      const { request } = plan({ table: "files", columns: ["pid", "fd", "type", "path"] }, "jsonl", false, "files");
      using program = loadProgram(libraries, { ...request, libbpf });
      program.pin(path);
    }
    for (const output of await readTogether(path, 12, 5)) {
      const seen = output.trimEnd().split("\n").map((line) => JSON.parse(line)).map((row) => {
        equal(Object.keys(row), ["pid", "fd", "type", "path"]);
        return `${row.pid} ${row.fd}`;
      });
      ok(seen.includes(`${Deno.pid} 0`));
      equal(new Set(seen).size, seen.length);
    }
  });
}
