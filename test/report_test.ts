// SPDX-License-Identifier: BSD-2-Clause
/** `task-iter report` and `task-iter flame`, opened in a browser. */
/// <reference lib="dom" />

import { deepStrictEqual as equal, match, ok } from "node:assert";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import type { Page } from "playwright-core";
import { Browser } from "./browser.ts";
import { Fixture, type Row, rows, run, taskIter, TemporaryFolder } from "./support.ts";

/** Writes the output of task-iter into a file. */
function write(path: string, ...args: string[]): string {
  const { status, stdout, stderr } = taskIter(...args);
  equal([status, stderr], [0, ""]);
  writeFileSync(path, stdout);
  return stdout;
}

const ready = (page: Page) => page.waitForSelector("html[data-ready]");

/** The cells of the rows on the screen, by column. */
function cells(page: Page): Promise<Record<string, string>[]> {
  return page.evaluate(() => {
    const names = [...document.querySelectorAll("[role=columnheader]")].map((header) => header.textContent!);
    return [...document.querySelectorAll(".body [role=row]")].map((row) =>
      Object.fromEntries([...row.children].map((cell, i) => [names[i]!, cell.textContent!]))
    );
  });
}

/** Types into the search of the view and waits for its answer. */
async function search(page: Page, text: string): Promise<void> {
  await page.keyboard.press("/");
  await page.keyboard.type(text);
  await page.waitForFunction((text) => decodeURIComponent(location.hash).endsWith(text), text);
}

/** Rows for a snapshot of the test's own, with every name that a process may choose. */
function snapshotOf(folder: string, tables: Record<string, Row[]>, host = "host"): string {
  mkdirSync(`${folder}/tables`, { recursive: true });
  const facts = Object.entries(tables).map(([name, rows]) => {
    writeFileSync(`${folder}/tables/${name}.jsonl`, rows.map((row) => JSON.stringify(row) + "\n").join(""));
    const columns = Object.entries(rows[0] ?? {}).map(([name, value]) => ({
      name,
      type: typeof value === "number" ? "number" : "string",
      shown: true,
      doc: name,
    }));
    return {
      name,
      state: "read",
      reason: null,
      plural: "rows",
      where: null,
      netns: null,
      rows: 0,
      bytes: 0,
      load_ms: 0,
      walk_ms: 0,
      columns,
    };
  });
  const manifest = {
    format: 1,
    task_iter: host,
    time: "2026-01-02T03:04:05.678Z",
    duration_ms: 1,
    redacted: false,
    tables: facts,
  };
  writeFileSync(`${folder}/manifest.json`, JSON.stringify(manifest));
  writeFileSync(
    `${folder}/host.json`,
    JSON.stringify({
      hostname: host,
      kernel: { release: host, version: host, machine: host, cmdline: host },
      os: host,
      cpus: 1,
      uptime_s: 1,
      load: [1, 2, 3],
      memory: {},
      cgroups: host,
      pid: 1,
      mounts: [],
    }),
  );
  return folder;
}

