// SPDX-License-Identifier: BSD-2-Clause
/** The tables of BPF objects, kernel symbols, slab caches and DMA buffers, against bpftool and the kernel's own files. */

import { deepStrictEqual as equal, match, ok } from "node:assert";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync } from "node:fs";
import { explain } from "../src/cli/explain.ts";
import { libraries } from "../src/mod.ts";
import { hasIterator } from "../src/native/kernel.ts";
import { load } from "../src/native/load.ts";
import { TaskIterError } from "../src/errors.ts";
import { countCpus } from "../src/query/cpus.ts";
import { MAP_TYPES, plan } from "../src/query/plan.ts";
import { tables } from "../src/query/schema.ts";
import { cgroupRoot, elementsTest, Fixture, type Row, rows, run, taskIter } from "./support.ts";

/** What `bpftool ARGS -j` says. */
function bpftool(...args: string[]): Row {
  const { status, stdout, stderr } = run("bpftool", ["-j", ...args]);
  if (status !== 0) throw new Error(`bpftool ${args.join(" ")}: ${stderr}`);
  return JSON.parse(stdout);
}

/** Bytes as bpftool writes them, ["0x01", "0xff"], as digits. */
const digits = (bytes: string[]): string => bytes.map((byte) => byte.slice(2).padStart(2, "0")).join("");

const cpus = () => countCpus(readFileSync("/sys/devices/system/cpu/possible", "utf8"));

/** Of the process that holds an object: see owners_test.ts. */
const OWNER = "pid comm fd owners exe container pod ns_pid";

const COLUMNS: Record<string, string> = {
  maps: `id type name key_size value_size max_entries flags | refcnt frozen btf_id memory ${OWNER}`,
  elems: "key value |",
  progs:
    `id type name tag attach_func | verified_insns jited_len xlated_len load_ns btf_id sleepable run_cnt run_time_ns map_ids ${OWNER}`,
  links: `id type prog_id | attach_type target target_id ifindex cgroup_id netns_ino pf hook priority ${OWNER}`,
  "sk-storage": "ino value |",
  sockmap: "key family state local_addr local_port remote_addr remote_port | ino",
  ksyms: "name type module |",
  slabs: "name object_size size align objects_per_slab | flags order active_objs num_objs num_slabs memory",
  dmabufs: "ino size name exporter |",
};

/** All columns but the owner's. */
const ofObject = (table: string): string =>
  `--columns=${COLUMNS[table]!.replace(` ${OWNER}`, "").split(/[ |]+/).filter(Boolean).join(",")}`;

for (const [table, columns] of Object.entries(COLUMNS)) {
  Deno.test(`${table} has its columns, no more and no less`, () => {
    const listed = rows("tables", table);
    const names = (shown: boolean) => listed.filter((column) => column.default === shown).map(({ column }) => column);
    equal(`${names(true).join(" ")} | ${names(false).join(" ")}`.trim(), columns);
  });
}

Deno.test("maps shows what bpftool shows of each map, with the references that the map's own process counts", async () => {
  await using fixture = await Fixture.start("maps");
  for (const [what, id] of Object.entries(fixture.facts)) {
    const expected = bpftool("map", "show", "id", String(id));
    equal(rows("maps", ofObject("maps"), "--where", `id == ${id}`), [{
      id,
      type: expected.type,
      name: expected.name,
      key_size: expected.bytes_key,
      value_size: expected.bytes_value,
      max_entries: expected.max_entries,
      flags: expected.flags,
      refcnt: 1,
      frozen: what === "frozen",
      btf_id: null,
      memory: what === "stack" ? null : memlock(fixture.pid, id),
    }]);
  }
});

Deno.test("a map that is made between a walk's last two reads is counted as a row of its own", async () => {
  using program = load(libraries, plan({ table: "maps", columns: ["id"] }, "jsonl").request);
  const [{ walk }, buffer, decoder] = [program, new Uint8Array(1 << 16), new TextDecoder()];
  walk.begin();
  let text = decoder.decode(buffer.subarray(0, walk.fill(buffer, 0, 1)));
  const { rows: before } = walk.progress();
  equal(before, text.trimEnd().split("\n").length);
  await using fixture = await Fixture.start("maps");
  while (!walk.ended) text += decoder.decode(buffer.subarray(0, walk.fill(buffer, 0, 1)));
  const ids = text.trimEnd().split("\n").map((line) => JSON.parse(line).id);
  const made = Object.values(fixture.facts);
  equal(made.filter((id) => ids.includes(id)), made);
  equal(walk.progress(), { walked: ids.length, rows: ids.length });
});

