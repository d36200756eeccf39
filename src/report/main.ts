// SPDX-License-Identifier: BSD-2-Clause
/// <reference lib="dom" />
/** The page of `task-iter report`: a summary, the flame graph, and each table; which of them the part of the address behind # says. */

import { Chart } from "./chart.ts";
import type { Card, Cell, Facts, Host, TableFacts } from "./data.ts";
import { bytes, element, grouped, shown } from "./dom.ts";
import { Grid } from "./grid.ts";
import { Table, unpack } from "./table.ts";
import { visible } from "./tree.ts";

const addressOf = (view: string, search = "") => `#${view}${search ? `?${encodeURIComponent(search)}` : ""}`;

/** A cell of a card: sizes for people. */
function cellText(name: string, value: Cell): string {
  if (typeof value !== "number") return shown(value);
  if (name === "rss_kb") return bytes(value * 1024);
  return name === "size" ? bytes(value) : /^(pid|tid|ppid|port|uid)$/.test(name) ? String(value) : grouped(value);
}

const isNumber = (rows: Cell[][], column: number) =>
  rows.length > 0 && rows.every((row) => typeof row[column] === "number" || row[column] === null);

function cardElement(card: Card, tables: readonly TableFacts[]): HTMLElement {
  const most = card.bars < 0 ? 0 : Math.max(...card.rows.map((row) => Number(row[card.bars])));
  const right = card.columns.map((_, i) => isNumber(card.rows, i) ? "right" : "");
  const pid = card.columns.indexOf("pid");
  const table = element(
    "table",
    {},
    element(
      "thead",
      {},
      element("tr", {}, ...card.columns.map((name, i) => element("th", { scope: "col", class: right[i]! }, name))),
    ),
    element(
      "tbody",
      {},
      ...card.rows.map((row) =>
        element(
          "tr",
          {},
          ...row.map((value, i) => {
            const text = cellText(card.columns[i]!, value);
            const cell = element("td", { class: right[i]! });
            if (i === pid && card.link && value !== null) {
              cell.append(element("a", { href: addressOf(card.link.table, `${card.link.search} pid=${value}`.trim()) }, text));
            } else cell.append(text);
            if (i === card.bars && most > 0) {
              cell.append(element("meter", { max: String(most), value: String(value), "aria-hidden": "true" }));
            }
            if (card.id === "checks" && i === 0) cell.classList.add("state", String(value).toLowerCase());
            return cell;
          }),
        )
      ),
    ),
  );
  const more = card.link && tables.some(({ name }) => name === card.link!.table)
    ? element(
      "a",
      { href: addressOf(card.link.table, card.link.search) },
      card.total > card.rows.length ? `all ${grouped(card.total)}` : `in ${card.link.table}`,
    )
    : undefined;
  return element(
    "article",
    { id: `card-${card.id}` },
    element("h2", {}, card.title),
    card.note ? element("p", { class: "note" }, card.note) : undefined,
    card.rows.length > 0
      ? element("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": card.title }, table)
      : undefined,
    card.rows.length > 0 && more ? element("p", { class: "more" }, more) : undefined,
  );
}

function duration(seconds: number): string {
  const [days, hours, minutes] = [seconds / 86400, seconds / 3600 % 24, seconds / 60 % 60].map(Math.floor);
  return days! > 0 ? `${days} d ${hours} h` : hours! > 0 ? `${hours} h ${minutes} min` : `${minutes} min`;
}

function hostElement(host: Host | null, { manifest }: Facts): HTMLElement {
  const list = element("dl", { class: "facts" });
  const add = (name: string, text: string) =>
    list.append(element("div", {}, element("dt", {}, name), element("dd", {}, visible(text))));
  if (host) {
    const { MemTotal = 0, MemAvailable = 0, SwapTotal = 0, SwapFree = 0 } = host.memory;
    add("system", host.os);
    add("kernel", `${host.kernel.release} ${host.kernel.machine}`);
    add("up", duration(host.uptime_s));
    add("processors", String(host.cpus));
    add("load", host.load.map((load) => load.toFixed(2)).join("  "));
    add("memory", `${bytes((MemTotal - MemAvailable) * 1024)} of ${bytes(MemTotal * 1024)} used`);
    add("swap", SwapTotal ? `${bytes((SwapTotal - SwapFree) * 1024)} of ${bytes(SwapTotal * 1024)} used` : "none");
    add("control groups", host.cgroups);
  }
  add(
    "taken in",
    `${grouped(manifest.duration_ms)} ms by task-iter ${manifest.task_iter}${manifest.redacted ? ", redacted" : ""}`,
  );
  return element("article", { class: "host" }, list);
}