Deno.test("a report of this machine opens without an error, sorts, searches and shows a row, by mouse and by keys", async () => {
  await using fixture = await Fixture.start("family", "5", "report-me");
  using folder = new TemporaryFolder();
  write(`${folder.path}/report.html`, "report");
  await using browser = await Browser.start();
  const { page, wrong, close } = await browser.open(`${folder.path}/report.html`);
  await ready(page);
  // Of the summary: the checks, and the card of memory, whose link leads to the process.
  equal(await page.locator("#card-checks tbody tr").count(), JSON.parse(readFileSync("docs/checks.json", "utf8")).length);
  ok(await page.locator("#card-memory tbody tr").count() > 0);
  // Who holds most descriptors, with the limit that the process has.
  const [holder, , open, limit] = await page.locator("#card-descriptors tbody tr").first().locator("td").allTextContents();
  const number = (text: string | undefined) => Number(text?.replace(/\u202f/g, ""));
  ok(number(open) > 0);
  if (existsSync(`/proc/${holder}/limits`)) {
    equal(number(limit), Number(/^Max open files +(\d+)/m.exec(readFileSync(`/proc/${holder}/limits`, "utf8"))![1]));
  }
  const largest = await page.locator("#card-memory tbody a").first().textContent();
  await page.locator("#card-memory tbody a").first().click();
  await page.waitForSelector("#view-tasks .row");
  equal(new Set((await cells(page)).map(({ pid }) => pid)), new Set([largest]));

  await page.locator("nav a[data-view=tasks]").click();
  await page.waitForFunction(() => location.hash === "#tasks");
  await search(page, "comm=report-me");
  const family = await cells(page);
  equal(family.map(({ comm }) => comm), Array(5).fill("report-me"));
  equal(new Set(family.map(({ ppid }) => ppid)), new Set([String(fixture.pid)]));
  // Numbers begin with the largest, then the smallest, then as it was.
  const order = family.map(({ pid }) => pid!);
  const byPid = [...order].sort((a, b) => Number(a) - Number(b));
  const header = page.locator("[role=columnheader]", { has: page.getByRole("button", { name: "pid", exact: true }) });
  const pids = async () => (await cells(page)).map(({ pid }) => pid);
  for (const [state, expected] of [["descending", [...byPid].reverse()], ["ascending", byPid], ["none", order]] as const) {
    await header.getByRole("button").press("Enter");
    equal([await header.getAttribute("aria-sort"), await pids()], [state, expected]);
  }
  // Keys of the table: the third row, all of its columns.
  await page.locator(".grid").focus();
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("ArrowDown");
  const active = await page.locator(".grid").getAttribute("aria-activedescendant");
  equal(await page.locator(`#${active}`).getAttribute("aria-rowindex"), "4");
  await page.keyboard.press("Enter");
  const shown = await page.locator("dialog[open] dd").allTextContents();
  equal(shown[0], order[2]);
  equal(shown.length, rows("tasks", "--pid", String(fixture.pid), "-c", "all").map((row) => Object.keys(row).length)[0]);
  await page.keyboard.press("Escape");
  equal(await page.locator("dialog[open]").count(), 0);
  // Columns that are not shown by default.
  await page.getByText("Columns", { exact: true }).click();
  await page.getByLabel("cmdline", { exact: true }).check();
  ok((await cells(page)).every(({ cmdline }) => cmdline!.includes("family")));
  equal(wrong, []);
  await close();
});

Deno.test("words of a search are all needed; they compare columns, exactly, by part, and by size", async () => {
  using folder = new TemporaryFolder();
  const data = [
    { name: "Alpha one", size: 5, path: "/a b" },
    { name: "alpha two", size: 50, path: "/a" },
    { name: "beta", size: null, path: "/alpha" },
    { name: "gamma", size: 500, path: null },
  ];
  write(`${folder.path}/report.html`, "report", snapshotOf(`${folder.path}/snapshot`, { files: data }));
  await using browser = await Browser.start();
  const { page, wrong, close } = await browser.open(`${folder.path}/report.html`, { hash: "#files" });
  await ready(page);
  const cases: [string, string[]][] = [
    ["alpha", ["Alpha one", "alpha two", "beta"]],
    ["alpha name:two", ["alpha two"]],
    ["name=alpha", []],
    ["name=beta", ["beta"]],
    ["size>5", ["alpha two", "gamma"]],
    ["size<500 size>4", ["Alpha one", "alpha two"]],
    ['path="/a b"', ["Alpha one"]],
    ['"alpha one"', ["Alpha one"]],
    ["path=", ["gamma"]],
    ["(", []],
    ["", ["Alpha one", "alpha two", "beta", "gamma"]],
  ];
  for (const [text, expected] of cases) {
    await page.locator("input[type=search]").fill(text);
    await page.waitForFunction((text) => decodeURIComponent(location.hash) === `#files${text ? `?${text}` : ""}`, text);
    equal((await cells(page)).map(({ name }) => name), expected, text);
  }
  equal(wrong, []);
  await close();
});

