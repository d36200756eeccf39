// SPDX-License-Identifier: BSD-2-Clause
/** The library's types, which `deno check` holds; and that the rows are as their types say. */

import { ok } from "node:assert";
import { before, release } from "../src/native/kernel.ts";
import { type Change, changes, count, type Query, type Row, type RowOf, type Rows, rows, tables } from "../src/mod.ts";
import { findTable, MAP_TYPES } from "../src/query/plan.ts";
import { readFileSync } from "node:fs";
import { root } from "./support.ts";

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends (<T>() => T extends B ? 1 : 2) ? true : false;
const holds = <T extends true>(_?: T): void => {};

Deno.test("a row has its table's columns, with their types", () => {
  for (const row of rows({ table: "files", columns: ["fd", "type", "path"], where: "fd == 0" })) {
    holds<Same<typeof row, Pick<Rows["files"], "fd" | "type" | "path">>>();
    holds<Same<typeof row.fd, number>>();
    holds<Same<typeof row.path, string | null>>();
    // @ts-expect-error: this column is not asked for
    row.pid;
    break;
  }
  holds<Same<RowOf<{ table: "stacks" }>["frames"], string[]>>();
  holds<Same<keyof RowOf<{ table: "links" }>, "id" | "type" | "prog_id">>();
  holds<Same<RowOf<{ table: "files"; columns: readonly ["all"] }>, Rows["files"]>>();
  holds<Same<Rows["files"]["deleted"], boolean>>();
  holds<Same<RowOf<Query>, Row>>();
  const stream = () => changes({ table: "tasks", columns: ["pid", "comm"] }, { interval: 1000 });
  type Pass = ReturnType<typeof stream> extends AsyncGenerator<infer Pass> ? Pass : never;
  holds<Same<Pass, Change<Pick<Rows["tasks"], "pid" | "comm">>[]>>();
  // @ts-expect-error: the value of a row that is gone may be absent
  const gone = ({ op, pid }: Pass[number]): number => op === "-" ? pid : pid;
  ok(gone);
});

Deno.test("a count's groups have the columns they are made by, with their types, and exact numbers", () => {
  const { groups, rest } = count({ table: "files", where: "fd == 0" }, {
    by: ["type", "pid"],
    max: ["size"],
    distinct: ["ino"],
    top: 1,
  });
  type Found = typeof groups[number];
  holds<Same<keyof Found, "count" | "max_size" | "distinct_ino" | "type" | "pid">>();
  holds<Same<Found["type"], Rows["files"]["type"]>>();
  holds<Same<Found["pid"], number>>();
  holds<Same<Found["count"], number>>();
  holds<Same<Found["max_size"], bigint | null>>();
  holds<Same<keyof NonNullable<typeof rest>, "count" | "max_size" | "distinct_ino">>();
  const whole = count({ table: "tasks" }, {}).groups;
  holds<Same<typeof whole, { count: number }[]>>();
  // @ts-expect-error: rows are counted by these columns only
  ok(groups.every(({ comm }) => comm === undefined));
  ok(groups.length === 1 && whole.length === 1);
});

Deno.test("every value of every table has its column's type", () => {
  const text = readFileSync(`${root}src/query/rows.gen.ts`, "utf8");
  for (const { name, since, iterator } of tables) {
    if (MAP_TYPES[name] || iterator === "ksym" || before(release(), since)) continue;
    const body = text.split(`  "${name}": {\n`)[1]!.split("  };")[0]!;
    const mayBeNull = new Map(
      [...body.matchAll(/^ {4}(\w+): (.*);$/gm)].map(([, column, type]) => [column!, type!.endsWith("| null")]),
    );
    const types = new Map(findTable(name).columns.map((column) => [column.name, column.type]));
    for (const row of rows({ table: name as string, columns: ["all"] } as Query)) {
      for (const [column, value] of Object.entries(row)) {
        ok(value !== null || mayBeNull.get(column), `${name}.${column} is null`);
        const type = types.get(column)!;
        const expected = type === "number" || type === "signed"
          ? "number"
          : type === "boolean"
          ? "boolean"
          : ["frames", "numbers"].includes(type)
          ? "object"
          : "string";
        ok(
          value === null || typeof value === expected || type === "enum" && typeof value === "number",
          `${name}.${column} is ${value}`,
        );
      }
    }
  }
});
