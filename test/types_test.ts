// SPDX-License-Identifier: BSD-2-Clause
/** The types of the library's rows, which `deno check` holds. */

import { ok } from "node:assert";
import { type Change, changes, type Query, type Row, type RowOf, type Rows, rows, tables } from "../src/mod.ts";

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
