// SPDX-License-Identifier: BSD-2-Clause
import { deepStrictEqual as equal, ok } from "node:assert";
import { readFileSync } from "node:fs";
import { executable, Fixture, type Row, rows } from "./support.ts";

/** /proc/PID/maps as rows; [vsyscall] is no mapping of the process, and the kernel's walk leaves it out. */
function expected(pid: number): Row[] {
  const comm = readFileSync(`/proc/${pid}/comm`, "utf8").trimEnd();
  const lines = readFileSync(`/proc/${pid}/maps`, "utf8").trimEnd().split("\n");
  return lines.filter((line) => !line.endsWith("[vsyscall]")).map((line) => {
    const [range, perms, offset, dev, ino, ...path] = line.split(/ +/);
    const [start, end] = range!.split("-").map((number) => `0x${number.replace(/^0+(?=.)/, "")}`);
    const inFile = dev !== "00:00" || ino !== "0";
    return {
      pid,
      comm,
      start,
      end,
      perms,
      offset: parseInt(offset!, 16),
      dev: inFile ? dev!.split(":").map((part) => parseInt(part, 16)).join(":") : null,
      ino: inFile ? Number(ino) : null,
      path: path.join(" ") || null,
      size_kb: (Number(end) - Number(start)) / 1024,
    };
  });
}

const SHOWN = "pid comm start end perms offset dev ino path";
/** Those of tasks too (containers_test.ts) come after the mapping's own. */
const MORE = "size_kb ppid uid exe cgroup net_ns container pod ns_pid";
const OWN = `--columns=${SHOWN.replaceAll(" ", ",")},size_kb`;

Deno.test("vmas has the columns of its contract, in their order", () => {
  equal(Object.keys(rows("vmas", `--pid=${Deno.pid}`)[0]!).join(" "), SHOWN);
  equal(Object.keys(rows("vmas", `--pid=${Deno.pid}`, "--columns=all")[0]!).join(" "), `${SHOWN} ${MORE}`);
});

Deno.test("vmas shows what /proc/PID/maps shows", async () => {
  await using fixture = await Fixture.start("mappings", executable);
  const shown = rows("vmas", `--pid=${fixture.pid}`, OWN);
  equal(shown, expected(fixture.pid));
  for (const path of ["[heap]", "[stack]", executable, "/dev/zero (deleted)"]) ok(shown.some((row) => row.path === path), path);
});

Deno.test("vmas finds a mapping by an address in it", async () => {
  await using fixture = await Fixture.start("mappings", executable);
  const stack = expected(fixture.pid).find(({ path }) => path === "[stack]")!;
  const predicate = `start <= ${stack.end} && end > ${stack.start} && pid == ${fixture.pid}`;
  equal(rows("vmas", "--where", predicate, OWN).at(-1), stack);
});

Deno.test("vmas shows each mapping once, whatever threads there are", async () => {
  for (const mode of ["exited-leader", "unshared-files"]) {
    await using fixture = await Fixture.start(mode);
    const addresses = rows("vmas", `--pid=${fixture.pid}`, "--columns=start,end");
    equal(
      addresses,
      expected(mode === "exited-leader" ? fixture.facts.tid : fixture.pid).map(({ start, end }) => ({ start, end })),
    );
  }
});

Deno.test("vmas has no rows for a zombie and for threads of the kernel", async () => {
  await using fixture = await Fixture.start("zombie");
  equal(rows("vmas", "--where", `pid in (2, ${fixture.facts.child})`), []);
});
