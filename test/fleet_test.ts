// SPDX-License-Identifier: BSD-2-Clause
/** What many hosts need to send their rows to one place. */

import { deepStrictEqual as equal, match, ok, throws } from "node:assert";
import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, utimesSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { hostname } from "node:os";
import { type IPod, Pod } from "kubernetes-models/v1";
import { tables } from "../src/query/schema.ts";
import { Clock } from "../src/cli/watch.ts";
import { attributeOf } from "../src/query/otel.ts";
import { parseAllDocuments } from "yaml";
import { executable, Fixture, root, type Row, run, taskIter, TemporaryFolder } from "./support.ts";

/** The rows of jsonl. */
const parsed = (text: string) => text.trimEnd().split("\n").map((line) => JSON.parse(line));

Deno.test("--host puts the time and the host's name before the columns of each row", async () => {
  await using fixture = await Fixture.start("threads", "1");
  const ask = (...words: string[]) => taskIter("tasks", "-f", "jsonl", "-c", "tid,pid", "--pid", String(fixture.pid), ...words);
  const before = new Date().toISOString();
  const [row] = parsed(ask("--host").stdout);
  equal(Object.keys(row), ["t", "host", "tid", "pid"]);
  equal([row.host, row.pid], [hostname(), fixture.pid]);
  ok(row.t >= before && row.t <= new Date().toISOString());
  const name = 'a "b"\\\u00e9\n';
  for (const again of [[], ["--interval", "10ms", "--count", "2"]]) {
    for (const row of parsed(ask(`--host=${name}`, ...again).stdout)) equal(row.host, name);
  }
});

Deno.test("--host and --names are for jsonl, and a host's name has a limit", () => {
  for (
    const [words, said] of [
      [["tasks", "--host"], /--host is for --format jsonl/],
      [["tasks", "-f", "json", "--names", "otel"], /--names is for --format jsonl/],
      [["tasks", "-f", "jsonl", "--names", "otell"], /Did you mean otel/],
      [["tasks", "-f", "jsonl", `--host=${"x".repeat(256)}`], /at most 255 bytes/],
    ] as const
  ) {
    const { status, stderr } = taskIter(...words);
    equal(status, 2);
    match(stderr, said);
  }
});

Deno.test("--names otel gives each column the name of its attribute and leaves the values", async () => {
  await using fixture = await Fixture.start("threads", "1");
  for (const table of ["tasks", "files", "stacks"]) {
    const ask = (...words: string[]) =>
      taskIter(table, "-f", "jsonl", "--columns", "all", "--pid", String(fixture.pid), ...words).stdout;
    const columns = tables.find(({ name }) => name === table)!.columns.map(({ name }) => attributeOf(table, name));
    const [row] = parsed(ask("--names", "otel"));
    equal(Object.keys(row), columns);
    equal(row["process.pid"], fixture.pid);
    const [named] = parsed(ask("--host=h", "--names", "otel"));
    equal(Object.keys(named), ["t", "host.name", ...columns]);
  }
});

Deno.test("an attribute's name is one of OpenTelemetry's or in the namespace task_iter, once in a table", () => {
  equal(attributeOf("tasks", "pid"), "process.pid");
  equal(attributeOf("cgroups", "path"), "task_iter.path");
  for (const { name, columns } of tables) {
    const attributes = columns.map((column) => attributeOf(name, column.name));
    equal(new Set(attributes).size, attributes.length, name);
    for (const attribute of attributes) ok(attribute.length <= 59 && /^[a-z0-9_]+(\.[a-z0-9_]+)+$/.test(attribute), attribute);
  }
});

const packaging = (name: string) => `${root}packaging/${name}`;

/** The documents of a YAML file. */
const documents = (name: string) => parseAllDocuments(readFileSync(packaging(name), "utf8")).map((document) => document.toJS());

/** The manifests, each with its kinds and where these have their classes and types. */
const MANIFESTS = {
  "probe.yaml": ["v1/Pod"],
  "cronjob.yaml": ["v1/ConfigMap", "batch/v1/CronJob"],
  "daemonset.yaml": ["apps/v1/DaemonSet"],
} as const;

/** Every container of a manifest. */
function containersOf(
  value: unknown,
): { args?: string[]; readinessProbe?: { exec: { command: string[] } }; securityContext?: unknown }[] {
  if (typeof value !== "object" || value === null) return [];
  const own = "containers" in value && Array.isArray(value.containers) ? value.containers : [];
  return [...own, ...Object.values(value).flatMap(containersOf)];
}

