// SPDX-License-Identifier: BSD-2-Clause
import { deepStrictEqual as equal, ok } from "node:assert";
import { spawn } from "node:child_process";
import { mkdirSync, readdirSync, rmdirSync, statSync, writeFileSync } from "node:fs";
import { parse } from "csv-parse/sync";
import { libraries } from "../src/mod.ts";
import { load } from "../src/native/load.ts";
import { plan } from "../src/query/plan.ts";
import { cgroupRoot, Fixture, fixtureProgram, type Row, rows, taskIter } from "./support.ts";

/** The tree below `path` as the file system has it, and the table's order: each group before those in it. */
function expected(path: string): Row[] {
  const level = path.split("/").length - 1;
  const below = readdirSync(cgroupRoot + path, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  return [
    { id: statSync(cgroupRoot + path).ino, path, level },
    ...below.flatMap(({ name }) => expected(`${path}/${name}`)),
  ];
}

const byId = (left: Row, right: Row) => left.id - right.id;

/** A subtree that is removed afterwards. */
class Groups implements Disposable {
  readonly path = `/task-iter-test-${Deno.pid}`;
  readonly #made: string[] = [];

  constructor() {
    this.make("");
  }

  make(name: string): string {
    const folder = `${cgroupRoot}${this.path}${name}`;
    mkdirSync(folder);
    this.#made.push(folder);
    return folder;
  }

  remove(name: string): void {
    const folder = `${cgroupRoot}${this.path}${name}`;
    rmdirSync(folder);
    this.#made.splice(this.#made.indexOf(folder), 1);
  }

  [Symbol.dispose](): void {
    for (const folder of this.#made.reverse()) rmdirSync(folder);
  }
}

Deno.test("cgroups has the columns of its contract, in their order", () => {
  equal(Object.keys(rows("cgroups")[0]!).join(" "), "id path level");
  equal(Object.keys(rows("cgroups", "--columns=all")[0]!).join(" "), "id path level procs populated frozen");
});

Deno.test("cgroups shows the root first", () => {
  equal(rows("cgroups")[0], { id: statSync(cgroupRoot).ino, path: "/", level: 0 });
});

Deno.test("cgroups shows a tree of any size, each group once, in every format", () => {
  using groups = new Groups();
  for (let i = 0; i < 50; i++) {
    const name = `/${i}-${"x".repeat(120)}`;
    groups.make(name);
    for (let j = 0; j < 59; j++) groups.make(`${name}/${j}-${"y".repeat(60)}`);
  }
  const tree = expected(groups.path).sort(byId);
  equal(tree.length, 3001);
  const inTree = ({ path }: Row) => path.startsWith(groups.path);
  const json = rows("cgroups");
  equal(json.filter(inTree).sort(byId), tree);
  const place = new Map(json.map(({ path }, i) => [path, i]));
  for (const { path } of json) ok(path === "/" || place.get(path.replace(/\/[^/]*$/, "") || "/")! < place.get(path)!, path);
  const jsonl = taskIter("cgroups", "--format=jsonl").stdout.trimEnd().split("\n").map((line) => JSON.parse(line));
  equal(jsonl.filter(inTree).sort(byId), tree);
  const csv: Row[] = parse(taskIter("cgroups", "--format=csv").stdout, { columns: true });
  equal(csv.filter(inTree).map(({ id, path, level }) => ({ id: +id, path, level: +level })).sort(byId), tree);
  const text = taskIter("cgroups", "--no-header").stdout.trimEnd().split("\n").map((line) => {
    const [id, path, level] = line.trim().split(/ +/);
    return { id: Number(id), path: path!, level: Number(level) };
  });
  equal(text.filter(inTree).sort(byId), tree);

  // The walk keeps its place when rows are filtered out, and from pass to pass.
  const where = `path ~ "${groups.path}/*" && level == 3`;
  const { stdout, stderr } = taskIter("cgroups", "--where", where, "--format=json", "--stats");
  equal(JSON.parse(stdout).sort(byId), tree.filter(({ level }) => level === 3));
  ok(stderr.startsWith(`2950 rows of ${json.length} walked`), stderr);
  const passes = taskIter("cgroups", "--where", where, "--columns=id", "--format=jsonl", "--interval=10ms", "--count=3");
  equal(passes.stdout.split("\n").length, 3 * 2950 + 1);
});

Deno.test("cgroups keeps its place between two reads when groups are made and removed, also the last one shown", () => {
  using groups = new Groups();
  const [first, ...names] = Array.from({ length: 30 }, (_, i) => `/${i}-${"x".repeat(100)}`);
  groups.make(first!);
  for (const name of names) {
    groups.make(name);
    for (let j = 0; j < 49; j++) groups.make(`${name}/${j}-${"y".repeat(60)}`);
  }
  const where = `path ~ "${groups.path}*"`;
  using program = load(libraries, plan({ table: "cgroups", where, columns: ["path"] }, "jsonl").request);
  const { walk } = program;
  /** All rows, with a change after each read of which `change` returns true. */
  const shown = (change: (last: string) => boolean): string[] => {
    const paths: string[] = [];
    const buffer = new Uint8Array(1 << 16);
    let [changes, begun] = [0, ""];
    for (walk.begin(); !walk.ended;) {
      const lines = (begun + new TextDecoder().decode(buffer.subarray(0, walk.fill(buffer, 0, 1)))).split("\n");
      begun = lines.pop()!; // a read ends inside a row
      for (const line of lines) paths.push(JSON.parse(line).path.slice(groups.path.length));
      if (paths.length > 0 && change(paths.at(-1)!)) changes++;
    }
    ok(changes > 2, "there were several reads");
    equal(new Set(paths).size, paths.length, "none twice");
    return paths;
  };
  const steady = shown(() => true);
  const isLeaf = (path: string) => path.lastIndexOf("/") > 0;
  const removed = new Set<string>();
  const remove = (path: string) => {
    if (!isLeaf(path) || removed.has(path)) return false;
    groups.remove(path);
    removed.add(path);
    return true;
  };
  const left = () => steady.filter((path) => !removed.has(path));
  const kept = (paths: string[]) => paths.filter((path) => !removed.has(path) && !path.includes("/new-"));
  // The place is one group later, one earlier, the same although another group has it, and that of a group that has gone.
  let made = 0;
  const make = () => (groups.make(`${first}/new-${made++}`), true);
  equal(kept(shown(make)), left());
  const before = steady.filter((path) => path.startsWith(`${names[0]}/`));
  equal(kept(shown(() => remove(before.pop()!))), left());
  equal(kept(shown(() => remove(before.pop()!) && make())), left());
  equal(kept(shown(remove)), left());
  // Fewer groups are left than were shown.
  let once = true;
  const rest = shown(() => {
    if (once) { for (const path of left().filter(isLeaf)) remove(path); }
    once = false;
    return true;
  });
  equal(kept(rest), left());
});

Deno.test("cgroups counts processes and says what is populated and frozen", async () => {
  using groups = new Groups();
  const [full, empty] = [groups.make("/full"), groups.make("/empty")];
  await using one = await Fixture.start("threads", "3");
  writeFileSync(`${full}/cgroup.procs`, String(one.pid));
  // A leader that has exited cannot be moved: it must have been in the group before.
  const script = ["-c", 'echo $$ > "$0"; exec "$@"', `${full}/cgroup.procs`, fixtureProgram(), "exited-leader"];
  const two = spawn("sh", script, { stdio: ["pipe", "pipe", "inherit"] });
  await new Promise((resolve) => two.stdout.once("data", resolve));
  const shown = () => {
    const columns = "--columns=path,procs,populated,frozen";
    return rows("cgroups", "--where", `path ~ "${groups.path}*"`, columns).map((
      { path, ...rest },
    ) => [path.slice(groups.path.length), rest]);
  };
  const idle = { procs: 0, populated: false, frozen: false };
  equal(shown(), [["", { ...idle, populated: true }], ["/full", { procs: 2, populated: true, frozen: false }], ["/empty", idle]]);
  writeFileSync(`${empty}/cgroup.freeze`, "1");
  equal(shown()[2], ["/empty", { ...idle, frozen: true }]);
  const ended = new Promise((resolve) => two.once("exit", resolve));
  two.stdin.end();
  await ended;
  writeFileSync(`${cgroupRoot}/cgroup.procs`, String(one.pid));
  equal(shown()[1], ["/full", idle]);
});
