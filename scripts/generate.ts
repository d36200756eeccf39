// SPDX-License-Identifier: BSD-2-Clause
/**
 * Makes the files that are generated from bpf, with the C compiler: src/query/schema.gen.ts, rows.gen.ts and README's table of tables from bpf/tables,
 * src/query/layout.gen.ts from bpf/engine/query.h.
 */

import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";

const root = new URL("..", import.meta.url);

/** asm/types.h, for a compiler that targets BPF. */
const includes = [`-I/usr/include/${process.arch === "arm64" ? "aarch64" : "x86_64"}-linux-gnu`];

type Description = [string, string, string, string, string, unknown[][], string[]];

/**
 * The description of one table, which the preprocessor writes between two marks: JSON, with a number where each list ends.
 *
 * @throws {Error} the file has no TABLE, or its text is not JSON; the message names the file
 */
function describe(file: string): Description {
  const flags = ["-E", "-P", "-DDESCRIBE", '-DFORMAT_HEADER="../formats/json.h"', "--target=bpf", ...includes];
  const preprocessed = execFileSync("clang-19", [...flags, file], { cwd: new URL("bpf/tables/", root), encoding: "utf8" });
  const text = /DESCRIPTION_BEGIN\s+([^]*?)\s+DESCRIPTION_END/.exec(preprocessed)?.[1];
  if (text === undefined) throw new Error(`bpf/tables/${file}: no TABLE(...) after its COLUMNS`);
  const json = text.replace(/"\s+"/g, "").replace(/,\s*0\s*\]/g, "]").replace(/\[\s*0\s*\]/g, "[]");
  let description;
  try {
    description = JSON.parse(json) as Description;
  } catch (error) {
    throw new Error(`bpf/tables/${file}: TABLE and COLUMNS do not describe a table: ${(error as Error).message}`);
  }
  const [name, iterator, since, plural, doc, columns, identity] = description;
  const stranger = identity.find((name) => !columns.some((column) => column[0] === name));
  if (stranger !== undefined) throw new Error(`bpf/tables/${file}: ${stranger} of IDENTITY is not a column`);
  for (const column of columns) {
    column[1] = column[1] === 1; // C's true and false are macros
    // The words of an enum, and whether only the full program has the column.
    const words = Array.isArray(column[5]) ? column[5] : [];
    column.splice(5, 2, words, ...column[6] === 1 ? [true] : []);
  }
  return [name, iterator, since, plural, doc, columns, identity];
}

/** The columns of a table whose expressions may say ABSENT, once their macros are expanded. */
function absentColumns(file: string): Set<string> {
  const flags = ["-E", "-P", "-DDESCRIBE", '-DFORMAT_HEADER="../formats/json.h"', "--target=bpf", ...includes];
  const source = `#include "${file}"
#define EXPRESSION(name, type, width, expression, doc) EXPRESSION_OF #name expression EXPRESSION_END
COLUMNS(EXPRESSION, EXPRESSION)`;
  const cwd = new URL("bpf/tables/", root);
  const text = execFileSync("clang-19", [...flags, "-x", "c", "-I.", "-"], { cwd, input: source, encoding: "utf8" });
  const expressions = [...text.matchAll(/EXPRESSION_OF "(\w+)"([^]*?)EXPRESSION_END/g)];
  return new Set(expressions.filter(([, , expression]) => /\babsent = (1|true)\b/.test(expression!)).map(([, name]) => name!));
}

const files = () => readdirSync(new URL("bpf/tables/", root)).filter((file) => file.endsWith(".bpf.c")).sort();

/** The module's text. */
function schema(): string {
  const descriptions = files().map(describe);
  const types = [...new Set(descriptions.flatMap(([, , , , , columns]) => columns.map((column) => String(column[4]))))].sort();
  const lines = [
    "// SPDX-License-Identifier: BSD-2-Clause",
    "// Generated from bpf/tables by scripts/generate.ts.",
    "// deno-fmt-ignore-file",
    "",
    `/** How a column's value is written, and what it may be compared with. */`,
    `export type ColumnType = ${types.map((type) => JSON.stringify(type)).join(" | ")};`,
    "",
    "type Column = readonly [string, boolean, number, string, ColumnType, readonly (readonly [number, string])[], true?];",
    "type Table = readonly [string, string, string, string, string, readonly string[], () => readonly Column[]];",
    "export const generated: readonly Table[] = [",
  ];
  for (const [name, iterator, since, plural, doc, columns, identity] of descriptions) {
    lines.push(`  [${[name, iterator, since, plural, doc, identity].map((part) => JSON.stringify(part)).join(", ")}, () => [`);
    for (const column of columns) lines.push(`    ${JSON.stringify(column)},`);
    lines.push("  ]],");
  }
  return lines.join("\n") + "\n];\n";
}

