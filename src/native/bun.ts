// SPDX-License-Identifier: BSD-2-Clause
import { dlopen } from "bun:ffi";
import { functions, type Runtime, type Shim } from "./shim.ts";

const types = { u32: "u32", i32: "i32", bytes: "ptr", handle: "ptr", text: "cstring", void: "void" } as const;

/** Bun, by `bun:ffi`. Loops, for the first map() or find() of a process takes 0.05 ms. */
export const bun: Runtime = {
  open(path) {
    const symbols: Parameters<typeof dlopen>[1] = {};
    const names = Object.keys(functions) as (keyof typeof functions)[];
    for (const name of names) {
      const args = [];
      for (const type of functions[name].parameters) args.push(types[type]);
      symbols[`task_iter_${name}`] = { args, returns: types[functions[name].result] };
    }
    const library = dlopen(path, symbols).symbols;
    const shim: Record<string, unknown> = {};
    for (const name of names) {
      const call = library[`task_iter_${name}`]!;
      shim[name] = functions[name].result === "text" ? (...parameters: unknown[]) => String(call(...parameters)) : call;
    }
    return shim as Shim;
  },
};
