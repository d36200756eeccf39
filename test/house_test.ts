// SPDX-License-Identifier: BSD-2-Clause
/** How the house is built: who imports whom, and the C library as TypeScript declares it. */

import { deepStrictEqual as equal, ok } from "node:assert";
import { globSync, readFileSync } from "node:fs";
import { functions, type Type } from "../src/native/shim.ts";
import { root } from "./support.ts";

/** The modules of src that each module of src imports, for values or types. */
const imports = new Map(
  globSync("src/**/*.ts", { cwd: root }).map((file) => {
    const text = readFileSync(root + file, "utf8").replace(/\/\*[^]*?\*\//g, "");
    const found = [...text.matchAll(/(?:\bfrom|\bimport\(|^import) *"(\.{1,2}\/[^"]+\.ts)"/gm)].map(([, path]) =>
      new URL(path!, `file:///${file}`).pathname.slice(1)
    );
    return [file, found];
  }),
);

/** A way from a module back to itself, or none. */
function circle(): string[] | undefined {
  const done = new Set<string>();
  const visit = (file: string, way: string[]): string[] | undefined => {
    if (way.includes(file)) return [...way.slice(way.indexOf(file)), file];
    if (done.has(file)) return undefined;
    for (const next of imports.get(file) ?? []) {
      const found = visit(next, [...way, file]);
      if (found) return found;
    }
    done.add(file);
    return undefined;
  };
  for (const file of imports.keys()) {
    const found = visit(file, []);
    if (found) return found;
  }
  return undefined;
}

Deno.test("no module of src imports itself by way of others", () => {
  ok(imports.size > 30 && [...imports.values()].flat().every((file) => imports.has(file)), "every import is found");
  equal(circle(), undefined);
});

Deno.test("the folders of src depend on each other in one direction", () => {
  const folder = (file: string) => /^src\/(\w+)\//.exec(file)?.[1] ?? "";
  const wrong = (from: string, to: string) => from === "query" && /^(native|cli)$/.test(to) || from !== "cli" && to === "cli";
  const found = [...imports].flatMap(([file, targets]) =>
    targets.filter((target) => wrong(folder(file), folder(target))).map((target) => `${file} imports ${target}`)
  );
  equal(found, []);
});

/** How a type of C crosses to TypeScript. */
function crossing(declaration: string): Type {
  const type = declaration.replace(/\w+(\[\d+\])?$/, (name, array) => /^(void|int|__u32)$/.test(name) ? name : array ? "*" : "")
    .trim();
  if (/^(const )?struct task_iter \*$/.test(type)) return "handle";
  if (type === "__u32") return "u32";
  if (type === "int") return "i32";
  if (type === "void") return "void";
  if (/\*$/.test(type)) return "bytes";
  throw new Error(`shim.h: unknown type in ${declaration}`);
}

Deno.test("shim.ts declares the functions of shim.h, with their parameters and results", () => {
  const header = readFileSync(`${root}libbpf-shim/shim.h`, "utf8").replace(/\/\*[^]*?\*\//g, "");
  const declared = [...header.matchAll(/^EXPORT ([^;(]*?)task_iter_(\w+)\(([^)]*)\);/gm)].map(([, result, name, parameters]) => {
    const list = parameters === "void" ? [] : parameters!.split(",").map((parameter) => crossing(parameter.trim()));
    return [name!, { parameters: list, result: /char \*$/.test(result!) ? "text" : crossing(result!.trim()) }];
  });
  equal(declared.length, header.match(/^EXPORT /gm)!.length);
  equal(Object.fromEntries(declared), functions);
});
