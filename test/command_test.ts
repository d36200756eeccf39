// SPDX-License-Identifier: BSD-2-Clause
/** The command line: its errors word by word, its help and its lists. */

import { deepStrictEqual as equal, match, ok } from "node:assert";
import { parse } from "csv-parse/sync";
import { before } from "../src/native/kernel.ts";
import { FORMATS } from "../src/mod.ts";
import { MAP_TYPES } from "../src/query/plan.ts";
import { tables } from "../src/query/schema.ts";
import { executable, Fixture, noElements, root, type Row, rows, run, taskIter } from "./support.ts";

/** Wrong command lines, and the message for each. */
const WRONG: [string[], RegExp][] = [
  [["--formt", "json"], /unknown option '--formt' .*--format/],
  [["--formt=json"], /unknown option '--formt=json' .*--format/],
  [["files", "--colums=fd"], /unknown option .*--columns/],
  [["-Z"], /unknown option '-Z'/],
  [["--format", "xml"], /'xml' is invalid.*text, csv, json, jsonl/],
  [["--format"], /argument missing/],
  [["filse", "bash"], /no table filse \(did you mean files\?\)/],
  [["nothing-like-it", "bash"], /no table nothing-like-it: task-iter tables lists them/],
  [["tables", "filse"], /no table filse \(did you mean files\?\)/],
  [["tables", "files", "more"], /too many arguments/],
  [["files", "-c", "fdd"], /files has no column fdd \(did you mean fd\?\)/],
  [["files", "-c", "fd,fd"], /column fd is asked for twice/],
  [["files", "-c", ""], /files has no column/],
  [["files", "-c", "fd,"], /files has no column/],
  [["stacks", "-c", "path"], /stacks has no column path/],
  [["files", "a", "b"], /too many arguments/],
  [["--files", "a", "b"], /--files takes one COMM/],
  [["--files", "a", ""], /--files takes one COMM/],
  [["files", "bash", "--comm", "bash"], /COMM and --comm are the same/],
  [["--comm", "sixteen-bytes-xx"], /at most 15 bytes/],
  [["--comm", "éééééééé"], /at most 15 bytes/],
  [["--pid", "0"], /positive number/],
  [["--pid", "-1"], /positive number|argument missing/],
  [["--pid", "1e3"], /positive number/],
  [["--pid", "0x10"], /positive number/],
  [["--pid", ""], /positive number/],
  [["--tid", "99999999999"], /positive number/],
  [["--interval", "3"], /500ms, 2s or 1m/],
  [["--interval", "0s"], /500ms, 2s or 1m/],
  [["--interval", "-1s"], /500ms, 2s or 1m|argument missing/],
  [["--count", "2"], /--count needs --interval/],
  [["--count", "0", "--interval", "1s"], /positive number/],
];

for (const [args, words] of WRONG) {
  Deno.test(`${["task-iter", ...args].map((arg) => arg || "''").join(" ")} is refused in one line, with status 2`, () => {
    const { status, stdout, stderr } = taskIter(...args);
    match(stderr, /^task-iter: [^\n]+\n$/);
    match(stderr, words);
    equal([status, stdout], [2, ""]);
  });
}

Deno.test("a mistake in --where is pointed at, with status 2", () => {
  const { status, stdout, stderr } = taskIter("files", "--where", "fd == 1 && pth == 2");
  equal([status, stdout], [2, ""]);
  const [message, shown, caret, end] = stderr.split("\n");
  match(message!, /^task-iter: .*pth.*did you mean path\?/);
  equal(shown!.slice(caret!.indexOf("^")), "pth == 2");
  equal(end, "");
});

Deno.test("what is quoted in a message cannot reach a terminal as a control character", () => {
  for (const word of ["\x1b[31mred", "a\nb", "\x9b2J", "\x07"]) {
    for (const args of [[word, "x"], ["-c", word], ["-f", word], ["--pid", word], [`--${word}`]]) {
      const { status, stderr } = taskIter(...args);
      equal(status, 2);
      // deno-lint-ignore no-control-regex
      match(stderr, /^task-iter: [^\x00-\x1f\x7f-\x9f]+\n$/);
    }
  }
});

