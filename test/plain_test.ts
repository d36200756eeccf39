// SPDX-License-Identifier: BSD-2-Clause
/** The program for default columns and no predicate gives the same rows as the full program. */

import { deepStrictEqual as equal, ok } from "node:assert";
import { FORMATS, libraries } from "../src/mod.ts";
import { E2BIG } from "../src/errors.ts";
import { type Libraries, load as loadProgram } from "../src/native/load.ts";
import type { Request } from "../src/query/request.ts";
import type { Shim } from "../src/native/shim.ts";
import { plan } from "../src/query/plan.ts";
import { tables } from "../src/query/schema.ts";
import { chunks } from "../src/stream.ts";
import { executable, Fixture, TemporaryFolder } from "./support.ts";

/** Not by libbpf, which knows no plain programs. */
function text(request: Request, from = libraries): string {
  using program = loadProgram(from, { ...request, libbpf: false });
  const decoder = new TextDecoder();
  let text = "";
  for (const chunk of chunks(program.walk, request.format)) text += decoder.decode(chunk, { stream: true });
  return text;
}

Deno.test("the plain program is for default columns without a predicate, in any order", () => {
  const isPlain = (...query: Parameters<typeof plan>) => plan(...query).request.plain;
  for (const { name } of tables.filter(({ name }) => name !== "elems" && name !== "sk-storage" && name !== "sockmap")) {
    ok(isPlain({ table: name }, "json"), name);
  }
  ok(isPlain({ table: "files", columns: ["fd", "comm"] }, "csv"));
  ok(!isPlain({ table: "files", columns: ["fd", "size"] }, "csv"));
  ok(!isPlain({ table: "files", pid: 1 }, "csv"));
  ok(!isPlain({ table: "files", where: "fd > 2" }, "csv"));
  ok(!isPlain({ table: "tcp", netns: "all" }, "csv"));
});

Deno.test("the plain program and the full one write the same rows, in every format", async () => {
  using folder = new TemporaryFolder();
  await using files = await Fixture.start("descriptors", folder.path);
  await using mappings = await Fixture.start("mappings", executable);
  await files.settle();
  const own = new RegExp(`\\b(${files.pid}|${mappings.pid})\\b`);
  for (const table of ["stacks", "files", "tasks", "vmas"]) {
    for (const format of FORMATS) {
      const { request } = plan({ table }, format);
      const [plain, full] = [true, false].map((plain) =>
        text({ ...request, plain }).split("\n").filter((line) => own.test(line))
      );
      equal(plain, full, `${table}, ${format}`);
      ok(plain!.length > 0, `${table}, ${format}`);
    }
  }
});

Deno.test("the plain program shows one process, where the kernel narrows the walk to it; elsewhere the full one does", async () => {
  using folder = new TemporaryFolder();
  await using fixture = await Fixture.start("descriptors", folder.path);
  await using _other = await Fixture.start("threads", "3");
  const { pid } = fixture;
  const isNarrowed = (...query: Parameters<typeof plan>) => plan(...query).request.narrowed !== undefined;
  ok(isNarrowed({ table: "files", where: `pid == ${pid}` }, "csv"));
  for (const more of [{ comm: "a" }, { tid: pid }, { where: "fd > 2" }, { where: `pid != ${pid}` }, { columns: ["size"] }]) {
    ok(!isNarrowed({ table: "files", pid, ...more }, "csv"), JSON.stringify(more));
  }
  for (const query of [{ where: `pid > ${pid}` }, { where: `pid == ${pid} || fd > 2` }, { tid: pid }]) {
    ok(!isNarrowed({ table: "files", ...query }, "csv"), JSON.stringify(query));
  }
  const names: string[] = [];
  const beforeLinux61: Libraries = {
    open: (name) =>
      new Proxy(libraries.open(name), {
        get: (shim, call: keyof Shim) =>
          call === "attach" ? (it: never, pid: number) => pid ? -E2BIG : shim.attach(it, 0, 0, 0) : shim[call],
      }),
    program(name) {
      names.push(name);
      return libraries.program(name);
    },
  };
  for (const table of ["stacks", "files", "tasks", "vmas"]) {
    const { request } = plan({ table, pid }, "jsonl");
    const full = text({ ...request, narrowed: undefined });
    ok(full.includes(`"pid":${pid},`), table);
    equal(text(request), full, table);
    names.length = 0;
    equal(text(request, beforeLinux61), full, table);
    equal(names, [`${table}.json.plain.light`, `${table}.json.light`]);
  }
});

Deno.test("the plain program has no other columns: those are the full one's", () => {
  const { request } = plan({ table: "slabs", columns: ["name", "order"] }, "jsonl");
  ok(text(request).includes('"order":'));
  ok(!text({ ...request, plain: true }).includes('"order":'));
});