/** What the kernel says in fdinfo of a map that the process has open. */
function memlock(pid: number, id: number): number {
  for (const fd of readdirSync(`/proc/${pid}/fdinfo`)) {
    const info = readFileSync(`/proc/${pid}/fdinfo/${fd}`, "utf8");
    if (new RegExp(`^map_id:\\s*${id}$`, "m").test(info)) return Number(/^memlock:\s*(\d+)$/m.exec(info)![1]);
  }
  throw new Error(`process ${pid} has no map ${id} open`);
}

Deno.test("maps shows the memory that the kernel counts, of arrays and hashes of every kind", async () => {
  await using fixture = await Fixture.start("all-maps");
  const shown = new Map(rows("maps", "--columns=id,memory,type").map((row) => [row.id, row]));
  for (const id of fixture.facts.counted) {
    equal({ ...shown.get(id)!, memory: memlock(fixture.pid, id) }, shown.get(id));
    ok(shown.get(id)!.memory > 0);
  }
  for (const id of fixture.facts.others) equal(shown.get(id)!.memory, null);
  const [id] = fixture.facts.counted;
  equal(rows("maps", "--columns=id", "--where", `id == ${id} && memory == ${memlock(fixture.pid, id)}`), [{ id }]);
});

Deno.test("maps gives a map's BTF, and words for types in the predicate", async () => {
  await using fixture = await Fixture.start("socket-maps");
  const { storage, btf, sockmap } = fixture.facts;
  const found = rows("maps", "--columns=id,btf_id", "--where", "type in (sk_storage, sockmap) && name ~ fixture_*");
  equal(found, [{ id: storage, btf_id: btf }, { id: sockmap, btf_id: null }]);
});

Deno.test("progs shows what bpftool and the kernel's own description of each program say", async () => {
  await using fixture = await Fixture.start("programs");
  for (const name of ["filter", "sleeper", "lookup", "caller"]) {
    const facts = fixture.facts[name];
    const expected = bpftool("prog", "show", "id", String(facts.id));
    equal(rows("progs", ofObject("progs"), "--where", `id == ${facts.id}`), [{
      id: facts.id,
      type: expected.type,
      name: expected.name,
      tag: expected.tag,
      attach_func: null,
      verified_insns: facts.verified_insns,
      jited_len: expected.bytes_jited,
      xlated_len: expected.bytes_xlated,
      load_ns: facts.load_ns,
      btf_id: null,
      sleepable: name === "sleeper",
      run_cnt: expected.run_cnt ?? 0,
      run_time_ns: expected.run_time_ns ?? 0,
      map_ids: expected.map_ids ?? [],
    }]);
  }
});

Deno.test("progs counts runs on every CPU where the kernel does, and lists maps, as bpftool does", async () => {
  await using fixture = await Fixture.start("programs");
  const { counted, maps } = fixture.facts;
  const shown = () => rows("progs", "--columns=run_cnt,run_time_ns,map_ids", "--where", `id == ${counted}`)[0]!;
  equal(shown(), { run_cnt: 0, run_time_ns: 0, map_ids: maps });
  await fixture.tell("run");
  const { run_cnt, run_time_ns, map_ids } = bpftool("prog", "show", "id", String(counted));
  equal(shown(), { run_cnt, run_time_ns, map_ids });
  equal(run_cnt, 100 * Number(run("getconf", ["_NPROCESSORS_ONLN"]).stdout));
  ok(run_time_ns > 0);
  const found = rows("progs", "--columns=id", "--where", `map_ids == "${maps.join(";")}" && run_cnt == ${run_cnt}`);
  equal(found, [{ id: counted }]);
  const lines = taskIter("progs", "--columns=map_ids,id", "--where", `id == ${counted}`, "--format=csv").stdout.split("\n");
  equal(lines[1], `${maps.join(";")},${counted}`);
});

