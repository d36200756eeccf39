// SPDX-License-Identifier: BSD-2-Clause
import { deepStrictEqual as equal, match, ok, throws } from "node:assert";
import { closeSync, openSync, readdirSync, readFileSync, unlinkSync, writeFileSync } from "node:fs";
import { alerts, parseChecks, parseRange, worst } from "../src/cli/check.ts";
import { libraries } from "../src/mod.ts";
import { load as loadProgram } from "../src/native/load.ts";
import { plan } from "../src/query/plan.ts";
import { tables } from "../src/query/schema.ts";
import { type Check, report } from "../src/cli/report.ts";
import { executable, Fixture, root, rows, run, taskIter, TemporaryFolder } from "./support.ts";

const countOf = (pid: number) => readdirSync(`/proc/${pid}/fd`).length;

/** A check of the fixture's descriptors. */
const on = (pid: number, ...args: string[]) => taskIter("check", "files", "--pid", String(pid), ...args);

Deno.test("a range alerts outside, with @ inside, ends included", () => {
  const cases: [string, number[], number[]][] = [
    ["10", [-1, 11], [0, 5, 10]],
    ["10:", [0, 9, 9.5], [10, 1e9]],
    ["~:10", [11], [-1e9, 0, 10]],
    ["10:20", [9, 21], [10, 15, 20]],
    ["@10:20", [10, 15, 20], [9, 21]],
    ["@10", [0, 10], [-1, 11]],
    [":10", [-1, 11], [0, 10]],
    ["-5:5", [-6, 6], [-5, 5]],
    ["1.5:2.5", [1, 3], [1.5, 2]],
    ["0", [1], [0]],
    ["1:", [0], [1]],
  ];
  for (const [text, alarming, fine] of cases) {
    for (const value of alarming) ok(alerts(parseRange(text), value), `${text} and ${value}`);
    for (const value of fine) ok(!alerts(parseRange(text), value), `${text} and ${value}`);
  }
});

Deno.test("a text that is not a range is refused", () => {
  for (const text of ["", ":", "@", "a", "10:20:30", "1,5", "10 ", "20:10", "~", "10:~", "10:a", "--1"]) {
    throws(() => parseRange(text), /range/, text);
  }
});

Deno.test("not to have looked is worse than anything seen", () => {
  equal(worst(["OK", "WARNING", "UNKNOWN", "CRITICAL"]), "UNKNOWN");
  equal(worst(["OK", "CRITICAL", "WARNING"]), "CRITICAL");
  equal(worst(["OK", "WARNING"]), "WARNING");
  equal(worst(["OK"]), "OK");
});

Deno.test("a check counts what /proc shows, and says it as plugins do", async () => {
  await using fixture = await Fixture.start("name", "check-me");
  const count = countOf(fixture.pid);
  const line = (state: string, rest: string, ranges: string) =>
    `FILES ${state} - ${count} file descriptors${rest} | rows=${count}${ranges}\n`;
  equal(on(fixture.pid, "--warn", "800", "--crit", "1000"), { status: 0, stdout: line("OK", "", ";800;1000"), stderr: "" });
  equal(on(fixture.pid, "--warn", "0", "--crit", "1000"), {
    status: 1,
    stdout: line("WARNING", ", more than 0", ";0;1000"),
    stderr: "",
  });
  equal(on(fixture.pid, "--crit", "1000:"), { status: 2, stdout: line("CRITICAL", ", fewer than 1000", ";;1000:"), stderr: "" });
  equal(on(fixture.pid, "--warn", `@${count}:${count}`), {
    status: 1,
    stdout: line("WARNING", `, within ${count}:${count}`, `;@${count}:${count}`),
    stderr: "",
  });
  equal(on(fixture.pid), { status: 0, stdout: line("OK", "", ""), stderr: "" });
  equal(taskIter("check", "files", "check-me", "--where", "fd == 0", "--crit", "1:1").status, 0);
  equal(taskIter("check", "files", "--comm=check-me", "--where=fd == 0", "--crit=0").status, 2);
});

Deno.test("a count is made in the kernel: the verifier leaves nothing that writes", () => {
  const size = (columns?: string[]) => {
    using program = loadProgram(libraries, plan({ table: "stacks", columns }, "csv").request);
    return program.size;
  };
  ok(size([]) < size() / 4, `${size([])} bytes of ${size()}`);
});

