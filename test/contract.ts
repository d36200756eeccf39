// SPDX-License-Identifier: BSD-2-Clause
/**
 * What every runtime's adapter must do; adapters_test.ts runs it in Deno, and bundled in Node.js and Bun:
 * `node contract.mjs PID` prints the rows that it read of that process.
 */

import { deepStrictEqual as equal, match, ok, throws } from "node:assert";
import { availableParallelism } from "node:os";
import { libraries, type Row, rows, TaskIterError } from "../src/mod.ts";
import { EINVAL } from "../src/errors.ts";
import { load as loadProgram } from "../src/native/load.ts";
import { cstring, type Handle, type Shim } from "../src/native/shim.ts";
import { plan } from "../src/query/plan.ts";
import { STAMP_SIZE } from "../src/query/layout.gen.ts";
import { LAYOUT } from "../src/query/query.ts";

/** Bytes of a time that jsonl rows can carry, without the NUL. */
const STAMP_MAX = STAMP_SIZE - 1;

const EBADF = 9;

const counts = new BigUint64Array(5);

/** Every step that needs an earlier step, except `done`, fails and names itself. */
function refusesOutOfOrder(shim: Shim, it: Handle, done: readonly string[]): void {
  const steps: Record<string, () => number> = {
    load: () => shim.load(it),
    attach: () => shim.attach(it, 0, 0, 0),
    iter_create: () => shim.create(it),
    netns: () => shim.create_in(it, 0),
    stamp: () => shim.stamp(it, cstring("1")),
    progress: () => shim.progress(it, counts),
    pin: () => shim.pin(it, cstring("/sys/fs/bpf/never")),
    program_size: () => shim.program_size(it),
  };
  for (const [step, call] of Object.entries(steps)) {
    if (done.includes(step)) continue;
    equal(call(), -EINVAL, step);
    equal(shim.error(it), `${step}: Invalid argument`);
  }
}

function takesNoHandle(shim: Shim): void {
  const query = new Uint8Array(LAYOUT & 0xffff);
  equal(shim.configure(null, query, query.length, 0), -EINVAL);
  equal(shim.load(null), -EINVAL);
  equal(shim.begin(null), -EINVAL);
  equal(shim.attach(null, 1, 2, 3), -EINVAL);
  equal(shim.create(null), -EINVAL);
  equal(shim.create_in(null, 0), -EINVAL);
  equal(shim.resume_in(null, 0), -EINVAL);
  equal(shim.stamp(null, cstring("1")), -EINVAL);
  equal(shim.progress(null, counts), -EINVAL);
  equal(shim.pin(null, cstring("/sys/fs/bpf/never")), -EINVAL);
  equal(shim.program_size(null), -EINVAL);
  equal(shim.map_btf(1, null, null, 0), -EINVAL);
  ok(shim.map_btf(0x7fffffff, new Uint32Array(5), new Uint8Array(1), 1) < 0, "a map that does not exist");
  equal(shim.error(null), "no program");
  equal(shim.log(null), "");
  shim.free(null);
}

function opensOnlyPrograms(shim: Shim, program: Uint8Array): void {
  const query = new Uint8Array(LAYOUT & 0xffff);
  const spoiled = new Uint8Array(program);
  spoiled[0]! ^= 1;
  const other = new Uint8Array(program);
  if (program[0] !== 0x7f) other[8]! ^= 4; // of a build whose program files begin in another way; an ELF file has no such field
  else other[0] = 0;
  for (
    const bytes of [new Uint8Array(1), cstring("files_json"), new Uint8Array(10_000), program.subarray(0, 60), spoiled, other]
  ) {
    const it = shim.open(bytes, bytes.length);
    ok(it);
    equal(shim.configure(it, query, query.length, 0), -EINVAL);
    equal(shim.load(it), -EINVAL);
    shim.free(it);
    const again = shim.open(bytes, bytes.length);
    equal(shim.error(again), "open: these bytes are not a program that this library loads");
    equal(shim.configure(again, query, query.length, 0), -EINVAL);
    equal(shim.error(again), "open: these bytes are not a program that this library loads");
    shim.free(again);
  }
  const it = shim.open(null, 0);
  equal(shim.error(it), "open: these bytes are not a program that this library loads");
  shim.free(it);
}

