// SPDX-License-Identifier: BSD-2-Clause
/**
 * The code and style of src/report, bundled. The build puts their text in this module's place (scripts/build.ts): they exist in the
 * executable only.
 */

/** An asset, and its hash as a Content-Security-Policy names it. */
export interface Asset {
  text: string;
  hash: string;
}

const none: Asset = { text: "", hash: "" };

export const pageScript = none;
export const pageStyle = none;
export const svgScript = none;
