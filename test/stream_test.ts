// SPDX-License-Identifier: BSD-2-Clause
/** Pure logic: framing and repair of what the kernel wrote, and the constant query as bytes. */

import { deepStrictEqual as equal, ok } from "node:assert";
import * as fc from "fast-check";
import { FORMATS } from "../src/mod.ts";
import type { Format } from "../src/query/request.ts";
import { plan } from "../src/query/plan.ts";
import { encode, LAYOUT, LONG_STRINGS_MAX, passes, type Plan } from "../src/query/query.ts";
import { tables } from "../src/query/schema.ts";
import { chunks, type Pass } from "../src/stream.ts";
import { root, run, TemporaryFolder } from "./support.ts";

const encode8 = (text: string) => new TextEncoder().encode(text);

/** A pass over `bytes`, as a program makes it from reads of these sizes. */
function passOf(bytes: Uint8Array, sizes: number[]): Pass {
  let [at, reads] = [0, 0];
  return {
    ended: false,
    begin: () => {},
    end: () => {},
    fill(buffer, used, enough) {
      while (!this.ended && used < enough) {
        const read = Math.min(sizes[reads++ % sizes.length]!, bytes.length - at);
        buffer.set(bytes.subarray(at, at + read), used);
        at += read;
        used += read;
        if (read === 0) (this as { ended: boolean }).ended = true;
      }
      return used;
    },
  };
}

/** A row as the programs write it, around the bytes of one cell. */
const rowOf: Record<Format, (cell: Uint8Array) => Uint8Array> = {
  text: (cell) => new Uint8Array(Buffer.concat([cell, encode8("\n")])),
  csv: (cell) => new Uint8Array(Buffer.concat([encode8('"'), cell, encode8('"\n')])),
  json: (cell) => new Uint8Array(Buffer.concat([encode8(',\n{"cell":"'), cell, encode8('"}')])),
  jsonl: (cell) => new Uint8Array(Buffer.concat([encode8('{"cell":"'), cell, encode8('"}\n')])),
};

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Bytes of a cell: nothing that a program escapes, anything else, up to a row of the greatest size. */
const cells = fc.array(
  fc.oneof(
    fc.uint8Array({ maxLength: 12 }),
    fc.constantFrom("é", "名前", "🐧").map((text) => encode8(text.repeat(2000))),
  ).map((bytes) => bytes.map((byte) => byte < 0x20 || byte === 0x22 || byte === 0x5c ? 0x2e : byte)),
  { maxLength: 60 },
);

for (const format of FORMATS) {
  Deno.test(`${format} is whole and valid UTF-8 wherever the reads end`, () => {
    fc.assert(
      fc.property(cells, fc.array(fc.integer({ min: 1, max: 16384 }), { minLength: 1, maxLength: 5 }), (cells, sizes) => {
        const bytes = new Uint8Array(Buffer.concat(cells.map(rowOf[format])));
        let output = "";
        for (const chunk of chunks(passOf(bytes, sizes), format)) {
          equal(chunk.at(-1), 0x0a);
          output += strict.decode(chunk);
        }
        const texts = cells.map((cell) => decoder.decode(cell));
        if (format === "json") equal(JSON.parse(output), texts.map((cell) => ({ cell })));
        else equal(output, texts.map((text) => decoder.decode(rowOf[format](encode8(text)))).join(""));
      }),
      { numRuns: 100 },
    );
  });
}

Deno.test("an array has its brackets with no row, one row and many", () => {
  for (const count of [0, 1, 2, 5000]) {
    const bytes = new Uint8Array(Buffer.concat(Array.from({ length: count }, (_, i) => encode8(`,\n{"i":${i}}`))));
    let text = "";
    for (const chunk of chunks(passOf(bytes, [16384]), "json")) text += strict.decode(chunk);
    equal(JSON.parse(text).length, count);
    if (count === 0) equal(text, "[]\n");
    else ok(text.startsWith('[\n{"i":0}') && text.endsWith("}\n]\n"));
  }
});

Deno.test("other formats of no rows are nothing", () => {
  for (const format of FORMATS) {
    if (format !== "json") equal([...chunks(passOf(new Uint8Array(), [1]), format)], []);
  }
});

Deno.test("passes() keeps every column, in the order asked for, in ascending runs", () => {
  fc.assert(fc.property(fc.shuffledSubarray(Array.from({ length: 64 }, (_, i) => i)), (columns) => {
    const written = passes(columns).flatMap((mask) => columns.toSorted((a, b) => a - b).filter((i) => mask >> BigInt(i) & 1n));
    equal(written, columns);
    ok(passes(columns).every((mask) => mask !== 0n));
  }));
  equal(passes([]), []);
  equal(passes([0, 1, 2]), [0b111n]);
  equal(passes([2, 1, 0]), [0b100n, 0b10n, 0b1n]);
});