function takesOnlyItsOwnQuery(shim: Shim, it: Handle, query: Uint8Array): void {
  for (const size of [0, 1, query.length - 1, query.length + 1, 0x7fffffff, 0xffffffff]) {
    equal(shim.configure(it, query, size, 0), -EINVAL, `${size} bytes`);
    equal(shim.error(it), "configure: Invalid argument");
  }
  equal(shim.configure(it, null, query.length, 0), -EINVAL);
}

/** What one pass reads, `size` bytes at a time. */
function readAll(shim: Shim, it: Handle, fd: number, size: number): string {
  const buffer = new Uint8Array(size + 2).fill(0x21);
  const decoder = new TextDecoder();
  let text = "";
  for (;;) {
    // Only the array's part of its buffer may change: neither the bytes before nor the bytes after.
    const read = shim.read(it, fd, buffer.subarray(1, size + 1), size);
    ok(read >= 0);
    if (read === 0) break;
    text += decoder.decode(buffer.subarray(1, read + 1), { stream: true });
  }
  equal([buffer[0], buffer[size + 1]], [0x21, 0x21]);
  equal(shim.close(fd), 0);
  equal(shim.read(it, fd, buffer, size), -EBADF);
  equal(shim.write(it, fd, buffer, size), -EBADF);
  match(shim.error(it), /^write: /);
  equal(shim.write(it, fd, null, size), -EINVAL);
  equal(shim.close(fd), -EBADF);
  return text;
}

function readsATable(shim: Shim, program: Uint8Array, pid: number): void {
  const it = shim.open(program, program.length);
  ok(it);
  const { query } = plan({ table: "files", pid, columns: ["fd", "path"] }, "jsonl", true).request;
  equal(shim.error(it), "");
  refusesOutOfOrder(shim, it, []);
  takesOnlyItsOwnQuery(shim, it, query);
  refusesOutOfOrder(shim, it, []);
  equal(shim.configure(it, query, query.length, 1), 0);
  refusesOutOfOrder(shim, it, ["load"]);
  equal(shim.load(it), 0);
  equal(shim.load(it), -EINVAL);
  equal(shim.configure(it, query, query.length, 0), -EINVAL);
  match(shim.log(it), /processed [0-9]+ insns/);
  ok(shim.program_size(it) > 0);
  equal(shim.create(it), -EINVAL);
  equal(shim.pin(it, cstring("/sys/fs/bpf/never")), -EINVAL);
  equal(shim.progress(it, null), -EINVAL);
  equal(shim.stamp(it, null), -EINVAL);
  equal(shim.stamp(it, cstring("1".repeat(STAMP_MAX + 1))), -EINVAL);
  ok(shim.attach(it, 0, 0, 0x7fffffff) < 0, "a map that does not exist");
  match(shim.error(it), /^map: /);
  equal(shim.attach(it, pid, 0, 0), 0);
  equal(shim.attach(it, pid, 0, 0), 0);
  ok(shim.pin(it, cstring("/proc/self/never")) < 0, "a pin outside bpffs");
  match(shim.error(it), /^pin: /);
  equal(shim.pin(it, null), -EINVAL);

  const passes = ["1".repeat(STAMP_MAX), '"now"'].map((time) => {
    equal(shim.stamp(it, cstring(time)), 0);
    const fd = shim.create(it);
    ok(fd >= 0);
    const text = readAll(shim, it, fd, time.length === STAMP_MAX ? 1 : 1000);
    const lines = text.split("\n").slice(0, -1);
    equal(shim.progress(it, counts), 0);
    equal(Number(counts[1]), lines.length);
    ok(counts[0]! >= counts[1]!);
    return lines.map((line) => {
      ok(line.startsWith(`{"t":${time},`), line);
      return line.slice(`{"t":${time},`.length);
    });
  });
  ok(passes[0]!.length > 3);
  equal(passes[0], passes[1]);
  shim.free(it);
}

