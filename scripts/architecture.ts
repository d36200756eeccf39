// SPDX-License-Identifier: BSD-2-Clause
/** The architectures there are executables for, this machine's and the other one. */

import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync } from "node:fs";
import { WRITERS } from "../src/query/request.ts";
import { cache, once } from "./debian.ts";

const root = new URL("..", import.meta.url).pathname;

/** As process.arch names them, and Debian, the C compiler and Bun's packages. */
export const ARCHITECTURES = {
  x64: { debian: "amd64", gnu: "x86_64", bun: "x64" },
  arm64: { debian: "arm64", gnu: "aarch64", bun: "aarch64" },
} as const;

export type Architecture = keyof typeof ARCHITECTURES;

/** @throws {Error} there is no executable for it */
export function architectureOf(name: string): Architecture {
  if (name in ARCHITECTURES) return name as Architecture;
  throw new Error(`there is no task-iter for ${name}: only for ${Object.keys(ARCHITECTURES).join(" and ")}`);
}

/** Whether this machine cannot run it. */
export const foreign = (architecture: Architecture): boolean => architecture !== process.arch;

/** The folder with its libraries. */
export const libraryFolder = (architecture: Architecture): string => `${root}build/${ARCHITECTURES[architecture].gnu}/`;

/** The names of the files there that belong into an executable: libraries, and programs of the formats that have some today. */
export const embedded = (architecture: Architecture): string[] =>
  readdirSync(libraryFolder(architecture)).filter((name) =>
    /^(light|libbpf)\.so$/.test(name) ||
    WRITERS.some((format) => name.split(".")[1] === format) && /\.light$|\.bounded\.bpf\.o$/.test(name)
  );

/** Bun for an architecture: of the version that deno.json names, and as deno.lock knows it. */
export function bunOf(architecture: Architecture): string {
  if (!foreign(architecture)) return `${root}node_modules/.bin/bun`;
  const { imports } = JSON.parse(readFileSync(`${root}deno.json`, "utf8"));
  const name = `@oven/bun-linux-${ARCHITECTURES[architecture].bun}@${imports.bun.split("@").at(-1)}`;
  const { integrity } = JSON.parse(readFileSync(`${root}deno.lock`, "utf8")).npm[name];
  const folder = once(`${cache}/${name}`, (folder) => {
    mkdirSync(folder, { recursive: true });
    execFileSync("npm", ["pack", "--silent", name], { cwd: folder, stdio: ["ignore", "ignore", 2] });
    const archive = readFileSync(`${folder}/${readdirSync(folder)[0]}`);
    const found = `sha512-${createHash("sha512").update(archive).digest("base64")}`;
    if (found !== integrity) throw new Error(`${name} is not what deno.lock says: ${found} instead of ${integrity}`);
    execFileSync("tar", ["-xz"], { cwd: folder, input: archive });
  });
  return `${folder}/package/bin/bun`;
}
