// SPDX-License-Identifier: BSD-2-Clause
/** What many hosts need to send their rows to one place. */

import { deepStrictEqual as equal, match, ok } from "node:assert";
import { hostname } from "node:os";
import { tables } from "../src/query/schema.ts";
import { attributeOf } from "../src/query/otel.ts";
import { Fixture, taskIter } from "./support.ts";

/** The rows of jsonl. */
const parsed = (text: string) => text.trimEnd().split("\n").map((line) => JSON.parse(line));

Deno.test("--host puts the time and the host's name before the columns of each row", async () => {
  await using fixture = await Fixture.start("threads", "1");
  const ask = (...words: string[]) => taskIter("tasks", "-f", "jsonl", "-c", "tid,pid", "--pid", String(fixture.pid), ...words);
  const before = new Date().toISOString();
  const [row] = parsed(ask("--host").stdout);
  equal(Object.keys(row), ["t", "host", "tid", "pid"]);
  equal([row.host, row.pid], [hostname(), fixture.pid]);
  ok(row.t >= before && row.t <= new Date().toISOString());
  const name = 'a "b"\\\u00e9\n';
  for (const again of [[], ["--interval", "10ms", "--count", "2"]]) {
    for (const row of parsed(ask(`--host=${name}`, ...again).stdout)) equal(row.host, name);
  }
});

Deno.test("--host and --names are for jsonl, and a host's name has a limit", () => {
  for (
    const [words, said] of [
      [["tasks", "--host"], /--host is for --format jsonl/],
      [["tasks", "-f", "json", "--names", "otel"], /--names is for --format jsonl/],
      [["tasks", "-f", "jsonl", "--names", "otell"], /Did you mean otel/],
      [["tasks", "-f", "jsonl", `--host=${"x".repeat(256)}`], /at most 255 bytes/],
    ] as const
  ) {
    const { status, stderr } = taskIter(...words);
    equal(status, 2);
    match(stderr, said);
  }
});

Deno.test("--names otel gives each column the name of its attribute and leaves the values", async () => {
  await using fixture = await Fixture.start("threads", "1");
  for (const table of ["tasks", "files", "stacks"]) {
    const ask = (...words: string[]) =>
      taskIter(table, "-f", "jsonl", "--columns", "all", "--pid", String(fixture.pid), ...words).stdout;
    const columns = tables.find(({ name }) => name === table)!.columns.map(({ name }) => attributeOf(table, name));
    const [row] = parsed(ask("--names", "otel"));
    equal(Object.keys(row), columns);
    equal(row["process.pid"], fixture.pid);
    const [named] = parsed(ask("--host=h", "--names", "otel"));
    equal(Object.keys(named), ["t", "host.name", ...columns]);
  }
});

Deno.test("an attribute's name is one of OpenTelemetry's or in the namespace task_iter, once in a table", () => {
  equal(attributeOf("tasks", "pid"), "process.pid");
  equal(attributeOf("cgroups", "path"), "task_iter.path");
  for (const { name, columns } of tables) {
    const attributes = columns.map((column) => attributeOf(name, column.name));
    equal(new Set(attributes).size, attributes.length, name);
    for (const attribute of attributes) ok(attribute.length <= 59 && /^[a-z0-9_]+(\.[a-z0-9_]+)+$/.test(attribute), attribute);
  }
});