Deno.test("what it could not look at is UNKNOWN: 3", () => {
  using folder = new TemporaryFolder();
  const file = (text: string) => {
    const path = `${folder.path}/checks.json`;
    writeFileSync(path, text);
    return ["--file", path];
  };
  const wrong = [
    [],
    ["fils"],
    ["files", "--bogus"],
    ["files", "--crit"],
    ["files", "--crit", "x"],
    ["files", "--where", "fdd == 1"],
    ["files", "--format", "xml"],
    ["files", "a", "--comm", "b"],
    ["--file", `${folder.path}/nowhere`],
    ["files", "--file", `${folder.path}/nowhere`],
    file("{"),
    file("[]"),
    file('[{"table":"files","crit":"20:10"}]'),
    file('[{"table":"files"},{"tabel":"files"}]'),
  ];
  for (const args of wrong) {
    const { status, stdout, stderr } = taskIter("check", ...args);
    equal(status, 3, args.join(" "));
    match(stdout, /^CHECK UNKNOWN - [^|\n]+\n$/);
    match(stderr, /^task-iter: /);
  }
  equal(taskIter("--bogus", "check", "files").status, 3);
});

Deno.test("privileges that lack are UNKNOWN, in every format", () => {
  for (
    const [format, expected] of [
      ["nagios", /^FILES UNKNOWN - cannot read table files: not permitted, .*\n$/],
      ["json", /"state":"UNKNOWN"/],
      ["tap", /^not ok 1 - files$/m],
      ["junit", /<error type="UNKNOWN"/],
    ] as const
  ) {
    const args = ["--reuid=65534", "--clear-groups", executable, "check", "files", "--crit=0", `--format=${format}`];
    const { status, stdout } = run("setpriv", args);
    equal(status, 3);
    match(stdout, expected);
  }
});

Deno.test("output that cannot be written is UNKNOWN", () => {
  equal(run("sh", ["-c", `${executable} check files --crit 0: > /dev/full`]).status, 3);
});

Deno.test("a file says which check is wrong and why", () => {
  const cases: [string, RegExp][] = [
    ['[{"table":"files"},{"name":"n","table":"files","wran":1}]', /^check 2 \(n\): unknown key "wran" \(did you mean warn\?\)$/],
    ['[{"table":"files","warn":[]}]', /^check 1: warn is neither a range nor a number$/],
    ['[{"table":"files","crit":"x"}]', /^check 1: crit: not a range: "x"/],
    [
      '[{"table":"files","where":"fd == 1 && fdd"}]',
      /^check 1: where, at character 12: files has no column fdd \(did you mean fd\?\)$/,
    ],
    ['[{"where":"fd == 1"}]', /^check 1: table is missing$/],
    ['[{"table":"files","pid":-1}]', /^check 1: pid is not a positive number$/],
    ["[1]", /^check 1: not an object$/],
    ['[{"table":"files"},{"table":"files"}]', /^check 2: another one has the name files$/],
    ['{"checks":[{"table":"files"}],"more":1}', /^unknown key "more" beside checks$/],
    ["null", /^not an array of checks$/],
  ];
  for (const [text, message] of cases) throws(() => parseChecks(text), { name: "UsageError", message });
  equal(parseChecks('{"checks":[{"table":"files","warn":1}]}').map(({ name, warn }) => [name, warn?.text]), [["files", "1"]]);
});

Deno.test("a wrong check is UNKNOWN wherever its name stands among the options, and a read never is", () => {
  const wrong = ["files", "--where", "bogus == 1"];
  for (
    const before of [["-f", "json"], ["-fjson"], ["--format=csv"], ["-v"], ["-vf", "json"], ["--comm", "check"], [
      "--files",
      "check",
    ]]
  ) {
    const { status, stdout, stderr } = taskIter(...before, "check", ...wrong);
    equal([status, stderr.split("\n")[0]], [3, "task-iter: files has no column bogus"], before.join(" "));
    match(stdout, /^CHECK UNKNOWN - files has no column bogus\n$/);
  }
  for (
    const words of [["--comm", "check", "--bogus"], ["--comm=check", "--bogus"], ["files", "check", "--bogus"], [
      "--files",
      "check",
      "-w",
      "x",
    ]]
  ) {
    const { status, stdout } = taskIter(...words);
    equal([status, stdout], [2, ""], words.join(" "));
  }
});