Deno.test("a million rows stay usable: the last one is in sight, sorted and searched, with few elements", async () => {
  using folder = new TemporaryFolder();
  const count = 1_000_000;
  snapshotOf(`${folder.path}/snapshot`, { files: [{ fd: 0, path: "/x" }] });
  const lines: string[] = [];
  for (let i = 0; i < count; i++) lines.push(`{"fd":${(i * 7919) % count},"path":"/file/${i % 1000}"}\n`);
  writeFileSync(`${folder.path}/snapshot/tables/files.jsonl`, lines.join(""));
  write(`${folder.path}/report.html`, "report", `${folder.path}/snapshot`);
  await using browser = await Browser.start();
  const { page, wrong, close } = await browser.open(`${folder.path}/report.html`, { hash: "#files" });
  await ready(page);
  equal(await page.locator(".grid").getAttribute("aria-rowcount"), String(count + 1));
  await page.locator(".grid").focus();
  await page.keyboard.press("End");
  const last = async () => (await page.locator(".row.selected").innerText()).split(/\s+/).filter(Boolean);
  equal(await last(), [String(((count - 1) * 7919) % count), `/file/${(count - 1) % 1000}`]);
  const seen = await page.evaluate(() => {
    const [row, grid] = [".row.selected", ".grid"].map((name) => document.querySelector(name)!.getBoundingClientRect());
    return { within: row!.top >= grid!.top && row!.bottom <= grid!.bottom + 1, rows: document.querySelectorAll(".row").length };
  });
  ok(seen.within && seen.rows < 100, JSON.stringify(seen));
  // Each row is reached: a step up from the last is the last but one, also where a pixel of the bar stands for several rows.
  await page.keyboard.press("ArrowUp");
  equal(await last(), [String(((count - 2) * 7919) % count), `/file/${(count - 2) % 1000}`]);
  await page.getByRole("button", { name: "fd" }).click();
  await page.locator(".grid").focus();
  equal((await cells(page)).slice(0, 3).map(({ fd }) => fd), ["999999", "999998", "999997"]);
  await page.keyboard.press("End");
  equal((await last())[0], "0");
  await search(page, "path=/file/7 fd<100000");
  const found = await cells(page);
  ok(found.length > 20 && found.every(({ fd, path }) => path === "/file/7" && Number(fd) < 100_000));
  equal(wrong, []);
  await close();
});

const HOSTILE = [
  "</script><script>alert(1)</script>",
  '"><img src=x onerror=alert(2)>',
  "<!--<script>",
  "]]><svg onload=alert(3)>",
  "'\"&lt;b&gt;",
  "\u0000\u0001\u001b[31m\u0007\u007f\u009b",
  "\u202egnp.exe\u2066",
  "javascript:alert(4)",
  "\ufffe\uffff\ud800",
];

