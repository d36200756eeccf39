// SPDX-License-Identifier: BSD-2-Clause
/** What a release delivers, used as its users use it: install.sh, the packages of npm, the bill of materials. */

import { deepStrictEqual as equal, match, ok } from "node:assert";
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { Spec, Validation } from "@cyclonedx/cyclonedx-library";
import ts from "typescript";
import { cache, once } from "../scripts/debian.ts";
import { architecture, pieces, version } from "./pieces.ts";
import { type Result, root, run, taskIter, TemporaryFolder } from "./support.ts";

const bun = `${root}node_modules/.bin/bun`;

/** Runs a command to its end, while this process goes on. */
async function runBeside(command: string, args: readonly string[], env?: Record<string, string>): Promise<Result> {
  const output = await new Deno.Command(command, { args: [...args], ...(env && { env, clearEnv: true }) }).output();
  const decoder = new TextDecoder();
  return { status: output.code, stdout: decoder.decode(output.stdout), stderr: decoder.decode(output.stderr) };
}

Deno.test("the sums are those of all other files, and the bill of materials names what the executable has in it", async () => {
  const folder = await pieces();
  const { status, stdout } = run("sha256sum", ["--check", "SHA256SUMS"], { cwd: folder });
  equal([status, stdout.trim().split("\n").length], [0, readdirSync(folder).length - 1]);
  const bom = readFileSync(`${folder}/task-iter-${version}.cdx.json`, "utf8");
  equal(await new Validation.JsonStrictValidator(Spec.Version.v1dot6).validate(bom), null);
  ok(await new Validation.JsonStrictValidator(Spec.Version.v1dot6).validate(bom.replace('"MIT"', '"no licence"')) !== null);
  const { components } = JSON.parse(bom) as {
    components: { name: string; version: string; licenses: unknown[]; purl: string }[];
  };
  const versions = new Map(components.map(({ name, version }) => [name, version]));
  for (const name of ["bun", "commander", "d3-flame-graph", "fastest-levenshtein"]) {
    equal(versions.get(name), JSON.parse(readFileSync(`${root}node_modules/${name}/package.json`, "utf8")).version, name);
  }
  for (const name of ["libbpf", "libelf", "zlib"]) {
    const upstream = run("sh", ["-c", `sed -n "s/^Version: //p" /usr/lib/*/pkgconfig/${name}.pc`]).stdout.trim();
    match(versions.get(name)!, new RegExp(`^([0-9]+:)?${RegExp.escape(upstream)}`));
  }
  ok(components.every(({ licenses, purl }) => licenses.length === 1 && purl.startsWith("pkg:")));
});

/** A folder of commands: those that install.sh needs, and `more`. */
function commands(folder: string, more: readonly string[]): string {
  const path = `${folder}/commands-${more.join("-")}`;
  mkdirSync(path);
  for (const name of ["sh", "uname", "mkdir", "mktemp", "rm", "grep", "wc", "sha256sum", "chmod", "mv", "dd", ...more]) {
    symlinkSync(run("sh", ["-c", `command -v ${name}`]).stdout.trim(), `${path}/${name}`);
  }
  return path;
}