Deno.test("a wrong check is reported in the format asked for", () => {
  const message = "files has no column bogus";
  const wrong = (...format: string[]) => {
    const { status, stdout, stderr } = taskIter("check", ...format, "files", "--where", "bogus == 1");
    equal([status, stderr.split("\n")[0]], [3, `task-iter: ${message}`]);
    return stdout;
  };
  const json = JSON.parse(wrong("-f", "json"));
  equal([json.state, json.checks.length, json.checks[0].table, json.checks[0].text], ["UNKNOWN", 1, null, message]);
  match(wrong("--format=tap"), /^TAP version 13\n1\.\.1\nnot ok 1 - CHECK\n {2}---\n {2}message: "files has no column bogus"\n/);
  const elements = xml(wrong("-fjunit"));
  equal(elements.map(({ name }) => name), ["testsuites", "testsuite", "testcase", "error"]);
  equal(elements[3]!.attributes, { type: "UNKNOWN", message });
  equal(wrong("-f", "nagios"), `CHECK UNKNOWN - ${message}\n`);
  const { status, stdout } = taskIter("check", "files", "--bogus", "-f", "json");
  equal([status, JSON.parse(stdout).state], [3, "UNKNOWN"]);
});

Deno.test("check --file takes nothing beside it, a map and a namespace neither", () => {
  for (const option of ["--map=5", "--netns=all", "--warn=1"]) {
    const { status, stderr } = run(executable, ["check", "--file=-", option], { input: '[{"table":"files"}]' });
    equal(
      [status, stderr],
      [3, "task-iter: --file has its own tables, expressions and ranges: give nothing beside it\n"],
      option,
    );
  }
});

Deno.test("check counts the sockets of the namespace that --netns or a file's netns names", async () => {
  await using fixture = await Fixture.start("inet");
  const netns = String(fixture.pid);
  const listeners = rows("tcp", "--netns", netns, "--where", "state == LISTEN").length;
  ok(listeners > 0);
  const range = `${listeners}:${listeners}`;
  const where = "state == LISTEN";
  equal(taskIter("check", "tcp", "--netns", netns, "--where", where, "--crit", range).status, 0);
  const file = JSON.stringify([{ table: "tcp", where, netns, crit: range }]);
  equal(run(executable, ["check", "--file=-"], { input: file }).status, 0);
  equal(taskIter("check", "files", "--netns", netns).status, 3);
});

Deno.test("a program is loaded once per query, however many checks ask it", () => {
  const perform = (checks: unknown[]) => {
    const { stdout, stderr } = run(executable, ["check", "--file=-", "--format=json", "-v"], { input: JSON.stringify(checks) });
    // The verifier's last line for each program.
    return { loads: stderr.match(/^processed [0-9]+ insns/gm)!.length, checks: JSON.parse(stdout).checks };
  };
  const first = { name: "a", table: "files", where: "fd == 0", warn: 0 };
  const { loads: one } = perform([first]);
  const { loads, checks } = perform([
    first,
    { name: "b", table: "files", where: "fd == 0", crit: "1:" },
    { name: "c", table: "files", where: "fd == 1", crit: 0 },
  ]);
  equal(loads, 2 * one);
  equal(checks.map(({ state }: { state: string }) => state), ["WARNING", "OK", "CRITICAL"]);
  equal(checks[0].rows, checks[1].rows);
});

/** Elements and attributes of XML, or an error: small, but strict. */
function xml(text: string): { name: string; attributes: Record<string, string> }[] {
  const found: { name: string; attributes: Record<string, string> }[] = [];
  const open: string[] = [];
  const entities: Record<string, string> = { amp: "&", lt: "<", gt: ">", quot: '"' };
  const pattern = /<\?xml [^<>]*\?>|<(\/?)([a-z]+)((?: [a-z]+="[^"<>]*")*)(\/?)>|\s+|([^<>\s]+)/g;
  let at = 0;
  for (const [whole, closing, name, attributes, empty, stray] of text.matchAll(pattern)) {
    at += whole.length;
    ok(stray === undefined, `text: ${stray}`);
    if (name === undefined) continue;
    if (closing) equal(open.pop(), name);
    else {
      const pairs = [...attributes!.matchAll(/ ([a-z]+)="([^"]*)"/g)].map(([, key, value]) => {
        ok(!/&(?!(amp|lt|gt|quot);)/.test(value!), value);
        return [key!, value!.replace(/&(\w+);/g, (_, entity) => entities[entity]!)];
      });
      found.push({ name, attributes: Object.fromEntries(pairs) });
      if (!empty) open.push(name);
    }
  }
  equal([at, open], [text.length, []]);
  return found;
}

