// SPDX-License-Identifier: BSD-2-Clause
/**
 * Builds dist/task-iter: programs and libraries, schema, bundle, executable; each only when one of its sources is newer. With
 * an architecture as its argument it builds dist/task-iter-ARCHITECTURE for that one.
 */

import { execFileSync, spawnSync } from "node:child_process";
import buffer from "node:buffer";
import fs, { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import zlib, { zstdCompressSync } from "node:zlib";
import { build as bundle, type Metafile, type Plugin } from "esbuild";
import { architectureOf, ARCHITECTURES, bunOf, embedded, foreign, libraryFolder } from "./architecture.ts";
import { unpacked } from "./debian.ts";
import { finish } from "./executable.ts";
import { checkGlibc, checkSize } from "./promises.ts";

const root = new URL("..", import.meta.url).pathname;
const architecture = architectureOf(Deno.args[0] ?? process.arch);
const libraries = libraryFolder(architecture);
const work = `${root}build/executable-${architecture}/`;
const executable = `${root}dist/task-iter${Deno.args[0] ? `-${architecture}` : ""}`;

/** The time of the newest change below `paths`, files or folders, in milliseconds; 0 without any file. */
function newest(paths: string[]): number {
  let time = 0;
  for (const path of paths) {
    const status = statSync(path, { throwIfNoEntry: false });
    if (!status) return path === executable ? 0 : time;
    time = Math.max(time, status.isDirectory() ? newest(readdirSync(path).map((name) => `${path}/${name}`)) : status.mtimeMs);
  }
  return time;
}

/** Runs a command with its output on standard error: standard output belongs to `task start`. */
function run(command: string, args: string[], cwd = root): void {
  const { status, error } = spawnSync(command, args, { cwd, stdio: ["ignore", 2, 2] });
  if (error) throw error;
  if (status !== 0) throw new Error(`${command} ${args.join(" ")} failed`);
}

/** commander imports these for features not used here, such as subcommands that are programs of their own: 5 ms of every start. */
const STUBS: Record<string, string> = {
  "node:child_process": "export default {}",
  "node:fs": "export default {}",
  "node:path": "export default {}",
  "node:process": "export default globalThis.process",
  "node:util": "export const stripVTControlCharacters = (text) => text.replace(/\\x1b\\[[0-9;]*m/g, '')",
};

/** Modules that take a start 0.5 to 0.8 ms to load, each function loading its own when it is called. */
const LAZY: Record<string, object> = { "node:buffer": buffer, "node:fs": fs };

function lazy(module: string): string {
  const names = Object.entries(LAZY[module]!).flatMap(([name, value]) => typeof value === "function" ? name : []);
  return names.map((name) => `export const ${name} = (...words) => process.getBuiltinModule("${module}").${name}(...words);`)
    .join("\n");
}

/** src/query/prepared.ts, evaluated. */
async function preparedPlans(): Promise<string> {
  const { prepared } = await import("../src/query/prepared.ts");
  const plans = Object.entries(prepared).map(([name, plan]) => {
    const { request: { query, ...request }, header, summary } = plan();
    const bytes = [...query.entries()].filter(([, byte]) => byte !== 0);
    const rest = JSON.stringify({ header, summary });
    return `${JSON.stringify(name)}: () => plan(${query.length}, ${JSON.stringify(bytes)}, ${JSON.stringify(request)}, ${rest})`;
  });
  return `function plan(size, bytes, request, rest) {
  const query = new Uint8Array(size);
  for (const [at, byte] of bytes) query[at] = byte;
  return { request: { ...request, query }, ...rest };
}
export const prepared = { ${plans.join(",\n")} };`;
}

/** The folders of the packages in the bundles. */
const packages = new Set<string>();

function addPackages(metafile: Metafile): void {
  for (const { inputs } of Object.values(metafile.outputs)) {
    for (const [path, { bytesInOutput }] of Object.entries(inputs)) {
      const folder = path.match(/^.*node_modules\/(?:@[^/]+\/)?[^/]+/)?.[0];
      if (folder !== undefined && bytesInOutput > 0) packages.add(folder);
    }
  }
}

/** What src/report becomes: the files that `report` and `flame` put into their output, by the names that they ask for. */
const ASSETS = { "page.js": "main.ts", "page.css": "page.css", "flame.js": "svg.ts" };

/** The text of a file of src/report, bundled for a browser. */
async function asset(file: string): Promise<string> {
  const { outputFiles, metafile } = await bundle({
    metafile: true,
    absWorkingDir: root.slice(0, -1),
    entryPoints: [`${root}src/report/${file}`],
    bundle: true,
    write: false,
    minify: true,
    platform: "browser",
    format: "iife",
    // page.css has what the style of d3-flame-graph would do, in the page's colours.
    loader: file.endsWith(".css") ? {} : { ".css": "empty" },
    target: ["chrome100", "firefox113", "safari16.4"], // DecompressionStream
    legalComments: "none",
    logLevel: "warning",
  });
  addPackages(metafile);
  const text = outputFiles[0]!.text.trim();
  if (/<\/(script|style)|<!--|\]\]>/i.test(text)) throw new Error(`${file} would end the element that it is put into`);
  return text;
}