Deno.test("progs names the function that a tracing program is for", () => {
  const own = rows("progs", "--columns=type,attach_func,btf_id", "--where", "attach_func == bpf_iter_bpf_prog");
  ok(own.length >= 1);
  for (const row of own) equal([row.type, row.attach_func, row.btf_id > 0], ["tracing", "bpf_iter_bpf_prog", true]);
});

Deno.test("links shows a link's type and program, as bpftool does", async () => {
  await using fixture = await Fixture.start("programs");
  const { link, lookup } = fixture.facts;
  const expected = bpftool("link", "show", "id", String(link));
  equal(rows("links", "--where", `id == ${link}`), [{ id: link, type: expected.type, prog_id: expected.prog_id }]);
  equal(expected.prog_id, lookup.id);
});

Deno.test("links shows what each kind of link is attached to, as its fdinfo does", async () => {
  const group = `${cgroupRoot}/task-iter-test-links-${Deno.pid}`;
  mkdirSync(group);
  using _removed = { [Symbol.dispose]: () => rmdirSync(group) };
  await using fixture = await Fixture.start("links", group, "/bin/true");
  const types: string[] = [];
  for (const [kind, fd] of Object.entries(fixture.facts)) {
    const info = Object.fromEntries(
      readFileSync(`/proc/${fixture.pid}/fdinfo/${fd}`, "utf8").trimEnd().split("\n").map((line) => line.split(/:\s*/, 2)),
    );
    const number = (name: string) => info[name] === undefined ? null : parseInt(info[name]);
    const [{ id: _id, type, prog_id: _prog, attach_type, ...row }] = rows(
      "links",
      ofObject("links"),
      "--where",
      `id == ${info.link_id}`,
    ) as [Row];
    types.push(type);
    equal({ kind, ...row }, {
      kind,
      target: ({
        raw_tracepoint: info.tp_name,
        iter: info.target_name,
        perf_event: "/bin/true",
        xdp: "lo",
        tcx: "lo",
        uprobe_multi: "true",
        sockmap: "fixture_target",
      } as Row)[type] ?? null,
      target_id: type === "tracing" ? number("target_obj_id") : number("map_id"),
      ifindex: number("ifindex"),
      cgroup_id: number("cgroup_id"),
      netns_ino: number("netns_ino"),
      pf: type === "netfilter" ? 2 : null,
      hook: type === "netfilter" ? 1 : null,
      priority: type === "netfilter" ? -128 : null,
    });
    const words = ["sk_lookup", "cgroup_inet_ingress", "tcx_egress", "sk_skb_verdict"];
    const [, word] = Object.entries({ netns: 0, cgroup: 1, tcx: 2, sockmap: 3 }).find(([name]) => name === type) ?? [];
    equal([kind, attach_type], [kind, word === undefined ? null : words[word]]);
    if (word !== undefined) {
      equal(
        parseInt(info.attach_type),
        tables.find(({ name }) => name === "links")!.columns
          .find(({ name }) => name === "attach_type")!.words.find(([, name]) => name === attach_type)![0],
      );
    }
  }
  for (const type of ["netns", "cgroup", "raw_tracepoint", "xdp"]) ok(types.includes(type), type);
  const { netns } = fixture.facts;
  const ino = /^netns_ino:\s*(\d+)$/m.exec(readFileSync(`/proc/${fixture.pid}/fdinfo/${netns}`, "utf8"))![1];
  equal(rows("links", "--columns=type", "--where", `netns_ino == ${ino} && attach_type == sk_lookup`), [{ type: "netns" }]);
});

Deno.test("links shows the iterator that its own reader is", () => {
  equal(rows("links", "--columns=target", "--where", "target == bpf_link && type == iter")[0], { target: "bpf_link" });
});

