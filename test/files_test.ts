// SPDX-License-Identifier: BSD-2-Clause
import { deepStrictEqual as equal } from "node:assert";
import { readdirSync } from "node:fs";
import { Fixture, rows } from "./support.ts";

const descriptors = (path: string): number[] => readdirSync(`/proc/${path}/fd`).map(Number).sort((a, b) => a - b);

Deno.test("files shows each descriptor once when the leader has exited", async () => {
  await using fixture = await Fixture.start("exited-leader");
  const { pid, facts: { tid } } = fixture;
  equal(rows("files", `--pid=${pid}`, "--columns=tid,fd"), descriptors(`${pid}/task/${tid}`).map((fd) => ({ tid, fd })));
});

Deno.test("files shows the descriptors of threads that have a file table of their own, once", async () => {
  await using fixture = await Fixture.start("unshared-files");
  const { pid, facts: { tid, fd } } = fixture;
  const shown = rows("files", `--pid=${pid}`, "--columns=tid,fd");
  const own = descriptors(`${pid}/task/${tid}`);
  equal(own.includes(fd), true);
  equal(shown, [...descriptors(`${pid}/task/${pid}`).map((fd) => ({ tid: pid, fd })), ...own.map((fd) => ({ tid, fd }))]);
});