Deno.test("a file of checks in every format: the worst one is the exit status", async () => {
  await using fixture = await Fixture.start("name", "check-me");
  using folder = new TemporaryFolder();
  const path = `${folder.path}/checks.json`;
  const count = countOf(fixture.pid);
  const awkward = `"<b>&' | # = ü`;
  writeFileSync(
    path,
    JSON.stringify([
      { name: "fine", table: "files", pid: fixture.pid, crit: 1000 },
      { name: awkward, table: "files", pid: fixture.pid, warn: 0, crit: 1000 },
    ]),
  );
  const nagios = taskIter("check", "--file", path);
  equal(nagios.status, 1);
  equal(nagios.stdout.split("\n"), [
    `CHECKS WARNING - 1 warning, 1 ok | fine=${count};;1000 '"<b>&'' / # _ ü'=${count};0;1000`,
    `OK fine: ${count} file descriptors`,
    `WARNING "<b>&' / # = ü: ${count} file descriptors, more than 0`,
    "",
  ]);
  const json = JSON.parse(taskIter("check", "--file", path, "--format=json").stdout);
  equal([json.state, json.checks.length, json.checks[1].name, json.checks[1].rows, json.checks[1].warn], [
    "WARNING",
    2,
    awkward,
    count,
    "0",
  ]);
  const tap = taskIter("check", "--file", path, "--format=tap");
  equal(tap.status, 1);
  equal(tap.stdout.split("\n").filter((line) => !line.startsWith(" ")), [
    "TAP version 13",
    "1..2",
    "ok 1 - fine",
    `not ok 2 - "<b>&' | \\# = ü`,
    "",
  ]);
  const elements = xml(taskIter("check", "--file", path, "--format=junit").stdout);
  const cases = elements.filter(({ name }) => name === "testcase").map(({ attributes }) => attributes.name);
  equal(cases, ["fine", awkward]);
  const failures = elements.filter(({ name }) => name === "failure").map(({ attributes }) => attributes);
  equal(failures, [{ type: "WARNING", message: `${count} file descriptors, more than 0` }]);
  equal(elements[0]!.attributes.tests, "2");
  const input = run(executable, ["check", "--file", "-", "--format=json"], { input: '[{"table":"files","crit":0}]' });
  equal(input.status, 2);
});

Deno.test("control bytes in a name reach no report", () => {
  const check: Check = { name: "a\x1b]0;x\x07\nOK b", query: { table: "files" } };
  const outcome = { check, state: "UNKNOWN" as const, rows: undefined, text: "no\x1b[31m|rows=1", time: 0 };
  for (const format of ["nagios", "json", "tap", "junit"] as const) {
    const text = report([outcome], "UNKNOWN", format, true);
    // deno-lint-ignore no-control-regex
    ok(!/[\x00-\x09\x0b-\x1f]/.test(text), format);
    ok(!/^OK b/m.test(text), format);
  }
});

const document = readFileSync(`${root}docs/checks.md`, "utf8");

/** The fenced block that begins with the line `# recipe: NAME`. */
function recipe(name: string): string {
  const found = new RegExp("```\\w*\\n# recipe: " + name + "\\n([^]*?)```").exec(document)?.[1];
  ok(found, name);
  return found;
}

/** A folder on PATH with task-iter, `sudo` that is not needed here, and a file of checks that are fine. */
function place(folder: TemporaryFolder, checks: unknown): NodeJS.ProcessEnv {
  writeFileSync(`${folder.path}/checks.json`, JSON.stringify(checks));
  writeFileSync(`${folder.path}/sudo`, '#!/bin/sh\nexec "$@"\n', { mode: 0o755 });
  Deno.symlinkSync(executable, `${folder.path}/task-iter`);
  return { ...process.env, PATH: `${folder.path}:${process.env.PATH}` };
}

Deno.test("recipe: a GitHub Actions step fails when a check does", () => {
  using folder = new TemporaryFolder();
  const script = /run: \|\n((?: {4}.*\n)+)/.exec(recipe("github"))![1]!.replace(/^ {4}/gm, "");
  const step = (crit: string) => {
    const env = place(folder, [{ table: "files", crit }]);
    const result = run("bash", ["--noprofile", "--norc", "-eo", "pipefail", "-c", script], { cwd: folder.path, env });
    unlinkSync(`${folder.path}/task-iter`);
    return result;
  };
  const good = step("1:");
  equal([good.status, /^ok 1 - files$/m.test(good.stdout)], [0, true]);
  equal(step("0").status, 2);
});