elementsTest("elems shows keys and values as bpftool dumps them", async () => {
  await using fixture = await Fixture.start("maps");
  const { hash } = fixture.facts;
  const sort = (elements: Row[]) => elements.sort((a, b) => a.key < b.key ? -1 : 1);
  const expected = bpftool("map", "dump", "id", String(hash)).map((row: Row) => ({
    key: digits(row.key),
    value: digits(row.value),
  }));
  equal(expected.length, 2);
  equal(sort(rows("elems", "--map", String(hash))), sort(expected));
  equal(sort(rows("elems", "--map", "fixture_hash")), sort(expected));
  const [one] = expected;
  equal(rows("elems", "--map", "fixture_hash", "--where", `value == ${one.value}`), [one]);
  equal(rows("elems", "--map", "fixture_hash", "--where", `key == ${one.key} && value ~ *${one.value.slice(7, 25)}*`), [one]);
  equal(rows("elems", "--map", "fixture_hash", "--where", "value ~ *abc"), []);
});

elementsTest("elems is the same in every format", async () => {
  await using fixture = await Fixture.start("maps");
  const args = ["elems", "--map", String(fixture.facts.hash)];
  const expected = rows(...args);
  const lines = (format: string) => taskIter(...args, `--format=${format}`).stdout.trimEnd().split("\n");
  equal(lines("jsonl").map((line) => JSON.parse(line)), expected);
  equal(lines("csv"), ["key,value", ...expected.map(({ key, value }) => `${key},${value}`)]);
  equal(lines("text").slice(1).map((line) => line.trim().split(/ +/)), expected.map(({ key, value }) => [key, value]));
});

elementsTest("elems shows a value of a per-CPU map for each CPU", async () => {
  await using fixture = await Fixture.start("maps");
  const [element] = bpftool("map", "dump", "id", String(fixture.facts.percpu)) as Row[];
  const values = element!.values.map(({ value }: Row) => digits(value));
  equal(values.length, cpus());
  equal(new Set(values).size, values.length, "a CPU has a value of its own");
  equal(rows("elems", "--map", "fixture_percpu"), [{ key: digits(element!.key), value: values.join(";") }]);
});

elementsTest("elems cuts a value that would overfill the row, visibly, and shows every element", async () => {
  await using fixture = await Fixture.start("maps");
  const map = ["--map", String(fixture.facts.large)];
  const expected = bpftool("map", "dump", "id", String(fixture.facts.large)).map((row: Row) => digits(row.value)) as string[];
  const shown = rows("elems", ...map, "--columns=value").map(({ value }) => value);
  equal(shown, expected.map((value) => `${value.slice(0, 25_000)}…`));
  const both = rows("elems", ...map);
  equal(both.map(({ key }) => key), ["00000000", "01000000", "02000000", "03000000", "04000000"]);
  equal(both.map(({ value }) => value), expected.map((value) => `${value.slice(0, 12_500)}…`));
});

elementsTest("elems shows null for a kernel object in a value, which has addresses in it", async () => {
  await using fixture = await Fixture.start("timer");
  equal(fixture.facts.result, 0, "the timer was initialised");
  const { stdout } = taskIter("elems", "--map", String(fixture.facts.map), "--format=jsonl");
  equal(stdout, '{"key":0,"value":{"a":1229782938247303441,"b":null,"c":2459565876494606882}}\n');
});

Deno.test("--map that is missing or wrong is an error that lists the candidates", async () => {
  await using fixture = await Fixture.start("maps");
  const { hash, large, frozen, twin, stack } = fixture.facts;
  const fails = (args: string[], message: RegExp) => {
    const { status, stdout, stderr } = taskIter(...args);
    equal([status, stdout], [2, ""]);
    match(stderr, message);
    return stderr;
  };
  for (const args of [[], ["--map", "nosuch"], ["--map", "4294967295"], ["--map", String(stack)]]) {
    const stderr = fails(["elems", ...args], new RegExp(` ${hash} fixture_hash \\(hash\\), `));
    match(stderr, new RegExp(` ${large} fixture_large \\(array\\), `));
    ok(!stderr.includes(`${stack} fixture_stack`), "none that it cannot read");
  }
  // The kernel drops the maps of a process that has ended a little later.
  const own = () => /maps_jso\.bss/.test(fails(["elems"], /./));
  ok(Array.from({ length: 100 }).some(() => !run("sleep", ["0.02"]).status && !own()), "none of its own");
  fails(["elems"], /^task-iter: elems reads one BPF map, --map ID or --map NAME says which: /);
  fails(["elems", "--map", "nosuch"], /^task-iter: there is no map nosuch: /);
  fails(["elems", "--map", String(stack)], /^task-iter: map [0-9]+ is of type stack, which elems cannot read: /);
  const both = [frozen, twin].map((id) => `${id} fixture_twin (array)`).join(", ");
  equal(
    fails(["elems", "--map", "fixture_twin"], /./),
    `task-iter: several maps have the name fixture_twin, --map ID says which: ${both}\n`,
  );
  fails(["maps", "--map", "1"], /maps does not read a map: --map is for elems, sk-storage, sockmap/);
});

