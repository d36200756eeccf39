// SPDX-License-Identifier: BSD-2-Clause
/** The folder with the libraries and programs that the build left beside the sources. The npm package has a module of its own here. */
export const folder = new URL(`../build/${process.arch === "arm64" ? "aarch64" : "x86_64"}/`, import.meta.url);
