// SPDX-License-Identifier: BSD-2-Clause
/**
 * The C library `libbpf-shim` as TypeScript sees it: its functions, declared once, and what a runtime must provide to call them.
 * `bun.ts`, `deno.ts` and `node.ts` are those runtimes.
 */

import { type Step, TaskIterError } from "../errors.ts";

/** How a value crosses: `bytes` is a buffer's address (`null` for NULL), `handle` an opaque pointer, `text` a C string returned. */
export type Type = "u32" | "i32" | "bytes" | "handle" | "text" | "void";

/** libbpf-shim/shim.h; the names are without their prefix `task_iter_`. */
export const functions = {
  version: { parameters: [], result: "u32" },
  open: { parameters: ["bytes", "u32"], result: "handle" }, // const void *program, size
  configure: { parameters: ["handle", "bytes", "u32", "u32"], result: "i32" }, // query, size, verbose
  begin: { parameters: ["handle"], result: "i32" },
  load: { parameters: ["handle"], result: "i32" },
  attach: { parameters: ["handle", "u32", "u32", "u32"], result: "i32" }, // pid, tid, map_id
  attach_cgroups: { parameters: ["handle"], result: "i32" },
  create: { parameters: ["handle"], result: "i32" },
  resume: { parameters: ["handle"], result: "i32" },
  stage: { parameters: ["handle", "u32"], result: "i32" }, // enum stage
  read: { parameters: ["handle", "i32", "bytes", "u32"], result: "i32" }, // int fd, void *buffer, size
  write: { parameters: ["handle", "i32", "bytes", "u32"], result: "i32" }, // int fd, const void *bytes, size
  close: { parameters: ["i32"], result: "i32" }, // int fd
  create_in: { parameters: ["handle", "u32"], result: "i32" }, // netns, a descriptor
  resume_in: { parameters: ["handle", "u32"], result: "i32" }, // the same
  fill: { parameters: ["handle", "u32", "bytes", "u32"], result: "i32" }, // variable, const void *bytes, size
  stamp: { parameters: ["handle", "bytes"], result: "i32" }, // const char *text
  progress: { parameters: ["handle", "bytes"], result: "i32" }, // __u64 out[5]
  lost: { parameters: ["handle"], result: "i32" },
  pin: { parameters: ["handle", "bytes"], result: "i32" }, // const char *path
  program_size: { parameters: ["handle"], result: "i32" },
  pinned: { parameters: ["bytes", "bytes", "u32"], result: "i32" }, // const char *path, char *out, size
  map_btf: { parameters: ["u32", "bytes", "bytes", "u32"], result: "i32" }, // map_id, __u32 out[5], void *btf, size
  interrupts: { parameters: ["handle"], result: "i32" },
  wait: { parameters: ["handle", "i32", "u32", "i32"], result: "i32" }, // fd, bytes, us
  error: { parameters: ["handle"], result: "text" },
  log: { parameters: ["handle"], result: "text" },
  free: { parameters: ["handle"], result: "void" },
} as const satisfies Record<string, { parameters: readonly Type[]; result: Type }>;

/** A `struct task_iter *`; each runtime has its own JavaScript value for it. */
export type Handle = { readonly handle: unique symbol };

type Value<T extends Type> = T extends "u32" | "i32" ? number
  : T extends "bytes" ? Uint8Array | Uint32Array | BigUint64Array | null
  : T extends "handle" ? Handle | null
  : T extends "text" ? string
  : void;

type Values<Types extends readonly Type[]> = { -readonly [I in keyof Types]: Value<Types[I]> };

type Functions = typeof functions;

/** The library's functions, ready to call. */
export type Shim = {
  [Name in keyof Functions]: (...parameters: Values<Functions[Name]["parameters"]>) => Value<Functions[Name]["result"]>;
};

/** What a runtime provides. */
export interface Runtime {
  /** The functions of the library at `path`. Throws when it cannot be loaded. */
  open(path: string): Shim;
}

/** Returns `result` unless it is a negative errno. @throws {TaskIterError} the shim's message about the failure of `step` */
export function check(shim: Shim, handle: Handle, step: Step, result: number): number {
  if (result >= 0) return result;
  throw new TaskIterError(step, -result, shim.error(handle), shim.log(handle));
}

/** A C string. */
export function cstring(text: string): Uint8Array {
  return new TextEncoder().encode(text + "\0");
}
