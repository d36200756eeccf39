// SPDX-License-Identifier: BSD-2-Clause
import { dlopen } from "bun:ffi";
import { functions, type Runtime, type Shim } from "./shim.ts";

const types = { u32: "u32", i32: "i32", bytes: "ptr", handle: "ptr", text: "cstring", void: "void" } as const;

type Name = keyof Shim;

/**
 * Functions that a plain read does not call. The first call of one of them binds them all: binding takes 8 µs of a start for each
 * function. The file at the path may have changed by then, but the dynamic linker identifies a loaded library by its path alone.
 */
const isRare = (name: Name): boolean => {
  switch (name) {
    case "attach_cgroups":
    case "begin":
    case "create_in":
    case "fill":
    case "interrupts":
    case "log":
    case "lost":
    case "map_btf":
    case "pin":
    case "pinned":
    case "program_size":
    case "resume":
    case "resume_in":
    case "stage":
    case "stamp":
    case "wait":
      return true;
  }
  return false;
};

const names = Object.keys(functions) as Name[];

/** Loops, because the first map() or find() of a process takes 0.05 ms. */
function bind(path: string, rare: boolean, shim: Record<string, unknown>): void {
  const symbols: Parameters<typeof dlopen>[1] = {};
  for (const name of names) {
    if (isRare(name) !== rare) continue;
    const args = [];
    for (const type of functions[name].parameters) args.push(types[type]);
    symbols[`task_iter_${name}`] = { args, returns: types[functions[name].result] };
  }
  const library = dlopen(path, symbols).symbols;
  for (const name of names) {
    if (isRare(name) !== rare) continue;
    const call = library[`task_iter_${name}`]!;
    shim[name] = functions[name].result === "text" ? (...parameters: unknown[]) => String(call(...parameters)) : call;
  }
}

/** Bun, by `bun:ffi`. */
export const bun: Runtime = {
  open(path) {
    const shim: Record<string, unknown> = {};
    bind(path, false, shim);
    for (const name of names) {
      if (!isRare(name)) continue;
      shim[name] = (...parameters: unknown[]) => {
        bind(path, true, shim);
        return (shim[name] as (...parameters: unknown[]) => unknown)(...parameters);
      };
    }
    return shim as Shim;
  },
};
