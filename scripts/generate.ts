// SPDX-License-Identifier: BSD-2-Clause
/** Makes what is generated from bpf/tables, by the C preprocessor: src/query/schema.gen.ts and README's table of tables. */

import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";

const root = new URL("..", import.meta.url);

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

const files = () => readdirSync(new URL("bpf/tables/", root)).filter((file) => file.endsWith(".bpf.c")).sort();

/** The module's text. */
function schema(): string {
  const lines = [
    "// SPDX-License-Identifier: BSD-2-Clause",
    "// Generated from bpf/tables by scripts/generate.ts.",
    "// deno-fmt-ignore-file",
    'import type { ColumnType } from "./schema.ts";',
    "",
    "type Column = readonly [string, boolean, number, string, ColumnType, readonly (readonly [number, string])[]];",
    "export const generated: readonly (readonly [string, string, string, string, string, () => readonly Column[]])[] = [",
  ];
  for (const [name, iterator, since, plural, doc, columns] of files().map(describe)) {
    lines.push(`  [${[name, iterator, since, plural, doc].map((part) => JSON.stringify(part)).join(", ")}, () => [`);
    for (const column of columns) lines.push(`    ${JSON.stringify(column)},`);
    lines.push("  ]],");
  }
  return lines.join("\n") + "\n];\n";
}

/** README's table of tables: default columns first, after the bar those that --columns adds. */
function readmeTables(): string {
  const rows = files().map(describe).map(([name, iterator, since, , , columns]) => {
    const names = (shown: boolean) => columns.filter((column) => column[1] === shown).map(([name]) => name).join(" ");
    return `| \`${name}\` | ${iterator} | ${since} | ${names(true)}${names(false) && ` \\| ${names(false)}`} |`;
  });
  return ["| table | iterator | Linux | columns |", "| --- | --- | --- | --- |", ...rows].join("\n");
}

/** `text` with what stands between the markers replaced. */
function between(text: string, marker: string, content: string): string {
  const [open, close] = [`<!-- ${marker} -->`, `<!-- /${marker} -->`];
  const [start, end] = [text.indexOf(open), text.indexOf(close)];
  if (start < 0 || end < start) throw new Error(`README.md lacks ${open} or ${close}`);
  return `${text.slice(0, start + open.length)}\n<!-- deno-fmt-ignore-start -->\n\n${content}\n\n<!-- deno-fmt-ignore-end -->\n${
    text.slice(end)
  }`;
}

/** The generated files with what they should hold. */
function generated(): [URL, string][] {
  const readme = new URL("README.md", root);
  return [
    [new URL("src/query/schema.gen.ts", root), schema()],
    [readme, between(readFileSync(readme, "utf8"), "tables", readmeTables())],
  ];
}

for (const [file, text] of generated()) {
  const before = existsSync(file) ? readFileSync(file, "utf8") : "";
  if (text === before) continue;
  if (Deno.args[0] === "--check") throw new Error(`${file.pathname} is stale: deno task build makes it anew`);
  writeFileSync(file, text);
}
