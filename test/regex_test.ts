// SPDX-License-Identifier: BSD-2-Clause
/** Regular expressions: their tables, and the kernel's steps through them, against the runtime's own. */

import { deepStrictEqual as equal, ok, throws } from "node:assert";
import fc from "fast-check";
import { libraries } from "../src/mod.ts";
import { load } from "../src/native/load.ts";
import { plan } from "../src/query/plan.ts";
import { compileRegex, type Regex, RegexError } from "../src/query/regex.ts";
import { regexSources } from "./oracle.ts";
import { Fixture, run, TemporaryFolder } from "./support.ts";

/** Steps through the table as the kernel does. */
function accepts({ rows, start, accepting }: Regex, bytes: Uint8Array): boolean {
  let state = start;
  for (const byte of bytes) state = rows[state * 256 + byte]!;
  return state === 1 || state >= accepting;
}

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** Pieces of texts: characters of one to four bytes, their first and last ones, and bytes of no character. */
const piece = fc.oneof(
  fc.constantFrom(
    "a",
    "b",
    "ab",
    "A",
    "k",
    "K",
    "s",
    "0",
    " ",
    "\n",
    "-",
    "/",
    "é",
    "É",
    "日",
    "本",
    "😀",
    "\ufffd",
    "\u212a",
    "\u017f",
    "ß",
  ),
  fc.constantFrom("\x7f", "\x80", "\u07ff", "\u0800", "\ud7ff", "\ue000", "\uffff", "\u{10000}", "\u{10ffff}", "\u2028"),
).map((text) => [...new TextEncoder().encode(text)]);
const broken = fc.constantFrom(
  ...[[0x80], [0xc3], [0xc0, 0x80], [0xe2, 0x82], [0xe0, 0x80], [0xed, 0xa0, 0x80], [0xf0, 0x9f, 0x98], [0xf0, 0x8f], [
    0xf4,
    0x90,
  ], [0xff]],
);
const text = fc.array(fc.oneof({ weight: 4, arbitrary: piece }, { weight: 1, arbitrary: broken }), { maxLength: 5 })
  .map((pieces) => new Uint8Array(pieces.flat()));

const source = fc.oneof(
  regexSources(["ab", "aab", "kK", "sS", "éÉ", "日本", "a-b/ 0", "😀", "ß"]),
  fc.constantFrom(
    "^$",
    "$^",
    "^",
    "$",
    "^^a",
    "a$$",
    "(^a|b$)+",
    "(?:^|a)*b",
    "a*^b",
    "[^\\W]",
    "\\W",
    "\\P{Lu}",
    "[^\\P{L}a]",
    "\\u{1F600}",
    ".",
  ),
);

Deno.test("a table finds what the runtime's expressions find, in valid and in broken UTF-8", () => {
  let matches = 0;
  fc.assert(
    fc.property(source, fc.constantFrom("", "i"), fc.array(text, { minLength: 20, maxLength: 20 }), (source, flags, texts) => {
      const [table, regex] = [compileRegex(source, flags), new RegExp(source, `us${flags}`)];
      for (const bytes of texts) {
        const found = regex.test(decoder.decode(bytes));
        equal(accepts(table, bytes), found, `/${source}/${flags} in ${Buffer.from(bytes).toString("hex")}`);
        matches += Number(found);
      }
    }),
    { numRuns: 1500 },
  );
  ok(matches > 1000, "not all of them fail");
});

Deno.test("every character of a class is in its table, and no other one", () => {
  const every = function* () {
    for (let point = 0; point <= 0x10ffff; point += point < 0x3000 ? 1 : 17) if (point >> 11 !== 27) yield point;
  };
  for (
    const [source, flags] of [["^\\p{Lu}$", ""], ["^[k-sß]$", "i"], ["^\\w$", "i"], ["^[^\\s\\d]$", ""], ["^\\P{L}$", "i"], [
      "^[Ͱ-Ͽ]$",
      "i",
    ]]
  ) {
    const [table, regex] = [compileRegex(source!, flags!), new RegExp(source!, `us${flags}`)];
    for (const point of every()) {
      const char = String.fromCodePoint(point);
      equal(accepts(table, new TextEncoder().encode(char)), regex.test(char), `${source} U+${point.toString(16)}`);
    }
  }
});

Deno.test("a table is as small as can be", () => {
  const states = (source: string) => compileRegex(source, "").rows.length / 256;
  equal(states("(a|b|c)*"), 2, "everything matches");
  equal(states("[^]"), 3, "anything but the empty text");
  equal(states("^abc$"), 6);
  equal(states("^(abc|abd|xbc|xbd)$"), states("^[ax]b[cd]$"));
  equal(states("(a*)*(a|aa)+b"), states("ab"));
});

Deno.test("no expression takes long: one that would is refused, with its part", () => {
  for (
    const [source, part] of [["(a{100}){100}", "(a{100}){100}"], ["x.*a.{20}y", ".{20}"], ["xy|[ab]*a[ab]{14}c", "[ab]{14}"]]
  ) {
    throws(
      () => compileRegex(source!, ""),
      (error) =>
        error instanceof RegexError && error.message.includes(`because of ${part}:`) && source!.startsWith(part!, error.position),
      source!,
    );
  }
  equal(compileRegex("(x+x+)+y", "").rows.length / 256, 5, "what other implementations take long for");
});

