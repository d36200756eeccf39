// SPDX-License-Identifier: BSD-2-Clause
/** Elements of maps with BTF, as JSON: against what bpftool dumps. */

import { deepStrictEqual as equal, match, ok } from "node:assert";
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { parse as parseCsv } from "csv-parse/sync";
import fc from "fast-check";
import { possibleCpus } from "../src/query/cpus.ts";
import { elementsTest, root, type Row, run, taskIter, TemporaryFolder } from "./support.ts";

/** Runs a command, which must succeed. */
function output(command: string, ...args: string[]): string {
  const { status, stdout, stderr } = run(command, args);
  if (status !== 0) throw new Error(`${command} ${args.join(" ")}: ${stderr}`);
  return stdout;
}

/** The maps of test/elements.bpf.c, by name. They end with the BPF file system in which they are pinned, a process's own. */
class Maps implements AsyncDisposable {
  private constructor(private readonly keeper: ReturnType<typeof spawn>, readonly ids: Record<string, number>) {}

  static async load(): Promise<Maps> {
    using folder = new TemporaryFolder();
    const object = `${folder.path}/el.o`;
    const include = `-I/usr/include/${process.arch === "arm64" ? "aarch64" : "x86_64"}-linux-gnu`;
    output(
      "clang-19",
      "--target=bpf",
      "-O1",
      "-g",
      "-Wall",
      "-Werror",
      include,
      "-c",
      `${root}test/elements.bpf.c`,
      "-o",
      object,
    );
    const script =
      "mount -t bpf bpf /sys/fs/bpf && bpftool prog loadall $0 /sys/fs/bpf/programs pinmaps /sys/fs/bpf/maps 2>/dev/null &&" +
      " for map in /sys/fs/bpf/maps/*; do bpftool -j map show pinned $map; done && echo loaded && read -r line";
    const keeper = spawn("unshare", ["--mount", "--propagation=private", "sh", "-c", script, object]);
    let text = "";
    while (!text.endsWith("loaded\n")) {
      const [data] = await new Promise<[string]>((resolve, reject) => {
        keeper.stdout.once("data", (data) => resolve([String(data)]));
        keeper.once("exit", (code) => reject(new Error(`the maps were not loaded: ${code}`)));
      });
      text += data;
    }
    const maps = text.split("\n").slice(0, -2).flatMap((line) =>
      line.startsWith("{") ? JSON.parse(`[${line.replaceAll("}{", "},{")}]`) : []
    );
    return new Maps(keeper, Object.fromEntries(maps.map(({ name, id }: Row) => [name, id])));
  }

  put(name: string, key: Uint8Array, value: Uint8Array): void {
    const hex = (bytes: Uint8Array) => ["hex", ...[...bytes].map((byte) => byte.toString(16).padStart(2, "0"))];
    output("bpftool", "map", "update", "id", String(this.ids[name]), "key", ...hex(key), "value", ...hex(value));
  }

  /** The output of elems for a map. */
  text(name: string, ...args: string[]): string {
    const { status, stdout, stderr } = taskIter("elems", "--map", String(this.ids[name]), ...args);
    equal([status, stderr], [0, ""]);
    return stdout;
  }

  rows(name: string, ...args: string[]): Row[] {
    return parse(this.text(name, "--format=json", ...args));
  }

  /** What bpftool shows of a map by its BTF. */
  dump(name: string): Row[] {
    const elements: Row[] = parse(output("bpftool", "-j", "map", "dump", "id", String(this.ids[name])));
    return elements.map(({ formatted }) => formatted);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = new Promise((resolve) => this.keeper.once("exit", resolve));
    this.keeper.stdin!.end();
    await ended;
  }
}

/** JSON with long numbers as strings: JavaScript's are exact up to 53 bits only. */
const parse = (text: string) => JSON.parse(text.replace(/([:[,]\s*)(-?[0-9]{15,})(?=[,}\]])/g, '$1"$2"'));

/** Bits of the bit fields, which bpftool shows as hexadecimal strings without a sign. */
const BITS: Record<string, number> = { three: 3, five: 5, forty: 40, over: 20 };