Deno.test("hostile names stay text, everywhere in the page and in the picture", async () => {
  using folder = new TemporaryFolder();
  for (const [i, name] of HOSTILE.entries()) {
    rmSync(`${folder.path}/snapshot`, { recursive: true, force: true });
    const task = { pid: 7, tid: 7, ppid: 1, uid: 0, comm: name, state: "D", rss_kb: 4, wchan: name, cmdline: name };
    snapshotOf(`${folder.path}/snapshot`, {
      tasks: [task, { ...task, pid: 8, tid: 8, state: "Z" }],
      files: [{ comm: name, pid: 7, fd: 3, type: "REG", path: name, size: 5, deleted: true, ino: 1 }],
      tcp: [{ state: "LISTEN", local_addr: name, local_port: 1, uid: 0, ino: 1 }],
      stacks: [{ comm: name, pid: 7, tid: 7, frames: [name, "a+0x1/0x2"] }],
    }, name);
    const html = write(`${folder.path}/${i}.html`, "report", `${folder.path}/snapshot`);
    const svg = write(`${folder.path}/${i}.svg`, "flame", `${folder.path}/snapshot`);
    // Nothing of it is markup: the page has its own elements, the picture is well-formed.
    equal(html.match(/<script/g)!.length, 6);
    equal(svg.match(/<script/g)!.length, 1);
  }
  await using browser = await Browser.start();
  for (const [i, name] of HOSTILE.entries()) {
    const { page, wrong, close } = await browser.open(`${folder.path}/${i}.html`);
    await ready(page);
    const text = await page.locator("#card-stuck tbody td").nth(2).textContent();
    // deno-lint-ignore no-control-regex
    ok(!/[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/.test(text!), text!);
    // deno-lint-ignore no-control-regex
    if (!/[\x00-\x1f\u200e-\uffff]/.test(name)) equal(text, name);
    for (const view of ["tasks", "files", "tcp", "stacks", "flame"]) {
      await page.locator(`nav a[data-view=${view}]`).click();
      await page.waitForSelector(`#view-${view} .row, #view-${view} g.frame`);
      if (view === "tasks") {
        await page.locator(".row").first().click();
        await page.keyboard.press("Escape");
      }
    }
    equal(await page.locator("img, iframe, object, embed, body script:not([id]) ~ script").count(), 0);
    equal(wrong, []);
    await close();
    const picture = await browser.open(`${folder.path}/${i}.svg`);
    equal(await picture.page.locator("g.frame").count(), 4);
    equal(picture.wrong, []);
    await picture.close();
  }
});

Deno.test("the page has a strict policy, whose hashes are those of its own code and style", () => {
  const { status, stdout } = taskIter("report", "--where", "ksyms:name == schedule");
  equal(status, 0);
  const policy = /<meta http-equiv="Content-Security-Policy" content="([^"]+)">/.exec(stdout)![1]!;
  const hash = (text: string) => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
  const style = /<style>([^]*?)<\/style>/.exec(stdout)![1]!;
  const script = /<script>([^]*?)<\/script>/.exec(stdout)![1]!;
  equal(
    policy,
    `default-src 'none'; script-src ${hash(script)}; style-src ${hash(style)}; base-uri 'none'; form-action 'none'`,
  );
  ok(!/\b(?:src|href)="(?!#)/.test(stdout.replaceAll(script, "")), "nothing is loaded from elsewhere");
  ok(!/\beval\(|new Function\(/.test(script));
  ok(!/ style="| on\w+="/.test(stdout.replaceAll(script, "")));
});

Deno.test("the flame graph counts threads, chooses names, searches and zooms, by mouse and by keys", async () => {
  await using fixture = await Fixture.start("threads", "40");
  await fixture.settle();
  using folder = new TemporaryFolder();
  write(`${folder.path}/report.html`, "report");
  const comm = rows("stacks", "--pid", String(fixture.pid)).at(-1)!.comm;
  await using browser = await Browser.start();
  const { page, wrong, close } = await browser.open(`${folder.path}/report.html`, { hash: "#flame" });
  await ready(page);
  await page.waitForSelector("g.frame");
  const details = () => page.locator(".details").textContent();
  const all = Number((await details())!.replace(/\u202f/g, "").match(/^all threads: (\d+) threads, 100.0 %$/)![1]);
  ok(all > 40);
  const options = await page.locator("select option").allTextContents();
  const option = options.findIndex((text) => text.startsWith(`${comm} (`));
  const ofName = Number(options[option]!.replace(/\u202f/g, "").match(/\((\d+)\)$/)![1]);
  ok(ofName >= 40, options[option]);
  await page.locator("select").selectOption({ index: option });
  match((await details())!, new RegExp(`^all threads: ${ofName} threads`));
  const names = () => page.locator("g.frame").evaluateAll((frames) => frames.map((frame) => frame.getAttribute("name")!));
  const frames = await names();
  ok(frames.includes(comm) && frames.some((name) => /^entry_SYSCALL_64/.test(name)), frames.join());
  ok(frames.every((name) => !/\+0x/.test(name)));
  await page.locator("input[type=search]").fill("SYSCALL_64");
  const marked = page.locator("g.frame").evaluateAll((frames) =>
    frames.filter((frame) => frame.querySelector("rect")!.getAttribute("fill") === "#b48ef5").map((frame) =>
      frame.getAttribute("name")!
    )
  );
  equal(await marked, frames.filter((name) => name.toLowerCase().includes("syscall_64")));
  match((await details())!, new RegExp(`^${ofName} threads in frames that match$`));
  // Zoom: the ancestors fade, the frame has the whole width.
  await page.locator("input[type=search]").fill("");
  const deepest = page.locator("g.frame").last();
  const width = (frame: typeof deepest) => frame.locator("rect").evaluate((rect) => rect.getBoundingClientRect().width);
  await deepest.click();
  const wide = await page.locator(".flame svg").evaluate((svg) => svg.getBoundingClientRect().width);
  ok(Math.abs(await width(page.locator("g.frame:not(.fade)").first()) - wide) < 2);
  ok(await page.locator("g.frame.fade").count() > 0);
  await page.locator(".flame").focus();
  await page.keyboard.press("Escape");
  equal(await page.locator("g.frame.fade").count(), 0);
  for (const key of ["ArrowDown", "ArrowDown", "Enter"]) await page.keyboard.press(key);
  equal(await page.locator("g.frame.fade").count(), 2);
  match((await details())!, /: \d+ threads?, \d+\.\d %$/);
  equal(wrong, []);
  await close();
});

Deno.test("flame writes an SVG that works alone: well-formed, with every thread counted, zoom and search", async () => {
  await using fixture = await Fixture.start("threads", "20");
  await fixture.settle();
  using folder = new TemporaryFolder();
  const path = `${folder.path}/stacks.svg`;
  write(path, "flame", "--pid", String(fixture.pid));
  await using browser = await Browser.start();
  const { page, wrong, close } = await browser.open(path);
  const frames = await page.locator("g.frame").evaluateAll((frames) =>
    (frames as unknown as SVGElement[]).map(({ dataset }) => ({
      name: dataset.name!,
      level: Number(dataset.level),
      value: Number(dataset.value),
    }))
  );
  equal(frames[0], { name: "all threads", level: 0, value: 21 });
  // Against the rows: of each innermost function, the number of threads.
  const counts = (names: [string, number][]) => {
    const sums = new Map<string, number>();
    for (const [name, value] of names) sums.set(name, (sums.get(name) ?? 0) + value);
    return [...sums].sort();
  };
  const stacks = rows("stacks", "--pid", String(fixture.pid));
  const outermost = stacks.map(({ frames }): [string, number] => [frames.at(-1).replace(/\+0x.*/, ""), 1]);
  equal(counts(frames.filter(({ level }) => level === 2).map(({ name, value }) => [name, value])), counts(outermost));
  // Zoom, by keys.
  const third = page.locator("g.frame[data-level='2']").first();
  await third.focus();
  match((await page.locator("#details").textContent())!, /: \d+ threads?, \d+\.\d %$/);
  await page.keyboard.press("Enter");
  equal(await page.locator("g.frame.above").count(), 2);
  equal(await third.locator("rect").getAttribute("width"), "1199.50");
  await page.keyboard.press("Escape");
  equal(await page.locator("g.frame.above").count(), 0);
  page.removeAllListeners("dialog");
  page.once("dialog", (dialog) => dialog.accept("entry_SYSCALL"));
  await page.locator("#search").click();
  match((await page.locator("#search").textContent())!, /^Search: 21 threads in entry_SYSCALL$/);
  ok(await page.locator("g.frame.found").count() > 0);
  equal(wrong, []);
  await close();
  // Predicates choose the stacks, in the kernel.
  const none = taskIter("flame", "--where", "comm == no-such-name");
  match(none.stdout, /data-name="all threads"[^>]* data-value="0"/);
});

Deno.test("every form of a snapshot gives the same page and picture", () => {
  using folder = new TemporaryFolder();
  const at = (name: string) => `${folder.path}/${name}`;
  equal(taskIter("snapshot", at("folder")).status, 0);
  for (const [name, ...flags] of [["a.tar.zst", "--zstd"], ["a.tar.gz", "-z"], ["a.tar"]]) {
    equal(run("tar", [...flags, "-cf", at(name!), "-C", folder.path, "folder"]).status, 0);
  }
  equal(run("tar", ["-cf", at("flat.tar"), "-C", at("folder"), "."]).status, 0);
  for (const command of ["report", "flame"]) {
    const expected = taskIter(command, at("folder"));
    equal([expected.status, expected.stderr], [0, ""]);
    for (const name of ["a.tar.zst", "a.tar.gz", "a.tar", "flat.tar"]) equal(taskIter(command, at(name)), expected, name);
    const piped = run("sh", ["-c", '"$1" "$2" - < "$3"', "sh", "dist/task-iter", command, at("a.tar.zst")]);
    equal(piped, expected);
  }
  // A redacted report of a snapshot that was not.
  const { stdout } = taskIter("report", "--redact", at("folder"));
  match(stdout, /<title>task-iter: \[redacted\],/);
});

Deno.test("what is no snapshot is status 2 and one line", () => {
  using folder = new TemporaryFolder();
  const at = (name: string) => `${folder.path}/${name}`;
  equal(taskIter("snapshot", at("a.tar.gz"), "--where", "ksyms:name == schedule").status, 0);
  const whole = readFileSync(at("a.tar.gz"));
  writeFileSync(at("cut.tar.gz"), whole.subarray(0, whole.length >> 1));
  writeFileSync(at("text"), "text\n".repeat(1000));
  writeFileSync(at("empty"), "");
  mkdirSync(at("folder"));
  snapshotOf(at("newer"), {});
  writeFileSync(at("newer/manifest.json"), JSON.stringify({ format: 2, task_iter: "9.9", tables: [] }));
  snapshotOf(at("broken"), { files: [{ fd: 1 }] });
  writeFileSync(at("broken/tables/files.jsonl"), '{"fd":1}\n{"fd":\n');
  for (
    const [name, words] of [
      ["missing", /cannot read .*missing: no such file or directory/],
      ["cut.tar.gz", /is damaged/],
      ["text", /is not a snapshot/],
      ["empty", /is not a snapshot/],
      ["folder", /is not a snapshot/],
      ["newer", /of format 2, which task-iter 9\.9 writes/],
      ["broken", /row 2 of files is not JSON/],
    ] as const
  ) {
    const { status, stderr } = taskIter("report", at(name));
    equal(status, 2, name);
    match(stderr, words);
    match(stderr, /^task-iter: [^\n]+\n$/);
  }
  equal(taskIter("flame", at("newer"), "--comm", "x").status, 2);
  equal(taskIter("report", at("a.tar.gz"), "--where", "files:fd == 1").status, 2);
});

Deno.test("at 400 pixels nothing is wider than the screen, and dark and light both have enough contrast", async () => {
  using folder = new TemporaryFolder();
  write(`${folder.path}/report.html`, "report");
  await using browser = await Browser.start();
  for (const [width, dark] of [[400, false], [400, true], [1280, false], [1280, true]] as const) {
    const { page, wrong, close } = await browser.open(`${folder.path}/report.html`, { width, dark });
    await ready(page);
    for (const view of ["summary", "tasks", "files", "flame"]) {
      await page.evaluate((view) => location.hash = view, view);
      await page.waitForSelector(`#view-${view}`);
      equal(await page.evaluate(() => document.documentElement.scrollWidth), width, `${view} at ${width}`);
      /** The least contrast of any text with what is behind, by WCAG 2. */
      const least = await page.evaluate(() => {
        const parse = (color: string) => color.match(/[\d.]+/g)!.map(Number);
        const light = (color: number[]) => {
          const [r, g, b] = color.slice(0, 3).map((part) => {
            const share = part / 255;
            return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
          });
          return 0.2126 * r! + 0.7152 * g! + 0.0722 * b!;
        };
        const behind = (element: Element): number[] => {
          for (let at: Element | null = element; at; at = at.parentElement) {
            const color = parse(getComputedStyle(at).backgroundColor);
            if (color.length < 4 || color[3]! > 0) return color;
          }
          return [255, 255, 255];
        };
        let worst = { ratio: 21, text: "" };
        const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
        while (walker.nextNode()) {
          const element = walker.currentNode.parentElement!;
          if (!walker.currentNode.textContent!.trim() || !element.checkVisibility() || element.closest("svg")) continue;
          const [a, b] = [light(parse(getComputedStyle(element).color)), light(behind(element))];
          const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
          if (ratio < worst.ratio) worst = { ratio, text: walker.currentNode.textContent! };
        }
        return worst;
      });
      ok(least.ratio >= 4.5, `${view}, dark ${dark}: ${least.ratio} of ${least.text}`);
    }
    equal(wrong, []);
    await close();
  }
});

Deno.test("on paper a report has the summary, or the rows of its table, without bars to scroll", async () => {
  using folder = new TemporaryFolder();
  const data = Array.from({ length: 300 }, (_, i) => ({ fd: i, path: `/file/${i}` }));
  write(`${folder.path}/report.html`, "report", snapshotOf(`${folder.path}/snapshot`, { files: data }));
  await using browser = await Browser.start();
  const { page, wrong, close } = await browser.open(`${folder.path}/report.html`, { hash: "#files" });
  await ready(page);
  const few = await page.locator(".row").count();
  ok(few < 100);
  await page.pdf({ path: `${folder.path}/report.pdf` });
  match(run("pdftotext", [`${folder.path}/report.pdf`, "-"]).stdout, /\/file\/299\b/);
  equal(await page.locator(".row").count(), few);
  equal(wrong, []);
  await close();
});