Deno.test("what has no table is refused with the reason", () => {
  const refused = {
    "(a)\\1": "back reference",
    "(?<n>a)\\k<n>": "back reference",
    "a(?=b)": "lookaround",
    "(?<!a)b": "lookaround",
    "\\ba": "word boundary",
  };
  for (const [source, reason] of Object.entries(refused)) {
    throws(() => compileRegex(source, ""), new RegExp(`is a ${reason}: `), source);
  }
  for (const source of ["a(", "[b-a]", "a**", "\\p{Nothing}", "(?i:a)", "a{2,1}"]) {
    throws(() => compileRegex(source, ""), (error) => error instanceof RegexError && error.message !== "", source);
  }
});

/** Whether the kernel finds `source` in the name of the process's first thread, or in the path of its descriptor 100. */
function kernelFinds(pid: number, column: "comm" | "path", source: string, flags: string, libbpf: boolean): boolean {
  const [table, row] = column === "comm" ? ["stacks", `tid == ${pid}`] : ["files", "fd == 100"];
  const planned = plan({ table: table!, pid, where: `${column} =~ /${source}/${flags} && ${row}` }, "csv");
  using program = load(libraries, { ...planned.request, libbpf });
  const buffer = new Uint8Array(1 << 18);
  for (program.walk.begin(); !program.walk.ended;) program.walk.fill(buffer, 0, 1);
  return program.walk.progress().rows === 1;
}

for (const [libbpf, way] of [[false, "light"], [true, "libbpf"]] as const) {
  Deno.test(`the kernel finds in any name what the runtime's expressions find: ${way}`, async () => {
    using folder = new TemporaryFolder();
    await using fixture = await Fixture.start("names", folder.path);
    const name = text.map((bytes) => bytes.subarray(0, 15));
    await fc.assert(
      fc.asyncProperty(name, source, fc.constantFrom("", "i"), async (bytes, source, flags) => {
        await fixture.tell(`name ${Buffer.from(bytes).toString("hex")}`);
        const found = new RegExp(source, `us${flags}`).test(decoder.decode(bytes));
        equal(kernelFinds(fixture.pid, "comm", source, flags, libbpf), found, `/${source}/${flags}`);
      }),
      { numRuns: libbpf ? 30 : 250 },
    );
  });

  Deno.test(`long strings are stepped through to their end, and grep finds the same: ${way}`, async () => {
    using folder = new TemporaryFolder();
    await using fixture = await Fixture.start("names", folder.path);
    const name = "start " + "xy".repeat(110) + " the end";
    await fixture.tell(`file ${Buffer.from(name).toString("hex")}`);
    for (
      const source of [
        "start .*end$",
        "(xy){110} the end$",
        "xy the",
        "yx{2}",
        "[^xy]{9}",
        "end.",
        "^[a-z ]+$",
        "(xy)+z",
        "^start",
      ]
    ) {
      const grep = run("grep", ["-cP", source], { input: `${folder.path}/${name}\n` }).stdout.trim() === "1";
      equal(kernelFinds(fixture.pid, "path", source, "", libbpf), grep, source);
    }
  });
}

Deno.test("several expressions share a query with other tests, negations and absent values", async () => {
  await using fixture = await Fixture.start("name", "fixture-regex");
  const count = (table: string, where: string) => {
    using program = load(libraries, plan({ table, pid: fixture.pid, where }, "json").request);
    const buffer = new Uint8Array(1 << 18);
    for (program.walk.begin(); !program.walk.ended;) program.walk.fill(buffer, 0, 1);
    return program.walk.progress().rows;
  };
  equal(count("files", "comm =~ /^fix/ && path =~ /^pipe:|socket/ && fd == 0 && path !~ /^$/"), 1);
  equal(count("files", "(comm =~ /x$/ || comm !~ /fixture/ || path =~ /PIPE/i) && fd == 1"), 1);
  equal(count("files", "comm =~ /y/ && fd == 1"), 0);
  equal(count("stacks", "frames =~ /(^|;)[a-z_]*(read|pipe)[a-z_]*\\+0x/ && frames =~ /entry_SYSCALL_64.*$|do_syscall/"), 1);
  const [absent, present] = ["path == null", "path != null"].map((where) => count("vmas", where));
  ok(absent! > 0 && present! > 0);
  equal(count("vmas", "path =~ /[^]*/"), present, "no expression matches an absent value");
  equal(count("vmas", "path !~ /[^]*/"), 0, "nor does its negation");
  equal(count("vmas", "!(path =~ /\\.so/) || path =~ /\\.so/"), present);
});

Deno.test("an expression does not need the full program, whose load takes longer, where its column does not", () => {
  const isFull = (where: string) => plan({ table: "files", where }, "json").request.full;
  equal(["path =~ /[.]so$/", "exe =~ /[.]so$/", "fd < pid"].map(isFull), [false, true, true]);
});