Deno.test("--help shows every table and option, --version the version, both on standard output with status 0", () => {
  const help = taskIter("--help");
  equal([help.status, help.stderr], [0, ""]);
  for (const { name } of tables) match(help.stdout, new RegExp(`\\b${name}\\b`));
  for (const option of ["--format", "--columns", "--where", "--comm", "--pid", "--tid", "--interval", "--no-header", "--stats"]) {
    ok(help.stdout.includes(option), option);
  }
  equal(taskIter("-h").stdout, help.stdout);
  const { version } = JSON.parse(Deno.readTextFileSync(`${root}deno.json`));
  equal(taskIter("--version"), { status: 0, stdout: `${version}\n`, stderr: "" });
});

Deno.test("tables lists every table and every column, the same in every format", () => {
  for (const args of [["tables"], ...tables.map(({ name }) => ["tables", name])]) {
    const output = Object.fromEntries(FORMATS.map((format) => {
      const { status, stdout, stderr } = taskIter(...args, "--format", format);
      equal([status, stderr], [0, ""]);
      return [format, stdout];
    }));
    const listed = JSON.parse(output.json!);
    const table = tables.find(({ name }) => name === args[1]);
    equal(
      listed.map((row: Record<string, string>) => row[table ? "column" : "table"]),
      (table?.columns ?? tables).map(({ name }) => name),
    );
    equal(output.jsonl!.trimEnd().split("\n").map((line) => JSON.parse(line)), listed);
    const text = (row: Record<string, unknown>) =>
      Object.fromEntries(Object.entries(row).map(([name, value]) => [name, String(value)]));
    equal(parse(output.csv!, { columns: true }), listed.map(text));
    const lines = output.text!.trimEnd().split("\n").slice(1);
    equal(lines.length, listed.length);
    lines.forEach((line, i) => ok(line.startsWith(String(Object.values(listed[i])[0]) + " ")));
  }
});

Deno.test("COMM selects threads in every spelling of it", async () => {
  const name = `--odd ${Deno.pid}`;
  await using fixture = await Fixture.start("name", name);
  await using _other = await Fixture.start("name", name.slice(0, -1));
  const expected = [{ pid: fixture.pid }];
  equal(rows("stacks", `--comm=${name}`, "-c", "pid"), expected);
  equal(rows("-c", "pid", "--", "stacks", name), expected);
  equal(rows("-c", "pid", "--", name), expected);
  equal(rows("-c", "pid", "--where", `comm == "${name}"`), expected);
  const descriptors = rows("files", `--comm=${name}`, "-c", "pid,fd");
  ok(descriptors.length >= 3);
  equal(rows("--files", "-c", "pid,fd", "--", name), descriptors);
});

Deno.test("a table's name is also COMM, as --comm says it", async () => {
  await using fixture = await Fixture.start("name", "files");
  for (const args of [["--comm", "files"], ["stacks", "files"]]) {
    const shown = rows(...args, "-c", "comm,pid");
    ok(shown.some(({ pid }) => pid === fixture.pid));
    ok(shown.every(({ comm }) => comm === "files"));
  }
});

Deno.test("an empty COMM is the empty name, not every name", async () => {
  await using fixture = await Fixture.start("name", "");
  for (const args of [[""], ["stacks", ""], ["--comm", ""], ["--comm="]]) {
    const shown = rows("-c", "comm,pid", ...args);
    ok(shown.some(({ pid }) => pid === fixture.pid));
    ok(shown.every(({ comm }) => comm === ""));
  }
});

Deno.test("the header names the columns in their order and stands above their cells", async () => {
  await using fixture = await Fixture.start("name", "head");
  const columns = ["fd", "comm", "pos", "type", "pid", "path"];
  const args = ["files", "--pid", String(fixture.pid), "-c", columns.join(",")];
  const csv = taskIter(...args, "-f", "csv").stdout;
  equal(csv.split("\n")[0], columns.join(","));
  equal(taskIter(...args, "-f", "csv", "--no-header").stdout, csv.slice(csv.indexOf("\n") + 1));
  const text = taskIter(...args).stdout;
  const [header, ...lines] = text.trimEnd().split("\n");
  equal(header!.trim().split(/ +/), columns.map((name) => name.toUpperCase()));
  equal(taskIter(...args, "--no-header").stdout, text.slice(text.indexOf("\n") + 1));
  for (const line of lines) {
    for (
      const [name, right] of [["FD", true], ["COMM", false], ["POS", true], ["TYPE", false], ["PID", true], [
        "PATH",
        false,
      ]] as const
    ) {
      const start = header!.indexOf(name);
      if (right) match(line.slice(0, start + name.length), /\d$/);
      else match(line.slice(start - 1), /^ \S/);
    }
  }
});