Deno.test("recipe: a GitLab job leaves a JUnit report, and fails when a check does", () => {
  using folder = new TemporaryFolder();
  const env = place(folder, [{ name: "none", table: "files", crit: 0 }]);
  const job = recipe("gitlab");
  const script = /script:\n {4}- (.*)\n/.exec(job)![1]!;
  const name = /junit: (.*)\n/.exec(job)![1]!;
  equal(run("sh", ["-ec", script], { cwd: folder.path, env }).status, 2);
  const elements = xml(readFileSync(`${folder.path}/${name}`, "utf8"));
  equal(elements.map(({ name }) => name), ["testsuites", "testsuite", "testcase", "failure"]);
});

Deno.test("recipe: a Kubernetes exec probe", () => {
  using folder = new TemporaryFolder();
  const env = place(folder, []);
  const [command, ...args] = JSON.parse(/command: (\[.*\])/.exec(recipe("kubernetes"))![1]!);
  const { status, stdout } = run(command, args, { env });
  equal([status, /^FILES OK/.test(stdout)], [0, true]);
  equal(run(command, [...args.slice(0, -1), "10000:"], { env }).status, 2);
});

Deno.test("recipe: a Nagios command", () => {
  using folder = new TemporaryFolder();
  const env = place(folder, []);
  const line = /command_line +(.*)\n/.exec(recipe("nagios"))![1]!;
  const call = /`check_command (.*?)`/.exec(document)![1]!.split("!").slice(1);
  const expanded = line.replace(/\$ARG(\d)\$/g, (_, i) => call[i - 1]!)
    .replace("/usr/bin/sudo", "sudo").replace("/usr/local/bin/task-iter", "task-iter");
  const { status, stdout } = run("sh", ["-c", expanded], { env });
  ok(status! < 3, stdout);
  match(stdout, /^FILES (OK|WARNING|CRITICAL) - [^|\n]* \| rows=[0-9]+;5;10\n$/);
});

Deno.test("recipe: descriptors of a process near its RLIMIT", async () => {
  await using fixture = await Fixture.start("name", "check-me");
  using folder = new TemporaryFolder();
  const env = place(folder, []);
  writeFileSync(`${folder.path}/systemctl`, `#!/bin/sh\necho ${fixture.pid}\n`, { mode: 0o755 });
  const limit = Number(/^Max open files +([0-9]+)/m.exec(readFileSync(`/proc/${fixture.pid}/limits`, "utf8"))![1]);
  const { status, stdout } = run("sh", ["-ec", recipe("rlimit")], { env });
  equal(status, 0);
  match(stdout, new RegExp(`;${Math.floor(limit * 0.8)};${Math.floor(limit * 0.95)}\n$`));
});

const ready = JSON.parse(readFileSync(`${root}docs/checks.json`, "utf8")) as {
  name: string;
  table: string;
  where: string;
  by?: string[];
}[];

for (const check of ready) {
  const missing = !tables.some(({ name }) => name === check.table);
  Deno.test({
    name: `ready check: ${check.name}${missing ? ` (skipped: there is no table ${check.table})` : ""}`,
    ignore: missing,
    fn() {
      const { status, stdout } = run(executable, ["check", "--file", "-", "--format=json"], { input: JSON.stringify([check]) });
      ok(status! < 3, stdout);
      // The same rows, read and counted here.
      const { rows } = JSON.parse(stdout).checks[0];
      const lines = taskIter(check.table, "--where", check.where, `--columns=${check.by ?? "all"}`, "--format=jsonl").stdout
        .split("\n").slice(0, -1);
      const groups = Map.groupBy(lines, (line) => check.by ? line : "");
      const read = Math.max(0, ...[...groups.values()].map((group) => group.length));
      ok(Math.abs(rows - read) <= 5 + read / 2, `${rows} counted, ${read} read`);
      plan({ table: check.table, where: check.where }, "json");
      match(document, new RegExp(`\\| ${check.name.split(" above")[0]}`));
    },
  });
}

Deno.test("ready check: a deleted file that is open is found", () => {
  using folder = new TemporaryFolder();
  const path = `${folder.path}/gone`;
  const fd = openSync(path, "w");
  try {
    unlinkSync(path);
    const where = ready.find(({ name }) => name.startsWith("deleted"))!.where.replace("size > 100M", "size == 0");
    const { status, stdout } = taskIter("check", "files", "--pid", String(Deno.pid), "--where", where, "--crit", "0");
    equal(status, 2, stdout);
  } finally {
    closeSync(fd);
  }
});
