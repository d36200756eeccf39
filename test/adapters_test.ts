// SPDX-License-Identifier: BSD-2-Clause
import { deepStrictEqual as equal, ok } from "node:assert";
import { symlinkSync } from "node:fs";
import { build } from "esbuild";
import { contract } from "./contract.ts";
import { Fixture, root, run, TemporaryFolder } from "./support.ts";

Deno.test("the adapters of Deno, Node.js and Bun keep one contract and read the same rows", async (test) => {
  using folder = new TemporaryFolder();
  await using fixture = await Fixture.start("descriptors", folder.path);
  await fixture.settle();
  // Laid out as the sources are: libraries in ../build, packages above.
  using bundled = new TemporaryFolder();
  for (const name of ["build", "node_modules"]) symlinkSync(root + name, `${bundled.path}/${name}`);
  await build({
    entryPoints: [`${root}test/contract.ts`],
    outdir: `${bundled.path}/bundle`,
    outExtension: { ".js": ".mjs" },
    bundle: true,
    splitting: true, // keeps what only Bun has out of Node.js
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
