// SPDX-License-Identifier: BSD-2-Clause
/** tcp, udp, unix, netlink, routes and the sockets of files, against ss, ip and /proc/net; each fixture in a namespace of its own. */

import { deepStrictEqual as equal, match, ok } from "node:assert";
import { mkdirSync, readFileSync, readlinkSync, rmdirSync, statSync } from "node:fs";
import { libraries } from "../src/mod.ts";
import { load as loadProgram } from "../src/native/load.ts";
import { plan, type Query } from "../src/query/plan.ts";
import { chunks } from "../src/stream.ts";
import { executable, Fixture, type Row, rows, run, taskIter, TemporaryFolder } from "./support.ts";

/** Of a socket's owner (owners_test.ts) */
const OWNER = "pid comm fd owners ppid task_uid exe cgroup container pod ns_pid";

/** The contract: columns by default, and those that --columns adds. */
const COLUMNS: Record<string, [string, string]> = {
  tcp: [
    "family state local_addr local_port remote_addr remote_port rx_queue tx_queue uid ino",
    `netns cgroup_id retrans srtt_us snd_cwnd bytes_sent bytes_received backlog ${OWNER}`,
  ],
  udp: [
    "family state local_addr local_port remote_addr remote_port rx_queue tx_queue uid ino",
    `netns cgroup_id drops ${OWNER}`,
  ],
  unix: ["type state path ino peer_ino uid", `rx_queue backlog netns ${OWNER}`],
  netlink: ["protocol portid groups rx_queue tx_queue drops ino", `netns ${OWNER}`],
  routes: ["dst prefix_len gateway device metric flags", ""],
};

/** TCP states as /proc numbers them. */
const STATES = [
  "",
  ..."ESTABLISHED SYN_SENT SYN_RECV FIN_WAIT1 FIN_WAIT2 TIME_WAIT CLOSE CLOSE_WAIT LAST_ACK LISTEN CLOSING".split(" "),
];

/** include/uapi/linux/netlink.h */
const NETLINK: Record<number, string> = {
  0: "ROUTE",
  2: "USERSOCK",
  4: "SOCK_DIAG",
  6: "XFRM",
  7: "SELINUX",
  9: "AUDIT",
  10: "FIB_LOOKUP",
  11: "CONNECTOR",
  12: "NETFILTER",
  15: "KOBJECT_UEVENT",
  16: "GENERIC",
  18: "SCSITRANSPORT",
  20: "RDMA",
  21: "CRYPTO",
};

const pick = (row: Row, names: string): Row => Object.fromEntries(names.split(" ").map((name) => [name, row[name]]));
const sorted = (list: Row[]): string[] => list.map((row) => JSON.stringify(row)).sort();
const same = (a: Row[], b: Row[]) => equal(sorted(a), sorted(b));

/** A command's output in the network namespace of a process. */
function inside(pid: number, command: string, ...args: string[]): string {
  const { status, stdout, stderr } = run("nsenter", ["--net", "--target", String(pid), "--", command, ...args]);
  if (status !== 0) throw new Error(`${command} ${args.join(" ")}: ${stderr}`);
  return stdout;
}

const procLines = (pid: number, name: string): string[][] =>
  readFileSync(`/proc/${pid}/net/${name}`, "utf8").trimEnd().split("\n").slice(1).map((line) => line.trim().split(/\s+/));

/** An IPv6 address of 16 bytes as text; URL writes RFC 5952 but for embedded IPv4. */
function ipv6(bytes: number[]): string {
  if (bytes.slice(0, 10).every((byte) => byte === 0) && bytes[10] === 255 && bytes[11] === 255) {
    return `::ffff:${bytes.slice(12).join(".")}`;
  }
  const groups = Array.from({ length: 8 }, (_, i) => (bytes[2 * i]! << 8 | bytes[2 * i + 1]!).toString(16));
  return new URL(`http://[${groups.join(":")}]`).hostname.slice(1, -1);
}

const unhex = (text: string): number[] => text.match(/../g)!.map((byte) => parseInt(byte, 16));

/** An address and port of /proc/net/tcp and others: words of the machine's order. */
function endpoint(text: string): [string, number] {
  const [hex, port] = text.split(":");
  const bytes = hex!.match(/.{8}/g)!.flatMap((word) => unhex(word).reverse());
  return [bytes.length === 4 ? bytes.join(".") : ipv6(bytes), parseInt(port!, 16)];
}

