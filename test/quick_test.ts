// SPDX-License-Identifier: BSD-2-Clause
/** The quick path through the command line gives the same query as commander. */

import { deepStrictEqual as equal, ok } from "node:assert";
import fc from "fast-check";
import { commandLine, NO_LIBRARIES, queryOf } from "../src/cli/command.ts";
import { FLAGS } from "../src/cli/flags.ts";
import type { ReadOptions } from "../src/cli/options.ts";
import { quick } from "../src/cli/quick.ts";
import { plan } from "../src/query/plan.ts";
import { taskIter } from "./support.ts";

Deno.test("a table with a format, columns, a predicate, a name and numbers of tasks goes the short way", () => {
  const asked = (...words: string[]) => {
    const { query, format, plan } = quick(words)!;
    return { query, format, isPrepared: plan !== undefined };
  };
  const query = {
    table: "files",
    columns: undefined,
    where: undefined,
    comm: undefined,
    pid: undefined,
    tid: undefined,
    container: undefined,
  };
  equal(asked("files"), { query, format: "text", isPrepared: true });
  for (const words of [["-f", "json"], ["--format", "json"], ["--format=json"]]) {
    equal(asked("files", ...words), { query, format: "json", isPrepared: true });
  }
  equal(asked("files", "-c", "fd,path", "--where=fd == 1 && type == REG", "-f", "csv"), {
    query: { ...query, columns: ["fd", "path"], where: "fd == 1 && type == REG" },
    format: "csv",
    isPrepared: false,
  });
  equal(asked("files", "--comm=a b", "--pid", "17", "--tid=2147483647"), {
    query: { ...query, comm: "a b", pid: 17, tid: 2147483647 },
    format: "text",
    isPrepared: false,
  });
  equal(asked("tcp", "--container=4f8c2a0b9d1e", "--comm", "nginx"), {
    query: { ...query, table: "tcp", comm: "nginx", container: "4f8c2a0b9d1e" },
    format: "text",
    isPrepared: false,
  });
  equal(asked(), { query: { ...query, table: "stacks" }, format: "text", isPrepared: true });
  equal(asked("-f", "json"), { query: { ...query, table: "stacks" }, format: "json", isPrepared: true });
  equal(asked("--pid=1"), { query: { ...query, table: "stacks", pid: 1 }, format: "text", isPrepared: false });
  equal(quick(["files", "-f", "csv"])!.plan!(), plan({ table: "files" }, "csv"));
});

for (
  const words of [
    ["nginx"],
    ["files", "nginx"],
    ["tables"],
    ["--format=json", "files"],
    ["--help"],
    ["-V"],
    ["-"],
    ["files", "-f"],
    ["files", "-f", "xml"],
    ["files", "-f", ""],
    ["files", "-f=json"],
    ["files", "-fjson"],
    ["files", "--format="],
    ["files", "--form", "json"],
    ["files", "-c", "-f", "json"],
    ["files", "-f", "json", "-f", "csv"],
    ...["0", "01", "1.0", "1e3", "-1", "2147483648", "x", ""].map((pid) => ["files", "--pid", pid]),
    ["files", "--pid", "1", "--pid", "2"],
    ["files", "--comm", ""],
    ["files", "--comm", "files"],
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
      ["stacks", "--comm", "no-such-name", "-f", "json"],
      ["stacks", "--comm", "longer-than-a-name"],
      ["routes", "--pid=1"],
      ["files", "--pid=1", "--tid", "2147483647", "-f", "csv"],
      ["tasks", "--container", "none", "-f", "csv"],
      ["slabs", "--container=web"],
    ]
  ) {
    equal(taskIter(table!, ...options), taskIter(...options, table!), options.join(" "));
  }
});

Deno.test("where the short way answers, commander gives the same query", () => {
  const values = ["1", "17", "2147483647", "07", "json", "csv", "text", "fd,path", "fd == 1", "a b", "x=y", "files", "-1", ""];
  const flags = FLAGS.filter(({ on, long }) => on.read && long !== "interval");
  const option = fc.tuple(fc.constantFrom(...flags), fc.constantFrom(...values), fc.constantFrom(" ", "=", "short")).map(
    ([{ long, short, value }, text, form]) => {
      const name = form === "short" && short ? `-${short}` : `--${long}`;
      return !value ? [name] : form === "=" ? [`${name}=${text}`] : [name, text];
    },
  );
  const words = fc.tuple(fc.constantFrom([], ["files"], ["tasks"], ["tcp"], ["nginx"]), fc.array(option, { maxLength: 3 }))
    .map(([first, options]) => [...first, ...options.flat()]);
  let answered = 0;
  fc.assert(
    fc.property(words, (words) => {
      const short = quick(words);
      if (short === undefined) return;
      answered++;
      let long: unknown;
      const program = commandLine(words, NO_LIBRARIES).action((...given) => {
        const [table, comm, options] = given as unknown[] as [string | undefined, string | undefined, ReadOptions];
        long = { query: queryOf([table, comm], options), format: options.format };
      });
      program.parse(words, { from: "user" });
      // commander's query has a netns and no map, where none is asked for
      const plain = (value: unknown) => JSON.parse(JSON.stringify(value));
      equal(plain({ query: short.query, format: short.format }), plain(long));
    }),
    { numRuns: 2000 },
  );
  ok(answered > 100, `${answered} command lines went the short way`);
});
