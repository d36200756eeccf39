// SPDX-License-Identifier: BSD-2-Clause
// src/folder.ts of the npm package: the libraries and programs are in this machine's package.
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const name = `task-iter-${process.platform}-${process.arch}`;

function find() {
  try {
    return createRequire(import.meta.url).resolve(`${name}/package.json`);
  } catch {
    throw new Error(
      `the package ${name} is not installed: task-iter runs on Linux with glibc, x64 and arm64, ` +
        "and must be installed with its optional dependencies",
    );
  }
}

export const folder = new URL("lib/", pathToFileURL(find()));
