// SPDX-License-Identifier: BSD-2-Clause
/// <reference lib="dom" />
/** Elements. Text goes in as text, never as markup. */

import type { Cell } from "./data.ts";
import { textOf } from "./table.ts";
import { visible } from "./tree.ts";

type Child = Node | string | undefined;

/** An element with attributes and children. */
export function element<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  attributes: Record<string, string> = {},
  ...children: Child[]
): HTMLElementTagNameMap[Tag] {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children.filter((child) => child !== undefined));
  return made;
}

/** A value as a cell shows it. */
export const shown = (value: Cell): string => value === null ? "–" : visible(textOf(value));

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];

/** A size for people. */
export function bytes(size: number): string {
  let unit = 0;
  while (size >= 1024 && unit < UNITS.length - 1) [size, unit] = [size / 1024, unit + 1];
  return `${unit === 0 || size >= 100 ? Math.round(size) : size.toFixed(1)} ${UNITS[unit]}`;
}

/** A whole number, in groups of three digits. */
export const grouped = (value: number): string => String(value).replace(/\B(?=(\d{3})+$)/g, "\u202f");
