// SPDX-License-Identifier: BSD-2-Clause
/** What the build changes in an executable that Bun has compiled. */

import { Buffer } from "node:buffer";
import { readFileSync, writeFileSync } from "node:fs";

/**
 * Variables of the environment by which Bun runs other code, opens a debugger's port or writes files. An executable with
 * capabilities of its own (setcap), or one that sudo or a service runs, must not obey them.
 */
const REFUSED = [
  "BUN_BE_BUN",
  "BUN_BYTECODE_DIGEST_OUT",
  "BUN_BYTECODE_ORDER_NAMES_OUT",
  "BUN_BYTECODE_ORDER_OUT",
  "BUN_INSPECT",
  "BUN_OPTIONS",
];

/**
 * Removes those names from the executable, because Bun has no option against them: the first byte of each becomes NUL, which no
 * variable's name contains. Only names in lists of names change; sentences, JavaScript and longer messages stay.
 */
function refuseEnvironment(bytes: Buffer): void {
  for (const name of REFUSED) {
    let found = 0;
    for (let at = bytes.indexOf(name); at >= 0; at = bytes.indexOf(name, at + 1)) {
      if (/[ (."'`]/.test(String.fromCharCode(bytes[at - 1]!))) continue;
      bytes[at] = 0;
      found++;
    }
    if (found === 0) throw new Error(`this version of Bun has no ${name}: see what it obeys instead (SECURITY.md)`);
  }
}

/** Bytes that one entry of a page table maps at the level above pages of 4 KiB. */
const HUGE_PAGE = 2 << 20;

/** Of ELF's file header, program headers and section headers, 64 bits: where the offsets of their parts lie. */
const ELF = { programHeaders: 32, sectionHeaders: 40, programHeaderCount: 56, sectionHeaderCount: 60 };
const PROGRAM_HEADER = { size: 56, type: 0, offset: 8, address: 16, load: 1 };
const SECTION_HEADER = { size: 64, offset: 24 };

/**
 * Moves the segments inside the file so that each one's offset and address are the same modulo 2 MiB. Where the page cache has the
 * file in huge pages, the kernel then maps the code 2 MiB at a time: a start has 220 page faults less (docs/speed.md). As Bun's linker
 * leaves the code, no huge page can map it.
 */
function alignSegments(bytes: Buffer): Buffer {
  const number = (at: number) => Number(bytes.readBigUInt64LE(at));
  const headers = (from: number, count: number, { size }: { size: number }) =>
    Array.from({ length: bytes.readUInt16LE(count) }, (_, i) => number(from) + i * size);
  const programHeaders = headers(ELF.programHeaders, ELF.programHeaderCount, PROGRAM_HEADER);
  const pieces: Buffer[] = [];
  const moves: { from: number; by: number }[] = [];
  let [end, moved] = [0, 0];
  for (const header of programHeaders) {
    if (bytes.readUInt32LE(header + PROGRAM_HEADER.type) !== PROGRAM_HEADER.load) continue;
    const from = number(header + PROGRAM_HEADER.offset);
    if (from < end) throw new Error("the segments are not in the order of their offsets");
    const gap = (number(header + PROGRAM_HEADER.address) - from - moved) % HUGE_PAGE;
    pieces.push(bytes.subarray(end, from), Buffer.alloc(gap < 0 ? gap + HUGE_PAGE : gap));
    moved += pieces.at(-1)!.length;
    moves.push({ from, by: moved });
    end = from;
  }
  pieces.push(bytes.subarray(end));
  const places = [
    ELF.sectionHeaders,
    ...programHeaders.map((header) => header + PROGRAM_HEADER.offset),
    ...headers(ELF.sectionHeaders, ELF.sectionHeaderCount, SECTION_HEADER).map((header) => header + SECTION_HEADER.offset),
  ];
  for (const place of places) {
    const offset = number(place);
    bytes.writeBigUInt64LE(BigInt(offset + (moves.findLast(({ from }) => from <= offset)?.by ?? 0)), place);
  }
  return Buffer.concat(pieces);
}

/** Finishes the executable at `path`. One large write lets the page cache of ext4 and XFS have it in huge pages. */
export function finish(path: string): void {
  const bytes = readFileSync(path);
  refuseEnvironment(bytes);
  writeFileSync(path, alignSegments(bytes));
}
