// SPDX-License-Identifier: BSD-2-Clause
/**
 * Makes dist/release: compressed executables, packages for npm and Debian, the bill of materials, install.sh, the files for
 * containers, and the sums of all. It copies the sources into two folders, builds in each, and fails when the results differ in a
 * byte. `--pieces FOLDER` makes the pieces of the executables in dist, once.
 */

import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { chmodSync, cpSync, existsSync, globSync, mkdirSync, mkdtempSync, readdirSync, readFileSync } from "node:fs";
import { rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, normalize } from "node:path";
import zlib, { gunzipSync, gzipSync, zstdCompressSync } from "node:zlib";
import { Spec, Validation } from "@cyclonedx/cyclonedx-library";
import { build as bundle } from "esbuild";
import ts from "typescript";
import manifest from "../deno.json" with { type: "json" };
import { commandLine, NO_LIBRARIES } from "../src/cli/command.ts";
import { completions, SHELLS } from "../src/cli/completions.ts";
import { SUBCOMMANDS } from "../src/cli/subcommands.ts";
import { type Architecture, ARCHITECTURES, embedded, foreign, libraryFolder } from "./architecture.ts";
import { unpacked } from "./debian.ts";
import { manual } from "./man.ts";

const root = new URL("..", import.meta.url).pathname;
const packaging = `${root}packaging/`;
const { version } = manifest;
const SUMMARY = "read Linux kernel tables through BPF iterators";
const MAINTAINER = "The task-iter maintainers <maintainers@users.noreply.r-seed-7a974d04.example>";
const NODE = ">=20";

/** The executable of an architecture, as the build names it. */
export const executableOf = (architecture: Architecture): string =>
  `${root}dist/task-iter${foreign(architecture) ? `-${architecture}` : ""}`;

/** The time of all files in the packages, in seconds: of the last commit, or SOURCE_DATE_EPOCH. */
export function sourceDate(): string {
  return process.env.SOURCE_DATE_EPOCH ||
    execFileSync("git", ["log", "-1", "--format=%ct"], { cwd: root, encoding: "utf8" }).trim();
}

/** Writes a file and the folders above it, with modes that do not depend on umask. */
function put(path: string, content: string | Uint8Array, mode = 0o644): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
  chmodSync(path, mode);
}

const json = (value: unknown): string => JSON.stringify(value, undefined, 2) + "\n";
const text = (path: string): string => readFileSync(root + path, "utf8");

