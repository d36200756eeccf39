// SPDX-License-Identifier: BSD-2-Clause
/** `task-iter flame`: kernel stacks as one SVG, with a script for zoom and search inside, as flame graphs usually are. */

import { UsageError } from "../../errors.ts";
import type { Libraries } from "../../native/load.ts";
import { plan } from "../../query/plan.ts";
import { colorOf, type Frame, treeOf, visible } from "../../report/tree.ts";
import { chunks } from "../../stream.ts";
import type { FlameOptions } from "../options.ts";
import { standardOutput } from "../output.ts";
import { load } from "../read.ts";
import { filesOf } from "./archive.ts";
import { type Columns, columnsOf, manifestIn } from "./tables.ts";

const WIDTH = 1200;
const LINE = 18;
/** Room above the frames for the title, below for what the mouse is over. */
const [TOP, BOTTOM] = [46, 30];
/** Width of a character of its font. */
const CHARACTER = 7.3;
/** Narrower frames are left out: nobody could see them. */
const NARROWEST = 0.3;

const ENTITIES: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };

/** Text in XML, as people should see it. U+FFFE and U+FFFF are no characters of XML. */
export const xml = (text: string): string => visible(text).replace(/[&<>"']|[\ufffe\uffff]/g, (found) => ENTITIES[found] ?? "?");

const STYLE = `
svg { color-scheme: light dark; background: #fff; font: 12px ui-monospace, Menlo, Consolas, monospace; }
text { fill: #1c1c1c; }
.frame { cursor: pointer; outline: none; }
.frame text { fill: #1c1c1c; pointer-events: none; }
.frame:hover rect, .frame:focus rect { stroke: #000; stroke-width: 1.5; }
.found rect { fill: #b48ef5; }
.above { opacity: .55; }
.hidden { display: none; }
.title { font-size: 16px; }
.button { cursor: pointer; text-decoration: underline; }
@media (prefers-color-scheme: dark) {
  svg { background: #16181c; }
  svg > text { fill: #e6e6e6; }
  .frame:hover rect, .frame:focus rect { stroke: #fff; }
}`;

function depthOf(frame: Frame): number {
  return 1 + Math.max(0, ...frame.children.map(depthOf));
}

/** The picture; `title` stands above, `script` is src/report/svg.ts. */
export function svgOf(root: Frame, title: string, script: string): string {
  const depth = depthOf(root);
  const height = TOP + depth * LINE + BOTTOM;
  const parts: string[] = [];
  const draw = (frame: Frame, x: number, level: number) => {
    const width = root.value === 0 ? WIDTH : WIDTH * frame.value / root.value;
    if (width < NARROWEST) return;
    const y = TOP + (depth - 1 - level) * LINE;
    const share = root.value === 0 ? 0 : 100 * frame.value / root.value;
    const name = visible(frame.name);
    const room = Math.floor((width - 6) / CHARACTER);
    const label = room < 3 ? "" : name.length <= room ? name : `${name.slice(0, room - 1)}…`;
    const said = `${name}: ${frame.value} ${frame.value === 1 ? "thread" : "threads"}, ${share.toFixed(1)} %`;
    parts.push(
      `<g class="frame" tabindex="0" data-name="${xml(name)}" data-x="${x.toFixed(3)}" data-width="${width.toFixed(3)}" ` +
        `data-level="${level}" data-value="${frame.value}"><title>${xml(said)}</title>` +
        `<rect x="${x.toFixed(2)}" y="${y}" width="${Math.max(0, width - 0.5).toFixed(2)}" height="${LINE - 1}" rx="2" ` +
        `fill="${colorOf(frame.name)}"/><text x="${(x + 3).toFixed(2)}" y="${y + 13}">${xml(label)}</text></g>`,
    );
    let at = x;
    for (const child of frame.children) {
      draw(child, at, level + 1);
      at += root.value === 0 ? 0 : WIDTH * child.value / root.value;
    }
  };
  draw(root, 0, 0);
  return `<?xml version="1.0" encoding="UTF-8"?>
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}">
<title>${xml(title)}</title>
<style>${STYLE}</style>
<text class="title" x="${WIDTH / 2}" y="24" text-anchor="middle">${xml(title)}</text>
<text id="reset" class="button hidden" x="10" y="24" tabindex="0">Reset zoom</text>
<text id="search" class="button" x="${WIDTH - 10}" y="24" text-anchor="end" tabindex="0">Search</text>
<text id="details" x="10" y="${height - 10}"> </text>
${parts.join("\n")}
<script><![CDATA[${script}]]></script>
</svg>
`;
}

/** Names, frames and numbers of the stacks in `table`. */
export function* stacksIn(table: Columns): Generator<[string, readonly string[], number]> {
  const counts = new Map<string, [string, readonly string[], number]>();
  const [comms, frames] = [table.column("comm"), table.column("frames")];
  if (!comms || !frames) return;
  for (let row = 0; row < table.length; row++) {
    const key = `${comms.codes[row]} ${frames.codes[row]}`;
    const known = counts.get(key);
    if (known) known[2]++;
    else counts.set(key, [String(comms.at(row) ?? ""), (frames.at(row) ?? []) as readonly string[], 1]);
  }
  yield* counts.values();
}

/** The stacks of this machine. @throws {Refused|UsageError|WhereError} */
function live(libraries: Libraries, options: FlameOptions): Columns {
  const { table, columns, request } = plan({ ...options, table: "stacks", columns: ["comm", "frames"] }, "jsonl");
  using program = load(libraries, request, false);
  const pieces: Uint8Array[] = [];
  for (const chunk of chunks(program.walk, "jsonl")) pieces.push(chunk.slice());
  const facts = {
    name: table.name,
    state: "read" as const,
    reason: null,
    plural: table.plural,
    where: null,
    netns: null,
    rows: 0,
    bytes: 0,
    load_ms: 0,
    walk_ms: 0,
    columns: columns.map(({ name, type, shown, doc }) => ({ name, type, shown, doc })),
  };
  return columnsOf(facts, pieces, (line) => line);
}

/** The stacks of a snapshot. @throws {UsageError} */
function recorded(path: string): { table: Columns; time: string } {
  const files = filesOf(path);
  const manifest = manifestIn(files, path);
  const facts = manifest.tables.find(({ name }) => name === "stacks");
  const pieces = files("tables/stacks.jsonl");
  if (!facts || !pieces) throw new UsageError(`${path} has no stacks: ${facts?.reason ?? "the table is missing"}`);
  return { table: columnsOf(facts, pieces, (line) => line), time: manifest.time };
}

/** Writes the picture to standard output. */
export function flame(libraries: Libraries, path: string | undefined, options: FlameOptions): void {
  if (path !== undefined && Object.keys(options).length > 0) {
    throw new UsageError(`--${Object.keys(options)[0]} is for the machine that is read now, not for a snapshot`);
  }
  const { table, time } = path === undefined
    ? { table: live(libraries, options), time: new Date().toISOString() }
    : recorded(path);
  const script = new TextDecoder().decode(libraries.program("flame.js"));
  const when = time.replace(/\.\d+Z$/, "Z");
  standardOutput.write(svgOf(treeOf(stacksIn(table)), `Kernel stacks of ${table.length} threads, ${when}`, script));
}
