// SPDX-License-Identifier: BSD-2-Clause
/** `task-iter tables --ddl ENGINE`: the statements that make tables for rows of jsonl in a database. */

import type { ColumnType, Table } from "../query/schema.ts";

export const ENGINES = ["clickhouse"] as const;
export type Engine = typeof ENGINES[number];

/** A column's type in ClickHouse. A list has no NULL there; an absent list is empty. */
function typeOf(type: ColumnType): string {
  switch (type) {
    case "number":
      return "Nullable(UInt64)";
    case "signed":
      return "Nullable(Int64)";
    case "boolean":
      return "Nullable(UInt8)";
    case "frames":
      return "Array(String)";
    case "numbers":
      return "Array(UInt64)";
    default:
      return "Nullable(String)";
  }
}

/**
 * One statement for each table: what --host and --changes write (the host, the time of the first pass and of this one, the kind of
 * change), then every column.
 */
export function statements(_engine: Engine, tables: readonly Table[]): string {
  return tables.map(({ name, columns }) => {
    const own = columns.map((column) => `  \`${column.name}\` ${typeOf(column.type)}`);
    const lines = [
      "  `host` String",
      "  `since` DateTime DEFAULT t",
      "  `t` DateTime",
      "  `op` FixedString(1) DEFAULT '+'",
      ...own,
    ];
    const table = `task_iter_${name.replaceAll("-", "_")}`;
    return `CREATE TABLE IF NOT EXISTS ${table} (\n${lines.join(",\n")}\n) ` +
      "ENGINE = MergeTree PARTITION BY toYYYYMMDD(t) ORDER BY (host, t);\n";
  }).join("\n");
}