for (const [name, kinds] of Object.entries(MANIFESTS)) {
  Deno.test(`${name} is what Kubernetes' schemas take, with no field that they do not know`, async () => {
    const found = documents(name);
    equal(found.map(({ apiVersion, kind }) => `${apiVersion}/${kind}`), kinds);
    using folder = new TemporaryFolder();
    for (const [i, kind] of kinds.entries()) {
      const [, module, type] = /^(.*)\/(\w+)$/.exec(kind)!;
      const Kind = (await import(`kubernetes-models/${module}`))[type!];
      new Kind(found[i]).validate();
      // The schemas allow unknown fields. The types do not, in a literal.
      const file = `${folder.path}/${type}.ts`;
      const check = (manifest: unknown) => {
        const literal = JSON.stringify(manifest);
        writeFileSync(
          file,
          `import type { I${type} } from "kubernetes-models/${module}";\nexport const it: I${type} = ${literal};\n`,
        );
        return run(Deno.execPath(), ["check", "--config", `${root}deno.json`, file]);
      };
      const { status, stderr } = check(found[i]);
      equal(status, 0, stderr);
      match(check({ ...found[i], metadata: { ...found[i].metadata, nmae: "" } }).stderr, /nmae/);
    }
  });

  Deno.test(`${name} grants task-iter two capabilities, and task-iter understands its arguments`, () => {
    const containers = documents(name).flatMap(containersOf).filter(({ args }) => args !== undefined);
    equal(containers.length, 1);
    const [{ args, readinessProbe, securityContext }] = containers as [typeof containers[0]];
    equal(securityContext, {
      runAsUser: 0,
      privileged: false,
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ["ALL"], add: ["BPF", "PERFMON"] },
      seccompProfile: { type: "RuntimeDefault" },
    });
    using folder = new TemporaryFolder();
    const checks = documents(name).find(({ kind }) => kind === "ConfigMap")?.data["checks.json"];
    if (checks) writeFileSync(`${folder.path}/checks.json`, checks);
    const words = args!.map((word) => word === "/checks/checks.json" ? `${folder.path}/checks.json` : word);
    const { status, stderr } = taskIter(...words, ...words.includes("--interval") ? ["--count", "1"] : []);
    ok(checks ? [0, 1, 2].includes(status!) : status === 0, stderr);
    if (readinessProbe) {
      const [command, ...rest] = readinessProbe.exec.command;
      equal(command, "/task-iter");
      equal(taskIter(...rest).status, 0);
      equal(taskIter(...rest.map((word) => word === "900" ? "1:" : word)).status, 2);
    }
  });
}

Deno.test("a manifest with a wrong value is refused", () => {
  const [pod] = documents("probe.yaml") as [IPod];
  const [, sidecar] = pod.spec!.containers;
  throws(() =>
    new Pod({ ...pod, spec: { ...pod.spec!, containers: [{ ...sidecar!, args: 1 as unknown as string[] }] } }).validate()
  );
});

Deno.test("otel-collector.yaml uses what it configures, and its operators take fields of a real row", async () => {
  const [{ extensions, receivers, processors, exporters, service }] = documents("otel-collector.yaml");
  const used = (part: string) =>
    Object.values(service.pipelines as Record<string, Record<string, string[]>>).flatMap((pipe) => pipe[part] ?? []);
  equal(used("receivers"), Object.keys(receivers));
  equal(used("processors"), Object.keys(processors));
  equal(used("exporters"), Object.keys(exporters));
  equal(service.extensions, Object.keys(extensions));
  await using fixture = await Fixture.start("threads", "1");
  const [row] = parsed(taskIter("tasks", "--pid", String(fixture.pid), "-f", "jsonl", "--host", "--names", "otel").stdout);
  const [parser, move, ...removals] = receivers.filelog.operators;
  equal(parser.timestamp.parse_from, "attributes.t");
  const field = /^attributes\["(.*)"\]$/.exec(move.from)![1]!;
  equal([field in row, move.to], [true, `resource["${field}"]`]);
  equal(removals.map(({ field }: { field: string }) => field), ["attributes.t", "body"]);
  // Go's layout: the reference time, and its fraction with as many digits as the nines.
  const layout = String(parser.timestamp.layout).replace(/2006|01|02|15|04|05|9/g, (part) => "0".repeat(part.length)).replace(
    "Z07:00",
    "Z",
  );
  equal(row.t.replace(/[0-9]/g, "0"), layout);
});