Deno.test("install.sh installs what the sums name, and nothing at all when a step fails", async (test) => {
  const folder = await pieces();
  using temporary = new TemporaryFolder();
  equal(run("shellcheck", [`${folder}/install.sh`]), { status: 0, stdout: "", stderr: "" });

  /** How the server spoils what it serves. */
  let spoil: "nothing" | "sum" | "end" | "stall" = "nothing";
  let asked: string[] = [];
  const stalled = Promise.withResolvers<void>();
  const closing = new AbortController(); // closes at once, without waiting for a client that waits
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, signal: closing.signal, onListen() {} }, (request) => {
    const name = new URL(request.url).pathname.slice(1);
    asked.push(name);
    if (!existsSync(`${folder}/${name}`)) return new Response("no such file", { status: 404 });
    const bytes = readFileSync(`${folder}/${name}`);
    if (name === "SHA256SUMS" || spoil === "nothing") return new Response(bytes);
    if (spoil === "sum") {
      bytes[bytes.length >> 1]! ^= 1;
      return new Response(bytes);
    }
    let sent = 0;
    return new Response(
      new ReadableStream({
        pull(controller) {
          if (sent++ === 0) controller.enqueue(bytes.subarray(0, bytes.length >> 1));
          else if (spoil === "end") controller.close();
          else stalled.resolve();
        },
      }),
      { headers: { "content-length": String(bytes.length) } },
    );
  });
  const from = `http://127.0.0.1:${server.addr.port}`;
  const prefix = `${temporary.path}/prefix`;
  const installed = `${prefix}/bin/task-iter`;
  const install = (path: string, ...words: string[]) =>
    runBeside("sh", [`${folder}/install.sh`, "--from", from, "--prefix", prefix, ...words], { PATH: path });

  for (
    const [tools, kind] of [[["curl", "gzip"], "gz"], [["wget", "zstd"], "zst"], [
      ["curl", "wget", "zstd", "gzip"],
      "zst",
    ]] as const
  ) {
    await test.step(`with ${tools.join(", ")}`, async () => {
      asked = [];
      const { status, stdout, stderr } = await install(commands(temporary.path, tools));
      equal([status, stdout, stderr], [0, `${installed} ${version}\n`, ""]);
      equal(asked, ["SHA256SUMS", `task-iter-${version}-linux-${architecture}.${kind}`]);
      equal(run(installed, ["tables"]), taskIter("tables"));
      equal(statSync(installed).mode & 0o7777, 0o755);
    });
  }

  await test.step("in pieces of which the page cache can make huge pages", async () => {
    const path = commands(temporary.path, ["curl", "zstd"]);
    const log = `${temporary.path}/dd`;
    renameSync(`${path}/dd`, `${path}/real-dd`);
    writeFileSync(`${path}/dd`, `#!/bin/sh\necho "$*" > ${log}\nexec real-dd "$@"\n`, { mode: 0o755 });
    equal((await install(path)).status, 0);
    match(readFileSync(log, "utf8"), / of=\S*\/task-iter bs=2097152$/m);
  });

  const everything = process.env.PATH!;
  const old = "#!/bin/sh\necho the old one\n";
  /** Nothing but the old executable is there. */
  const unchanged = () => {
    equal(readdirSync(`${prefix}/bin`), ["task-iter"]);
    equal(readFileSync(installed, "utf8"), old);
  };
  writeFileSync(installed, old);
  writeFileSync(`${temporary.path}/old`, old);
  for (
    const [how, message] of [
      ["sum", /is not what SHA256SUMS says/],
      ["end", /cannot fetch/],
    ] as const
  ) {
    await test.step(`a download with a wrong ${how}`, async () => {
      spoil = how;
      const { status, stdout, stderr } = await install(everything);
      equal([status, stdout], [1, ""]);
      match(stderr, message);
      unchanged();
    });
  }
  await test.step("a signal while it waits for a server that sends no more", async () => {
    spoil = "stall";
    const words = ["sh", `${folder}/install.sh`, "--from", from, "--prefix", prefix];
    const child = spawn("setsid", words, { stdio: "ignore" }); // a process group of its own, as in a terminal
    const ended = new Promise<number | null>((resolve) => child.once("exit", resolve));
    await stalled.promise;
    process.kill(-child.pid!, "SIGTERM");
    ok(await ended !== 0);
    unchanged();
  });
  await test.step("a full disk", async () => {
    spoil = "nothing";
    // Room for the compressed file, and for half of the executable.
    const sizes = [`${folder}/task-iter-${version}-linux-${architecture}.zst`, `${root}dist/task-iter`].map((path) =>
      statSync(path).size
    );
    const script = `mount -t tmpfs -o size=${
      sizes[0]! + (sizes[1]! >> 1)
    } tmpfs "$1" && mkdir "$1/bin" && cp "$2" "$1/bin/task-iter" &&
      { sh "$3" --from "$4" --prefix "$1"; echo "status $?"; ls -A "$1/bin"; cmp "$2" "$1/bin/task-iter" && echo same; }`;
    const words = ["--mount", "sh", "-c", script, "sh", prefix, `${temporary.path}/old`, `${folder}/install.sh`, from];
    const { stdout, stderr } = await runBeside("unshare", words);
    equal(stdout, "status 1\ntask-iter\nsame\n");
    match(stderr, /cannot unpack .*: is the disk full\?/);
    unchanged();
  });
  await test.step("a wrong command line, and a server without the files", async () => {
    for (
      const [words, message] of [
        [["--what"], /usage/],
        [["--from"], /needs a value/],
        [["--from", `${from}/nowhere`], /cannot fetch/],
      ] as const
    ) {
      const { status, stderr } = await install(everything, ...words);
      equal(status, 1);
      match(stderr, message);
      unchanged();
    }
  });
  closing.abort();
  await server.finished;
});

