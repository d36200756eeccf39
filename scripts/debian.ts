// SPDX-License-Identifier: BSD-2-Clause
/** Packages of Debian's archive, of any suite and architecture, unpacked beside the system instead of installed. */

import { execFileSync } from "node:child_process";
import fs from "node:fs";
import { homedir, tmpdir } from "node:os";
import { dirname } from "node:path";

/** The cache of fetched files; they may be removed at any time. */
export const cache = `${process.env.XDG_CACHE_HOME || `${homedir()}/.cache`}/task-iter`;

/** A package cannot be fetched: no network, or a suite that the mirror no longer has. */
export class Unavailable extends Error {
  override name = "Unavailable";
}

/** `make` throws what the command that failed has said. @throws {Unavailable} */
function orUnavailable<T>(what: string, make: () => T): T {
  try {
    return make();
  } catch (error) {
    const { stderr, message } = error as { stderr?: string | Uint8Array; message: string };
    throw new Unavailable(`no ${what}: ${String(stderr || message).trim().split("\n")[0]}`);
  }
}

/** The mirrors that this machine's apt uses: of the archive, and of security updates. */
export function mirrors(): { archive: string; security: string | undefined } {
  const lines = execFileSync("apt-get", ["indextargets", "--format", "$(SITE) $(RELEASE)", "Created-By: Packages"], {
    encoding: "utf8",
  });
  const pairs = lines.split("\n").filter(Boolean).map((line) => line.split(" ") as [string, string]);
  const archive = pairs.find(([, release]) => /^[a-z]+$/.test(release))?.[0];
  if (!archive) throw new Unavailable("apt has no archive of Debian");
  return { archive, security: pairs.find(([, release]) => release.endsWith("-security"))?.[0] };
}

/** apt with a configuration of its own: the machine's sources, architectures, lists and packages stay as they are. */
class Archive implements Disposable {
  readonly #folder = fs.mkdtempSync(`${tmpdir()}/task-iter-apt-`);
  readonly #settings: string[];

  constructor(suite: string, architecture: string) {
    try {
      const { archive, security } = mirrors();
      const signed = "[signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]";
      const sources = [`deb ${signed} ${archive} ${suite} main`];
      // Kernels of an old suite are updated there only.
      if (suite === "bullseye" && security) sources.push(`deb ${signed} ${security} ${suite}-security main`);
      fs.mkdirSync(`${this.#folder}/lists/partial`, { recursive: true });
      fs.writeFileSync(`${this.#folder}/status`, "");
      fs.writeFileSync(`${this.#folder}/sources.list`, sources.join("\n") + "\n");
      this.#settings = Object.entries({
        "Dir::State": this.#folder,
        "Dir::State::status": `${this.#folder}/status`,
        "Dir::Cache": this.#folder,
        "Dir::Etc::sourcelist": `${this.#folder}/sources.list`,
        "Dir::Etc::sourceparts": "/dev/null",
        "Acquire::Languages": "none",
        "APT::Architecture": architecture,
        "APT::Architectures": architecture,
        "APT::Sandbox::User": "root",
      }).flatMap(([key, value]) => ["-o", `${key}=${value}`]);
      this.#apt("apt-get", "--quiet", "update");
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
  }

  #apt(command: string, ...words: string[]): string {
    return execFileSync(command, [...this.#settings, ...words], {
      cwd: this.#folder,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "pipe"],
      timeout: 120_000, // for a network that does not answer
    });
  }

  /** A package's dependency whose name matches. */
  needed(name: string, pattern: RegExp): string {
    const found = this.#apt("apt-cache", "depends", name).match(pattern);
    if (!found) throw new Unavailable(`${name} depends on nothing like ${pattern}`);
    return found[0];
  }

  /** The package as a file. */
  download(name: string): string {
    this.#apt("apt-get", "download", name);
    return `${this.#folder}/${fs.readdirSync(this.#folder).find((file) => file.startsWith(`${name}_`))!}`;
  }

  [Symbol.dispose](): void {
    fs.rmSync(this.#folder, { recursive: true });
  }
}

/** Makes `path` with `make`, unless it exists. A failed `make` leaves nothing at `path`. */
export function once(path: string, make: (path: string) => void): string {
  if (fs.existsSync(path)) return path;
  const unfinished = `${path}.${process.pid}`;
  fs.mkdirSync(dirname(path), { recursive: true });
  try {
    make(unfinished);
    if (!fs.existsSync(path)) fs.renameSync(unfinished, path);
  } finally {
    fs.rmSync(unfinished, { recursive: true, force: true });
  }
  return path;
}

/** A folder that has the packages' files, fetched once; to fetch newer ones remove it. @throws {Unavailable} */
export function unpacked(suite: string, architecture: string, packages: string[]): string {
  return once(
    `${cache}/${suite}-${architecture}/${packages.join("+")}`,
    (folder) =>
      orUnavailable(`${packages.join(", ")} of ${suite} for ${architecture}`, () => {
        using archive = new Archive(suite, architecture);
        for (const name of packages) execFileSync("dpkg-deb", ["--extract", archive.download(name), folder]);
      }),
  );
}

/**
 * The image of a suite's kernel for clouds, or of its PREEMPT_RT kernel, fetched once; to fetch a newer one remove the file.
 *
 * @throws {Unavailable}
 */
export function kernelOf(suite: string, architecture: string, flavour: "cloud" | "rt" = "cloud"): string {
  const special = [flavour === "cloud" ? "" : `-${flavour}`, architecture === "amd64" ? "" : `-${architecture}`];
  return once(
    `${cache}/kernels/${suite}${special.join("")}`,
    (image) =>
      orUnavailable(`${flavour} kernel of ${suite} for ${architecture}`, () => {
        using archive = new Archive(suite, architecture);
        /** The image in a package, if it has one. */
        const extract = (name: string): Uint8Array | undefined => {
          const file = archive.download(name);
          const listed = execFileSync("dpkg-deb", ["--contents", file], { encoding: "utf8", maxBuffer: 1 << 28 });
          const path = /\.\/\S*vmlinuz\S*$/m.exec(listed)?.[0];
          if (path === undefined) return undefined;
          const pipe = 'dpkg-deb --fsys-tarfile "$1" | tar --extract --to-stdout "$2"';
          return execFileSync("sh", ["-c", pipe, "sh", file, path], { maxBuffer: 1 << 28 });
        };
        const of = (kind: string) => new RegExp(`linux-${kind}-[0-9]\\S*-${flavour}-${architecture}`);
        const name = archive.needed(`linux-image-${flavour}-${architecture}`, of("image"));
        const bytes = extract(name) ?? extract(archive.needed(name, of("binary")));
        if (!bytes) throw new Unavailable(`${name} has no kernel in it`);
        fs.writeFileSync(image, bytes);
      }),
  );
}