/** A port of the loopback that nobody listens on. */
function freePort(): Promise<number> {
  const server = createServer();
  return new Promise((resolve) =>
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    })
  );
}

/** A server of this test, which ends with it. */
class Server implements AsyncDisposable {
  #output = "";

  private constructor(readonly url: string, private readonly child: ChildProcess) {
    for (const stream of [child.stdout, child.stderr]) stream!.on("data", (data) => this.#output += data);
  }

  /** Starts `command` and waits until a GET of `path` answers with 200. */
  static async start(command: string, args: readonly string[], port: number, path: string): Promise<Server> {
    const server = new Server(`http://127.0.0.1:${port}`, spawn(command, args, { stdio: ["ignore", "pipe", "pipe"] }));
    for (let tries = 0; !(await server.answers(path)); tries++) {
      if (server.child.exitCode !== null || tries > 600) {
        await server[Symbol.asyncDispose]();
        throw new Error(`${command} did not start: ${server.#output}`);
      }
      await pause(100);
    }
    return server;
  }

  async answers(path: string): Promise<boolean> {
    try {
      const response = await fetch(this.url + path);
      await response.body?.cancel();
      return response.status === 200;
    } catch {
      return false;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const ended = new Promise((resolve) => this.child.once("exit", resolve));
    this.child.kill("SIGTERM");
    const timer = setTimeout(() => this.child.kill("SIGKILL"), 20_000);
    await ended;
    clearTimeout(timer);
  }
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Asks again until the answer is there; servers take their time. */
async function eventually<T>(ask: () => Promise<T | undefined>): Promise<T> {
  for (let tries = 0;; tries++) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    if (tries > 300) throw new Error("no answer within 30 seconds");
    await pause(100);
  }
}

Deno.test("Prometheus answers questions over two hosts with the numbers that their tasks have", async () => {
  using folder = new TemporaryFolder();
  await using first = await Fixture.start("threads", "3");
  await using second = await Fixture.start("threads", "6");
  const hosts = [{ pid: first.pid, threads: 4 }, { pid: second.pid, threads: 7 }].map((host, i) => ({
    ...host,
    name: `host-${i}`,
  }));
  /** Each "host" counts its own process: there is one kernel here. */
  const write = ({ name, pid }: typeof hosts[0], crit: string) => {
    mkdirSync(`${folder.path}/${name}`, { recursive: true });
    const metrics = {
      counts: [{ name: "tasks_by_pid", table: "tasks", pid, by: ["pid"] }],
      checks: [{ name: "threads", table: "tasks", pid, crit }],
    };
    writeFileSync(`${folder.path}/${name}.json`, JSON.stringify(metrics));
    const args = ["count", "--file", `${folder.path}/${name}.json`, "--output", `${folder.path}/${name}/task-iter.prom`];
    const { status, stderr } = taskIter(...args);
    equal(status, 0, stderr);
  };
  write(hosts[0]!, "10");
  write(hosts[1]!, "5");
  await using servers = new AsyncDisposableStack();
  const targets = [];
  for (const { name } of hosts) {
    const port = await freePort();
    const args = [
      `--web.listen-address=127.0.0.1:${port}`,
      "--collector.disable-defaults",
      "--collector.textfile",
      `--collector.textfile.directory=${folder.path}/${name}`,
    ];
    servers.use(await Server.start("prometheus-node-exporter", args, port, "/metrics"));
    targets.push({ targets: [`127.0.0.1:${port}`], labels: { host: name } });
  }
  const port = await freePort();
  const rules = packaging("prometheus/alerts.yml");
  const configuration = {
    global: { scrape_interval: "500ms", scrape_timeout: "500ms" },
    rule_files: [rules],
    scrape_configs: [{ job_name: "node", static_configs: targets }],
  };
  writeFileSync(`${folder.path}/prometheus.yml`, JSON.stringify(configuration)); // YAML too
  const prometheus = servers.use(
    await Server.start(
      "prometheus",
      [
        `--config.file=${folder.path}/prometheus.yml`,
        `--storage.tsdb.path=${folder.path}/data`,
        `--web.listen-address=127.0.0.1:${port}`,
      ],
      port,
      "/-/ready",
    ),
  );
  /** The values of a query by host, once it has `count` of them. */
  const ask = (query: string, count = 2) =>
    eventually(async () => {
      const response = await fetch(`${prometheus.url}/api/v1/query?query=${encodeURIComponent(query)}`);
      const { data } = await response.json() as { data: { result: { metric: { host: string }; value: [number, string] }[] } };
      return data.result.length < count
        ? undefined
        : data.result.map(({ metric, value }) => [metric.host, Number(value[1])]).sort();
    });
  equal(await ask("task_iter_tasks_by_pid"), hosts.map(({ name, threads }) => [name, threads]));
  equal(await ask("sum(task_iter_tasks_by_pid)", 1), [[undefined, 11]]);
  equal(await ask("task_iter_check_status"), [["host-0", 0], ["host-1", 2]]);
  equal(await ask("task_iter_check_status > 0", 1), [["host-1", 2]]);
  // An old file is served like a new one: its time of change shows its age.
  utimesSync(`${folder.path}/host-0/task-iter.prom`, new Date(), new Date(Date.now() - 3_600_000));
  equal(
    await ask('time() - node_textfile_mtime_seconds{file=~".*/task-iter\\\\.prom"} > 120', 1).then((found) =>
      found.map(([host]) => host)
    ),
    [
      "host-0",
    ],
  );
  write(hosts[0]!, "1");
  equal(await ask("task_iter_check_status == 2"), [["host-0", 2], ["host-1", 2]]);
});

Deno.test("the alert rules, their tests, the metrics and the configuration of Prometheus are what promtool takes", () => {
  const folder = packaging("prometheus");
  for (
    const args of [["check", "config", "prometheus.yml"], ["check", "rules", "alerts.yml"], ["test", "rules", "alerts.test.yml"]]
  ) {
    const { status, stdout, stderr } = run("promtool", args, { cwd: folder });
    equal(status, 0, stdout + stderr);
  }
  const { stdout } = taskIter("count", "--file", `${folder}/metrics.json`);
  match(stdout, /^task_iter_check_status\{check="zombies"\} [0-3]$/m);
  const { status, stderr } = run("promtool", ["check", "metrics"], { input: stdout });
  equal([status, stderr], [0, ""]);
  // The rules ask for metrics that task-iter writes.
  const asked = readFileSync(`${folder}/alerts.yml`, "utf8").match(/task_iter_\w+/g)!;
  for (const name of new Set(asked)) ok(stdout.includes(`# TYPE ${name} `), name);
});

/** A ClickHouse of this test: its data stay in `folder` when it is stopped. */
class ClickHouse implements AsyncDisposable {
  #server: Server | undefined;

  private constructor(private readonly folder: string, readonly port: number) {}

  static async start(folder: string): Promise<ClickHouse> {
    const [http, tcp, others] = [await freePort(), await freePort(), await freePort()];
    const clickhouse = new ClickHouse(folder, http);
    writeFileSync(
      `${folder}/config.xml`,
      `<yandex>
  <logger><level>warning</level><console>1</console></logger>
  <listen_host>127.0.0.1</listen_host>
  <http_port>${http}</http_port><tcp_port>${tcp}</tcp_port><interserver_http_port>${others}</interserver_http_port>
  <path>${folder}/data/</path><tmp_path>${folder}/tmp/</tmp_path><user_files_path>${folder}/files/</user_files_path>
  <users_config>${folder}/users.xml</users_config>
  <default_profile>default</default_profile><default_database>default</default_database>
  <mark_cache_size>100000000</mark_cache_size><mlock_executable>false</mlock_executable>
</yandex>
`,
    );
    writeFileSync(
      `${folder}/users.xml`,
      `<yandex>
  <profiles><default/></profiles><quotas><default/></quotas>
  <users><default><password></password><networks><ip>127.0.0.1</ip></networks><profile>default</profile><quota>default</quota></default></users>
</yandex>
`,
    );
    await clickhouse.start();
    return clickhouse;
  }

  async start(): Promise<void> {
    this.#server = await Server.start("clickhouse-server", [`--config-file=${this.folder}/config.xml`], this.port, "/ping");
  }

  async stop(): Promise<void> {
    await this.#server?.[Symbol.asyncDispose]();
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** The rows that a statement gives. */
  async ask(statement: string): Promise<Row[]> {
    const format = /^\s*(--[^\n]*\n\s*)*SELECT/.test(statement) ? " FORMAT JSONEachRow" : "";
    const response = await fetch(this.url, { method: "POST", body: statement + format });
    const text = await response.text();
    if (!response.ok) throw new Error(text);
    return text.split("\n").filter(Boolean).map((line) => JSON.parse(line));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}

/** A question of docs/clickhouse.md. */
function question(name: string): string {
  const found = new RegExp(`\`\`\`sql\\n(-- question: ${name}\\n[^]*?)\`\`\``).exec(
    readFileSync(`${root}docs/clickhouse.md`, "utf8"),
  );
  return found![1]!.trim();
}

/** A "host": task-iter that writes the changes of a table to a spool folder until this ends. */
class Host implements AsyncDisposable {
  private constructor(readonly spool: string, private readonly child: ChildProcess) {}

  static start(name: string, spool: string, table: string, where: string): Host {
    mkdirSync(spool, { recursive: true });
    const words = [table, "--columns", "all", "--where", where, "--interval", "1s", "--changes", "-f", "jsonl", `--host=${name}`];
    return new Host(spool, spawn(executable, [...words, "--output", `${spool}/`], { stdio: "ignore" }));
  }

  /** The rows in files that nobody has sent. */
  rows(): Row[] {
    return readdirSync(this.spool).filter((name) => name.endsWith(".jsonl")).sort()
      .flatMap((name) => parsed(readFileSync(`${this.spool}/${name}`, "utf8")));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = new Promise((resolve) => this.child.once("exit", resolve));
    this.child.kill("SIGTERM");
    await ended;
  }
}

/** Sends a spool folder. @returns the exit status */
function ship(
  clickhouse: ClickHouse,
  spool: string,
  table: string,
  megabytes = "1024",
  env: Record<string, string> = {},
): number {
  const args = [clickhouse.url, spool, `task_iter_${table}`, megabytes];
  return run(packaging("clickhouse/ship.sh"), args, { env: { ...process.env, ...env } }).status!;
}

Deno.test("ClickHouse answers questions across hosts from the changes that they send", async () => {
  using folder = new TemporaryFolder();
  await using clickhouse = await ClickHouse.start(folder.path);
  for (const table of ["tasks", "files", "tcp"]) {
    await clickhouse.ask(taskIter("tables", table, "--ddl", "clickhouse").stdout.replace(/;\s*$/, ""));
  }
  const listener = createServer();
  await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
  const { port } = listener.address() as AddressInfo;
  await using fixture = await Fixture.start("threads", "2");
  const leaking = spawn("bash", { stdio: ["pipe", "pipe", "inherit"] });
  const spool = (name: string) => `${folder.path}/${name}`;
  await using hosts = new AsyncDisposableStack();
  const listening = hosts.use(Host.start("web1", spool("tcp1"), "tcp", `local_port == ${port}`));
  hosts.use(Host.start("web2", spool("tcp2"), "tcp", "local_port == 1"));
  const running = hosts.use(Host.start("web2", spool("tasks2"), "tasks", `pid == ${fixture.pid}`));
  const holding = hosts.use(Host.start("web1", spool("files1"), "files", `pid == ${leaking.pid}`));
  try {
    await eventually(() => Promise.resolve([listening, running, holding].every((host) => host.rows().length > 0) || undefined));
    const then = new Date(Date.now() + 1000).toISOString().slice(0, 19).replace("T", " ");
    leaking.stdin.write("for i in 1 2 3 4 5 6 7; do exec {fd}</dev/null; done\n");
    await eventually(() =>
      Promise.resolve(holding.rows().filter(({ op, path }) => op === "+" && path === "/dev/null").length >= 7 || undefined)
    );
    equal(ship(clickhouse, listening.spool, "tcp"), 0);
    equal(ship(clickhouse, running.spool, "tasks"), 0);
    equal(ship(clickhouse, holding.spool, "files"), 0);
    equal([listening, running, holding].flatMap((host) => host.rows()), [], "what was sent is removed");

    const listeners = () => clickhouse.ask(question("listeners").replace("443", String(port)));
    equal((await listeners()).map(({ host, local_addr, pid }) => [host, local_addr, Number(pid)]), [[
      "web1",
      "127.0.0.1",
      process.pid,
    ]]);
    const [leak] = await clickhouse.ask(question("leaks"));
    equal([leak!.host, Number(leak!.pid), Number(leak!.growth)], ["web1", leaking.pid, 7]);

    // The receiver is away: nothing is lost that a file can keep.
    await clickhouse.stop();
    await new Promise((resolve) => listener.close(resolve));
    await eventually(() => Promise.resolve(listening.rows().some(({ op }) => op === "-") || undefined));
    equal(ship(clickhouse, listening.spool, "tcp"), 1);
    ok(listening.rows().length > 0);
    await clickhouse.start();
    equal(ship(clickhouse, listening.spool, "tcp"), 0);
    equal(await listeners(), []);

    // What ran then is known when it is gone.
    await fixture[Symbol.asyncDispose]();
    await eventually(() => Promise.resolve(running.rows().filter(({ op }) => op === "-").length === 3 || undefined));
    equal(ship(clickhouse, running.spool, "tasks"), 0);
    const at = (time: string) =>
      clickhouse.ask(question("then").replaceAll("{host}", "'web2'").replaceAll("{time}", `toDateTime('${time}')`));
    equal((await at(then)).length, 3);
    ok((await at(then)).every(({ cmdline }) => cmdline.endsWith("threads 2")));
    equal(await at(new Date(Date.now() + 1000).toISOString().slice(0, 19).replace("T", " ")), []);
  } finally {
    listener.close();
    leaking.stdin.end();
    await new Promise((resolve) => leaking.exitCode === null ? leaking.once("exit", resolve) : resolve(undefined));
  }
});

Deno.test("a spool that is over its limit loses its oldest files, counts their rows and begins anew", () => {
  using folder = new TemporaryFolder();
  const write = (name: string, rows: number) => writeFileSync(`${folder.path}/${name}.jsonl`, "{}\n".repeat(rows));
  const away = { url: "http://127.0.0.1:9" } as ClickHouse; // discard: nobody listens there
  write("1", 400_000);
  write("2", 200_000);
  write("3", 5);
  const restart = { RESTART: `touch ${folder.path}/restarted` };
  equal(ship(away, folder.path, "tasks", "10", restart), 1);
  equal(readdirSync(folder.path).sort(), ["1.jsonl", "2.jsonl", "3.jsonl"]);
  equal(ship(away, folder.path, "tasks", "1", restart), 2);
  equal(readdirSync(folder.path).sort(), ["2.jsonl", "3.jsonl", "lost", "restarted"]);
  equal(ship(away, folder.path, "tasks", "0", restart), 2);
  equal(readFileSync(`${folder.path}/lost`, "utf8"), "600005\n");
});

Deno.test("a pass that cannot be written to the spool ends task-iter, with nothing half written", () => {
  const script = 'mount -t tmpfs -o size=16k none "$1" && head -c 12k /dev/zero > "$1/filler" && ' +
    '"$2" tasks --columns all --interval 10ms --count 3 --changes -f jsonl --output "$1/"; echo "status $?"; ls -A "$1"';
  using folder = new TemporaryFolder();
  const { stdout, stderr } = run("unshare", ["--mount", "sh", "-c", script, "sh", folder.path, executable]);
  equal(stdout, "status 1\nfiller\n");
  match(stderr, /^task-iter: cannot write .*: no space left on device\n$/);
});

Deno.test("--output FOLDER/ makes a file for each pass that has rows, in the order of the passes", async () => {
  using folder = new TemporaryFolder();
  await using fixture = await Fixture.start("threads", "1");
  const ask = (pid: number, format: string) =>
    taskIter("tasks", "--pid", String(pid), "-f", format, "--interval", "10ms", "--count", "3", "--output", `${folder.path}/`);
  equal(ask(fixture.pid, "jsonl"), { status: 0, stdout: "", stderr: "" });
  const names = readdirSync(folder.path).sort();
  equal(names.length, 3);
  for (const name of names) {
    const rows = parsed(readFileSync(`${folder.path}/${name}`, "utf8"));
    equal(rows.map(({ pid }) => pid), [fixture.pid, fixture.pid]);
    equal(`${rows[0].t.replace(/[-:]/g, "")}.jsonl`, name);
  }
  for (const format of ["jsonl", "csv"]) equal(ask(0x7fffffff, format).status, 0);
  equal(readdirSync(folder.path).sort(), names, "a pass without rows makes no file");
  match(taskIter("tasks", "--output", `${folder.path}/`).stderr, /it needs --interval/);
});

Deno.test("the time of a pass never goes back, whatever the clock does", () => {
  const readings = [1000, 2000, 1500, 1500, 2001, 2001, 5000];
  const clock = new Clock(() => readings.shift()!);
  equal(Array.from({ length: 7 }, () => clock.now()), [1000, 2000, 2001, 2002, 2003, 2004, 5000]);
});
