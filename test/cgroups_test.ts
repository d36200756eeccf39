// SPDX-License-Identifier: BSD-2-Clause
import { deepStrictEqual as equal, ok } from "node:assert";
import { spawn } from "node:child_process";
import { mkdirSync, readdirSync, rmdirSync, statSync, writeFileSync } from "node:fs";
import { parse } from "csv-parse/sync";
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
