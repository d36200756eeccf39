// SPDX-License-Identifier: BSD-2-Clause
/** Names are bytes, and a process may choose any: valid output of every format, and from it the same bytes again. */

import { deepStrictEqual as equal, ok } from "node:assert";
import { mkdirSync, rmSync } from "node:fs";
import { parse } from "csv-parse/sync";
import * as fc from "fast-check";
import { bytes, FORMATS, libraries } from "../src/mod.ts";
import type { Format } from "../src/query/request.ts";
import type { Program } from "../src/native/program.ts";
import { load as loadProgram } from "../src/native/load.ts";
import { plan, type Query } from "../src/query/plan.ts";
import { encode, LONG_STRINGS_MAX } from "../src/query/query.ts";
import { chunks } from "../src/stream.ts";
import { Fixture, TemporaryFolder } from "./support.ts";

/** As every reader of UTF-8 decodes it (WHATWG): invalid bytes are U+FFFD. */
const decode = (bytes: Uint8Array) => new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
const encode8 = (text: string) => new TextEncoder().encode(text);
const hex = (bytes: Uint8Array) => [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");

/** What text shows as it was. */
function unescapeText(shown: string): string {
  const short: Record<string, string> = { n: "\n", t: "\t", r: "\r", "\\": "\\" };
  return shown.replace(
    /\\(?:x([0-9a-f]{2})|u([0-9a-f]{4})|([ntr\\]))/g,
    (_, x, u, letter) => letter ? short[letter]! : String.fromCharCode(parseInt(x ?? u, 16)),
  );
}

// deno-lint-ignore no-control-regex
const CONTROL = /[\x00-\x1f\x7f-\x9f]/;

/** The only cell of the only row. */
const cell: Record<Format, (output: string) => string | null> = {
  text(output) {
    ok(output.endsWith("\n"));
    const line = output.slice(0, -1);
    ok(!CONTROL.test(line), `a control character in ${JSON.stringify(line)}`);
    return unescapeText(line);
  },
  csv(output) {
    const rows: string[][] = parse(output, { bom: false, relax_column_count: false, record_delimiter: "\n" });
    equal([rows.length, rows[0]?.length], [1, 1]);
    const text = rows[0]![0]!;
    // Not every reader is as lenient as this one.
    if (/[",\r\n]/.test(text)) ok(output.startsWith('"'), "not quoted");
    return text;
  },
  json(output) {
    const rows = JSON.parse(output);
    equal([rows.length, Object.keys(rows[0]).length], [1, 1]);
    ok(output.split("\n").every((line) => !CONTROL.test(line)));
    return Object.values(rows[0])[0] as string | null;
  },
  jsonl(output) {
    equal(output.indexOf("\n"), output.length - 1);
    ok(!CONTROL.test(output.slice(0, -1)));
    return Object.values(JSON.parse(output))[0] as string | null;
  },
};

/** Programs that stay loaded, one a format, each with the one cell that `query` asks for. */
class Cells implements Disposable {
  readonly #programs: [Format, Program][];

  /**
   * @param libbpf loaded as before Linux 5.17, with the loops of those kernels
   * @param cellMax bytes after which a long string is cut, where it is not to be the usual number
   */
  constructor(query: Query, libbpf: boolean, cellMax = LONG_STRINGS_MAX) {
    this.#programs = FORMATS.map((format) => {
      const { request } = plan(query, format);
      new DataView(request.query.buffer).setUint32(CELL_MAX, cellMax, true);
      return [format, loadProgram(libraries, { ...request, libbpf })];
    });
  }

  /** Each format's output, parsed by a parser of that format. */
  read(): Record<Format, string | null> {
    return Object.fromEntries(this.#programs.map(([format, program]) => {
      const output: Uint8Array[] = [];
      for (const chunk of chunks(program.walk, format)) output.push(chunk.slice());
      return [format, cell[format](new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(Buffer.concat(output)))];
    })) as Record<Format, string | null>;
  }

  [Symbol.dispose](): void {
    for (const [, program] of this.#programs) program.close();
  }
}