elementsTest("sk-storage shows the socket and the value that user space stored for it", async () => {
  await using fixture = await Fixture.start("socket-maps");
  const expected = [{ ino: fixture.facts.four.ino, value: "8877665544332211" }];
  equal(rows("sk-storage", "--map", String(fixture.facts.storage)), expected);
  equal(rows("sk-storage", "--map", "fixture_storage", "--where", "value ~ 8877*"), expected);
  equal(rows("sk-storage", "--map", "fixture_storage", "--where", "ino == 1"), []);
});

elementsTest("sockmap shows each socket's addresses and skips empty slots", async () => {
  await using fixture = await Fixture.start("socket-maps");
  const { sockmap, four, six, hashed } = fixture.facts;
  const socket = (key: string, family: string, address: string, facts: Row) => ({
    key,
    family,
    state: "ESTABLISHED",
    local_addr: address,
    local_port: facts.local,
    remote_addr: address,
    remote_port: facts.remote,
    ino: facts.ino,
  });
  equal(rows("sockmap", "--map", String(sockmap), "--columns=all"), [
    socket("01000000", "INET", "127.0.0.1", four),
    socket("03000000", "INET6", "::1", six),
  ]);
  equal(rows("sockmap", "--map", "fixture_hashed", "--columns=all"), [socket("736f636b6574", "INET6", "::1", hashed)]);
  equal(rows("sockmap", "--map", "fixture_sockmap", "--columns=key", "--where", `local_port == ${six.local}`), [{
    key: "03000000",
  }]);
});

Deno.test("ksyms is /proc/kallsyms without the addresses", () => {
  // Programs come and go, task-iter's own among them.
  const lasting = (module: string | null) => module === null || !/^(bpf|__builtin__ftrace|__builtin__kprobes)$/.test(module);
  const expected = readFileSync("/proc/kallsyms", "utf8").trimEnd().split("\n").map((line) => {
    const [, type, name, module] = /^[0-9a-f]+ (.) ([^\t]*)(?:\t\[(.*)\])?$/.exec(line)!;
    return { name, type, module: module ?? null };
  });
  const shown = rows("ksyms");
  const text = (symbols: Row[]) =>
    symbols.filter(({ module }) => lasting(module)).map((symbol) => Object.values(symbol).join(" "));
  ok(expected.length > 10_000);
  ok(text(shown).join("\n") === text(expected).join("\n"), "the same symbols in the same order");
  ok(shown.some(({ name, module }) => module === "bpf" && /^bpf_prog_[0-9a-f]{16}_dump$/.test(name)), "its own program's");
});

Deno.test("slabs is /proc/slabinfo and /sys/kernel/slab", () => {
  const read = () =>
    readFileSync("/proc/slabinfo", "utf8").trimEnd().split("\n").slice(2).map((line) => {
      const [name, , , size, objects_per_slab, pages] = line.split(/ +/);
      return { name, size: Number(size), objects_per_slab: Number(objects_per_slab), order: Math.log2(Number(pages)) };
    });
  let [before, shown] = [read(), [] as Row[]];
  // A cache may have come or gone in between.
  for (let after: typeof before | undefined; JSON.stringify(after) !== JSON.stringify(before); after = read()) {
    before = after ?? before;
    shown = rows("slabs", "--columns=all");
  }
  equal(shown.map(({ name, size, objects_per_slab, order }) => ({ name, size, objects_per_slab, order })), before);
  const described = shown.filter(({ name }) => existsSync(`/sys/kernel/slab/${name}/align`));
  ok(described.length > 0);
  for (const { name, object_size, align, size } of described) {
    const fact = (file: string) => Number(readFileSync(`/sys/kernel/slab/${name}/${file}`, "utf8"));
    equal([name, object_size, align, size], [name, fact("object_size"), fact("align"), fact("slab_size")]);
  }
});

