// SPDX-License-Identifier: BSD-2-Clause
/** `--map ID` and `--map NAME`: finds the map in the table of maps. */

import { readdirSync, readFileSync } from "node:fs";
import { UsageError } from "../errors.ts";
import type { Libraries } from "../native/load.ts";
import { MAP_TYPES, plan } from "../query/plan.ts";
import { chunks } from "../stream.ts";
import { load } from "./read.ts";

interface BpfMap {
  id: number;
  name: string;
  type: string | number;
}

/** IDs of the maps that belong to the listing program itself: this process holds them open, and they end with it. */
function ownMaps(): Set<number> {
  const ids = new Set<number>();
  for (const fd of readdirSync("/proc/self/fdinfo")) {
    try {
      const id = /^map_id:\s*([0-9]+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, "utf8"))?.[1];
      if (id) ids.add(Number(id));
    } catch { /* the descriptor that read the folder */ }
  }
  return ids;
}

/** Names of the maps that a light skeleton makes for its load and then drops, in this process or another. */
const LOADER_MAP = "__loader.map";

function listMaps(libraries: Libraries, verbose: boolean): BpfMap[] {
  const { request } = plan({ table: "maps", columns: ["id", "name", "type"] }, "jsonl");
  using program = load(libraries, request, verbose);
  const own = ownMaps();
  const decoder = new TextDecoder();
  let text = "";
  for (const chunk of chunks(program.walk, "jsonl")) text += decoder.decode(chunk);
  const maps = text.split("\n").filter(Boolean).map((line): BpfMap => JSON.parse(line));
  return maps.filter(({ id, name }) => !own.has(id) && name !== LOADER_MAP);
}

/** A busy machine has thousands. */
const MOST = 30;

/** A message with the maps that the user may have meant. */
function complaint(message: string, candidates: readonly BpfMap[], types: readonly string[]): UsageError {
  if (candidates.length === 0) return new UsageError(`${message}; there is no map of type ${types.join(" or ")}`);
  const words = candidates.slice(0, MOST).map(({ id, name, type }) => `${id} ${name || '""'} (${type})`);
  if (candidates.length > MOST) words.push(`${candidates.length - MOST} more (task-iter maps lists them)`);
  return new UsageError(`${message}: ${words.join(", ")}`);
}

/**
 * The ID of the map that `wanted`, an ID or a name, means for `table`; `undefined` for a table that reads no map.
 *
 * @throws {UsageError} none or several; its message lists the candidates
 */
export function mapFor(libraries: Libraries, table: string, wanted: string | undefined, verbose: boolean): number | undefined {
  const types = MAP_TYPES[table];
  if (!types) {
    if (wanted === undefined) return undefined;
    throw new UsageError(`${table} does not read a map: --map is for ${Object.keys(MAP_TYPES).join(", ")}`);
  }
  const maps = listMaps(libraries, verbose);
  const candidates = maps.filter(({ type }) => types.includes(String(type)));
  if (wanted === undefined) {
    throw complaint(`${table} reads one BPF map, --map ID or --map NAME says which`, candidates, types);
  }
  const byId = maps.filter(({ id }) => String(id) === wanted);
  const named = byId.length > 0 ? byId : maps.filter(({ name }) => name === wanted);
  const found = candidates.filter((map) => named.includes(map));
  if (found.length === 1) return found[0]!.id;
  if (found.length > 1) throw complaint(`several maps have the name ${wanted}, --map ID says which`, found, types);
  if (named.length > 0) {
    throw complaint(`map ${wanted} is of type ${named[0]!.type}, which ${table} cannot read`, candidates, types);
  }
  throw complaint(`there is no map ${wanted}`, candidates, types);
}