Deno.test("csv has its header and json its array where no row is", () => {
  const none = ["files", "--pid", "2147483647"];
  equal(taskIter(...none, "-f", "csv", "-c", "fd,path").stdout, "fd,path\n");
  equal(taskIter(...none, "-f", "json").stdout, "[]\n");
  equal(taskIter(...none, "-f", "jsonl").stdout, "");
  equal(taskIter(...none, "-c", "fd,path").stdout.trim().split(/ +/), ["FD", "PATH"]);
  for (const format of FORMATS) equal(taskIter(...none, "-f", format).status, 0);
});

Deno.test("--stats counts rows and bytes on standard error only", async () => {
  await using fixture = await Fixture.start("name", "stats");
  const args = ["files", "--pid", String(fixture.pid), "-f", "csv", "--no-header"];
  const { status, stdout, stderr } = taskIter(...args, "--stats");
  equal(status, 0);
  equal(stdout, taskIter(...args).stdout);
  const [, count, walked, bytes] = /^(\d+) rows of (\d+) walked, (\d+) bytes, load [\d.]+ ms, walk [\d.]+ ms\n$/.exec(stderr) ??
    [];
  equal([Number(count), Number(bytes)], [stdout.trimEnd().split("\n").length, Buffer.byteLength(stdout)]);
  ok(Number(walked) >= Number(count));
});

Deno.test("--verbose shows the verifier's log on standard error only", () => {
  const args = ["files", "--pid", "2147483647", "-f", "json"];
  const { status, stdout, stderr } = taskIter(...args, "-v");
  equal([status, stdout], [0, "[]\n"]);
  match(stderr, /processed \d+ insns/);
});

Deno.test("--interval and --count read again, in json one array each", () => {
  const { status, stdout } = run(executable, [
    "files",
    "--pid",
    "2147483647",
    "-f",
    "json",
    "--interval",
    "0.01ms",
    "--count",
    "3",
  ]);
  equal([status, stdout], [0, "[]\n[]\n[]\n"]);
});

Deno.test("before() orders kernel versions by their numbers", () => {
  for (const [a, b] of [["5.9.0", "5.10"], ["5.10.0-33-cloud-amd64", "5.11"], ["6.1", "6.16"], ["4.19.0", "5.8"]] as const) {
    equal([before(a, b), before(b, a.replace(/-.*/, ""))], [true, false]);
  }
  for (const same of ["5.8", "6.16"]) equal([before(`${same}.3-amd64`, same), before(same, same)], [false, false]);
});

Deno.test("doctor says what is there, agrees with tables, and fails where the default table does", () => {
  const { status, stdout } = taskIter("doctor", "--format=json");
  equal(status, 0);
  const findings: Row[] = JSON.parse(stdout);
  const found = (check: string) => findings.find((finding) => finding.check === check);
  equal(found("kernel")!.found, Deno.osRelease());
  const listed: Row[] = JSON.parse(taskIter("tables", "--format=json").stdout);
  equal(
    findings.filter(({ check }) => check.startsWith("table ")).map(({ check, ok }) => [check, ok]),
    listed.map(({ table, available }) => [`table ${table}`, available && !(noElements && MAP_TYPES[table])]),
  );
  equal(found("table stacks")!.found, "light skeleton");
  const unprivileged = run("setpriv", [
    "--reuid=65534",
    "--clear-groups",
    "--bounding-set=-all",
    "--inh-caps=-all",
    executable,
    "doctor",
  ]);
  equal(unprivileged.status, 3);
  match(unprivileged.stdout, /^privileges +false CAP_BPF and CAP_PERFMON missing +run it as root/m);
  match(unprivileged.stdout, /^table stacks +false not permitted/m);
});