Deno.test("slabs counts objects and slabs as /proc/slabinfo does", () => {
  const facts = () =>
    new Map(
      readFileSync("/proc/slabinfo", "utf8").trimEnd().split("\n").slice(2).map((line) => {
        const field = line.split(/ +/);
        return [field[0]!, [field[1], field[2], field[14]].map(Number)];
      }),
    );
  const page = Number(run("getconf", ["PAGESIZE"]).stdout);
  // Objects come and go meanwhile: those caches count whose line is the same before and after, and any of some attempts.
  const [compared, different] = [new Set<string>(), new Map<string, unknown>()];
  for (let attempt = 0; attempt < 10; attempt++) {
    const before = facts();
    const shown = rows("slabs", "--columns=all");
    const after = facts();
    for (const { name, active_objs, num_objs, num_slabs, memory, order } of shown) {
      equal(memory, num_slabs * page * 2 ** order, name);
      if (!before.has(name) || `${before.get(name)}` !== `${after.get(name)}`) continue;
      const [found, expected] = [`${[active_objs, num_objs, num_slabs]}`, `${before.get(name)}`];
      // The kernel's own figure is an estimate where a list of partial slabs is long (MAX_PARTIAL_TO_SCAN of mm/slub.c).
      const [estimate] = before.get(name)!;
      // The process that reads has some objects itself, in a cache of few perhaps from slabs that were not full.
      const isNear = num_slabs > 10_000
        ? Math.abs(active_objs - estimate!) <= estimate! / 50
        : active_objs > estimate! && active_objs - estimate! <= 4;
      if (found === expected || isNear && found.endsWith(`,${num_objs},${num_slabs}`)) compared.add(name);
      else different.set(name, { found, expected });
    }
  }
  for (const name of compared) different.delete(name);
  equal(different, new Map());
  ok(compared.size > 20, `only ${[...compared]} stayed as they were`);
  const large = rows("slabs", "--columns=name,memory", "--where", "memory > 1M");
  ok(large.length > 0 && large.every(({ memory }) => memory > 1 << 20));
});

Deno.test("dmabufs reads to its end, which makes no call of its own", () => {
  const { status, stdout } = taskIter("dmabufs", "--format=json");
  equal(status, 0);
  ok(Array.isArray(JSON.parse(stdout)));
  equal(taskIter("dmabufs", "--format=csv").stdout.split("\n")[0], "ino,size,name,exporter");
});

const noUdmabuf = existsSync("/dev/udmabuf") ? "" : " (skipped: no /dev/udmabuf)";
Deno.test({
  name: `dmabufs shows a buffer of udmabuf${noUdmabuf}`,
  ignore: noUdmabuf !== "",
  async fn() {
    await using fixture = await Fixture.start("dmabuf");
    const { ino, size } = fixture.facts;
    equal(rows("dmabufs", "--where", `ino == ${ino}`), [{ ino, size, name: 'fixture "buffer"', exporter: "udmabuf" }]);
  },
});

Deno.test("tables says which tables this kernel has, and that is so", () => {
  const listed = rows("tables");
  equal(listed.map(({ table }) => table), tables.map(({ name }) => name));
  for (const { table, available } of listed) {
    if (MAP_TYPES[table]) continue;
    const { status, stderr } = taskIter(
      table,
      "--where",
      `${tables.find(({ name }) => name === table)!.columns[0]!.name} == null`,
    );
    equal([table, status === 0], [table, available], stderr);
    if (!available) equal(status, 3);
  }
});

Deno.test("a table that the kernel lacks is explained by the version that has it, or by how the kernel was built", () => {
  const refused = new TaskIterError("load", 22, "load: Invalid argument");
  const table = { ...tables[0]!, name: "things", iterator: "nosuch" };
  equal(hasIterator("nosuch"), false);
  match(
    explain(refused, { ...table, since: "99.1" }),
    /^cannot read table things: kernel \S+ has no nosuch iterator \(Linux 99\.1 or later\)$/,
  );
  match(
    explain(refused, { ...table, since: "5.8" }),
    /^cannot read table things: kernel \S+ was built without the nosuch iterator$/,
  );
});
