// SPDX-License-Identifier: BSD-2-Clause
/** The pieces of a release, made once for the tests; or those in the folder that TASK_ITER_RELEASE names. */

import { execFileSync } from "node:child_process";
import { readdirSync, rmSync, statSync } from "node:fs";
import manifest from "../deno.json" with { type: "json" };
import { type Architecture, ARCHITECTURES } from "../scripts/architecture.ts";
import { cache, mirrors, once } from "../scripts/debian.ts";
import { makePieces } from "../scripts/release.ts";
import { executable, root } from "./support.ts";

export const { version } = manifest;
export const architecture = process.arch as Architecture;

const newest = (folder: string): number =>
  Math.max(...readdirSync(folder, { recursive: true, encoding: "utf8" }).map((name) => statSync(`${folder}/${name}`).mtimeMs));

/** The folder with the pieces; of the executables in dist, compressed less than those of a release, when older than their sources. */
export async function pieces(): Promise<string> {
  if (process.env.TASK_ITER_RELEASE) return process.env.TASK_ITER_RELEASE;
  const folder = `${root}build/pieces`;
  const made = statSync(`${folder}/SHA256SUMS`, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  const sources = [executable, `${root}scripts/release.ts`, `${root}README.md`, `${root}CHANGELOG.md`].map((path) =>
    statSync(path).mtimeMs
  );
  if (made > Math.max(...sources, newest(`${root}packaging`), newest(`${root}src`))) return folder;
  rmSync(folder, { recursive: true, force: true });
  await makePieces(folder, [architecture], false);
  return folder;
}

/** The root folder of a minimal Debian with systemd, made once; for use below an overlay. */
export const debianRoot = (suite: string): string =>
  once(`${cache}/roots/${suite}`, (folder) => {
    const { archive } = mirrors();
    const options = ["--quiet", "--mode=root", "--variant=minbase", "--include=systemd,systemd-sysv", "--format=directory"];
    const signed = `deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] ${archive} ${suite} main`;
    execFileSync("mmdebstrap", [...options, suite, folder, signed], { stdio: ["ignore", "ignore", 2] });
  });

export { ARCHITECTURES };
