// SPDX-License-Identifier: BSD-2-Clause
/** The short way through the command line means what the long one means. */

import { deepStrictEqual as equal } from "node:assert";
import { quick } from "../src/cli/quick.ts";
import { plan } from "../src/query/plan.ts";
import { taskIter } from "./support.ts";

Deno.test("a table with a format, columns and a predicate goes the short way", () => {
  const asked = (...words: string[]) => {
    const { query, format, plan } = quick(words)!;
    return { query, format, isPrepared: plan !== undefined };
  };
  const query = { table: "files", columns: undefined, where: undefined };
  equal(asked("files"), { query, format: "text", isPrepared: true });
  for (const words of [["-f", "json"], ["--format", "json"], ["--format=json"]]) {
    equal(asked("files", ...words), { query, format: "json", isPrepared: true });
  }
  equal(asked("files", "-c", "fd,path", "--where=fd == 1 && type == REG", "-f", "csv"), {
    query: { table: "files", columns: ["fd", "path"], where: "fd == 1 && type == REG" },
    format: "csv",
    isPrepared: false,
  });
  equal(quick(["files", "-f", "csv"])!.plan!(), plan({ table: "files" }, "csv"));
});

for (
  const words of [
    [],
    ["nginx"],
    ["files", "nginx"],
    ["tables"],
    ["--format=json"],
    ["files", "-f"],
    ["files", "-f", "xml"],
    ["files", "-f", ""],
    ["files", "-f=json"],
    ["files", "-fjson"],
    ["files", "--format="],
    ["files", "--form", "json"],
    ["files", "-c", "-f", "json"],
    ["files", "-f", "json", "-f", "csv"],
    ["files", "--pid", "1"],
    ["files", "--stats"],
    ["files", "constructor", "x"],
    ["elems"],
    ["constructor"],
    ["--", "files"],
  ]
) {
  Deno.test(`'${words.join(" ")}' is left to commander`, () => equal(quick(words), undefined));
}

Deno.test("options after the table, the short way, do what options before it do", () => {
  for (
    const [table, ...options] of [
      ["slabs", "-c", "name, object_size"],
      ["slabs", "--columns=name", "-f", "csv", "-w", "name ~ 'kmalloc*'"],
      ["routes", "--format=jsonl"],
      ["slabs", "-c", "all,name"],
      ["slabs", "-c", ","],
      ["slabs", "-w", "nme == 1"],
      ["dmabufs", "-f", "json", "--where=size=1"],
      ["routes", "-w", " "],
    ]
  ) {
    equal(taskIter(table!, ...options), taskIter(...options, table!), options.join(" "));
  }
});
