// SPDX-License-Identifier: BSD-2-Clause
import { dlopen } from "bun:ffi";
import { functions, type Runtime, type Shim } from "./shim.ts";

const types = { u32: "u32", i32: "i32", bytes: "ptr", handle: "ptr", text: "cstring", void: "void" } as const;

/** Bun, by `bun:ffi`. */
export const bun: Runtime = {
  open(path) {
    const symbols: Parameters<typeof dlopen>[1] = {};
    for (const [name, { parameters, result }] of Object.entries(functions)) {
      symbols[`task_iter_${name}`] = { args: parameters.map((type) => types[type]), returns: types[result] };
    }
    const library = dlopen(path, symbols);
    const shim: Record<string, unknown> = {};
    for (const [name, { result }] of Object.entries(functions)) {
      const call = library.symbols[`task_iter_${name}`];
      shim[name] = result === "text" ? (...parameters: unknown[]) => String(call(...parameters)) : call;
    }
    return shim as Shim;
  },
};