Deno.test("encode() fills struct query as C lays it out", () => {
  using folder = new TemporaryFolder();
  const fields = ["pass[1]", "where", "flags", "tests", "cell_max", "last", "automaton_max", "test[0]", "test[1]", "pool"];
  const members = ["lo", "hi", "offset", "length", "column", "flags", "next[0]", "next[1]"];
  const program = `#include <stdio.h>
    #include <stddef.h>
    #include "${root}bpf/engine/query.h"
    int main(void) { printf("{\\"size\\": %zu", sizeof(struct query));
    ${fields.map((field) => `printf(", \\"${field}\\": %zu", offsetof(struct query, ${field}));`).join("\n")}
    ${members.map((member) => `printf(", \\".${member}\\": %zu", offsetof(struct test, ${member}));`).join("\n")}
    printf(", \\"version\\": %d}", QUERY_VERSION); }`;
  const built = run("clang-19", ["-x", "c", "-", "-o", `${folder.path}/offsets`], { input: program });
  equal([built.status, built.stderr], [0, ""]);
  const at: Record<string, number> = JSON.parse(run(`${folder.path}/offsets`, []).stdout);
  equal(LAYOUT, at.version! << 16 | at.size!);

  const query: Plan = {
    columns: [5, 3, 63],
    long: 2,
    flags: 0xa5a5a5a5,
    predicate: {
      tests: [
        { column: 1, flags: 2, lo: 3n, hi: 4n, offset: 5, length: 6, onFalse: 7, onTrue: 8 },
        { column: 62, flags: 9, lo: 1n << 63n, hi: (1n << 64n) - 1n, offset: 0x1234, length: 0x5678, onFalse: 64, onTrue: 65 },
      ],
      pool: encode8("pool"),
      states: new Uint16Array(3 * 256),
    },
  };
  const bytes = encode(query);
  const view = new DataView(bytes.buffer);
  equal(bytes.length, at.size);
  equal([0, 8, 16].map((i) => view.getBigUint64(i, true)), [1n << 5n, 1n << 3n | 1n << 63n, 0n]);
  equal(at["pass[1]"], 8);
  equal(view.getBigUint64(at.where!, true), 1n << 1n | 1n << 62n);
  equal(view.getUint32(at.flags!, true), 0xa5a5a5a5);
  equal(view.getUint32(at.tests!, true), 2);
  equal(view.getUint32(at.automaton_max!, true), 3);
  equal(view.getUint32(at.cell_max!, true), LONG_STRINGS_MAX / 2);
  equal(view.getUint8(at.last!), 63);
  query.predicate!.tests.forEach((test, i) => {
    const start = at[`test[${i}]`]!;
    equal(view.getBigUint64(start + at[".lo"]!, true), test.lo);
    equal(view.getBigUint64(start + at[".hi"]!, true), test.hi);
    equal(view.getUint16(start + at[".offset"]!, true), test.offset);
    equal(view.getUint16(start + at[".length"]!, true), test.length);
    equal(view.getUint8(start + at[".column"]!), test.column);
    equal(view.getUint8(start + at[".flags"]!), test.flags);
    equal(view.getUint8(start + at[".next[0]"]!), test.onFalse);
    equal(view.getUint8(start + at[".next[1]"]!), test.onTrue);
  });
  equal(new TextDecoder().decode(bytes.subarray(at.pool!, at.pool! + 4)), "pool");
});

Deno.test("plan() takes columns in any order, all, or those by default", () => {
  const names = (columns: string[] | undefined, format: Format = "json") =>
    plan({ table: "files", columns }, format).columns.map(({ name }) => name);
  const all = tables.find(({ name }) => name === "files")!.columns;
  equal(names(["fd", "comm", "pid"]), ["fd", "comm", "pid"]);
  equal(names(["all"]), all.map(({ name }) => name));
  equal(names(undefined), all.filter(({ shown }) => shown).map(({ name }) => name));
  equal(names(undefined, "text"), ["comm", "pid", "tid", "fd", "file_ops"]);
});

Deno.test("plan() narrows the walk only to what the whole predicate fixes", () => {
  const narrowed = (where: string, table = "stacks") => {
    const { pid, tid } = plan({ table, where }, "json").request;
    return [pid, tid];
  };
  equal(narrowed("pid == 12"), [12, undefined]);
  equal(narrowed("pid == 12 && tid == 13"), [12, 13]);
  equal(narrowed("pid == 12 && tid == 13", "files"), [12, undefined]); // a thread's descriptors show with its leader
  equal(narrowed("(fd > 3 && (pid == 12))", "files"), [12, undefined]);
  for (const where of ["pid == 12 || depth == 0", "pid != 12", "!(pid == 12)", "pid >= 12", "pid in (12, 13)"]) {
    equal(narrowed(where), [undefined, undefined]);
  }
});
