// SPDX-License-Identifier: BSD-2-Clause
import { functions, type Runtime, type Shim, type Type } from "./shim.ts";

const types = { u32: "u32", i32: "i32", bytes: "buffer", handle: "pointer", text: "pointer", void: "void" } as const;

/** Deno, by `Deno.dlopen`; needs `--allow-ffi`. */
export const deno: Runtime = {
  open(path) {
    const symbols: Record<string, Deno.ForeignFunction> = {};
    for (const [name, { parameters, result }] of Object.entries(functions)) {
      symbols[`task_iter_${name}`] = {
        parameters: parameters.map((type: Type) => types[type] as Exclude<typeof types[Type], "void">),
        result: types[result],
      };
    }
    const library = Deno.dlopen(path, symbols);
    const shim: Record<string, unknown> = {};
    for (const [name, { result }] of Object.entries(functions)) {
      const call = library.symbols[`task_iter_${name}`] as (...parameters: unknown[]) => unknown;
      shim[name] = result === "text"
        ? (...parameters: unknown[]) => Deno.UnsafePointerView.getCString(call(...parameters) as Deno.PointerObject)
        : call;
    }
    return shim as Shim;
  },
};
