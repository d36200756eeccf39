// SPDX-License-Identifier: BSD-2-Clause
/** Writes rows that do not come from the kernel, in the same formats. */

import { textHeader } from "../query/plan.ts";
import type { Format } from "../query/request.ts";
import { harmlessLine, standardOutput } from "./output.ts";

type Row = Readonly<Record<string, string | boolean>>;

/** Writes `rows`, each with the values of `names`. */
export function writeRows(names: readonly string[], rows: readonly Row[], format: Format): void {
  if (format === "json") {
    return standardOutput.write(rows.length === 0 ? "[]\n" : `[\n${rows.map((row) => JSON.stringify(row)).join(",\n")}\n]\n`);
  }
  if (format === "jsonl") return standardOutput.write(rows.map((row) => JSON.stringify(row) + "\n").join(""));
  if (format === "csv") {
    const cell = (value: unknown) => /[",\r\n]/.test(String(value)) ? `"${String(value).replaceAll('"', '""')}"` : value;
    return standardOutput.write(
      [names, ...rows.map((row) => names.map((key) => cell(row[key])))].map((row) => row.join(",") + "\n").join(""),
    );
  }
  const text = (value: unknown) => harmlessLine(String(value));
  const columns = names.map((name) => ({
    name,
    shown: true,
    width: Math.max(name.length, ...rows.map((row) => text(row[name]).length)),
    doc: "",
    type: "string" as const,
    words: [],
  }));
  const line = (row: Row) => columns.map(({ name, width }) => text(row[name]).padEnd(width)).join(" ").trimEnd() + "\n";
  standardOutput.write(textHeader(columns) + rows.map(line).join(""));
}
