// SPDX-License-Identifier: BSD-2-Clause
import { functions, type Runtime, type Shim } from "./shim.ts";

const { default: koffi } = await import("koffi").catch((cause) => {
  throw new Error("on Node.js task-iter calls C functions by the package koffi: npm install koffi", { cause });
});

const types = { u32: "uint32", i32: "int32", bytes: "void *", handle: "void *", text: "const char *", void: "void" };

/** Node.js, by koffi. */
export const node: Runtime = {
  open(path) {
    const library = koffi.load(path);
    const shim: Record<string, unknown> = {};
    for (const [name, { parameters, result }] of Object.entries(functions)) {
      shim[name] = library.func(`task_iter_${name}`, types[result], parameters.map((type) => types[type]));
    }
    return shim as Shim;
  },
};