function procInet(pid: number, name: string): Row[] {
  return procLines(pid, name).map((cells) => {
    const [local_addr, local_port] = endpoint(cells[1]!);
    const [remote_addr, remote_port] = endpoint(cells[2]!);
    const [tx, rx] = cells[4]!.split(":").map((hex) => parseInt(hex, 16));
    const state = STATES[parseInt(cells[3]!, 16)]!;
    const ino = Number(cells[9]) || null;
    const timewait = name.startsWith("tcp") && !ino && (state === "TIME_WAIT" || state === "FIN_WAIT2");
    const family = name.endsWith("6") ? "INET6" : "INET";
    const uid = timewait ? null : Number(cells[7]);
    return { family, state, local_addr, local_port, remote_addr, remote_port, rx_queue: rx, tx_queue: tx, uid, ino };
  });
}

const netnsOf = (pid: number | "self"): number => statSync(`/proc/${pid}/ns/net`).ino;

/** Asks until `test` holds: the test waits for the kernel without a fixed time. */
async function until<T>(ask: () => T, test: (value: T) => boolean): Promise<T> {
  for (let i = 0; i < 300; i++) {
    const value = ask();
    if (test(value)) return value;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error("it did not happen");
}

/** The fixture's TCP in its last states. */
async function startInet(...args: string[]): Promise<Fixture> {
  const fixture = await Fixture.start("inet", ...args);
  const states = (list: Row[]) => list.map(({ state }) => state);
  await until(() => states(procInet(fixture.pid, "tcp")), (list) => list.includes("FIN_WAIT2") && list.includes("TIME_WAIT"));
  return fixture;
}

for (const [table, [shown, more]] of Object.entries(COLUMNS)) {
  Deno.test(`${table} has the columns of the contract, no more and no fewer`, async () => {
    await using fixture = await startInet();
    using folder = new TemporaryFolder();
    await using unix = await Fixture.start("unix", `${folder.path}/socket`, `${folder.path}/`.padEnd(108, "x"));
    const netns = table === "routes" ? [] : ["--netns", String(table === "unix" ? unix.pid : fixture.pid)];
    const columns = shown.split(" ");
    const everything = [...columns, ...more ? more.split(" ") : []];
    const [first] = rows(table, ...netns, "--columns=all");
    equal(Object.keys(first!), everything);
    const [byDefault] = rows(table, ...netns);
    equal(Object.keys(byDefault!), table === "routes" ? columns : [...columns, "netns"]);
    equal(
      rows("tables", table).map(({ column, default: isDefault }) => [column, isDefault]),
      everything.map((name) => [name, columns.includes(name)]),
    );
  });
}

Deno.test("tcp equals /proc/net/tcp and tcp6: listeners, requests, time-wait, connections not accepted", async () => {
  await using fixture = await startInet();
  const found = rows("tcp", "--netns", String(fixture.pid)).map((row) => pick(row, COLUMNS.tcp![0]));
  same(found, [...procInet(fixture.pid, "tcp"), ...procInet(fixture.pid, "tcp6")]);
  const seen = new Set(found.map(({ state }) => state));
  for (const state of ["LISTEN", "ESTABLISHED", "SYN_SENT", "SYN_RECV", "TIME_WAIT", "FIN_WAIT2", "CLOSE_WAIT"]) {
    ok(seen.has(state), `no socket in ${state}`);
  }
  const { server, listen, deferring } = fixture.facts;
  equal(found.find(({ ino }) => ino === server.ino)?.rx_queue, 1000);
  equal(found.find(({ ino }) => ino === listen.ino)?.rx_queue, 1);
  // A request and a connection that waits belong to no process; a request to its listener's user.
  equal(found.filter(({ state }) => state === "SYN_RECV").map(({ ino, uid, local_port }) => [ino, uid, local_port]), [[
    null,
    0,
    5002,
  ]]);
  equal(rows("tcp", "--netns", String(fixture.pid), "--where", "state == SYN_RECV || ino == " + deferring.ino).length, 2);
  ok(found.some(({ state, ino, local_port }) => state === "ESTABLISHED" && ino === null && local_port === 5001));
});

/** What `ss` says of each TCP socket with an inode, by inode. */
function ssTcp(pid: number): Map<number, Row> {
  const found = new Map<number, Row>();
  for (const line of inside(pid, "ss", "-HOtaneim").trimEnd().split("\n")) {
    const number = (pattern: RegExp) => {
      const text = pattern.exec(line)?.[1];
      return text === undefined ? undefined : Number(text);
    };
    const ino = number(/ ino:(\d+)/)!;
    if (ino === 0) continue;
    const listens = line.startsWith("LISTEN");
    const rtt = number(/ rtt:([\d.]+)/);
    found.set(ino, {
      ino,
      retrans: listens ? null : number(/ retrans:\d+\/(\d+)/) ?? 0,
      srtt_us: rtt === undefined ? null : Math.round(rtt * 1000),
      snd_cwnd: listens ? null : number(/ cwnd:(\d+)/),
      bytes_sent: listens ? null : number(/ bytes_sent:(\d+)/) ?? 0,
      bytes_received: listens ? null : number(/ bytes_received:(\d+)/) ?? 0,
      backlog: listens ? Number(line.split(/\s+/)[2]) : null,
    });
  }
  return found;
}

Deno.test("tcp counts retransmissions, round trips and bytes as ss does", async () => {
  await using fixture = await startInet();
  const args = [
    "tcp",
    "--netns",
    String(fixture.pid),
    "--columns=ino,retrans,srtt_us,snd_cwnd,bytes_sent,bytes_received,backlog",
  ];
  const { unanswered, client, listen } = fixture.facts;
  const find = (list: Row[], ino: number) => list.find((row) => row.ino === ino)!;
  await until(() => find(rows(...args), unanswered.ino).retrans, (retrans) => retrans > 0);
  // Two equal answers of ss mean that nothing changed between them.
  const [found, witness] = await until(() => {
    const before = ssTcp(fixture.pid);
    const found = rows(...args, "--where=ino != null");
    const after = ssTcp(fixture.pid);
    return [found, before, after] as const;
  }, ([, before, after]) => sorted([...before.values()]).join() === sorted([...after.values()]).join());
  same(found, [...witness.values()]);
  const { bytes_sent, bytes_received } = find(found, client.ino);
  equal([bytes_sent, bytes_received], [1000, 500]);
  equal(find(found, listen.ino).backlog, 7);
  ok(find(found, unanswered.ino).retrans > 0);
  // What belongs to no connection is absent.
  const timewait = rows("tcp", "--netns", String(fixture.pid), "--columns=all", "--where=state == TIME_WAIT");
  equal(timewait.length, 1);
  equal(
    pick(timewait[0]!, "uid ino cgroup_id retrans srtt_us snd_cwnd bytes_sent bytes_received backlog rx_queue tx_queue"),
    {
      uid: null,
      ino: null,
      cgroup_id: null,
      retrans: null,
      srtt_us: null,
      snd_cwnd: null,
      bytes_sent: null,
      bytes_received: null,
      backlog: null,
      rx_queue: 0,
      tx_queue: 0,
    },
  );
});

Deno.test("udp equals /proc/net/udp and udp6, with drops", async () => {
  await using fixture = await startInet();
  const found = rows("udp", "--netns", String(fixture.pid), "--columns=all");
  const expected = ["udp", "udp6"].flatMap((name) => {
    const lines = procLines(fixture.pid, name);
    return procInet(fixture.pid, name).map((row, i) => ({ ...row, drops: Number(lines[i]!.at(-1)) }));
  });
  same(found.map((row) => pick(row, COLUMNS.udp![0] + " drops")), expected);
  const of = (name: string) => found.find(({ ino }) => ino === fixture.facts[name].ino)!;
  ok(of("udp-full").drops > 0 && of("udp-full").rx_queue > 0);
  equal(of("udp").uid, 1234);
  equal([of("udp").state, of("udp-connected").state], ["CLOSE", "ESTABLISHED"]);
  equal(of("udp-connected").remote_port, 5005);
});

Deno.test("netlink equals /proc/net/netlink", async () => {
  await using fixture = await startInet();
  const found = rows("netlink", "--netns", String(fixture.pid));
  const expected = procLines(fixture.pid, "netlink").map(([, protocol, portid, groups, rx, tx, , , drops, ino]) => ({
    protocol: NETLINK[Number(protocol)],
    portid: Number(portid),
    groups: `0x${parseInt(groups!, 16).toString(16)}`,
    rx_queue: Number(rx),
    tx_queue: Number(tx),
    drops: Number(drops),
    ino: Number(ino),
    netns: netnsOf(fixture.pid),
  }));
  same(found, expected);
  const of = (name: string) => found.find(({ ino }) => ino === fixture.facts[name].ino)!;
  equal([of("netlink").protocol, of("netlink").groups], ["ROUTE", "0x11"]);
  ok(of("netlink-full").drops > 0 && of("netlink-full").rx_queue > 0);
});

Deno.test("files shows the sockets of a process with the values of tcp and udp", async () => {
  await using fixture = await startInet();
  const columns = "protocol local_addr local_port remote_addr remote_port state";
  const found = rows("files", "--pid", String(fixture.pid), `--columns=fd,type,ino,${columns.replaceAll(" ", ",")}`);
  const nothing = { local_addr: null, local_port: null, remote_addr: null, remote_port: null, state: null };
  const others = found.filter(({ type }) => type !== "SOCK");
  ok(others.length > 0);
  for (const row of found.filter(({ type, fd }) => type !== "SOCK" || fd < 3)) {
    if (row.type !== "SOCK") equal(pick(row, columns), { protocol: null, ...nothing });
  }
  const tables = ["tcp", "udp"].flatMap((table) =>
    rows(table, "--netns", String(fixture.pid)).map((row): Row => ({ ...row, protocol: table.toUpperCase() }))
  );
  const { raw, packet, unbound, netlink } = fixture.facts;
  let compared = 0;
  for (const row of found.filter(({ type, fd }) => type === "SOCK" && fd > 2)) {
    const other = tables.find(({ ino }) => ino === row.ino);
    if (other) compared++;
    else ok(["NETLINK", "RAW", "PACKET"].includes(row.protocol) || row.ino === unbound.ino, JSON.stringify(row));
    if (other) equal(pick(row, columns), pick(other, columns));
  }
  equal(compared, tables.filter(({ ino }) => ino !== null).length);
  const of = (fd: number) => pick(found.find((row) => row.fd === fd)!, columns);
  equal(of(netlink.fd), { protocol: "NETLINK", ...nothing });
  equal(of(packet.fd), { protocol: "PACKET", ...nothing });
  const nowhere = { local_addr: "0.0.0.0", remote_addr: "0.0.0.0", state: "CLOSE" };
  equal(of(raw.fd), { protocol: "RAW", local_port: null, remote_port: null, ...nowhere });
  equal(of(unbound.fd), { protocol: "TCP", local_port: 0, remote_port: 0, ...nowhere });

  const who = [
    "files",
    "--where",
    `type == SOCK && state == LISTEN && local_port == 5001 && pid == ${fixture.pid}`,
    "--columns=pid,fd",
  ];
  equal(rows(...who), [{ pid: fixture.pid, fd: fixture.facts.listen.fd }]);
});

Deno.test("unix equals /proc/net/unix and ss: paths, abstract names, peers, queues", async () => {
  using folder = new TemporaryFolder();
  const path = `${folder.path}/a "name", with\\ü\x01`;
  const longest = `${folder.path}/`.padEnd(108, "x");
  await using fixture = await Fixture.start("unix", path, longest);
  const found = rows("unix", "--netns", String(fixture.pid), "--columns=all");
  const types: Record<string, string> = { "0001": "STREAM", "0002": "DGRAM", "0005": "SEQPACKET" };
  const proc = readFileSync(`/proc/${fixture.pid}/net/unix`, "utf8").trimEnd().split("\n").slice(1).map((line) => {
    const [, flags, type, st, ino, name] = /^\S+ \S+ \S+ (\S+) (\S+) (\S+) +(\d+)(?: (.*))?$/.exec(line)!;
    const state = parseInt(flags!, 16) & 0x10000 ? "LISTEN" : st === "03" || st === "02" ? "ESTABLISHED" : "CLOSE";
    return { type: types[type!], state, path: name ?? null, ino: Number(ino) || null };
  });
  same(found.map((row) => pick(row, "type state path ino")), proc);

  // ss does not list a connection that nobody has accepted.
  const ss = inside(fixture.pid, "ss", "-HOxan").trimEnd().split("\n").map((line) => {
    const [, state, rx, tx, ino, peer] = /^u_\S+ +(\S+) +(\d+) +(\d+) +.* (\d+) +\* (\d+)/.exec(line)!;
    const listens = state === "LISTEN";
    return { ino: Number(ino), peer_ino: Number(peer) || null, rx_queue: Number(rx), backlog: listens ? Number(tx) : null };
  });
  same(found.filter(({ ino }) => ino !== null).map((row) => pick(row, "ino peer_ino rx_queue backlog")), ss);
  const of = (name: string) => found.find(({ ino }) => ino === fixture.facts[name].ino)!;
  equal([of("listen").path, of("longest").path, of("stream").path], [path, longest, null]);
  equal(of("abstract").path, "@task-iter@@test@");
  equal([of("stream").rx_queue, of("datagram").rx_queue, of("packets").rx_queue, of("listen").rx_queue], [11, 7, 12, 1]);
  equal([of("listen").uid, of("unbound").uid], [0, 1234]);
  equal(of("client").peer_ino, fixture.facts.server.ino);
  equal(found.filter(({ ino }) => ino === null).map(({ peer_ino }) => peer_ino), [fixture.facts.waiting.ino]);
  equal(new Set(found.map(({ netns }) => netns)), new Set([netnsOf(fixture.pid)]));

  const files = rows("files", "--pid", String(fixture.pid), "--where=protocol == UNIX", "--columns=ino,state")
    .filter(({ ino }) => Object.values(fixture.facts).some((fact) => fact.ino === ino));
  same(files, found.filter(({ ino }) => ino !== null).map((row) => pick(row, "ino state")));
});

Deno.test("unix has every socket once, however many reads the rows take", async () => {
  await using fixture = await Fixture.start("many-sockets", "6000", "bound");
  const netns = ["--netns", String(fixture.pid)];
  const proc = procLines(fixture.pid, "unix").map((cells) => ({ ino: Number(cells[6]), path: cells[7] ?? null }));
  equal(proc.length, 6000);
  for (const how of [[], ["--columns=all"], ["--where", "type == DGRAM"]]) {
    same(rows("unix", ...netns, ...how).map((row) => pick(row, "ino path")), proc);
  }
  for (const libbpf of [false, true]) {
    const { request } = plan({ table: "unix", columns: ["ino", "path"], netns: String(fixture.pid) }, "jsonl");
    using program = loadProgram(libraries, { ...request, libbpf });
    const decoder = new TextDecoder();
    let text = "";
    for (const chunk of chunks(program.walk, "jsonl")) text += decoder.decode(chunk, { stream: true });
    same(text.trimEnd().split("\n").map((line) => pick(JSON.parse(line), "ino path")), proc);
    equal(program.walk.progress(), { walked: 6000, rows: 6000 });
  }
  const bound = proc.filter(({ path }) => path);
  equal(bound.length, 3000);
  same(rows("unix", ...netns, "--where", "path ~ @*", "--columns=ino,path"), bound);
  const { stdout, stderr } = taskIter(
    "unix",
    ...netns,
    "--format=csv",
    "--columns=ino",
    "--interval=10ms",
    "--count=3",
    "--stats",
  );
  const all = proc.map(({ ino }) => String(ino)).sort();
  const found = stdout.trimEnd().split("\n").slice(1).map((line) => line.split(",").at(-1)!);
  equal(found.sort(), [...all, ...all, ...all].sort());
  match(stderr, /18000/);
});

Deno.test("addresses follow RFC 5952, as ss prints them", async () => {
  const addresses = [
    ...["::", "::1", "1::", "2001:db8::1", "2001:db8:0:1:1:1:1:1", "2001:db8:1:1:1:1:0:1", "2001:0:0:1::1", "2001:db8::1:0:0:1"],
    ...[
      "1:2:3:4:5:6:7:8",
      "2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff",
      "1:0:2:0:3:0:4:0",
      "0:1::",
      "0:1:2:3:4:5:6:7",
      "1:2:3:4:5:6::",
    ],
    ...["::ffff:192.0.2.33", "::ffff:1.2.3.4", "::192.0.2.33", "::2:0:0", "::1:2:3", "64:ff9b::c000:221", "::ffff:0:192.0.2.1"],
    ...["127.0.0.1", "192.0.2.200", "10.20.30.0", "255.254.253.99", "0.0.0.0"],
  ];
  // Groups of few digits and many zeros, from a fixed seed.
  let seed = 5952;
  const random = (below: number) => (seed = (seed * 1103515245 + 12345) % 2 ** 31) % below;
  for (let i = 0; i < 200; i++) {
    const groups = Array.from({ length: 8 }, () => random(7) < 4 ? 0 : random(0x10000) >> 4 * random(4));
    addresses.push([0x2001 + random(2), ...groups.slice(1)].map((group) => group.toString(16)).join(":"));
  }
  await using fixture = await Fixture.start("addresses", ...addresses);
  const found = rows("udp", "--netns", String(fixture.pid), "--columns=local_port,local_addr");
  equal(found.length, addresses.length);
  const texts = found.sort((a, b) => a.local_port - b.local_port).map(({ local_addr }) => local_addr);
  const ss = inside(fixture.pid, "ss", "-Huan").trimEnd().split("\n")
    .map((line) => /^\S+ +\d+ +\d+ +(\S+):(\d+)/.exec(line)!)
    .sort((a, b) => Number(a[2]) - Number(b[2]))
    .map(([, text]) => text!.replace(/^\[|\]$/g, ""));
  // ss writes * for the address :: of a socket that takes IPv4 too.
  equal(texts, ss.map((text) => text === "*" ? "::" : text));
  equal(texts.slice(0, 10), addresses.slice(0, 10).map((text) => text === "2001:0:0:1::1" ? "2001:0:0:1::1" : text));
  const canonical = addresses.map((text) => text.includes(".") ? text : new URL(`http://[${text}]`).hostname.slice(1, -1));
  equal(
    texts.filter((text) => text !== "::ffff:0:192.0.2.1" && !text.startsWith("::ffff:0:")),
    canonical.filter((text) => text !== "::ffff:0:192.0.2.1"),
  );
});

Deno.test("routes equals /proc/net/ipv6_route and ip -6 route", async () => {
  await using fixture = await Fixture.start("addresses");
  const ip = (...args: string[]) => inside(fixture.pid, "ip", ...args);
  ip("link", "add", "task0", "type", "veth", "peer", "name", "task1");
  ip("link", "set", "task0", "up");
  ip("link", "set", "task1", "up");
  ip("-6", "address", "add", "2001:db8::1/64", "dev", "task0", "nodad");
  ip("-6", "route", "add", "2001:db8:7::/48", "via", "2001:db8::2", "metric", "77");
  ip("-6", "route", "add", "2001:db8:7::8/128", "dev", "task1", "metric", "5");
  ip("-6", "route", "add", "blackhole", "2001:db8:8::/48");
  ip("-6", "route", "add", "default", "via", "2001:db8::3", "table", "99");
  ip("nexthop", "add", "id", "1", "via", "2001:db8::9", "dev", "task0");
  ip("nexthop", "add", "id", "2", "group", "1");
  ip("-6", "route", "add", "2001:db8:9::/48", "nhid", "1");
  ip("-6", "route", "add", "2001:db8:a::/48", "nhid", "2");
  const read = (): Row[] => JSON.parse(inside(fixture.pid, executable, "routes", "--format=json"));
  // Link-local addresses come and go while the devices come up: an answer between two equal ones of /proc.
  const proc = () =>
    readFileSync(`/proc/${fixture.pid}/net/ipv6_route`, "utf8").trimEnd().split("\n").map((line): Row => {
      const [dst, length, , , gateway, metric, , , flags, device] = line.trim().split(/\s+/);
      return {
        dst: ipv6(unhex(dst!)),
        prefix_len: parseInt(length!, 16),
        gateway: parseInt(flags!, 16) & 2 ? ipv6(unhex(gateway!)) : null,
        device,
        metric: parseInt(metric!, 16),
        flags: `0x${parseInt(flags!, 16).toString(16)}`,
      };
    });
  const [found, witness] = await until(
    () => [read(), proc(), ip("-6", "-j", "route", "show", "table", "all"), proc()] as const,
    ([, before, , after]) => sorted(before).join() === sorted(after).join(),
  );
  same(found, witness);
  const gateways = found.filter(({ gateway }) => gateway !== null).map(({ dst, gateway }) => `${dst} ${gateway}`).sort();
  equal(gateways, ["2001:db8:7:: 2001:db8::2", "2001:db8:9:: 2001:db8::9", "2001:db8:a:: 2001:db8::9", ":: 2001:db8::3"]);

  // ip does not show the root of each table.
  const shown: Row[] = JSON.parse(ip("-6", "-j", "route", "show", "table", "all"));
  for (const route of shown.filter(({ dst }) => String(dst).startsWith("2001:db8:"))) {
    const [dst, length] = String(route.dst).split("/");
    const row = found.find((row) => row.dst === dst && row.prefix_len === Number(length ?? 128) && row.metric === route.metric);
    const { dev, gateway = null } = route.nexthops?.[0] ?? route;
    equal([row?.device, row?.gateway], [dev, gateway], JSON.stringify(route));
  }
  ok(shown.length >= 8);
});

/** The cells of each row, as each format has them. */
function everyFormat(args: string[]): Record<string, string[][]> {
  const output = (format: string) => {
    const { status, stdout, stderr } = taskIter(...args, `--format=${format}`);
    equal(status, 0, stderr);
    return stdout;
  };
  const values = (row: Row) => Object.values(row).map((value) => value === null ? "" : String(value));
  const lines = (text: string) => text.trimEnd().split("\n");
  return {
    json: JSON.parse(output("json")).map(values),
    jsonl: lines(output("jsonl")).map((line) => values(JSON.parse(line))),
    csv: lines(output("csv")).slice(1).map((line) => line.split(",")),
    text: lines(output("text")).slice(1).map((line) => line.trim().split(/ +/).map((cell) => cell === "-" ? "" : cell)),
  };
}

Deno.test("all four formats say the same", async () => {
  await using fixture = await startInet();
  using folder = new TemporaryFolder();
  await using unix = await Fixture.start("unix", `${folder.path}/socket`, `${folder.path}/`.padEnd(108, "x"));
  const pid = String(fixture.pid);
  const cases = [
    ["tcp", "--netns", pid, "--columns=all", "--where=state != SYN_SENT"],
    ["udp", "--netns", pid, "--columns=all"],
    ["netlink", "--netns", pid, "--columns=all"],
    ["unix", "--netns", String(unix.pid), "--columns=all"],
    ["routes", "--columns=all"],
    ["files", "--pid", pid, "--columns=fd,protocol,local_addr,local_port,remote_addr,remote_port,state"],
  ];
  for (const args of cases) {
    const { json, ...others } = everyFormat(args);
    ok(json!.length > 0);
    for (const [format, cells] of Object.entries(others)) equal([format, cells.toSorted()], [format, json!.toSorted()]);
  }
});

/** Rows by a program that libbpf loads, with bounded loops, as on kernels before 5.17. */
function rowsByLibbpf(query: Query): Row[] {
  using program = loadProgram(libraries, { ...plan(query, "json").request, libbpf: true });
  equal(program.light, false);
  let text = "";
  for (const chunk of chunks(program.walk, "json")) text += new TextDecoder().decode(chunk);
  return JSON.parse(text);
}

Deno.test("the programs for older kernels load and say the same; the thread keeps its own namespace", async () => {
  await using fixture = await startInet();
  using folder = new TemporaryFolder();
  await using unix = await Fixture.start("unix", `${folder.path}/socket`, `${folder.path}/`.padEnd(108, "x"));
  const own = readlinkSync("/proc/thread-self/ns/net");
  const where = "state != SYN_SENT";
  const columns = ["all"];
  for (
    const [table, pid] of [["tcp", fixture.pid], ["udp", fixture.pid], ["netlink", fixture.pid], ["unix", unix.pid]] as const
  ) {
    const query = { table, columns, netns: String(pid), ...table === "tcp" ? { where } : {} };
    const expected = rows(table, "--netns", String(pid), "--columns=all", ...table === "tcp" ? ["--where", where] : []);
    ok(expected.length > 0);
    same(rowsByLibbpf(query), expected);
    equal(readlinkSync("/proc/thread-self/ns/net"), own);
  }
  same(rowsByLibbpf({ table: "routes", columns }), rows("routes", "--columns=all"));
  const sockets = ["fd", "protocol", "local_addr", "local_port", "remote_addr", "remote_port", "state"];
  const query = { table: "files", columns: sockets, pid: fixture.pid };
  same(rowsByLibbpf(query), rows("files", "--pid", String(fixture.pid), `--columns=${sockets.join(",")}`));
});

Deno.test("--netns all is every namespace once, mounted ones too; without it there is the current one", async () => {
  await using one = await startInet();
  await using two = await startInet();
  const name = `task-iter-${one.pid}`;
  equal(run("ip", ["netns", "add", name]).stderr, "");
  try {
    const mounted = statSync(`/run/netns/${name}`).ino;
    const spaces = [netnsOf(one.pid), netnsOf(two.pid), mounted];
    equal(new Set([...spaces, netnsOf("self")]).size, 4);
    const where = `netns in (${spaces.join(", ")})`;
    const columns = "--columns=netns,protocol,portid,ino";
    const each = [String(one.pid), String(two.pid), `/run/netns/${name}`].map((netns) =>
      rows("netlink", "--netns", netns, columns)
    );
    each.forEach((list, i) => {
      ok(list.length > 0);
      equal(new Set(list.map(({ netns }) => netns)), new Set([spaces[i]]));
    });
    const all = rows("netlink", "--netns", "all", columns, "--where", where);
    same(all, each.flat());

    const { stdout, stderr } = taskIter("netlink", "--netns=all", columns, "--format=jsonl", "--stats", "--where", where);
    equal(stdout.trimEnd().split("\n").length, all.length);
    match(stderr, new RegExp(`^${all.length} rows of `));
    equal(rows("netlink", "--netns=all", "--where=portid == 1 && portid == 2"), []);

    const own = rows("netlink", columns);
    equal(new Set(own.map(({ netns }) => netns)), new Set([netnsOf("self")]));
    ok(rows("netlink", "--netns=all", columns).some(({ netns }) => netns === netnsOf("self")));
    const listeners = rows("tcp", "--netns=all", "--where", `state == LISTEN && local_port == 5001 && ${where}`);
    equal(listeners.map(({ netns }) => netns).sort(), [netnsOf(one.pid), netnsOf(two.pid)].sort());
  } finally {
    run("ip", ["netns", "delete", name]);
  }
});

Deno.test("--netns says what is wrong", () => {
  using folder = new TemporaryFolder();
  const refused = (netns: string) => {
    const { status, stdout, stderr } = taskIter("tcp", "--netns", netns);
    equal([status, stdout], [3, ""]);
    return stderr;
  };
  match(
    refused("4194305"),
    /^task-iter: cannot read table tcp: network namespace \/proc\/4194305\/ns\/net: there is no process 4194305\n$/,
  );
  match(refused(`${folder.path}/none`), /: network namespace .*\/none: no such file\n$/);
  match(refused("/proc/self/ns/ipc"), /: network namespace \/proc\/self\/ns\/ipc: not a network namespace\n$/);
  const { status, stderr } = taskIter("routes", "--netns", "all");
  equal(status, 2);
  match(stderr, /^task-iter: routes takes no network namespace; those that do: .*netlink.*tcp.*udp.*unix/);
});

/** Where a control group of version 2 can be made to put a process into. */
function controlGroup(): string | undefined {
  const mount = /^\S+ \S+ \S+ \/ (\S+) .* - cgroup2 /m.exec(readFileSync("/proc/self/mountinfo", "utf8"))?.[1];
  const path = `${mount}/task-iter-test-${Deno.pid}`;
  try {
    mkdirSync(path);
    rmdirSync(path);
    return path;
  } catch {
    return undefined;
  }
}

const group = controlGroup();

Deno.test({
  name: "tcp and udp name the control group that made a socket",
  ignore: group === undefined,
  async fn() {
    const path = group!;
    mkdirSync(path);
    try {
      const id = statSync(path).ino;
      await using fixture = await startInet(path);
      const { listen, udp } = fixture.facts;
      const of = (table: string, ino: number) =>
        rows(table, "--netns", String(fixture.pid), "--columns=cgroup_id,netns", "--where", `ino == ${ino}`);
      const expected = [{ cgroup_id: id, netns: netnsOf(fixture.pid) }];
      equal(of("tcp", listen.ino), expected);
      equal(of("udp", udp.ino), expected);
    } finally {
      rmdirSync(path);
    }
  },
});
