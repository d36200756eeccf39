#!/usr/bin/env node
// SPDX-License-Identifier: BSD-2-Clause
// Runs the executable in this machine's package, task-iter-PLATFORM-CPU, with the same words, signals and exit status.
import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import process from "node:process";

const name = `task-iter-${process.platform}-${process.arch}`;
let executable;
try {
  executable = createRequire(import.meta.url).resolve(`${name}/bin/task-iter`);
} catch {
  console.error(
    `task-iter: the package ${name} is not installed: task-iter runs on Linux with glibc, x64 and arm64, ` +
      "and must be installed with its optional dependencies",
  );
  process.exit(3);
}
const child = spawn(executable, process.argv.slice(2), { stdio: "inherit" });
const signals = ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGWINCH"];
for (const signal of signals) process.on(signal, () => child.kill(signal));
child.on("error", (error) => {
  console.error(`task-iter: cannot run ${executable}: ${error.message}`);
  process.exit(3);
});
child.on("exit", (status, signal) => {
  for (const name of signals) process.removeAllListeners(name);
  if (signal) process.kill(process.pid, signal);
  else process.exit(status);
});