/** bpftool's form of a cell, `theirs`, in the form of `ours`. */
function alike(theirs: unknown, ours: unknown, name = ""): unknown {
  if (name === "pointer") return null; // never a kernel's address
  if (name in BITS) {
    return String(
      name === "five" || name === "over" ? BigInt.asIntN(BITS[name]!, BigInt(String(theirs))) : BigInt(String(theirs)),
    );
  }
  if (typeof ours === "string" && Array.isArray(theirs)) {
    // A list of bytes where the text has no end, or is not ASCII.
    const bytes = Uint8Array.from(theirs as number[]);
    const end = bytes.indexOf(0);
    return new TextDecoder().decode(bytes.subarray(0, end < 0 ? undefined : end));
  }
  if (Array.isArray(theirs)) return theirs.map((cell, i) => alike(cell, (ours as unknown[])[i]));
  // bpftool 7.1 writes a backslash as "\n" (jsonw_puts); it writes no other control character.
  if (typeof theirs === "string") return theirs.replaceAll("\n", "\\");
  if (theirs === null || typeof theirs !== "object") return theirs;
  // Members of a structure without a name, in one of that name; of several it has the last.
  const { "": unnamed = {}, ...named } = theirs as Row;
  const all: Row = {
    ...named,
    ...Object.fromEntries(Object.entries(unnamed).filter(([name]) => name !== "")),
    ...(unnamed as Row)[""],
  };
  return Object.fromEntries(Object.entries(all).map(([name, cell]) => [name, alike(cell, (ours as Row)?.[name], name)]));
}

/** Our form without what bpftool leaves out, and bit fields as text. */
function comparable(ours: unknown, name = ""): unknown {
  if (name in BITS) return String(ours);
  if (Array.isArray(ours)) return ours.map((cell) => comparable(cell));
  if (ours === null || typeof ours !== "object") return ours;
  return Object.fromEntries(
    Object.entries(ours).filter(([name]) => name !== "half" && name !== "whole").map((
      [name, cell],
    ) => [name, comparable(cell, name)]),
  );
}

const sorted = (rows: unknown[]) => rows.map((row) => JSON.stringify(row, sortKeys)).sort();
const sortKeys = (_: string, value: unknown) =>
  value !== null && typeof value === "object" && !Array.isArray(value)
    ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => a < b ? -1 : 1))
    : value;

elementsTest("elems shows keys and values by the map's BTF, as bpftool does, for any bytes", async () => {
  await using maps = await Maps.load();
  const size = (name: string) => {
    const { bytes_key, bytes_value } = JSON.parse(output("bpftool", "-j", "map", "show", "id", String(maps.ids[name])));
    return [bytes_key, bytes_value] as const;
  };
  for (const name of ["el_hash", "el_lru"]) {
    const [key, value] = size(name);
    const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length, max: 255 });
    const text = (length: number) =>
      fc.array(fc.constantFrom(0, 34, 65, 92, 10, 0xc2, 0x85, 0xff), { minLength: length, maxLength: length });
    for (const [keys, values] of fc.sample(fc.tuple(fc.oneof(bytes(key), text(key)), fc.oneof(bytes(value), text(value))), 20)) {
      maps.put(name, Uint8Array.from(keys), Uint8Array.from(values));
    }
    maps.put(name, randomBytes(key), new Uint8Array(value));
    maps.put(name, new Uint8Array(key).fill(65), Uint8Array.from({ length: value }, (_, i) => i % 4 === 0 ? 1 : 0));
    const ours = maps.rows(name);
    const theirs = maps.dump(name);
    ok(ours.length >= 5, "an LRU hash may have dropped some");
    // Pairs by the key's bytes: both list the map in the same order.
    equal(
      sorted(ours.map((row) => comparable(row))),
      sorted(theirs.map((row, i) => alike(row, ours[i]))),
    );
  }
});

