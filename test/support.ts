// SPDX-License-Identifier: BSD-2-Clause
/** What the tests share: the executable, fixture processes, temporary folders. */

import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { EPERM, TaskIterError } from "../src/errors.ts";
import { libraries } from "../src/mod.ts";
import { load } from "../src/native/load.ts";
import { plan } from "../src/query/plan.ts";

export const root = new URL("..", import.meta.url).pathname;
export const executable = `${root}dist/task-iter`;

export interface Result {
  status: number | null;
  stdout: string;
  stderr: string;
}

/** Runs a command to its end. */
export function run(
  command: string,
  args: readonly string[],
  options: { cwd?: string; input?: string; env?: NodeJS.ProcessEnv } = {},
): Result {
  const { status, stdout, stderr, error } = spawnSync(command, args, { encoding: "utf8", maxBuffer: 1 << 30, ...options });
  if (error) throw error;
  return { status, stdout, stderr };
}

/** What the command writes to a terminal of 100 by 10. */
export function onTerminal(command: string, env: Record<string, string> = {}): string {
  const { status, stdout } = run("script", ["-qec", `stty cols 100 rows 10; ${command}`, "/dev/null"], {
    env: { ...process.env, TERM: "xterm", ...env },
    input: "",
  });
  if (status !== 0) throw new Error(`${command} on a terminal ended with ${status}: ${stdout}`);
  return stdout.replaceAll("\r\n", "\n");
}

/** Runs task-iter to its end. */
export const taskIter = (...args: string[]): Result => run(executable, args);

/** A row of JSON. */
// deno-lint-ignore no-explicit-any
export type Row = Record<string, any>;

/** The rows of `task-iter ARGS --format=json`; throws when it fails. */
export function rows(...args: string[]): Row[] {
  const { status, stdout, stderr } = taskIter("--format=json", ...args);
  if (status !== 0) throw new Error(`task-iter ${args.join(" ")} ended with ${status}: ${stderr}`);
  return JSON.parse(stdout);
}

/** Why tests that walk over the elements of maps are left out: some hosts refuse these iterators, to everybody. */
export const noElements = (() => {
  try {
    load(libraries, { ...plan({ table: "elems", map: 1 }, "csv").request, libbpf: false }).close();
  } catch (error) {
    if (error instanceof TaskIterError && error.step === "load" && error.errno === EPERM) {
      return " (skipped: this host refuses iterators over the elements of maps)";
    }
  }
  return "";
})();

/** A test that walks over the elements of maps. */
export const elementsTest = (name: string, fn: () => void | Promise<void>): void =>
  Deno.test({ name: name + noElements, ignore: noElements !== "", fn });

/** Where the v2 hierarchy of control groups is mounted. */
export const cgroupRoot = readFileSync("/proc/self/mounts", "utf8").split("\n").map((line) => line.split(" "))
  .find((mount) => mount[2] === "cgroup2")?.[1] ?? "/sys/fs/cgroup";

/** The program of test/fixture, built when one of its files is newer than the built program. */
export function fixtureProgram(): string {
  const folder = `${root}test/fixture/`;
  const files = readdirSync(folder).map((name) => folder + name);
  const program = `${root}build/fixture`;
  const built = statSync(program, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  if (files.some((file) => built < statSync(file).mtimeMs)) {
    const sources = files.filter((file) => file.endsWith(".c"));
    const args = ["-O1", "-g", "-Wall", "-Wextra", "-Werror", "-D_GNU_SOURCE", "-pthread", ...sources, "-o", program];
    const { status, stderr } = run("clang-19", args);
    if (status !== 0) throw new Error(stderr);
  }
  return program;
}

/**
 * A process of test/fixture: it sets up what its mode says, prints one line of JSON and waits until its standard input ends.
 *
 * ```ts
 * await using fixture = await Fixture.start("names");
 * ```
 */
export class Fixture implements AsyncDisposable {
  private constructor(private readonly child: ChildProcessWithoutNullStreams, readonly pid: number, readonly facts: Row) {}

  static start(mode: string, ...args: string[]): Promise<Fixture> {
    const child = spawn(fixtureProgram(), [mode, ...args]);
    let output = "";
    return new Promise((resolve, reject) => {
      child.stdout.on("data", function ready(data) {
        output += data;
        if (!output.endsWith("\n")) return;
        child.stdout.off("data", ready);
        resolve(new Fixture(child, child.pid!, JSON.parse(output)));
      });
      let errors = "";
      child.stderr.on("data", (data) => errors += data);
      child.on("exit", (code) => reject(new Error(`fixture ${mode} ended with ${code}: ${errors}`)));
    });
  }

  /** Waits until every thread waits for its end: from then on its stacks are the same. */
  async settle(): Promise<void> {
    const waits = (tid: string) => {
      const task = `/proc/${this.pid}/task/${tid}`;
      return / [SZ] /.test(readFileSync(`${task}/stat`, "latin1").split(")").at(-1)!.slice(0, 4)) &&
        /_read\+|_pause\+|_poll\+|^$/.test(readFileSync(`${task}/stack`, "latin1"));
    };
    while (!readdirSync(`/proc/${this.pid}/task`).every(waits)) await new Promise((resolve) => setTimeout(resolve, 2));
  }

  /** Sends one line to its standard input. @returns the answer */
  tell(line: string): Promise<Row> {
    return new Promise((resolve) => {
      this.child.stdout.once("data", (data) => resolve(JSON.parse(String(data))));
      this.child.stdin.write(line + "\n");
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = new Promise((resolve) => this.child.once("exit", resolve));
    if (this.child.exitCode !== null) return;
    this.child.stdin.end();
    await ended;
  }
}

/** A folder that is removed afterwards. */
export class TemporaryFolder implements Disposable {
  readonly path = mkdtempSync(`${tmpdir()}/task-iter-test-`);

  [Symbol.dispose](): void {
    for (let tries = 0;; tries++) {
      try {
        return rmSync(this.path, { recursive: true, force: true });
      } catch (error) {
        // A process of a browser that has just ended may still make a file meanwhile.
        if ((error as NodeJS.ErrnoException).code !== "ENOTEMPTY" || tries === 50) throw error;
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100);
      }
    }
  }
}
