// SPDX-License-Identifier: BSD-2-Clause
// deno-lint-ignore-file no-control-regex
import { deepStrictEqual as equal, match, ok } from "node:assert";
import { executable, Fixture, onTerminal, run, taskIter } from "./support.ts";

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** task-iter, running, and what it has written so far. */
function start(...args: string[]) {
  const child = new Deno.Command(executable, { args, stdin: "null", stdout: "piped", stderr: "inherit" }).spawn();
  const state = { output: "" };
  const read = async () => {
    for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) state.output += text;
  };
  const reading = read();
  const ended = async (): Promise<[number, string | null]> => {
    const { code, signal } = await child.status;
    await reading;
    return [code, signal];
  };
  return { child, state, ended };
}

/** Waits until `holds`. */
async function until(holds: () => boolean, what: string): Promise<void> {
  for (let i = 0; i < 500 && !holds(); i++) await sleep(20);
  ok(holds(), what);
}

Deno.test("json is one array for each pass, on lines of its own", async () => {
  await using fixture = await Fixture.start("name", "again");
  const { status, stdout } = taskIter("files", "again", "-c", "fd", "--interval=20ms", "--count=3", "--format=json");
  equal(status, 0);
  const arrays = stdout.split(/(?<=^\]\n)/m).map((text) => JSON.parse(text));
  equal(arrays.length, 3);
  equal(arrays[1], arrays[0]);
  ok(arrays[0].length > 0 && fixture.pid > 0);
  const none = taskIter("files", "-w", "fd == 99999999", "--interval=20ms", "--count=3", "--format=json");
  equal(none.stdout, "[]\n[]\n[]\n");
});

Deno.test("jsonl rows carry the time of their snapshot, passes keep to multiples of the interval", async () => {
  await using _fixture = await Fixture.start("name", "again");
  const interval = 300;
  const { stdout } = taskIter("files", "again", "-c", "fd", "--interval", `${interval}ms`, "--count=6", "--format=jsonl");
  const rows = stdout.trimEnd().split("\n").map((line) => JSON.parse(line));
  for (const { t } of rows) match(t, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  const times = [...new Set(rows.map(({ t }) => t as string))];
  equal(times.length, 6);
  for (const time of times) {
    equal(
      rows.filter(({ t }) => t === time).map(({ fd }) => fd),
      rows.filter(({ t }) => t === times[0]).map(({ fd }) => fd),
    );
  }
  // A pass may be late because the machine is slow, never because earlier passes were: delays do not add up.
  const offsets = times.map((time) => (Date.parse(time) - Date.parse(times[0]!)) / interval);
  ok(offsets.every((offset, i) => offset > i - 0.5), `never early: ${offsets}`);
  const single = taskIter("files", "again", "--format=jsonl").stdout;
  ok(!single.includes('"t":'), "without an interval there is no time");
});

Deno.test("the program is loaded once, and each pass sees what is new", async () => {
  const { child, state, ended } = start("files", "later", "-c", "fd", "--interval=50ms", "--format=json");
  await until(() => state.output.includes("[]\n[]\n"), "passes without rows");
  {
    await using _fixture = await Fixture.start("name", "later");
    await until(() => state.output.includes('"fd":0'), "the new process");
  }
  // Of the descriptors it holds, one is a program.
  const held = [...Deno.readDirSync(`/proc/${child.pid}/fd`)].filter(({ name }) =>
    Deno.readLinkSync(`/proc/${child.pid}/fd/${name}`) === "anon_inode:bpf-prog"
  );
  equal(held.length, 1);
  child.kill("SIGINT");
  equal(await ended(), [130, null]);
});

for (const [signal, status] of [["SIGINT", 130], ["SIGTERM", 143]] as const) {
  Deno.test(`${signal} ends a long wait at once with ${status}, after whole snapshots`, async () => {
    const { child, state, ended } = start("stacks", "--interval=1h", "--format=json");
    await until(() => state.output.endsWith("]\n"), "the first pass");
    child.kill(signal);
    equal(await ended(), [status, null]);
    ok(JSON.parse(state.output).length > 0);
  });
}

Deno.test("SIGINT at any time leaves whole snapshots", async () => {
  for (let i = 0; i < 12; i++) {
    const { child, state, ended } = start("files", "--interval=1ms", "--format=json");
    await until(() => state.output.length > 0, "output");
    await sleep(i * 3);
    child.kill("SIGINT");
    equal(await ended(), [130, null]);
    for (const text of state.output.split(/(?<=^\]\n)/m)) JSON.parse(text);
  }
});