/** `struct query`'s cell_max, found by what encode() changes. */
const CELL_MAX = (() => {
  const [one, two] = [1, 2].map((long) => encode({ columns: [0], long, predicate: undefined, flags: 0 }));
  return one!.findIndex((byte, i) => byte !== two![i]) & ~3;
})();

/** Both ways of loading; each has programs of its own. */
const WAYS = [[false, "light"], [true, "libbpf"]] as const;

const inEveryFormat = (text: string | null) => Object.fromEntries(FORMATS.map((format) => [format, text]));

/** Bytes that need an escape are as frequent as all other bytes together. */
const awkward = fc.constantFrom(
  ...[..."\"\\,\n\r\t;' {}[]/="].map(encode8),
  ...[
    "\x1b[2J",
    "\x07",
    "\x7f",
    "\u0085",
    "\u009b",
    "\u00a0",
    "é",
    "…",
    "\ufeff",
    "\u2028",
    "\u202e",
    "名",
    "🐧",
    "\\n",
    "\\u0041",
    '""',
  ]
    .map(encode8),
  ...[[0x80], [0xc2], [0xc0, 0x80], [0xe2, 0x82], [0xed, 0xa0, 0x80], [0xf0, 0x9f], [0xf4, 0x90, 0x80, 0x80], [0xff], [0x9b]]
    .map((bytes) => new Uint8Array(bytes)),
);
const anyBytes = fc.uint8Array({ min: 1, minLength: 1, maxLength: 4 });

/** Names of at most `max` bytes without NUL. */
const names = (max: number, minLength = 0) =>
  fc.array(fc.oneof(awkward, anyBytes), { minLength, maxLength: max }).map((parts) =>
    new Uint8Array(Buffer.concat(parts).subarray(0, max))
  ).filter((bytes) => bytes.length >= minLength);

for (const [libbpf, way] of WAYS) {
  Deno.test(`any bytes as a thread's name come back from every format: ${way}`, async () => {
    using folder = new TemporaryFolder();
    await using fixture = await Fixture.start("names", folder.path);
    using cells = new Cells({ table: "stacks", pid: fixture.pid, columns: ["comm"] }, libbpf);
    await fc.assert(
      fc.asyncProperty(names(15), async (name) => {
        await fixture.tell(`name ${hex(name)}`);
        equal(cells.read(), inEveryFormat(decode(name)));
      }),
      { numRuns: 500 },
    );
  });
}

for (const [libbpf, way] of WAYS) {
  Deno.test(`any bytes as a file's name come back from every format: ${way}`, async () => {
    using folder = new TemporaryFolder();
    await using fixture = await Fixture.start("names", folder.path);
    using cells = new Cells({ table: "files", pid: fixture.pid, where: "fd == 100", columns: ["path"] }, libbpf);
    const fileNames = names(255, 1).map((bytes) => bytes.map((byte) => byte === 0x2f ? 0x5f : byte))
      .filter((bytes) => !["", ".", ".."].includes(String.fromCharCode(...bytes)));
    await fc.assert(
      fc.asyncProperty(fileNames, async (name) => {
        await fixture.tell(`file ${hex(name)}`);
        equal(cells.read(), inEveryFormat(`${folder.path}/${decode(name)}`));
      }),
      { numRuns: 300 },
    );
  });
}

Deno.test("every single byte, alone and after another, comes back from every format", async () => {
  using folder = new TemporaryFolder();
  await using fixture = await Fixture.start("names", folder.path);
  using cells = new Cells({ table: "stacks", pid: fixture.pid, columns: ["comm"] }, false);
  for (let byte = 1; byte < 256; byte++) {
    for (const name of [[byte], [0x61, byte, 0x62], [0xc2, byte], [0xe2, 0x80, byte, 0x22]]) {
      await fixture.tell(`name ${hex(new Uint8Array(name))}`);
      equal(cells.read(), inEveryFormat(decode(new Uint8Array(name))));
    }
  }
});

/** Folders in folders, deep enough for a path of 4,000 bytes; gone afterwards, however long it is. */
class DeepFolder implements AsyncDisposable {
  private constructor(readonly path: string, readonly bytes: Uint8Array, private readonly fixture: Fixture) {}

