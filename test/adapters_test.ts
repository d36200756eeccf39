// SPDX-License-Identifier: BSD-2-Clause
import { deepStrictEqual as equal, ok, throws } from "node:assert";
import { readdirSync, symlinkSync } from "node:fs";
import { build } from "esbuild";
import { rows, stream, UsageError, WhereError } from "../src/mod.ts";
import { contract } from "./contract.ts";
import { Fixture, root, run, taskIter, TemporaryFolder } from "./support.ts";

Deno.test("the adapters of Deno, Node.js and Bun keep one contract and read the same rows", async (test) => {
  using folder = new TemporaryFolder();
  await using fixture = await Fixture.start("descriptors", folder.path);
  await fixture.settle();
  // The same layout as the sources: libraries in ../build, packages above.
  using bundled = new TemporaryFolder();
  for (const name of ["build", "node_modules"]) symlinkSync(root + name, `${bundled.path}/${name}`);
  await build({
    entryPoints: [`${root}test/contract.ts`],
    outdir: `${bundled.path}/bundle`,
    outExtension: { ".js": ".mjs" },
    bundle: true,
    splitting: true, // keeps modules that only Bun has out of Node.js
    format: "esm",
    platform: "node",
    target: "node20",
    external: ["koffi", "bun:ffi"],
    logLevel: "error",
  });
  let expected: unknown;
  await test.step("Deno", () => {
    const rows = contract(fixture.pid);
    ok(rows.length > 40);
    expected = JSON.parse(JSON.stringify(rows));
  });
  for (const [name, command] of [["Node.js", "node"], ["Bun", `${root}node_modules/.bin/bun`]] as const) {
    await test.step(name, () => {
      const { status, stdout, stderr } = run(command, [`${bundled.path}/bundle/contract.mjs`, String(fixture.pid)]);
      equal([status, stderr], [0, ""]);
      equal(JSON.parse(stdout), expected);
    });
  }
});

const descriptors = () => readdirSync("/proc/self/fd").length;

Deno.test("stream() gives what the executable writes, and stops when it is cancelled", async () => {
  await using fixture = await Fixture.start("many", "3000");
  const query = { table: "files", pid: fixture.pid };
  const before = descriptors();
  for (const format of ["json", "jsonl"] as const) {
    equal(await new Response(stream(query, format)).text(), taskIter("files", "--pid", String(fixture.pid), "-f", format).stdout);
  }
  const reader = stream(query, "jsonl").getReader();
  const { value } = await reader.read();
  ok(value!.length > 0);
  await reader.cancel();
  equal(descriptors(), before);
});

Deno.test("rows() closes what it opened, wherever it ends", async () => {
  await using fixture = await Fixture.start("many", "3000");
  const query = { table: "files", pid: fixture.pid };
  equal([...rows(query)].length, readdirSync(`/proc/${fixture.pid}/fd`).length);
  const before = descriptors();
  for (const row of rows(query)) {
    equal(row.fd, 0);
    break;
  }
  throws(() => {
    for (const _ of rows(query)) throw new RangeError("the caller's");
  }, RangeError);
  throws(() => [...rows({ ...query, columns: ["nothing"] })], UsageError);
  throws(() => [...rows({ ...query, where: "fd ==" })], WhereError);
  equal(descriptors(), before);
});
