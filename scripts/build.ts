// SPDX-License-Identifier: BSD-2-Clause
/**
 * Builds dist/task-iter: programs and libraries, schema, bundle, executable; each only when what it is made from is newer. With
 * an architecture as its argument it builds dist/task-iter-ARCHITECTURE for that one.
 */

import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { copyFileSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync } from "node:fs";
import { availableParallelism } from "node:os";
import { build as bundle, type Plugin } from "esbuild";
import { cache, once, unpacked } from "./debian.ts";

/** As Debian, the C compiler and Bun's packages name them. */
const ARCHITECTURES: Record<string, { debian: string; gnu: string; bun: string }> = {
  x64: { debian: "amd64", gnu: "x86_64", bun: "x64" },
  arm64: { debian: "arm64", gnu: "aarch64", bun: "aarch64" },
};

const root = new URL("..", import.meta.url).pathname;
const architecture = Deno.args[0] ?? process.arch;
const names = ARCHITECTURES[architecture];
if (!names) throw new Error(`cannot build for ${architecture}: only for ${Object.keys(ARCHITECTURES).join(" and ")}`);
const libraries = `${root}build/${names.gnu}/`;
const work = `${root}build/executable-${architecture}/`;
const executable = `${root}dist/task-iter${Deno.args[0] ? `-${architecture}` : ""}`;

/** The newest change below `paths`, files or folders, in milliseconds; 0 where there is nothing. */
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

/** Bun for an architecture that this machine does not have, of the version that deno.json names and as deno.lock knows it. */
function foreignBun(bun: string): string {
  const { imports } = JSON.parse(readFileSync(`${root}deno.json`, "utf8"));
  const name = `@oven/bun-linux-${bun}@${imports.bun.split("@").at(-1)}`;
  const { integrity } = JSON.parse(readFileSync(`${root}deno.lock`, "utf8")).npm[name];
  const folder = once(`${cache}/${name}`, (folder) => {
    mkdirSync(folder, { recursive: true });
    execFileSync("npm", ["pack", "--silent", name], { cwd: folder, stdio: ["ignore", "ignore", 2] });
    const archive = readFileSync(`${folder}/${readdirSync(folder)[0]}`);
    const found = `sha512-${createHash("sha512").update(archive).digest("base64")}`;
    if (found !== integrity) throw new Error(`${name} is not what deno.lock says: ${found} instead of ${integrity}`);
    execFileSync("tar", ["-xz"], { cwd: folder, input: archive });
  });
  return `${folder}/package/bin/bun`;
}

/** commander imports these for features not used here, such as subcommands that are programs of their own: 5 ms of every start. */
const STUBS: Record<string, string> = {
  "node:child_process": "export default {}",
  "node:fs": "export default {}",
  "node:path": "export default {}",
  "node:process": "export default globalThis.process",
  "node:util": "export const stripVTControlCharacters = (text) => text",
};

const stubs: Plugin = {
  name: "stubs",
  setup(build) {
    build.onResolve({ filter: /^node:/ }, ({ path, importer }) => {
      return path in STUBS && importer.includes("commander") ? { path, namespace: "stub" } : undefined;
    });
    build.onLoad({ filter: /.*/, namespace: "stub" }, ({ path }) => ({ contents: STUBS[path]! }));
  },
};

const foreign = architecture !== process.arch;
const settings = foreign
  ? [`ARCH=${names.gnu}`, `ROOT=${unpacked("bookworm", names.debian, ["libbpf1", "libelf1", "zlib1g"])}`]
  : [];
run("make", ["-s", "-C", "libbpf-shim", `-j${availableParallelism()}`, ...settings]);
run(process.execPath, ["run", "-A", "scripts/generate.ts"]);

if (newest([`${root}src`, `${root}docs`, `${root}deno.json`, `${root}scripts/build.ts`, libraries]) > newest([executable])) {
  rmSync(work, { recursive: true, force: true });
  mkdirSync(`${work}lib`, { recursive: true });
  mkdirSync(`${root}dist`, { recursive: true });
  for (const name of readdirSync(libraries)) {
    if (/\.so(\.1)?$/.test(name)) copyFileSync(libraries + name, `${work}lib/${name}`);
  }
  await bundle({
    entryPoints: [`${root}src/cli/main.ts`],
    outfile: `${work}main.js`,
    bundle: true,
    format: "esm",
    platform: "node",
    target: "esnext",
    external: ["bun:ffi"],
    loader: { ".md": "text" },
    minify: true,
    legalComments: "none",
    plugins: [stubs],
    logLevel: "warning",
  });
  // Bytecode spares a start the parsing, 8 ms; a later JIT the compiling of code that runs once, 1.5 ms (docs/speed.md).
  // A bunfig.toml or .env in the current folder of a root tool would be somebody else's code.
  const flags = [
    "--compile",
    "--bytecode",
    "--format=esm",
    "--compile-jit-policy=4",
    "--no-compile-autoload-dotenv",
    "--no-compile-autoload-bunfig",
    "--asset=lib",
    "--outfile=task-iter",
  ];
  if (foreign) flags.push(`--target=bun-linux-${architecture}`, `--compile-executable-path=${foreignBun(names.bun)}`);
  execFileSync(`${root}node_modules/.bin/bun`, ["build", ...flags, "main.js"], { cwd: work, stdio: ["ignore", "ignore", 2] });
  renameSync(`${work}task-iter`, executable);
}
