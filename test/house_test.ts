// SPDX-License-Identifier: BSD-2-Clause
/** How the house is built: who imports whom, and the C library as TypeScript declares it. */

import { deepStrictEqual as equal, match, ok, throws } from "node:assert";
import { globSync, readFileSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { zstdDecompressSync } from "node:zlib";
import { architectureOf, embedded, libraryFolder } from "../scripts/architecture.ts";
import { checkGlibc, checkSize } from "../scripts/promises.ts";
import { archived, fileIn } from "../src/native/archive.ts";
import { isStored } from "../src/native/load.ts";
import { functions, type Type } from "../src/native/shim.ts";
import { executable, fixtureProgram, root, run, TemporaryFolder } from "./support.ts";

/** The modules of src that each module of src imports, for values or types. */
const imports = new Map(
  globSync("src/**/*.ts", { cwd: root }).map((file) => {
    const text = readFileSync(root + file, "utf8").replace(/\/\*[^]*?\*\//g, "");
    const found = [...text.matchAll(/(?:\bfrom|\bimport\(|^import) *"(\.{1,2}\/[^"]+\.ts)"/gm)].map(([, path]) =>
      new URL(path!, `file:///${file}`).pathname.slice(1)
    );
    return [file, found];
  }),
);

/** A way from a module back to itself, or none. */
function circle(): string[] | undefined {
  const done = new Set<string>();
  const visit = (file: string, way: string[]): string[] | undefined => {
    if (way.includes(file)) return [...way.slice(way.indexOf(file)), file];
    if (done.has(file)) return undefined;
    for (const next of imports.get(file) ?? []) {
      const found = visit(next, [...way, file]);
      if (found) return found;
    }
    done.add(file);
    return undefined;
  };
  for (const file of imports.keys()) {
    const found = visit(file, []);
    if (found) return found;
  }
  return undefined;
}

Deno.test("no module of src imports itself by way of others", () => {
  ok(imports.size > 30 && [...imports.values()].flat().every((file) => imports.has(file)), "every import is found");
  equal(circle(), undefined);
});

Deno.test("the folders of src depend on each other in one direction", () => {
  const folder = (file: string) => /^src\/(\w+)\//.exec(file)?.[1] ?? "";
  const wrong = (from: string, to: string) => from === "query" && /^(native|cli)$/.test(to) || from !== "cli" && to === "cli";
  const found = [...imports].flatMap(([file, targets]) =>
    targets.filter((target) => wrong(folder(file), folder(target))).map((target) => `${file} imports ${target}`)
  );
  equal(found, []);
});

/** How a type of C crosses to TypeScript. */
function crossing(declaration: string): Type {
  const type = declaration.replace(/\w+(\[\d+\])?$/, (name, array) => /^(void|int|__u32)$/.test(name) ? name : array ? "*" : "")
    .trim();
  if (/^(const )?struct task_iter \*$/.test(type)) return "handle";
  if (type === "__u32") return "u32";
  if (type === "int") return "i32";
  if (type === "void") return "void";
  if (/\*$/.test(type)) return "bytes";
  throw new Error(`shim.h: unknown type in ${declaration}`);
}

Deno.test("shim.ts declares the functions of shim.h, with their parameters and results", () => {
  const header = readFileSync(`${root}libbpf-shim/shim.h`, "utf8").replace(/\/\*[^]*?\*\//g, "");
  const declared = [...header.matchAll(/^EXPORT ([^;(]*?)task_iter_(\w+)\(([^)]*)\);/gm)].map(([, result, name, parameters]) => {
    const list = parameters === "void" ? [] : parameters!.split(",").map((parameter) => crossing(parameter.trim()));
    return [name!, { parameters: list, result: /char \*$/.test(result!) ? "text" : crossing(result!.trim()) }];
  });
  equal(declared.length, header.match(/^EXPORT /gm)!.length);
  equal(Object.fromEntries(declared), functions);
});

/** A library of its own from lines of C. */
function library(folder: string, source: string, ...options: string[]): string {
  const file = `${folder}/library.so`;
  const { status, stderr } = run("clang-19", ["-shared", "-fPIC", "-x", "c", "-", "-o", file, ...options], { input: source });
  equal(status, 0, stderr);
  return file;
}

Deno.test("every file of the build is in the executable's archives as it was built", () => {
  const architecture = architectureOf(process.arch);
  const archives = new Map<string, Uint8Array>();
  const unpacked = (name: string): Uint8Array => {
    const path = `${root}build/executable-${architecture}/lib/${name}.zst`;
    return archives.get(name) ?? archives.set(name, zstdDecompressSync(readFileSync(path))).get(name)!;
  };
  const names = embedded(architecture).filter((name) => !isStored(name));
  ok(names.length > 100);
  for (const name of names) {
    const place = archived(name);
    const found = place ? fileIn(unpacked(place.archive), place.index) : unpacked(name);
    ok(Buffer.compare(found, readFileSync(libraryFolder(architecture) + name)) === 0, name);
  }
});

Deno.test("BTF has its forward declarations in the order of their names, so that two builds are the same, and no lines", () => {
  using folder = new TemporaryFolder();
  const object = `${folder.path}/object.o`;
  writeFileSync(
    `${folder.path}/object.c`,
    `struct zeta { int value; };
    struct alpha { int value; };
    struct holder { struct zeta *zeta; const struct alpha *alpha; int value; };
    int read(struct holder *holder) { return 0 ? holder->zeta->value + holder->alpha->value : holder->value; }`,
  );
  const compiled = run("clang-19", ["--target=bpf", "-O2", "-g", "-c", `${folder.path}/object.c`, "-o", object]);
  equal(compiled.status, 0, compiled.stderr);
  const tidied = (...words: string[]) => {
    const { status, stderr } = run(`${root}build/${Deno.build.arch}/tidy`, [object, ...words]);
    equal(status, 0, stderr);
    const linked = run("bpftool", ["gen", "object", `${object}.linked`, object]);
    equal(linked.status, 0, linked.stderr);
    return statSync(`${object}.linked`).size;
  };
  const withLines = tidied("lines");
  ok(tidied() < withLines, "without the lines of the source an object is smaller");
  const dump = (...format: string[]) => run("bpftool", ["btf", "dump", "file", object, ...format]).stdout;
  equal([...dump().matchAll(/ FWD '(\w+)'/g)].map(([, name]) => name), ["alpha", "zeta"]);
  match(dump("format", "c"), /struct zeta \*zeta;\s+const struct alpha \*alpha;/);
  // As every object of the build.
  const file = `${libraryFolder(architectureOf(process.arch))}tcp.json.bpf.o`;
  const names = [...run("bpftool", ["btf", "dump", "file", file]).stdout.matchAll(/ FWD '(\w+)'/g)].map(([, name]) => name!);
  ok(names.length > 5);
  equal(names, names.toSorted());
});

Deno.test("the executable and its libraries run with glibc 2.17, and the build fails for a file that does not", () => {
  using folder = new TemporaryFolder();
  const libraries = `${root}build/${Deno.build.arch}/`;
  for (const file of [executable, `${libraries}light.so`, `${libraries}libbpf.so`]) checkGlibc(file);
  checkGlibc(library(folder.path, "int getpid(void); int f(void) { return getpid(); }"));
  throws(
    () => checkGlibc(library(folder.path, "int memfd_create(const char *, int); int f(void) { return memfd_create(0, 0); }")),
    /^Error: library.so needs GLIBC_2.27, newer than glibc 2.17$/,
  );
  throws(
    () => checkGlibc(library(folder.path, "", "-Wl,--no-as-needed", "-lelf")),
    /needs libelf.so.1, which is not a library of glibc$/,
  );
});

Deno.test("the functions of libc that the executable binds by name are in glibc 2.17", () => {
  const source = readFileSync(`${root}src/native/embedded.ts`, "utf8");
  const names = [...source.matchAll(/\b(\w+): \{ args:/g)].map(([, name]) => name!);
  ok(names.includes("syscall") && names.includes("__errno_location"), names.join(" "));
  const path = run("clang-19", ["-print-file-name=libc.so.6"]).stdout.trim();
  const { stdout } = run("objdump", ["-T", path]);
  const since = (name: string) => {
    const versions = [...stdout.matchAll(new RegExp(`GLIBC_2\\.(\\d+)\\S* +${name}$`, "gm"))].map(([, minor]) => Number(minor));
    return Math.min(...versions);
  };
  equal(since("memfd_create"), 27);
  equal(names.filter((name) => !(since(name) <= 17)), []);
});

Deno.test("the executable is at most a tenth larger than Bun's own, and the build fails for a larger one", () => {
  using folder = new TemporaryFolder();
  const bun = `${root}node_modules/.bin/bun`;
  checkSize(executable, bun);
  const large = `${folder.path}/large`;
  writeFileSync(large, "");
  truncateSync(large, Math.ceil(statSync(bun).size * 1.11));
  throws(() => checkSize(large, bun), /^Error: large is 1.110 times as large as Bun's own executable, more than 1.1$/);
});

Deno.test("huge pages can map the executable's segments, and its section headers point to what they name", () => {
  const { stdout } = run("readelf", ["--wide", "--segments", "--sections", executable]);
  const segments = [...stdout.matchAll(/^ +LOAD +(0x\w+) +(0x\w+)/gm)].map(([, ...values]) => values.map(Number));
  equal(segments.length >= 3, true);
  for (const [offset, address] of segments) equal(offset! % (2 << 20), address! % (2 << 20));
  const strings = (section: string) => run("readelf", ["--string-dump", section, executable]).stdout;
  match(strings(".interp"), /\/ld-linux-/);
  match(strings(".comment"), /clang|GCC/);
});

/** The table that CONTRIBUTING.md writes as an example. */
const EXAMPLE = /```c\n(\/\* SPDX[^]*?)```/.exec(readFileSync(`${root}CONTRIBUTING.md`, "utf8"))![1]!;

Deno.test("the example of a table compiles, and not with a walk that is not started or misplaced columns", () => {
  using folder = new TemporaryFolder();
  const compile = (source: string) =>
    run("clang-19", [
      "--target=bpf",
      "-mcpu=v3",
      "-Wno-parentheses",
      "-O2",
      "-g",
      "-DARCH_x86_64",
      '-DFORMAT_HEADER="../formats/json.h"',
      `-I${root}bpf/tables`,
      `-I/usr/include/${Deno.build.arch}-linux-gnu`,
      ...["-x", "c", "-c", "-", "-o", `${folder.path}/table.o`],
    ], { input: source });
  const { status, stderr } = compile(EXAMPLE);
  equal(status, 0, stderr);
  equal(compile(EXAMPLE.replace("#include", "#define OWNER (COLUMN_BIT(pid) | COLUMN_BIT(tid))\n#include")).status, 0);
  const wrong: [string, string, RegExp][] = [
    ["START_TASK_WALK(ctx);", "", /undeclared identifier 'walk_started'/],
    ["START_TASK_WALK(ctx);", "START_WALK(ctx);", /undeclared identifier 'task_walk_started'/],
    // The beginning of a row is kept from one row of a task to the next: these columns have to be the first ones.
    ["#include", "#define OWNER (COLUMN_BIT(pid) | COLUMN_BIT(comm))\n#include", /stands before or between those of OWNER/],
    ["#include", "#define OWNER COLUMN_BIT(tid)\n#include", /stands before or between those of OWNER/],
  ];
  for (const [right, instead, message] of wrong) {
    const { status, stderr } = compile(EXAMPLE.replace(right, instead));
    equal(status, 1, instead);
    match(stderr, message);
  }
});

Deno.test("the fixture lists its modes, each with what it does, and tests start no other", () => {
  const { status, stdout } = run(fixtureProgram(), []);
  equal(status, 0);
  const listed = new Map([...stdout.matchAll(/^([\w-]+) ?[^\n]*\n\t([^\n]*)$/gm)].map(([, mode, text]) => [mode, text!]));
  ok([...listed.values()].every((text) => /^[A-Z].*\.$/.test(text)), stdout);
  const tests = globSync("test/*_test.ts", { cwd: root }).map((file) => readFileSync(root + file, "utf8")).join("");
  const started = [...tests.matchAll(/Fixture\.start\(\s*"([\w-]+)"/g)].map(([, mode]) => mode!);
  ok(started.length > 50);
  equal(started.filter((mode) => !listed.has(mode)), []);
});
