// SPDX-License-Identifier: BSD-2-Clause
/**
 * The plans of the questions that are a table and a format. The build puts their values in this module's place, so that a start
 * of the executable neither plans them nor loads what plans (scripts/build.ts).
 */

import { MAP_TYPES, type Plan, plan } from "./plan.ts";
import { FORMATS } from "./request.ts";
import { tables } from "./schema.ts";

/** What a run needs of a plan. */
export type Prepared = Pick<Plan, "request" | "header" | "summary">;

/** By `table.format`; not of tables that read one BPF map, which has to be named. */
export const prepared: Readonly<Record<string, () => Prepared>> = Object.fromEntries(
  tables.filter(({ name }) => !MAP_TYPES[name]).flatMap(({ name }) =>
    FORMATS.map((format) => [`${name}.${format}`, () => plan({ table: name }, format)])
  ),
);