Deno.test("SIGINT ends a write that nobody reads, between two rows", async () => {
  // Short passes: between two samples of what has been written there is an end of one, unless the pipe is full.
  const args = ["files", "-c", "all", "--pid", String(Deno.pid), "--interval=1ms", "--format=jsonl"];
  const child = new Deno.Command(executable, { args, stdin: "null", stdout: "piped", stderr: "inherit" }).spawn();
  // Nothing is read here yet: the pipe is full when what has been written stays the same.
  let [written, before] = [0, -1];
  for (let i = 0; i < 100 && (written < 64_000 || written !== before); i++) {
    await sleep(100);
    before = written;
    written = Number(/^wchar: (\d+)$/m.exec(Deno.readTextFileSync(`/proc/${child.pid}/io`))![1]);
  }
  equal(written, before);
  child.kill("SIGINT");
  equal((await child.status).code, 130);
  const output = await new Response(child.stdout).text();
  ok(output.length > 32768, `the pipe was full: ${output.length}`);
  ok(output.endsWith("}\n"), "the last row is whole");
  for (const line of output.trimEnd().split("\n")) JSON.parse(line);
});

Deno.test("a reader that goes away ends it at once, between passes too", () => {
  const { stdout, stderr } = run("bash", [
    "-c",
    `${executable} files --interval=1h --format=csv | head -1; echo "\${PIPESTATUS[0]}"`,
  ]);
  equal([stdout, stderr], ["comm,pid,tid,fd,type,mode,path,file_ops\n0\n", ""]);
});

Deno.test("csv has one header; text one for each snapshot, and no escape sequences where there is no terminal", async () => {
  await using _fixture = await Fixture.start("name", "again");
  const csv = taskIter("files", "again", "-c", "fd", "--interval=10ms", "--count=3", "--format=csv").stdout;
  equal(csv.split("\n").filter((line) => line === "fd").length, 1);
  const text = taskIter("files", "again", "-c", "fd", "--interval=10ms", "--count=3").stdout;
  equal(text.split("\n").filter((line) => line.trim() === "FD").length, 3);
  ok(!text.includes("\x1b"));
});

Deno.test("text on a terminal is drawn in place and fits it", () => {
  const drawn = onTerminal(`${executable} files --interval=20ms --count=3`);
  equal(drawn.split("\x1b[2J").length, 2);
  const screens = drawn.split("\x1b[H").slice(1);
  equal(screens.length, 3);
  for (const screen of screens) {
    equal(screen.split("\n").length, 10);
    match(screen, /^Every 20ms: files +\d\d:\d\d:\d\d\x1b\[K\n\x1b\[K\nCOMM/);
  }
  ok(!onTerminal(`${executable} files --interval=20ms --count=2`, { TERM: "dumb" }).includes("\x1b"));
});

Deno.test("colour only on a terminal, and never with NO_COLOR", () => {
  const command = `${executable} files --pid 1`;
  match(onTerminal(command), /^\x1b\[1mCOMM .*\x1b\[0m\n/);
  for (const env of [{ NO_COLOR: "1" }, { TERM: "dumb" }]) ok(!onTerminal(command, env).includes("\x1b"));
  ok(!taskIter("files", "--pid", "1").stdout.includes("\x1b"));
  match(onTerminal(`${executable} --help`), /\x1b\[1mOutput:/);
  ok(!onTerminal(`${executable} --help`, { NO_COLOR: "1" }).includes("\x1b"));
  ok(!taskIter("--help").stdout.includes("\x1b"));
  match(onTerminal(`${executable} check files --crit 1:`), /\x1b\[32mOK\x1b\[0m/);
});