/**
 * A file of the executable: the runtime has a decompressor of zstd. Level 19 makes an archive a quarter smaller than level 9, a
 * program an eighth, and takes 20 and 60 times as long: it is for the archives alone. Where the size is not said, the decompressor
 * takes 8 MB to begin with.
 */
function compressed(bytes: Uint8Array, level: number): Uint8Array {
  const options = { pledgedSrcSize: bytes.length, params: { [zlib.constants.ZSTD_c_compressionLevel]: level } };
  return zstdCompressSync(bytes, options);
}

const stubs: Plugin = {
  name: "stubs",
  setup(build) {
    build.onResolve({ filter: /^node:/ }, ({ path, importer }) => {
      if (path in STUBS && importer.includes("commander")) return { path, namespace: "stub" };
      return path in LAZY ? { path, namespace: "lazy" } : undefined;
    });
    build.onLoad({ filter: /.*/, namespace: "stub" }, ({ path }) => ({ contents: STUBS[path]! }));
    build.onLoad({ filter: /.*/, namespace: "lazy" }, ({ path }) => ({ contents: lazy(path) }));
    build.onLoad({ filter: /\/src\/query\/prepared\.ts$/ }, async () => ({ contents: await preparedPlans() }));
  },
};

const { debian, gnu } = ARCHITECTURES[architecture];
const settings = foreign(architecture)
  ? [`ARCH=${gnu}`, `ROOT=${unpacked("bookworm", debian, ["libbpf-dev", "libelf-dev", "zlib1g-dev"])}`]
  : [];
for (const folder of ["bpf", "libbpf-shim"]) run("make", ["-s", "-C", folder, `-j${availableParallelism()}`, ...settings]);
run(process.execPath, ["run", "-A", "scripts/generate.ts"]);
// Only now: these modules have the layout that was just generated.
const { archived, archiveOf } = await import("../src/native/archive.ts");
const { isStored } = await import("../src/native/load.ts");

const scripts = ["build.ts", "executable.ts"].map((name) => `${root}scripts/${name}`);
if (newest([`${root}src`, `${root}docs`, `${root}deno.json`, ...scripts, libraries]) > newest([executable])) {
  rmSync(work, { recursive: true, force: true });
  mkdirSync(`${work}lib`, { recursive: true });
  mkdirSync(`${root}dist`, { recursive: true });
  const archives = new Map<string, Uint8Array[]>();
  for (const name of embedded(architecture)) {
    if (name.endsWith(".so")) checkGlibc(libraries + name);
    const place = archived(name);
    const files = archives.get(place?.archive ?? name) ?? [];
    archives.set(place?.archive ?? name, files);
    files[place?.index ?? 0] = readFileSync(libraries + name);
  }
  for (const [name, files] of archives) {
    if (isStored(name)) writeFileSync(`${work}lib/${name}`, files[0]!);
    else writeFileSync(`${work}lib/${name}.zst`, files.length > 1 ? compressed(archiveOf(files), 19) : compressed(files[0]!, 9));
  }
  for (const [name, file] of Object.entries(ASSETS)) {
    writeFileSync(`${work}lib/${name}.zst`, compressed(new TextEncoder().encode(await asset(file)), 19));
  }
  const { metafile } = await bundle({
    entryPoints: [`${root}src/cli/main.ts`],
    metafile: true,
    absWorkingDir: root.slice(0, -1),
    outdir: work,
    bundle: true,
    splitting: true,
    format: "esm",
    platform: "node",
    target: "esnext",
    external: ["bun:ffi"],
    loader: { ".md": "text", ".bash": "text", ".zsh": "text", ".fish": "text", ".sh": "text" },
    minify: true,
    legalComments: "none",
    plugins: [stubs],
    logLevel: "warning",
  });
  addPackages(metafile);
  writeFileSync(`${work}packages.json`, JSON.stringify([...packages].sort())); // for the bill of materials
  // Bytecode spares a start the parsing, 8 ms; a later JIT the compiling of code that runs once, 1.5 ms, and of the loop over
  // chunks, whose work is native anyway, 4 MB (docs/speed.md).
  // A bunfig.toml or .env in the current folder could run another user's code as root.
  const flags = [
    "--compile",
    "--bytecode",
    "--format=esm",
    "--splitting",
    "--compile-jit-policy=100",
    "--no-compile-autoload-dotenv",
    "--no-compile-autoload-bunfig",
    "--asset=lib",
    "--outfile=task-iter",
  ];
  if (foreign(architecture)) {
    flags.push(`--target=bun-linux-${architecture}`, `--compile-executable-path=${bunOf(architecture)}`);
  }
  execFileSync(`${root}node_modules/.bin/bun`, ["build", ...flags, "main.js"], { cwd: work, stdio: ["ignore", "ignore", 2] });
  finish(`${work}task-iter`);
  checkGlibc(`${work}task-iter`);
  checkSize(`${work}task-iter`, bunOf(architecture));
  renameSync(`${work}task-iter`, executable);
}
