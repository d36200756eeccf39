// SPDX-License-Identifier: BSD-2-Clause
/** The programs for less give the same rows as the full program: for default columns, or all of them, without a predicate. */

import { deepStrictEqual as equal, ok } from "node:assert";
import { FORMATS, libraries } from "../src/mod.ts";
import { E2BIG } from "../src/errors.ts";
import { Ahead } from "../src/native/ahead.ts";
import { type Libraries, load as loadProgram, programOf } from "../src/native/load.ts";
import type { Request } from "../src/query/request.ts";
import type { Shim } from "../src/native/shim.ts";
import { MAP_TYPES, plan } from "../src/query/plan.ts";
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

Deno.test("the wide program is for all columns without a predicate, in JSON", () => {
  const fileOf = (...query: Parameters<typeof plan>) => programOf(plan(...query).request);
  equal(fileOf({ table: "files", columns: ["all"] }, "jsonl"), "files.json.wide.light");
  equal(fileOf({ table: "tcp", columns: ["pid"], netns: "all" }, "json"), "tcp.json.wide.light");
  equal(fileOf({ table: "files", columns: ["all"] }, "csv"), "files.csv.full.light");
  equal(fileOf({ table: "files", columns: ["all"], where: "fd > 2" }, "json"), "files.json.full.light");
  equal(fileOf({ table: "files", columns: ["all"], changes: 10 }, "jsonl"), "files.json.full.light");
  equal(fileOf({ table: "files", columns: ["size"] }, "json"), "files.json.light");
  for (const { name } of tables) {
    const map = MAP_TYPES[name] && 1;
    const { request } = plan({ table: name, columns: ["all"], map }, "json");
    equal(Boolean(request.wide), tables.find((table) => table.name === name)!.columns.some(({ full }) => full), name);
    ok(libraries.program(programOf(request)).length > 0);
  }
});

Deno.test("the wide program and the full one write the same rows", async () => {
  using folder = new TemporaryFolder();
  await using files = await Fixture.start("descriptors", folder.path);
  await using mappings = await Fixture.start("mappings", executable);
  await files.settle();
  const own = new RegExp(`"pid":(${files.pid}|${mappings.pid}),`);
  for (const table of ["stacks", "files", "tasks", "vmas", "unix"]) {
    const { columns } = tables.find(({ name }) => name === table)!;
    // Times and use of memory change from one walk to the next.
    const steady = columns.map(({ name }) => name).filter((name) => !/_ns$|time|switches|faults|_kb$|bytes/.test(name));
    const { request } = plan({ table, columns: steady }, "jsonl");
    ok(request.wide, table);
    const [wide, full] = [true, false].map((wide) => text({ ...request, wide }).split("\n").filter((line) => own.test(line)));
    equal(wide, full, table);
    ok(wide!.length > 0, table);
  }
});

Deno.test("programs that are loaded ahead in threads write the same rows, asked for in any order or not at all", async () => {
  await using fixture = await Fixture.start("threads", "3");
  const { pid } = fixture;
  const requests = ["stacks", "files", "tasks", "vmas", "unix"].map((table) =>
    plan({ table, pid, columns: ["pid", "comm"] }, "jsonl").request
  );
  const opened: string[] = [];
  const counting: Libraries = {
    open: (name) => libraries.open(name),
    program: (name) => (opened.push(name), libraries.program(name)),
  };
  using ahead = new Ahead(counting, requests);
  ok(opened.length > 1, "some loads begin at once");
  const [stacks, files, tasks, vmas] = requests as [Request, Request, Request, Request];
  for (const request of [files, stacks, vmas, tasks]) equal(text(request, ahead), text(request));
  equal(text(files, ahead), text(files), "once more");
  equal(opened.filter((name) => name.startsWith("unix")).length, 1, "what nobody asked for is loaded too");
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
