// SPDX-License-Identifier: BSD-2-Clause
import { deepStrictEqual as equal } from "node:assert";
import { Fixture, rows } from "./support.ts";

Deno.test("files shows the descriptors of a named process", async () => {
  await using fixture = await Fixture.start("name", "fixture-one");
  equal(rows("files", "fixture-one", "--columns=pid,fd").map(({ fd }) => fd), [0, 1, 2]);
  equal(new Set(rows("files", "fixture-one").map(({ pid }) => pid)), new Set([fixture.pid]));
});