/** The types of the tables' rows. A string may always be absent: its expression is a function that says so by its result. */
function rowTypes(): string {
  const lines = [
    "// SPDX-License-Identifier: BSD-2-Clause",
    "// Generated from bpf/tables by scripts/generate.ts.",
    "// deno-fmt-ignore-file",
    "",
    "/** The rows of each table, with every column. */",
    "export interface Rows {",
  ];
  const shown: string[] = [];
  for (const file of files()) {
    const [table, , , , , columns] = describe(file);
    const absent = absentColumns(file);
    lines.push(`  ${JSON.stringify(table)}: {`);
    for (const [name, , , , type, words] of columns) {
      const values: Record<string, string> = {
        number: "number",
        signed: "number",
        boolean: "boolean",
        frames: "string[]",
        numbers: "number[]",
        json: "unknown",
      };
      // A number that has no word is shown as a number.
      const numbers = type === "enum"
        ? (words as [number, string][]).map(([, word]) => JSON.stringify(word)).join(" | ") + " | number"
        : "string";
      const value = values[String(type)] ?? numbers;
      const isString = ["string", "long", "symbol", "numbers"].includes(String(type));
      lines.push(`    ${name}: ${value}${isString || absent.has(String(name)) ? " | null" : ""};`);
    }
    lines.push("  };");
    const names = columns.filter((column) => column[1] === true).map(([name]) => JSON.stringify(name));
    shown.push(`  ${JSON.stringify(table)}: ${names.join(" | ")};`);
  }
  return [
    ...lines,
    "}",
    "",
    "/** The columns that each table shows by default. */",
    "export interface Shown {",
    ...shown,
    "}",
    "",
  ].join("\n");
}

/** The numbers that the C compiler computes for these expressions over bpf/engine/query.h. */
function evaluate(expressions: readonly string[]): number[] {
  const source = `#include "engine/query.h"\nconst unsigned long long values[] = { ${expressions.join(", ")} };\n`;
  const assembly = execFileSync("clang-19", ["--target=bpf", ...includes, "-S", "-x", "c", "-o", "-", "-"], {
    cwd: new URL("bpf/", root),
    input: source,
    encoding: "utf8",
  });
  const numbers = [...assembly.matchAll(/^\s*\.quad\s+(-?[0-9]+)/gm)].map(([, number]) => Number(number));
  if (numbers.length !== expressions.length) {
    throw new Error(`bpf/engine/query.h: ${numbers.length} values for ${expressions.length} names`);
  }
  return numbers;
}

/** The limits and flags of bpf/engine/query.h, and where the fields of its structures are. */
function layout(): string {
  const text = readFileSync(new URL("bpf/engine/query.h", root), "utf8").replace(/\/\*[^]*?\*\//g, "");
  const names = [
    ...[...text.matchAll(/^#define (\w+) /gm)],
    ...[...text.matchAll(/^enum \{([^}]*)\};/gm)].flatMap(([, list]) => [...list!.matchAll(/(\w+) =/g)]),
  ].map(([, name]) => name!);
  const structures = [...text.matchAll(/^struct (\w+) \{([^}]*)\};/gm)].map(([, name, fields]) => ({
    name: name!,
    fields: [...fields!.matchAll(/(\w+)(?:\[[^\]]*\])?[,;]/g)].map(([, field]) => field!),
  }));
  const expressions = [
    ...names,
    ...structures.flatMap(({ name, fields }) => [
      `sizeof(struct ${name})`,
      ...fields.map((field) => `__builtin_offsetof(struct ${name}, ${field})`),
    ]),
  ];
  const values = evaluate(expressions);
  const lines = [
    "// SPDX-License-Identifier: BSD-2-Clause",
    "// Generated from bpf/engine/query.h by scripts/generate.ts.",
    "// deno-fmt-ignore-file",
    ...names.map((name) => `export const ${name} = ${values.shift()};`),
  ];
  for (const { name, fields } of structures) {
    const offsets = ["size", ...fields].map((field) => `${field}: ${values.shift()}`);
    lines.push(
      `/** struct ${name}: its size and the offsets of its fields, in bytes. */`,
      `export const ${name} = { ${offsets.join(", ")} };`,
    );
  }
  return lines.join("\n") + "\n";
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

/** The generated files and their contents. */
function generated(): [URL, string][] {
  const readme = new URL("README.md", root);
  return [
    [new URL("src/query/schema.gen.ts", root), schema()],
    [new URL("src/query/layout.gen.ts", root), layout()],
    [new URL("src/query/rows.gen.ts", root), rowTypes()],
    [readme, between(readFileSync(readme, "utf8"), "tables", readmeTables())],
  ];
}

for (const [file, text] of generated()) {
  const before = existsSync(file) ? readFileSync(file, "utf8") : "";
  if (text === before) continue;
  if (Deno.args[0] === "--check") throw new Error(`${file.pathname} is stale: deno task build makes it anew`);
  writeFileSync(file, text);
}
