// SPDX-License-Identifier: BSD-2-Clause
/** Makes src/query/schema.gen.ts from bpf/tables, by the C preprocessor. */

import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";

const root = new URL("..", import.meta.url);
const output = new URL("src/query/schema.gen.ts", root);

type Description = [string, string, string, string, string, unknown[][]];

/** The description of one table: the preprocessor writes JSON with a number where each list ends. */
function describe(file: string): Description {
  const text = execFileSync("clang-19", ["-E", "-P", "-DDESCRIBE", file], {
    cwd: new URL("bpf/tables/", root),
    encoding: "utf8",
  });
  const json = text.replace(/"\s+"/g, "").replace(/,\s*0\s*\]/g, "]").replace(/\[\s*0\s*\]/g, "[]").trim().replace(/,$/, "");
  const [name, iterator, since, plural, doc, columns] = JSON.parse(json) as Description;
  for (const column of columns) column[5] ??= [];
  return [name, iterator, since, plural, doc, columns];
}

/** The module's text. */
export function schema(): string {
  const files = readdirSync(new URL("bpf/tables/", root)).filter((file) => file.endsWith(".bpf.c")).sort();
  const lines = [
    "// SPDX-License-Identifier: BSD-2-Clause",
    "// Generated from bpf/tables by scripts/schema.ts.",
    "// deno-fmt-ignore-file",
    'import type { ColumnType } from "./schema.ts";',
    "",
    "type Column = readonly [string, boolean, number, string, ColumnType, readonly (readonly [number, string])[]];",
    "export const generated: readonly (readonly [string, string, string, string, string, readonly Column[]])[] = [",
  ];
  for (const [name, iterator, since, plural, doc, columns] of files.map(describe)) {
    lines.push(`  [${[name, iterator, since, plural, doc].map((part) => JSON.stringify(part)).join(", ")}, [`);
    for (const column of columns) lines.push(`    ${JSON.stringify(column)},`);
    lines.push("  ]],");
  }
  return lines.join("\n") + "\n];\n";
}

if (import.meta.main) {
  const text = schema();
  let before = "";
  try {
    before = readFileSync(output, "utf8");
  } catch { /* the first time */ }
  if (Deno.args[0] === "--check") {
    if (text !== before) throw new Error("src/query/schema.gen.ts is stale: run deno task build");
  } else if (text !== before) {
    writeFileSync(output, text);
  }
}