/** A temporary folder while `use` runs. */
function inFolder<T>(use: (folder: string) => T): T {
  const folder = mkdtempSync(`${tmpdir()}/task-iter-release-`);
  try {
    return use(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

// npm

/** The fields that all packages have. */
const common = (name: string, description: string) => ({ name, version, description, license: manifest.license });

/** Packs a folder. npm gives all files one time and no owner. */
const pack = (source: string, folder: string) =>
  execFileSync("npm", ["pack", "--silent", "--ignore-scripts", "--pack-destination", folder], {
    cwd: source,
    stdio: ["ignore", "ignore", 2],
  });

/** task-iter-linux-ARCHITECTURE: the executable, and the files that the library loads. */
function platformPackage(architecture: Architecture, folder: string): void {
  inFolder((source) => {
    const name = `task-iter-linux-${architecture}`;
    const fields = { os: ["linux"], cpu: [architecture], libc: ["glibc"], preferUnplugged: true };
    put(`${source}/package.json`, json({ ...common(name, `task-iter's files for Linux on ${architecture}`), ...fields }));
    put(
      `${source}/README.md`,
      `# ${name}\n\nThe files of the package task-iter for this platform.\n`,
    );
    put(`${source}/LICENSE`, text("LICENSE"));
    put(`${source}/bin/task-iter`, readFileSync(executableOf(architecture)), 0o755);
    for (const file of embedded(architecture)) put(`${source}/lib/${file}`, readFileSync(libraryFolder(architecture) + file));
    pack(source, folder);
  });
}

/** The declarations that `src/mod.ts` needs, by path below src. */
function declarations(): Map<string, string> {
  const all = new Map<string, string>();
  const program = ts.createProgram([`${root}src/mod.ts`], {
    declaration: true,
    emitDeclarationOnly: true,
    allowImportingTsExtensions: true,
    target: ts.ScriptTarget.ESNext,
    module: ts.ModuleKind.ESNext,
    moduleResolution: ts.ModuleResolutionKind.Bundler,
    strict: true,
    exactOptionalPropertyTypes: true,
    types: ["node"],
    rootDir: `${root}src`,
    outDir: "/",
  });
  program.emit(undefined, (path, content) => all.set(path.slice(1), content));
  const needed = new Map<string, string>();
  const add = (path: string) => {
    if (needed.has(path)) return;
    const content = all.get(path);
    if (content === undefined) throw new Error(`no declarations of ${path}`);
    const imports = [...content.matchAll(/\b(?:from|import\() ?"(\.[^"]+)\.ts"/g)].map(([, name]) => name!);
    needed.set(path, content.replace(/(\b(?:from|import\() ?"\.[^"]+)\.ts"/g, '$1.js"'));
    for (const name of imports) add(normalize(`${dirname(path)}/${name}.d.ts`));
  };
  add("mod.d.ts");
  return needed;
}

/** task-iter: a launcher for the executable, and the library with its types. */
async function mainPackage(architectures: readonly Architecture[], folder: string): Promise<void> {
  const source = mkdtempSync(`${tmpdir()}/task-iter-release-`);
  try {
    put(
      `${source}/package.json`,
      json({
        ...common("task-iter", SUMMARY),
        keywords: ["bpf", "ebpf", "linux", "lsof", "ps", "ss", "stack", "observability"],
        type: "module",
        bin: { "task-iter": "bin/task-iter.js" },
        exports: { ".": { types: "./lib/mod.d.ts", default: "./lib/mod.js" }, "./package.json": "./package.json" },
        engines: { node: NODE },
        optionalDependencies: Object.fromEntries(architectures.map((name) => [`task-iter-linux-${name}`, version])),
        peerDependencies: { koffi: manifest.imports.koffi.replace(/^npm:koffi@/, "^") },
        peerDependenciesMeta: { koffi: { optional: true } },
      }),
    );
    for (const name of ["README.md", "CHANGELOG.md", "LICENSE"]) put(`${source}/${name}`, text(name));
    put(`${source}/bin/task-iter.js`, readFileSync(`${packaging}npm/task-iter.js`), 0o755);
    for (const [path, content] of declarations()) put(`${source}/lib/${path}`, content);
    await bundle({
      entryPoints: [`${root}src/mod.ts`],
      outdir: `${source}/lib`,
      bundle: true,
      splitting: true, // keeps modules that only one runtime has out of the others
      chunkNames: "[name]-[hash]",
      format: "esm",
      platform: "node",
      target: "node20",
      external: ["bun:ffi", "koffi"],
      logLevel: "warning",
      plugins: [{
        name: "folder",
        setup(build) {
          build.onLoad({ filter: /\/src\/folder\.ts$/ }, () => ({ contents: readFileSync(`${packaging}npm/folder.js`, "utf8") }));
        },
      }],
    });
    pack(source, folder);
  } finally {
    rmSync(source, { recursive: true });
  }
}

// Debian

/** The changes of this version, as Debian writes them. */
function debianChangelog(): string {
  const changes = text("CHANGELOG.md").match(new RegExp(`^## ${RegExp.escape(version)}\\n([^]*?)(?=^## |$(?![^]))`, "m"))?.[1];
  if (changes === undefined) throw new Error(`CHANGELOG.md has no changes of ${version}`);
  // Lines of at most 80 columns, as lintian wants them.
  const points = changes.split(/^- /m).slice(1).map((point) => point.replace(/\s+/g, " ").trim());
  const lines = points.map((point) => `* ${point}`.replace(/(.{1,74})( |$)/g, "$1\n    ").trimEnd()).map((point) => `  ${point}`);
  const date = new Date(Number(sourceDate()) * 1000).toUTCString().replace("GMT", "+0000");
  return `task-iter (${version}) unstable; urgency=medium\n\n${
    lines.join("\n") || "  * Release."
  }\n\n -- ${MAINTAINER}  ${date}\n`;
}

const gz = (content: string): Uint8Array => gzipSync(content, { level: 9 });

/** task-iter_VERSION_ARCHITECTURE.deb; `dpkg` are options of dpkg-deb. */
function debianPackage(architecture: Architecture, folder: string, dpkg: readonly string[]): void {
  inFolder((tree) => {
    const { debian } = ARCHITECTURES[architecture];
    const doc = `${tree}/usr/share/doc/task-iter`;
    const program = commandLine(SUBCOMMANDS.map(({ name }) => name), NO_LIBRARIES);
    const places = {
      bash: "bash-completion/completions/task-iter",
      zsh: "zsh/vendor-completions/_task-iter",
      fish: "fish/vendor_completions.d/task-iter.fish",
    };
    put(`${tree}/usr/bin/task-iter`, readFileSync(executableOf(architecture)), 0o755);
    put(`${tree}/usr/share/man/man8/task-iter.8.gz`, gz(manual()));
    for (const shell of SHELLS) put(`${tree}/usr/share/${places[shell]}`, completions(shell, program));
    for (const unit of ["service", "timer"]) {
      put(`${tree}/usr/lib/systemd/system/task-iter-checks.${unit}`, readFileSync(`${packaging}debian/task-iter-checks.${unit}`));
    }
    put(`${doc}/changelog.gz`, gz(debianChangelog()));
    put(`${doc}/copyright`, readFileSync(`${packaging}debian/copyright`));
    put(`${doc}/examples/checks.json`, text("docs/checks.json"));
    put(`${tree}/usr/share/lintian/overrides/task-iter`, readFileSync(`${packaging}debian/lintian-overrides`));
    const files = globSync("**", { cwd: tree }).filter((path) => statSync(`${tree}/${path}`).isFile()).sort();
    const sums = files.map((path) => `${createHash("md5").update(readFileSync(`${tree}/${path}`)).digest("hex")}  ${path}\n`);
    const size = files.reduce((sum, path) => sum + Math.ceil(statSync(`${tree}/${path}`).size / 1024) + 1, 0);
    put(`${tree}/DEBIAN/md5sums`, sums.join(""));
    put(
      `${tree}/DEBIAN/control`,
      `Package: task-iter
Version: ${version}
Architecture: ${debian}
Maintainer: ${MAINTAINER}
Installed-Size: ${size}
Depends: libc6 (>= 2.17)
Section: admin
Priority: optional
Description: ${SUMMARY}
 task-iter shows kernel stacks, open files, tasks, memory maps, sockets and BPF
 objects as text, CSV or JSON. Rows are chosen, filtered and formatted inside
 the kernel, so that one read replaces thousands of files in /proc.
 .
 A systemd timer, which is not enabled by default, runs the health checks of
 /etc/task-iter/checks.json.
`,
    );
    for (const script of ["postinst", "prerm", "postrm"]) {
      put(`${tree}/DEBIAN/${script}`, readFileSync(`${packaging}debian/${script}`), 0o755);
    }
    for (const path of [tree, ...globSync("**", { cwd: tree }).map((path) => `${tree}/${path}`)]) {
      if (statSync(path).isDirectory()) chmodSync(path, 0o755);
    }
    execFileSync("dpkg-deb", ["--root-owner-group", ...dpkg, "--build", tree, folder], {
      env: { ...process.env, SOURCE_DATE_EPOCH: sourceDate() },
      stdio: ["ignore", "ignore", 2],
    });
  });
}

// Bill of materials

interface Part {
  name: string;
  version: string;
  /** SPDX identifier, or an expression of several. */
  license: string;
  purl: string;
  /** sha512, in hex. */
  hash?: string;
}

/** The version of a package of Debian that the libraries for `architecture` were made with. */
function debianVersion(name: string, architecture: Architecture): string {
  if (!foreign(architecture)) return execFileSync("dpkg-query", ["-W", "-f", "${source:Version}", name], { encoding: "utf8" });
  const folder = unpacked("bookworm", ARCHITECTURES[architecture].debian, ["libbpf-dev", "libelf-dev", "zlib1g-dev"]);
  const changes = gunzipSync(readFileSync(`${folder}/usr/share/doc/${name}/changelog.Debian.gz`)).toString();
  return changes.match(/^\S+ \((.+?)\)/)![1]!;
}

/** What the executables have in them besides our own code. */
export function parts(architectures: readonly Architecture[]): Part[] {
  const found = new Map<string, Part>();
  const add = (part: Part) => found.set(part.purl, part);
  const locked = JSON.parse(text("deno.lock")).npm as Record<string, { integrity: string }>;
  const addNpm = (folder: string) => {
    const { name, version, license } = JSON.parse(readFileSync(`${folder}/package.json`, "utf8"));
    const key = Object.keys(locked).find((key) => key === `${name}@${version}` || key.startsWith(`${name}@${version}_`));
    if (key === undefined) throw new Error(`deno.lock does not have ${name} ${version}`);
    const hash = Buffer.from(locked[key]!.integrity.replace(/^sha512-/, ""), "base64").toString("hex");
    add({ name, version, license, purl: `pkg:npm/${encodeURIComponent(name).replaceAll("%2F", "/")}@${version}`, hash });
  };
  addNpm(`${root}node_modules/bun`);
  for (const architecture of architectures) {
    for (const folder of JSON.parse(text(`build/executable-${architecture}/packages.json`))) addNpm(root + folder);
    for (
      const [source, name, license] of [
        ["libbpf", "libbpf-dev", "LGPL-2.1-only OR BSD-2-Clause"],
        ["elfutils", "libelf-dev", "GPL-2.0-or-later OR LGPL-3.0-or-later"],
        ["zlib", "zlib1g-dev", "Zlib"],
      ] as const
    ) {
      const version = debianVersion(name, architecture);
      const purl = `pkg:deb/debian/${source}@${encodeURIComponent(version)}?arch=source&distro=bookworm`;
      add({ name: source === "elfutils" ? "libelf" : source, version, license, purl });
    }
  }
  return [...found.values()].sort((a, b) => a.purl < b.purl ? -1 : 1);
}

/** The bill of materials, CycloneDX 1.6. @throws {Error} not as the schema says */
async function billOfMaterials(architectures: readonly Architecture[]): Promise<string> {
  const licences = (license: string) => / (AND|OR) /.test(license) ? [{ expression: license }] : [{ license: { id: license } }];
  const bom = json({
    $schema: "http://cyclonedx.org/schema/bom-1.6.schema.json",
    bomFormat: "CycloneDX",
    specVersion: "1.6",
    version: 1,
    metadata: {
      timestamp: new Date(Number(sourceDate()) * 1000).toISOString(),
      component: {
        type: "application",
        "bom-ref": "task-iter",
        name: "task-iter",
        version,
        description: SUMMARY,
        licenses: licences(manifest.license),
      },
    },
    components: parts(architectures).map(({ name, version, license, purl, hash }) => ({
      type: name === "bun" ? "platform" : "library",
      "bom-ref": purl,
      name,
      version,
      ...(hash === undefined ? {} : { hashes: [{ alg: "SHA-512", content: hash }] }),
      licenses: licences(license),
      purl,
    })),
    dependencies: [
      { ref: "task-iter", dependsOn: parts(architectures).map(({ purl }) => purl) },
      ...parts(architectures).map(({ purl }) => ({ ref: purl })),
    ],
  });
  const wrong = await new Validation.JsonStrictValidator(Spec.Version.v1dot6).validate(bom);
  if (wrong !== null) throw new Error(`the bill of materials is not CycloneDX: ${JSON.stringify(wrong)}`);
  return bom;
}

// All

/**
 * Makes the pieces of a release in `folder`, from the executables in dist.
 *
 * @param small compress as well as possible, which takes minutes
 */
export async function makePieces(folder: string, architectures: readonly Architecture[], small: boolean): Promise<void> {
  mkdirSync(folder, { recursive: true });
  for (const architecture of architectures) {
    const name = `${folder}/task-iter-${version}-linux-${architecture}`;
    const bytes = readFileSync(executableOf(architecture));
    put(`${name}.gz`, gzipSync(bytes, { level: small ? 9 : 1 }));
    put(`${name}.zst`, zstdCompressSync(bytes, { params: { [zlib.constants.ZSTD_c_compressionLevel]: small ? 19 : 1 } }));
    debianPackage(architecture, folder, small ? ["-Zxz", "-z6"] : ["-Zgzip", "-z1"]);
    platformPackage(architecture, folder);
  }
  await mainPackage(architectures, folder);
  put(`${folder}/task-iter-${version}.cdx.json`, await billOfMaterials(architectures));
  put(`${folder}/install.sh`, readFileSync(`${packaging}install.sh`), 0o755);
  for (const name of ["Dockerfile", "daemonset.yaml"]) put(`${folder}/${name}`, readFileSync(packaging + name));
  put(`${folder}/SHA256SUMS`, [...sums(folder)].map(([name, sum]) => `${sum}  ${name}\n`).join(""));
}

/** The sums of all files in a folder but SHA256SUMS itself, by name. */
export function sums(folder: string): Map<string, string> {
  const names = readdirSync(folder).filter((name) => name !== "SHA256SUMS").sort();
  return new Map(names.map((name) => [name, createHash("sha256").update(readFileSync(`${folder}/${name}`)).digest("hex")]));
}

/** Copies the sources, without what git ignores, into folders. */
function copySources(folders: readonly string[]): void {
  const words = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
  const listed = execFileSync("git", words, { cwd: root, encoding: "utf8" }).split("\0");
  for (const path of listed.filter((path) => path && existsSync(root + path))) {
    for (const folder of folders) cpSync(root + path, `${folder}/${path}`);
  }
}

/** Builds everything in a copy of the sources. @returns the folder with the pieces */
function buildIn(folder: string): string {
  // Without ccache, which would give the second build the objects of the first.
  const env = { ...process.env, SOURCE_DATE_EPOCH: sourceDate(), CCACHE_DISABLE: "1" };
  const deno = (...words: string[]) => execFileSync(process.execPath, words, { cwd: folder, env, stdio: ["ignore", 2, 2] });
  deno("task", "--quiet", "build");
  deno("task", "--quiet", "build:arm64");
  deno("run", "-A", "scripts/release.ts", "--pieces", `${folder}/dist/release`);
  return `${folder}/dist/release`;
}

if (import.meta.main) {
  if (Deno.args[0] === "--pieces") {
    await makePieces(Deno.args[1]!, Object.keys(ARCHITECTURES) as Architecture[], true);
  } else {
    inFolder((work) => {
      // Names of two lengths: a path that gets into a file moves what follows.
      const copies = [`${work}/a`, `${work}/another`];
      copySources(copies);
      const folders = copies.map(buildIn);
      const [first, second] = folders.map(sums) as [Map<string, string>, Map<string, string>];
      const different = [...first.keys()].filter((name) => first.get(name) !== second.get(name));
      if (different.length > 0 || first.size !== second.size) {
        throw new Error(`two builds differ: ${different.join(", ")}`);
      }
      rmSync(`${root}dist/release`, { recursive: true, force: true });
      mkdirSync(`${root}dist`, { recursive: true });
      cpSync(folders[0]!, `${root}dist/release`, { recursive: true });
      console.log(`dist/release: ${first.size + 1} files, the same from two builds`);
    });
  }
}