elementsTest("elems writes every number exactly, words of enumerations, and bits of what it has no number for", async () => {
  await using maps = await Maps.load();
  const [name] = Object.keys(maps.ids).filter((name) => name.endsWith(".data"));
  const text = maps.text(name!, "--format=jsonl");
  match(text, /"wide":\{"single":"0x3fc00000","pi":"0x400921fb54442d18","huge":"0xf{31}e","tag":"0x0{30}ff",/);
  match(text, /"width":"WIDE","level":"HIGH","unknown":3999999999,"hue":"BLUE",/);
  match(text, /"least":-9223372036854775808,"most":9223372036854775807,"all":18446744073709551615\}/);
  match(text, /"greeting":"he\\"llo\\n\\u0085é"/);
  match(text, /"counter":42/);
  match(text, /^\{"key":"00000000","value":\{/, "a key without a type stays digits");
});

elementsTest("elems is the same in every format, and the predicate compares JSON", async () => {
  await using maps = await Maps.load();
  const value = (text: string, a: number) => {
    const bytes = new Uint8Array(12);
    new DataView(bytes.buffer).setInt32(0, a, true);
    bytes.set(new TextEncoder().encode(text), 4);
    return bytes.subarray(0, 12);
  };
  maps.put("el_array", new Uint8Array(4), new TextEncoder().encode('a,"b\\\n\0x'));
  equal(maps.rows("el_array"), [{ key: 0, value: 'a,"b\\\n' }, { key: 1, value: "" }]);
  equal(maps.text("el_array", "--format=csv"), 'key,value\n0,"""a,\\""b\\\\\\n"""\n1,""""""\n');
  equal(maps.text("el_array", "--format=text").split("\n").slice(1, 3).map((line) => line.trim().split(/ +/)), [
    ["0", '"a,\\"b\\\\\\n"'],
    ["1", '""'],
  ]);
  for (let i = 0; i < 5; i++) maps.put("el_percpu_hash", value(`"${i}`, i), Uint8Array.of(i));
  const expected = maps.rows("el_percpu_hash");
  equal(expected[0]!.value.length, possibleCpus());
  for (const format of ["csv", "jsonl"]) {
    const text = maps.text("el_percpu_hash", `--format=${format}`);
    const cells: Row[] = format === "csv"
      ? parseCsv(text, { columns: true }).map((row: unknown) => row as Row).map(({ key, value }) => ({
        key: JSON.parse(key),
        value: JSON.parse(value),
      }))
      : text.trimEnd().split("\n").map((line) => JSON.parse(line));
    equal(cells, expected, format);
  }
  for (const format of ["json", "csv", "text"]) {
    const found = (where: string) => maps.text("el_array", `--format=${format}`, "--columns=key", "--where", where);
    equal(found('value ~ "*a,\\\\\\"b*"'), found("key == 0"), format);
    equal(found('value == "\\"\\""'), found("key == 1"), format);
  }
});

elementsTest("elems lists a value of each CPU", async () => {
  await using maps = await Maps.load();
  const theirs: Row[] = maps.dump("el_percpu");
  const ours = maps.rows("el_percpu");
  equal(ours, theirs.map(({ key, values }) => ({ key, value: values.map(({ value }: Row) => value) })));
  equal(ours.map(({ value }) => value.length), [possibleCpus(), possibleCpus()]);
});

elementsTest("elems shows null for a kernel object in a value", async () => {
  await using maps = await Maps.load();
  const value = new Uint8Array(32);
  const view = new DataView(value.buffer);
  view.setInt32(4, 5, true);
  view.setInt32(24, 6, true);
  maps.put("el_locked", new Uint8Array(4), value);
  equal(maps.rows("el_locked"), [{ key: 0, value: { lock: null, after: 5, timer: null, last: 6 } }]);
});

elementsTest("elems cuts a long text visibly, and shows digits of what would overfill the row", async () => {
  await using maps = await Maps.load();
  const value = (byte: number) => {
    const bytes = new Uint8Array(6004).fill(byte);
    new DataView(bytes.buffer).setInt32(0, 6000, true);
    return bytes;
  };
  maps.put("el_long", new Uint8Array(4), value(120));
  maps.put("el_long", Uint8Array.of(1, 0, 0, 0), value(1));
  const [first, second] = maps.rows("el_long");
  equal(first, { key: 0, value: { count: 6000, text: `${"x".repeat(4095)}…` } });
  equal(second, { key: 1, value: `70170000${"01".repeat(6000)}` });
});
