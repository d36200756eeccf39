// SPDX-License-Identifier: BSD-2-Clause
/** --changes: what is new, changed or gone since the pass before. */

import { deepStrictEqual as equal, match, ok } from "node:assert";
import { copyFileSync } from "node:fs";
import { spawn } from "node:child_process";
import { connect } from "node:net";
import { parse as parseCsv } from "csv-parse/sync";
import { type Change, changes, libraries, type Query, type Row, rows } from "../src/mod.ts";
import { load } from "../src/native/load.ts";
import { plan } from "../src/query/plan.ts";
import type { Format } from "../src/query/request.ts";
import { findTable } from "../src/query/plan.ts";
import { chunks } from "../src/stream.ts";
import { elementsTest, executable, Fixture, noElements, run, taskIter, TemporaryFolder } from "./support.ts";

/** Passes over one program, as text. */
class Passes implements Disposable {
  readonly #program;
  readonly #format: Format;

  constructor(query: Query, format: Format, libbpf = false) {
    const { request } = plan({ changes: 100_000, ...query }, format, format === "jsonl");
    this.#program = load(libraries, { ...request, libbpf });
    this.#format = format;
  }

  next(): string {
    this.#program.stamp({ t: new Date().toISOString() });
    const decoder = new TextDecoder();
    let text = "";
    for (const chunk of chunks(this.#program.walk, this.#format)) text += decoder.decode(chunk);
    return text;
  }

  rows(): Change[] {
    return this.next().split("\n").filter(Boolean).map((line) => JSON.parse(line));
  }

  get lost(): number {
    return this.#program.walk.lost;
  }

  [Symbol.dispose](): void {
    this.#program.close();
  }
}

const keyOf = (row: Row, identity: readonly string[]) => JSON.stringify(identity.map((name) => row[name]));

/** Applies the changes of one pass to rows by their identity. */
function apply(state: Map<string, Row>, found: readonly Change[], identity: readonly string[]): void {
  for (const { op, t: _, ...row } of found) {
    const key = keyOf(row, identity);
    equal(state.has(key), op !== "+", `${op} ${key}`);
    if (op === "-") state.delete(key);
    else state.set(key, row);
  }
}

/** By libbpf the rows that are gone come from an iterator over the elements of a map. */
const WAYS = [[false, "light"], [true, "libbpf"]] as const;

for (const [libbpf, way] of WAYS) {
  const test = libbpf ? elementsTest : Deno.test;
  test(`a row is new, then changed, then gone: ${way}`, async () => {
    using folder = new TemporaryFolder();
    const fixture = await Fixture.start("names", folder.path);
    const { pid } = fixture;
    const query = { table: "stacks", where: `pid == ${pid}`, columns: ["comm", "pid", "state"] };
    using passes = new Passes(query, "jsonl", libbpf);
    const op = (rows: Change[]) => rows.map(({ t, ...row }) => (match(t, /^20.*Z$/), row));
    const [first] = op(passes.rows());
    equal(Object.keys(first!), ["op", "tid", "comm", "pid", "state"], "the identity comes first");
    equal([first!.op, first!.tid, first!.pid], ["+", pid, pid]);
    equal(passes.rows(), [], "nothing happens");
    await fixture.tell(`name ${Buffer.from("other").toString("hex")}`);
    equal(op(passes.rows()), [{ ...first, op: "~", comm: "other" }]);
    equal(passes.rows(), []);
    await fixture[Symbol.asyncDispose]();
    equal(op(passes.rows()), [{ op: "-", tid: pid, comm: null, pid: null, state: null }]);
    equal(passes.rows(), []);
    await using again = await Fixture.start("names", folder.path);
    equal(passes.rows(), [], "another process is not asked for");
    ok(again.pid > 0);
  });
}

for (const format of ["jsonl", "csv", "text"] as const) {
  Deno.test(`a row does not change by its age alone: ${format}`, async () => {
    using folder = new TemporaryFolder();
    await using fixture = await Fixture.start("names", folder.path);
    const columns = ["age_ns", ...findTable("tasks").columns.map(({ name }) => name).filter((name) => name !== "age_ns")];
    using passes = new Passes({ table: "tasks", where: `tid == ${fixture.pid}`, columns }, format);
    const [first] = passes.next().split("\n");
    const age = (line: string) => Number(/(\d+)\D*$/.exec(line)![1]);
    ok(age(first!) > 0, "the age is the last column");
    equal(passes.next(), "", "nothing but time has passed");
    await fixture.tell(`name ${Buffer.from("older").toString("hex")}`);
    const [changed] = passes.next().split("\n");
    ok(changed!.includes("older") && age(changed!) > age(first!), changed);
  });
}

Deno.test("CSV begins with op and t, text shows a diff", async () => {
  const fixture = await Fixture.start("name", "fixture-diff");
  const query = { table: "files", where: `comm == fixture-diff && fd == 0`, columns: ["fd", "comm", "flags"] };
  using csv = new Passes(query, "csv");
  using text = new Passes(query, "text");
  const [record] = parseCsv(csv.next()) as string[][];
  equal([record![0], ...record!.slice(2, 5)], ["+", String(fixture.pid), "0", "fixture-diff"]);
  match(record![1]!, /^20\d\d-.*Z$/);
  const shown = text.next();
  match(shown, new RegExp(`^\\+ +${fixture.pid} +0 fixture-diff +\\d+\\n$`));
  equal([csv.next(), text.next()], ["", ""]);
  await fixture[Symbol.asyncDispose]();
  const [gone] = parseCsv(csv.next()) as string[][];
  equal([gone![0], ...gone!.slice(2)], ["-", String(fixture.pid), "0", "", ""]);
  match(text.next(), new RegExp(`^- +${fixture.pid} +0 - +-\\n$`));
});

Deno.test("thousands of rows that go at once are all gone in one pass", async () => {
  // With room for hardly more rows than there are, many share a place in the array `seen` (changes.h).
  const all = [[false, 100_000], [false, 3010], [true, 3010]] as const;
  for (const [libbpf, changes] of all.slice(0, noElements ? 2 : 3)) {
    await using fixture = await Fixture.start("many", "3000");
    const query = { table: "files", where: `pid == ${fixture.pid}`, columns: ["fd", "pos", "type", "path"], changes };
    using passes = new Passes(query, "jsonl", libbpf);
    const first = passes.rows();
    ok(first.length > 3000 && first.every(({ op }) => op === "+"));
    for (let i = 0; i < 3; i++) equal(passes.rows(), []);
    await fixture[Symbol.asyncDispose]();
    const gone = passes.rows();
    equal(gone.map(({ fd }) => fd as number).sort((a, b) => a - b), first.map(({ fd }) => fd as number).sort((a, b) => a - b));
    ok(gone.every(({ op }) => op === "-"));
    equal(passes.rows(), []);
  }
});

for (
  const [table, columns] of [["tasks", ["comm", "ppid", "state", "threads"]], ["files", ["comm", "pid", "type", "path"]], [
    "vmas",
    ["size_kb", "path", "perms"],
  ]] as const
) {
  Deno.test(`the changes of ${table} lead from the first snapshot to the last one, under churn`, async () => {
    using folder = new TemporaryFolder();
    const sleep = `${folder.path}/churn`;
    copyFileSync("/bin/sleep", sleep);
    const children = new Set<ReturnType<typeof spawn>>();
    const query: Query = { table, columns: [...columns], where: "comm == churn" };
    const { identity } = findTable(table);
    const state = new Map<string, Row>();
    using passes = new Passes({ ...query, changes: 2000 }, "jsonl"); // little more than there are mappings
    const end = (child: ReturnType<typeof spawn>) =>
      new Promise((resolve) => (child.once("exit", resolve), child.kill("SIGKILL")));
    try {
      for (let round = 0; round < 12; round++) {
        for (let i = 0; i < 5; i++) {
          children.add(spawn(sleep, ["1000"], { stdio: ["ignore", "ignore", i % 2 ? "pipe" : "ignore"] }));
        }
        for (const child of [...children].slice(0, round % 3 * 3)) {
          children.delete(child);
          await end(child);
        }
        apply(state, passes.rows(), identity);
      }
      // A process that has just begun, or ended, may still change.
      let snapshot: Row[] = [];
      for (let tries = 0; tries < 100; tries++) {
        apply(state, passes.rows(), identity);
        snapshot = [...rows({ ...query, columns: [...new Set([...identity, ...columns])] })];
        const later = passes.rows();
        apply(state, later, identity);
        if (later.length === 0) break;
      }
      ok(state.size > 10);
      const sorted = (rows: Iterable<Row>) => [...rows].map((row) => JSON.stringify(row)).sort();
      equal(sorted(state.values()), sorted(snapshot));
    } finally {
      await Promise.all([...children].map(end));
    }
    apply(state, passes.rows(), identity);
    equal([...state], [], "everything is gone");
  });
}

Deno.test("rows of one identity come and go, and do not change places", async () => {
  using folder = new TemporaryFolder();
  const path = `${folder.path}/socket`;
  // Nobody accepts: the sockets that wait for that have no inode.
  const fixture = await Fixture.start("unix", path, `${folder.path}/long`);
  const query = { table: "unix", where: `path == "${path}" && ino == null`, columns: ["path", "state", "uid"] };
  using passes = new Passes(query, "jsonl");
  const before = passes.rows();
  const clients: ReturnType<typeof connect>[] = [];
  const join = () => new Promise<void>((resolve) => clients.push(connect(path, resolve)));
  for (let i = 0; i < 3; i++) await join();
  const ops = () => passes.rows().map(({ op }) => op);
  equal(ops(), ["+", "+", "+"]);
  for (let i = 0; i < 3; i++) equal(ops(), []);
  await join();
  equal(ops(), ["+"]);
  equal(ops(), []);
  for (const client of clients) client.destroy();
  await fixture[Symbol.asyncDispose]();
  equal(ops(), Array(before.length + 4).fill("-"));
  equal(ops(), []);
});

Deno.test("more rows than may be remembered are an error", async () => {
  await using fixture = await Fixture.start("threads", "20");
  const args = ["stacks", "--pid", String(fixture.pid), "-c", "tid", "--interval=10ms", "--count=2", "-f", "jsonl", "--changes"];
  const { status, stderr } = taskIter(...args, "--remember", "5");
  equal(status, 1);
  match(stderr, /^task-iter: cannot tell what has changed: stacks has more rows than may be remembered \(5; --remember\)/);
  equal(taskIter(...args, "--remember", "100").status, 0);
});

Deno.test("--changes needs --interval, and a format without an end", () => {
  const alone = taskIter("files", "--changes");
  equal([alone.status, alone.stdout, alone.stderr], [2, "", "task-iter: --changes needs --interval\n"]);
  const json = taskIter("files", "--changes", "--interval=1s", "-f", "json");
  equal([json.status, json.stdout], [2, ""]);
  match(json.stderr, /choose jsonl, csv or text/);
});

Deno.test("what is at rest is written once", async () => {
  await using fixture = await Fixture.start("name", "fixture-rest");
  await fixture.settle();
  const args = ["files", "--where", `pid == ${fixture.pid}`, "-c", "path", "--interval=10ms", "--count=5", "--changes"];
  const once = taskIter(...args.slice(0, -3), "--interval=10ms", "--count=1", "--changes", "-f", "csv");
  const csv = taskIter(...args, "-f", "csv");
  const stable = (text: string) => text.replaceAll(/20\d\d-[^,]*Z/g, "T");
  equal(stable(csv.stdout), stable(once.stdout));
  match(csv.stdout, /^op,t,tid,fd,path\n\+,20/);
  const text = run(executable, args).stdout.split("\n");
  match(text[0]!, /^ +TID +FD PATH$/);
  equal(text.length, csv.stdout.split("\n").length);
});

Deno.test("changes() gives an array for each pass", async () => {
  const fixture = await Fixture.start("name", "fixture-changes");
  const seen: string[][] = [];
  for await (const pass of changes({ table: "files", where: `pid == ${fixture.pid}`, columns: ["fd"] }, { interval: 5 })) {
    seen.push(pass.map(({ op }) => op));
    if (seen.length === 2) await fixture[Symbol.asyncDispose]();
    if (seen.length === 3) break;
  }
  const all = seen[0]!.length;
  ok(all > 0);
  equal(seen, [Array(all).fill("+"), [], Array(all).fill("-")]);
});
