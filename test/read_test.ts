// SPDX-License-Identifier: BSD-2-Clause
import { deepStrictEqual as equal } from "node:assert";
import { readdirSync } from "node:fs";
import { Fixture, rows } from "./support.ts";

Deno.test("files shows the descriptors of a named process, as /proc does", async () => {
  await using fixture = await Fixture.start("name", "fixture-one");
  const expected = readdirSync(`/proc/${fixture.pid}/fd`).map((fd) => ({ pid: fixture.pid, fd: Number(fd) }));
  equal(rows("files", "fixture-one", "--columns=pid,fd"), expected);
});