/** A port that nobody listens on. */
const freePort = () =>
  new Promise<number>((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });

/** A registry of this test's own, with the packages of `folder`; other packages come from the registry that npm is set to. */
class Registry implements AsyncDisposable {
  private constructor(readonly url: string, private readonly stop: () => Promise<void>) {}

  static async start(work: string): Promise<Registry> {
    const verdaccio = once(`${cache}/verdaccio-6.10.4`, (folder) => {
      mkdirSync(folder, { recursive: true });
      // A tag that one of its packages names is not on every mirror.
      const manifest = { private: true, dependencies: { verdaccio: "6.10.4" }, overrides: { "node-fetch": "2.7.0" } };
      writeFileSync(`${folder}/package.json`, JSON.stringify(manifest));
      const { status, stderr } = run("npm", ["install", "--silent", "--no-audit", "--no-fund"], { cwd: folder });
      equal(status, 0, stderr);
    });
    const upstream = run("npm", ["config", "get", "registry"]).stdout.trim();
    const port = await freePort();
    const access = { access: "$all", publish: "$all" };
    const settings = {
      storage: `${work}/storage`,
      max_body_size: "500mb",
      auth: { htpasswd: { file: `${work}/htpasswd`, max_users: -1 } },
      uplinks: { upstream: { url: upstream } },
      packages: { "task-iter*": access, "@*/*": { ...access, proxy: "upstream" }, "**": { ...access, proxy: "upstream" } },
      log: { type: "stdout", format: "json", level: "warn" },
      web: { enable: false },
    };
    writeFileSync(`${work}/config.yaml`, JSON.stringify(settings)); // JSON is YAML
    // By Bun, because verdaccio wants a newer Node.js than that of Debian 12.
    const words = [`${verdaccio}/node_modules/verdaccio/bin/verdaccio`, "--config", `${work}/config.yaml`];
    const child = spawn(bun, [...words, "--listen", `127.0.0.1:${port}`], { stdio: "ignore" });
    const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
    const registry = new Registry(`http://127.0.0.1:${port}/`, async () => {
      child.kill();
      await ended;
    });
    for (;;) {
      if (child.exitCode !== null) throw new Error("the registry has ended");
      const answer = await fetch(`${registry.url}-/ping`).catch(() => undefined);
      await answer?.body?.cancel();
      if (answer?.ok) return registry;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}

Deno.test("the packages of npm give the command, and the library with its types, on Node.js, Bun and Deno", async (test) => {
  const folder = await pieces();
  using temporary = new TemporaryFolder();
  const work = temporary.path;
  await using registry = await Registry.start(work);
  // What the example finds: an open file without a name.
  const path = `${work}/deleted`;
  using _file = Deno.openSync(path, { write: true, create: true });
  Deno.removeSync(path);
  writeFileSync(`${work}/npmrc`, `registry=${registry.url}\n//127.0.0.1:${new URL(registry.url).port}/:_authToken=none\n`);
  // Without the settings that npx gives to this test.
  const inherited = Object.entries(process.env).filter(([name]) => !/^npm_/i.test(name));
  const env = {
    ...Object.fromEntries(inherited),
    HOME: work,
    npm_config_userconfig: `${work}/npmrc`,
    npm_config_cache: `${work}/npm`,
    npm_config_registry: registry.url,
    NPM_CONFIG_REGISTRY: registry.url, // Deno's
    npm_config_update_notifier: "false",
    BUN_INSTALL: `${work}/bun`,
    DENO_DIR: `${work}/deno`,
    DENO_NO_UPDATE_CHECK: "1",
    PATH: `${root}node_modules/.bin:${process.env.PATH}`,
  };
  const must = (command: string, words: readonly string[], cwd: string): Result => {
    const result = run(command, words, { cwd, env });
    equal(result.status, 0, `${command} ${words.join(" ")}: ${result.stdout}${result.stderr}`);
    return result;
  };
  for (const name of readdirSync(folder).filter((name) => name.endsWith(".tgz"))) {
    must("npm", ["publish", `${folder}/${name}`], work);
  }

  const example = readFileSync(`${root}README.md`, "utf8").match(/^## As a library\n+```ts\n([^]*?)^```/m)![1]!;
  const shows = (result: Result) => ok(result.stdout.includes(`${process.pid} ${path} (deleted) 0\n`), result.stdout);
  const runtimes = {
    "Node.js": {
      add: () => ["npm", "install", "--silent", "--no-audit", "--no-fund", "task-iter", "koffi"],
      script: ["node", "example.mjs"],
      command: ["npx", "task-iter"],
    },
    Bun: { add: () => [bun, "add", "--silent", "task-iter"], script: [bun, "example.mjs"], command: [bun, "x", "task-iter"] },
    Deno: {
      add: () => [process.execPath, "add", "--quiet", "npm:task-iter"],
      script: [process.execPath, "run", "--quiet", "-A", "example.mjs"],
      command: [process.execPath, "run", "--quiet", "-A", "npm:task-iter"],
    },
  };
  for (const [name, { add, script, command }] of Object.entries(runtimes)) {
    const place = `${work}/${name}`;
    await test.step(name, () => {
      mkdirSync(place);
      // Deno refuses what was published today, unless told otherwise.
      writeFileSync(
        `${place}/${name === "Deno" ? "deno.json" : "package.json"}`,
        name === "Deno" ? '{ "minimumDependencyAge": 0 }' : "{}",
      );
      const [installer, ...words] = add();
      must(installer!, words, place);
      writeFileSync(`${place}/example.mjs`, example);
      shows(must(script[0]!, script.slice(1), place));
      const ask = (...words: string[]) => run(command[0]!, [...command.slice(1), ...words], { cwd: place, env });
      equal(ask("tables"), taskIter("tables"));
      equal(ask("check", "files", "--pid", String(process.pid), "--crit", "0").status, 2);
    });
  }

  await test.step("the types describe the library", () => {
    const place = `${work}/Node.js`;
    writeFileSync(
      `${place}/right.mts`,
      `${example}\nimport { stream } from "task-iter";\nstream({ table: "tasks" }, "csv").getReader();\n`,
    );
    writeFileSync(`${place}/wrong.mts`, `import { rows } from "task-iter";\nrows({ table: 5 });\n`);
    const diagnose = (file: string) => {
      const program = ts.createProgram([`${place}/${file}`], {
        strict: true,
        noEmit: true,
        module: ts.ModuleKind.NodeNext,
        target: ts.ScriptTarget.ESNext,
        lib: ["lib.esnext.d.ts", "lib.dom.d.ts"],
        types: [],
      });
      return ts.getPreEmitDiagnostics(program).map(({ code, messageText }) =>
        `${code} ${ts.flattenDiagnosticMessageText(messageText, " ")}`
      );
    };
    equal(diagnose("right.mts"), []);
    equal(diagnose("wrong.mts"), ["2322 Type 'number' is not assignable to type 'string'."]);
  });

  await test.step("npm install -g gives the command, which passes signals on", async () => {
    must("npm", ["install", "--silent", "-g", "--prefix", `${work}/global`, "task-iter"], work);
    const command = `${work}/global/bin/task-iter`;
    equal(run(command, ["--version"]).stdout, `${version}\n`);
    const child = spawn(command, ["tasks", "--interval", "1h", "--pid", String(process.pid), "--format", "jsonl"], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const ended = new Promise((resolve) => child.once("exit", (status, signal) => resolve(signal ?? status)));
    await Promise.race([ended, new Promise((resolve) => child.stdout.once("data", resolve))]);
    const program = Number(readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, "utf8"));
    child.kill("SIGTERM");
    const direct = spawn(`${root}dist/task-iter`, [
      "tasks",
      "--interval",
      "1h",
      "--pid",
      String(process.pid),
      "--format",
      "jsonl",
    ], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const directly = new Promise((resolve) => direct.once("exit", (status, signal) => resolve(signal ?? status)));
    await new Promise((resolve) => direct.stdout.once("data", resolve));
    direct.kill("SIGTERM");
    equal(await ended, await directly);
    ok(!existsSync(`/proc/${program}`));
  });

  await test.step("what is missing is said in one line", () => {
    const place = `${work}/missing`;
    mkdirSync(place);
    writeFileSync(`${place}/package.json`, "{}");
    must("npm", ["install", "--silent", "--no-audit", "--no-fund", "--omit=optional", "task-iter"], place);
    const { status, stdout, stderr } = run("npx", ["task-iter", "tables"], { cwd: place, env });
    equal([status, stdout], [3, ""]);
    match(stderr, /^task-iter: the package task-iter-linux-\w+ is not installed: .*\n$/);
    writeFileSync(`${place}/example.mjs`, example);
    match(
      run("node", ["example.mjs"], { cwd: place, env }).stderr,
      /the package koffi: npm install koffi|task-iter-linux-\w+ is not installed/,
    );
  });
});
