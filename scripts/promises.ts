// SPDX-License-Identifier: BSD-2-Clause
/** What the build promises of the files that it makes, and fails without. */

import { execFileSync } from "node:child_process";
import { statSync } from "node:fs";
import { basename } from "node:path";

/** The minor version of the oldest glibc 2 that Bun's own executable runs with. */
const GLIBC = 17;

/** The libraries that every glibc has. */
const GLIBC_LIBRARIES = /^(lib(c|m|dl|rt|pthread)\.so\.\d|ld-linux-[\w-]+\.so\.\d)$/;

/** @throws {Error} the ELF file needs a library besides glibc's, or a symbol of a newer glibc than 2.17 */
export function checkGlibc(path: string): void {
  const said = execFileSync("readelf", ["--wide", "--dynamic", "--version-info", path], { encoding: "utf8" });
  for (const [, library] of said.matchAll(/\(NEEDED\).*\[(.*)\]/g)) {
    if (!GLIBC_LIBRARIES.test(library!)) throw new Error(`${basename(path)} needs ${library}, which is not a library of glibc`);
  }
  for (const [, version] of said.matchAll(/Name: (GLIBC_\S+) /g)) {
    const numbers = /^GLIBC_2\.(\d+)(\.\d+)*$/.exec(version!);
    if (!numbers || Number(numbers[1]) > GLIBC) {
      throw new Error(`${basename(path)} needs ${version}, newer than glibc 2.${GLIBC}`);
    }
  }
}

/** @throws {Error} the executable is more than a tenth larger than Bun's own */
export function checkSize(path: string, bun: string): void {
  const ratio = statSync(path).size / statSync(bun).size;
  if (ratio > 1.1) {
    throw new Error(`${basename(path)} is ${ratio.toFixed(3)} times as large as Bun's own executable, more than 1.1`);
  }
}
