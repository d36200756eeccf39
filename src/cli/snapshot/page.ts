// SPDX-License-Identifier: BSD-2-Clause
/**
 * `task-iter report`: a snapshot, or the machine itself, as one HTML page that needs nothing else. The data is in the page as base64
 * of gzip: no name in it, whatever bytes it has, can end a script or begin an element.
 */

import { createHash } from "node:crypto";
import { gzipSync } from "node:zlib";
import { UsageError } from "../../errors.ts";
import type { Libraries } from "../../native/load.ts";
import type { Checks, Facts, Finding, Host, Manifest } from "../../report/data.ts";
import type { SnapshotOptions } from "../options.ts";
import { standardOutput } from "../output.ts";
import { type Files, filesOf, inMemory } from "./archive.ts";
import { xml } from "./flame.ts";
import { collect, predicates } from "./machine.ts";
import { REDACTED, Redactor } from "./redact.ts";
import { progressOnTerminal, sayFailures } from "./snapshot.ts";
import { summarize } from "./summary.ts";
import { type Columns, columnsOf, jsonOf, manifestIn } from "./tables.ts";

const block = (id: string, bytes: Uint8Array | string) =>
  `<script type="application/gzip" id="${id}">${Buffer.from(gzipSync(bytes)).toString("base64")}</script>\n`;

/** As a Content-Security-Policy names a text. */
const hashOf = (text: string) => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;

/** The whole page, in parts; `libraries` has its code and style. */
function* pageOf(libraries: Libraries, files: Files, manifest: Manifest, redactor: Redactor | undefined): Generator<string> {
  const [script, style] = ["page.js", "page.css"].map((name) => new TextDecoder().decode(libraries.program(name)));
  const host = jsonOf<Host>(files, "host.json") ?? null;
  if (host && redactor) {
    host.hostname = host.kernel.cmdline = REDACTED;
    for (const mount of host.mounts) {
      for (const key of ["path", "root", "source", "options"] as const) mount[key] = redactor.text(mount[key]);
    }
  }
  const policy = [
    "default-src 'none'",
    `script-src ${hashOf(script!)}`,
    `style-src ${hashOf(style!)}`,
    "base-uri 'none'",
    "form-action 'none'",
  ].join("; ");
  const title = `task-iter: ${host?.hostname ?? "snapshot"}, ${manifest.time}`;
  yield `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="task-iter ${xml(String(manifest.task_iter))}">
<title>${xml(title)}</title>
<style>${style}</style>
</head>
<body>
<noscript>This page shows its tables by a script that is inside it. Allow scripts to see them.</noscript>
`;
  const tables = new Map<string, Columns>();
  const change = redactor ? (line: string) => redactor.line(line) : (line: string) => line;
  for (const facts of manifest.tables) {
    const pieces = files(`tables/${facts.name}.jsonl`);
    if (!pieces) continue;
    const columns = columnsOf(facts, pieces, change);
    facts.rows = columns.length;
    yield block(`table-${facts.name}`, columns.encode());
    // The summary needs these; a million symbols or mappings need not stay in memory.
    if (/^(tasks|files|tcp|udp)$/.test(facts.name)) tables.set(facts.name, columns);
  }
  const checks = jsonOf<Checks>(files, "checks.json");
  const facts: Facts = {
    manifest: redactor ? { ...manifest, redacted: true } : manifest,
    host,
    cards: summarize(tables, manifest, checks, jsonOf<Finding[]>(files, "doctor.json") ?? []),
  };
  yield block("facts", JSON.stringify(facts));
  yield `<script>${script}</script>\n</body>\n</html>\n`;
}

/** Writes the page to standard output, and sets the exit status. */
export function report(libraries: Libraries, path: string | undefined, options: SnapshotOptions): void {
  const redactor = options.redact ? new Redactor() : undefined;
  if (path !== undefined) {
    if (options.where) throw new UsageError("--where is for the machine that is read now, not for a snapshot");
    const files = filesOf(path);
    for (const part of pageOf(libraries, files, manifestIn(files, path), redactor)) standardOutput.write(part);
    return;
  }
  const where = predicates(options.where ?? []);
  const { progress, clear } = progressOnTerminal();
  const memory = inMemory();
  let manifest;
  try {
    ({ manifest } = collect(libraries, { where, redact: redactor !== undefined, progress }, memory));
  } finally {
    clear();
  }
  for (const part of pageOf(libraries, memory.files, manifest, undefined)) standardOutput.write(part);
  process.exitCode = sayFailures(manifest);
}