async function start(): Promise<void> {
  const facts: Facts = JSON.parse(new TextDecoder().decode(await unpack("facts")));
  const { manifest, host, cards } = facts;
  const here = manifest.tables.filter(({ name }) => document.getElementById(`table-${name}`));
  const stacks = here.find(({ name, rows }) => name === "stacks" && rows > 0);
  const views = new Map<string, () => Promise<{ element: HTMLElement; grid?: Grid; chart?: Chart }>>();
  const summary = element(
    "section",
    { id: "view-summary" },
    hostElement(host, facts),
    element("div", { class: "cards" }, ...cards.map((card) => cardElement(card, here))),
  );
  views.set("summary", () => Promise.resolve({ element: summary }));
  const decoded = new Map<string, Promise<Table>>();
  const tableOf = (table: TableFacts) => {
    const known = decoded.get(table.name) ?? Table.decode(table);
    decoded.set(table.name, known);
    return known;
  };
  if (stacks) {
    let chart: Chart | undefined;
    views.set("flame", async () => {
      chart ??= new Chart(await tableOf(stacks));
      return { element: chart.element, chart };
    });
  }
  for (const table of here) {
    let grid: Grid | undefined;
    views.set(table.name, async () => {
      const decoded = await tableOf(table);
      grid ??= new Grid(decoded, "", (search) => history.replaceState(null, "", addressOf(table.name, search)));
      return { element: grid.element, grid };
    });
  }

  const link = (view: string, text: string, count?: number) =>
    element(
      "a",
      { href: addressOf(view), "data-view": view },
      text,
      count === undefined ? undefined : element("small", {}, grouped(count)),
    );
  const navigation = element(
    "nav",
    { "aria-label": "Views" },
    link("summary", "Summary"),
    stacks ? link("flame", "Flame graph") : undefined,
    ...here.map(({ name, rows }) => link(name, name, rows)),
  );
  const place = element("main");
  const time = new Date(manifest.time);
  document.body.append(
    element(
      "header",
      {},
      element("h1", {}, visible(host?.hostname ?? "Snapshot")),
      element(
        "p",
        {},
        element("time", { datetime: manifest.time }, time.toISOString().replace("T", " ").replace(/\.\d+Z/, " UTC")),
      ),
    ),
    navigation,
    place,
  );

  let current: { grid?: Grid; chart?: Chart } = {};
  /** Counts changes of the view, so that a slow one does not replace a later one. */
  let turn = 0;
  const go = async () => {
    const [, name = "summary", search = ""] = /^#?([\w-]+)(?:\?(.*))?$/.exec(location.hash) ?? [];
    const view = views.has(name) ? name : "summary";
    const mine = ++turn;
    for (const anchor of navigation.querySelectorAll("a")) {
      if (anchor.dataset.view === view) {
        anchor.setAttribute("aria-current", "page");
        anchor.scrollIntoView({ block: "nearest", inline: "nearest" });
      } else anchor.removeAttribute("aria-current");
    }
    const shown = await views.get(view)!();
    if (mine !== turn) return;
    current = shown;
    place.replaceChildren(shown.element);
    let text = search;
    try {
      text = decodeURIComponent(search);
    } catch { /* typed by hand */ }
    if (shown.grid) shown.grid.search = text;
  };
  addEventListener("hashchange", go);
  addEventListener("keydown", (event) => {
    const typing = /^(INPUT|SELECT|TEXTAREA)$/.test((event.target as Element).tagName);
    if (event.key !== "/" || typing) return;
    event.preventDefault();
    (current.grid ?? current.chart)?.focusSearch();
  });
  let printed: (() => void) | undefined;
  addEventListener("beforeprint", () => printed = current.grid?.print());
  addEventListener("afterprint", () => printed?.());
  await go();
  document.documentElement.dataset.ready = "true";
}

start().catch((error) => {
  document.body.append(
    element("p", { role: "alert", class: "failed" }, `This page cannot be shown: ${(error as Error).message}`),
  );
  throw error;
});
