// SPDX-License-Identifier: BSD-2-Clause
/** Loads the program for a request: by its loader program, or by libbpf on kernels that cannot run one. */

import { E2BIG, EMFILE, ENFILE, EOPNOTSUPP, EPERM, TaskIterError } from "../errors.ts";
import { LAYOUT } from "../query/query.ts";
import { FILLED, type Request, writerOf } from "../query/request.ts";
import { before, hasBtf, kernelHas, release } from "./kernel.ts";
import { Program } from "./program.ts";
import { check, type Handle, type Shim } from "./shim.ts";
import { Walk } from "./walk.ts";

/** The files that the build has made: in the executable, or in a folder. */
export interface Libraries {
  /** Opens a library by its name. */
  open(name: string): Shim;
  /** The bytes of a program, by the name of its file. */
  program(name: string): Uint8Array;
  /** The handle of the light program for the request, where its load has begun (ahead.ts). */
  begun?(request: Request): Handle | undefined;
}

/** The library that loads the programs of {@linkcode programOf}. */
export const LIGHT = "light.so";

type Question = Pick<Request, "table" | "format" | "plain" | "narrowed" | "wide" | "full">;

/** The file of the program for `request`, with its loader program. */
export const programOf = ({ table, format, plain, narrowed, wide, full }: Question): string =>
  `${table}.${writerOf(format)}${wide ? ".wide" : full ? ".full" : plain || narrowed ? ".plain" : ""}.light`;

/** Whether the executable has the file as it is: to decompress the library and a program takes 0.5 ms of a start. */
export const isStored = (name: string): boolean =>
  name === LIGHT || name.endsWith(".json.plain.light") || name.endsWith(".text.plain.light");

/**
 * Whether a walk can be narrowed to a thread: from 6.1 to 6.11 the kernel took its number for a process's and found only leaders
 * (9495a5b731fc, "bpf: Fix iter/task tid filtering").
 */
const findsThreads = (): boolean => !before(release(), "6.12");

/** Whether programs can write symbols to strings, by bpf_snprintf. Without BTF the load fails and says so. */
const comparesSymbols = (): boolean => !before(release(), "5.13") || !hasBtf() || kernelHas("BPF_FUNC_snprintf");

/** Whether a loader program has loaded its program, in this process. */
let lightWorks = false;

/**
 * Opens, configures, loads and attaches.
 *
 * @throws {TaskIterError} a step was refused
 */
export function load(libraries: Libraries, request: Request): Program {
  if (request.compared !== undefined && !comparesSymbols()) {
    // Every symbol would be absent in the program (bpf/engine/symbol.h), and no row would match.
    throw new TaskIterError(
      "configure",
      EOPNOTSUPP,
      `kernel ${release()} cannot compare the symbols of ${request.compared} (Linux 5.13 or later): leave that column out${
        request.finish || request.changes ? "" : " of --where"
      }`,
    );
  }
  if (request.decode) {
    const fill = decoded(libraries.open(request.libbpf ? "libbpf.so" : LIGHT), request);
    return load(libraries, { ...request, decode: undefined, ...(fill && { full: true, fill: { ...request.fill, ...fill } }) });
  }
  if (!request.libbpf) {
    try {
      const shim = libraries.open(LIGHT);
      const begun = libraries.begun?.(request);
      return start(shim, begun ?? configured(shim, libraries.program(programOf(request)), request, true), request, true);
    } catch (error) {
      if (request.narrowed && error instanceof TaskIterError && error.step === "attach" && error.errno === E2BIG) {
        return load(libraries, { ...request, narrowed: undefined });
      }
      // Before 5.11 maps count against RLIMIT_MEMLOCK, and EPERM may mean that the limit is reached; libbpf raises the limit.
      if (!(error instanceof TaskIterError) || error.step !== "load" || request.libbpf === false) throw error;
      // libbpf needs more descriptors, and would fail with a less clear reason.
      if (error.errno === EMFILE || error.errno === ENFILE) throw error;
      // Loader programs work here: this program is what the kernel refuses.
      if (error.errno === EPERM && lightWorks && !before(release(), "5.11")) throw error;
    }
  }
  const bounded = libraries.program(`${request.table}.${writerOf(request.format)}.bounded.bpf.o`);
  const shim = libraries.open("libbpf.so");
  return start(shim, configured(shim, bounded, request, false), request, false);
}

/** The data to decode a map's elements with. A map without BTF, or one that has gone by now, has none. */
function decoded(shim: Shim, { decode, map = 0 }: Request): Request["fill"] {
  const facts = new Uint32Array(5);
  let btf = new Uint8Array(1 << 16);
  let length = shim.map_btf(map, facts, btf, btf.length);
  if (length > btf.length) {
    btf = new Uint8Array(length);
    length = shim.map_btf(map, facts, btf, btf.length);
  }
  if (length <= 0 || length > btf.length) return undefined;
  const [type = 0, key = 0, value = 0, keySize = 0, valueSize = 0] = facts;
  return decode?.({ type, key, value, keySize, valueSize }, btf.subarray(0, length));
}

/** The query for a light program. */
export const lightQuery = ({ narrowed, query }: Request): Uint8Array => narrowed ?? query;

/** A handle that only has to be loaded. @throws {TaskIterError} these are not the files of this build, or memory is short */
export function configured(shim: Shim, bytes: Uint8Array, request: Request, isLight: boolean): Handle {
  const version = shim.version();
  if (version !== LAYOUT) {
    const [have, want] = [version, LAYOUT].map((layout) => `${layout >>> 16} of ${layout & 0xffff} bytes`);
    throw new TaskIterError("open", 0, `the library's query layout is ${have}, this program's ${want}: build both anew`);
  }
  const handle = shim.open(bytes, bytes.length);
  if (!handle) throw new TaskIterError("open", 0, "no memory");
  const verbosity = request.verbose === "numbers" ? 4 : request.verbose ? 1 : 0;
  const query = isLight ? lightQuery(request) : request.query;
  try {
    check(shim, handle, "configure", shim.configure(handle, query, query.length, verbosity));
    return handle;
  } catch (error) {
    shim.free(handle);
    throw error;
  }
}

/** Loads and attaches. */
function start(shim: Shim, handle: Handle, request: Request, isLight: boolean): Program {
  const narrows = isLight && request.narrowed !== undefined;
  try {
    check(shim, handle, "load", shim.load(handle));
    lightWorks ||= isLight;
    for (const name of request.fill ? FILLED : []) {
      const bytes = request.fill?.[name];
      if (bytes) check(shim, handle, "configure", shim.fill(handle, FILLED.indexOf(name), bytes, bytes.length));
    }
    const log = request.verbose ? shim.log(handle) : "";
    const map = request.map ?? 0;
    const tid = request.tid && findsThreads() ? request.tid : 0;
    let result = request.cgroups ? shim.attach_cgroups(handle) : shim.attach(handle, request.pid ?? 0, tid, map);
    // Before 6.1 a walk has no arguments.
    if (result === -E2BIG && !map && !narrows) result = shim.attach(handle, 0, 0, 0);
    check(shim, handle, "attach", result);
    return new Program(shim, handle, isLight, log, new Walk(shim, handle, request));
  } catch (error) {
    shim.free(handle);
    throw error;
  }
}