  static async start(parent: string, name: Uint8Array, length: number): Promise<DeepFolder> {
    const depth = Math.floor((length - parent.length) / (name.length + 1));
    const fixture = await Fixture.start("deep", parent, hex(name), String(depth));
    const slash = encode8("/");
    const parts = [encode8(parent), ...Array.from({ length: depth }, () => [slash, name]).flat()];
    return new DeepFolder(parent, new Uint8Array(Buffer.concat(parts)), fixture);
  }

  get pid(): number {
    return this.fixture.pid;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.fixture[Symbol.asyncDispose]();
    rmSync(this.path, { recursive: true });
  }
}

const LONG_NAMES: Record<string, Uint8Array> = {
  "letters": encode8("a".repeat(200)),
  "control characters": new Uint8Array(200).fill(1),
  "quotes": encode8('"'.repeat(200)),
  "two bytes a character": encode8("é".repeat(100)),
  "C1 control characters": encode8("\u009b".repeat(100)),
  "four bytes a character": encode8("🐧".repeat(50)),
  "continuation bytes": new Uint8Array(200).fill(0x80),
};

for (const [what, name] of Object.entries(LONG_NAMES)) {
  Deno.test(`a path of 4,000 bytes is whole in every format: ${what}`, async () => {
    using folder = new TemporaryFolder();
    mkdirSync(`${folder.path}/deep`);
    await using deep = await DeepFolder.start(`${folder.path}/deep`, name, 4050);
    ok(deep.bytes.length > 3800);
    for (const [libbpf] of WAYS) {
      using cells = new Cells({ table: "files", pid: deep.pid, where: "fd == 100", columns: ["path"] }, libbpf);
      equal(cells.read(), inEveryFormat(decode(deep.bytes)));
    }
  });
}

Deno.test("a string that is too long for its cell is cut at a character and marked", async () => {
  using folder = new TemporaryFolder();
  for (const [what, name] of Object.entries(LONG_NAMES)) {
    if (what === "continuation bytes") continue; // no character ends in these names, so nothing cuts them
    mkdirSync(`${folder.path}/deep`);
    await using deep = await DeepFolder.start(`${folder.path}/deep`, name, 1500);
    const whole = decode(deep.bytes);
    for (const limit of [0, 1, 60, 500, 501, 502, 503, 504, 505, 506]) {
      using cells = new Cells({ table: "files", pid: deep.pid, where: "fd == 100", columns: ["path"] }, false, limit);
      for (const [format, shown] of Object.entries(cells.read())) {
        ok(shown!.endsWith("…"), `${what}, ${format}, ${limit}: no mark`);
        ok(whole.startsWith(shown!.slice(0, -1)), `${what}, ${format}, ${limit}: ${shown}`);
        // Escaped, a character has at most six bytes.
        ok(encode8(shown!).length * 6 >= limit - 6, `${what}, ${format}, ${limit}: too short`);
        ok(encode8(shown!).length <= limit + 6 + 3, `${what}, ${format}, ${limit}: too long`);
      }
    }
  }
});

Deno.test("a path longer than PATH_MAX is absent, as /proc cannot read it", async () => {
  using folder = new TemporaryFolder();
  mkdirSync(`${folder.path}/deep`);
  await using deep = await DeepFolder.start(`${folder.path}/deep`, encode8("a".repeat(200)), 6000);
  using cells = new Cells({ table: "files", pid: deep.pid, where: "fd == 100", columns: ["path"] }, false);
  equal(cells.read(), { text: "-", csv: "", json: null, jsonl: null });
});

Deno.test("a row of the longest path and every other column is whole", async () => {
  using folder = new TemporaryFolder();
  mkdirSync(`${folder.path}/deep`);
  await using deep = await DeepFolder.start(`${folder.path}/deep`, new Uint8Array(200).fill(0x1b), 4050);
  const query = { table: "files", pid: deep.pid, where: "fd == 100", columns: ["all"] };
  for (const format of FORMATS) {
    let length = 0;
    for (const chunk of bytes(query, format)) length += chunk.length;
    ok(length > deep.bytes.length, format);
  }
});
