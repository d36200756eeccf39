// SPDX-License-Identifier: BSD-2-Clause
/** `--output FILE`: at any moment the file is a whole output, the old one or the new one. */

import { deepStrictEqual as equal, match, ok } from "node:assert";
import { chmodSync, lstatSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { executable, Fixture, run, taskIter, TemporaryFolder } from "./support.ts";

Deno.test("--output has what standard output would have, of every command, and keeps permissions and links", async () => {
  await using fixture = await Fixture.start("name", "put-me");
  using folder = new TemporaryFolder();
  const path = `${folder.path}/out`;
  const pid = ["--pid", `${fixture.pid}`];
  const commands = [
    ["files", ...pid, "-f", "json"],
    ["files", ...pid],
    ["count", "files", ...pid, "--by", "type", "-f", "prom"],
    ["check", "files", ...pid, "-f", "prom"],
    ["tables", "files", "-f", "csv"],
  ];
  for (const words of commands) {
    const { stdout } = taskIter(...words);
    equal(taskIter(...words, "--output", path), { status: 0, stdout: "", stderr: "" }, words.join(" "));
    equal(readFileSync(path, "utf8"), stdout, words.join(" "));
  }
  chmodSync(path, 0o640);
  symlinkSync("out", `${folder.path}/link`);
  equal(taskIter("files", ...pid, "-o", `${folder.path}/link`).status, 0);
  equal([lstatSync(`${folder.path}/link`).isSymbolicLink(), statSync(path).mode & 0o777], [true, 0o640]);
  equal(readdirSync(folder.path).sort(), ["link", "out"]);
});

Deno.test("--output leaves the old file and nothing beside it when a command fails", () => {
  using folder = new TemporaryFolder();
  const path = `${folder.path}/out`;
  writeFileSync(path, "old");
  mkdirSync(`${folder.path}/folder`);
  const cases: [string[], number][] = [
    [["files", "--where", "nothing == 1"], 2],
    [["count", "files", "--by", "nothing"], 2],
    [["check", "files", "--where", "nothing == 1"], 3],
    [["files", "--netns", "1"], 2],
  ];
  for (const [words, status] of cases) equal(taskIter(...words, "-o", path).status, status, words.join(" "));
  for (const other of ["/dev/null", `${folder.path}/folder`]) {
    const { status, stderr } = taskIter("files", "-o", other);
    equal([status, stderr], [1, `task-iter: cannot write ${other}: not a regular file\n`]);
  }
  equal(taskIter("files", "-o", `${folder.path}/none/out`).status, 1);
  // A full disk, in a mount namespace of its own.
  mkdirSync(`${folder.path}/small`);
  const script =
    'mount -t tmpfs -o size=8k none "$1" && echo old > "$1/out" && "$2" ksyms -o "$1/out"; echo $?; cat "$1/out"; ls -A "$1"';
  const { stdout, stderr } = run("unshare", ["-m", "sh", "-c", script, "sh", `${folder.path}/small`, executable]);
  equal(stdout, "1\nold\nout\n");
  match(stderr, /cannot write .*no space left/);
  equal([readFileSync(path, "utf8"), readdirSync(folder.path).sort()], ["old", ["folder", "out", "small"]]);
});

Deno.test("--output with --interval replaces the file by each snapshot", async () => {
  await using fixture = await Fixture.start("name", "put-me");
  using folder = new TemporaryFolder();
  const path = `${folder.path}/out`;
  const words = ["files", "--pid", `${fixture.pid}`, "-f", "csv"];
  equal(taskIter(...words, "--interval", "20ms", "--count", "3", "-o", path), { status: 0, stdout: "", stderr: "" });
  equal(readFileSync(path, "utf8"), taskIter(...words).stdout);
  ok(readdirSync(folder.path).length === 1);
});