/** Two handles do not affect each other, not even when they are loaded at the same time. */
function holdsSeveral(shim: Shim, program: Uint8Array, pid: number): void {
  const handles = [pid, 0x7ffffff0].map((pid) => {
    const it = shim.open(program, program.length);
    const { query } = plan({ table: "files", pid, columns: ["fd"] }, "jsonl").request;
    equal(shim.begin(it), -EINVAL);
    equal(shim.configure(it, query, query.length, 0), 0);
    equal(shim.begin(it), 0);
    return it;
  });
  for (const it of handles) {
    equal(shim.load(it), 0);
    equal(shim.attach(it, 0, 0, 0), 0);
  }
  const [own, other] = handles.map((it) => readAll(shim, it!, shim.create(it), 4096));
  match(own!, /^\{"fd":0\}\n/);
  equal(other, "");
  for (const it of handles) shim.free(it);
}

/** Each of more loads than there are processors gets its turn, also where others are freed before theirs. */
function takesTurns(shim: Shim, program: Uint8Array): void {
  const { query } = plan({ table: "files", columns: ["fd"] }, "jsonl").request;
  const handles = Array.from({ length: 2 * availableParallelism() + 3 }, () => {
    const it = shim.open(program, program.length);
    equal(shim.configure(it, query, query.length, 0), 0);
    equal(shim.begin(it), 0);
    return it;
  });
  const last = handles.pop()!;
  for (const it of handles.slice(2)) shim.free(it);
  for (const it of [last, ...handles.slice(0, 2)]) {
    equal(shim.load(it), 0);
    shim.free(it);
  }
}

/** No function of a library from another build is called. */
function refusesAnotherLayout(shim: Shim): void {
  for (const version of [LAYOUT + 1, LAYOUT - 1, LAYOUT + (1 << 16), 0]) {
    const other = new Proxy(shim, {
      get(_, name: keyof Shim) {
        if (name === "version") return () => version;
        throw new Error(`${name} was called`);
      },
    });
    throws(() => loadProgram({ ...libraries, open: () => other }, plan({ table: "files" }, "json").request), (error) => {
      ok(error instanceof TaskIterError);
      equal(error.step, "open");
      match(error.message, /query layout is [0-9]+ of [0-9]+ bytes, this program's [0-9]+ of [0-9]+ bytes: build both anew/);
      return true;
    });
  }
}

/** Runs all checks. @returns the rows of `pid`, which must be the same in every runtime */
export function contract(pid: number): Row[] {
  for (const [name, file] of [["light.so", "files.json.light"], ["libbpf.so", "files.json.bounded.bpf.o"]] as const) {
    const shim = libraries.open(name);
    const program = libraries.program(file);
    equal(shim.version(), LAYOUT);
    takesNoHandle(shim);
    opensOnlyPrograms(shim, program);
    readsATable(shim, program, pid);
    holdsSeveral(shim, program, pid);
    takesTurns(shim, program);
    refusesAnotherLayout(shim);
  }
  throws(() => libraries.open("no-such-library.so"));
  throws(() => libraries.program("no-such-program"));
  throws(() => [...rows({ table: "file" })], { name: "UsageError" });
  throws(() => [...rows({ table: "files", where: "fd ==" })], { name: "WhereError" });
  return [
    ...rows({ table: "files", pid, columns: ["all"] }),
    ...rows({ table: "stacks", pid, columns: ["comm", "tid", "state", "depth", "frames"] }),
  ];
}

if (!("Deno" in globalThis)) console.log(JSON.stringify(contract(Number(process.argv[2]))));
