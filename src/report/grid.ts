// SPDX-License-Identifier: BSD-2-Clause
/// <reference lib="dom" />
/**
 * A table on the screen. Only the rows in sight are elements. Rows all have one height, so no row is ever measured; where the
 * browser could not hold the height of all rows, the scroll bar stands for more of them than it has pixels. That, and a million rows,
 * is why this is no library: those that are well kept lay out every row's height, and end where the browser's largest element does.
 */

import { element, grouped, shown } from "./dom.ts";
import type { Column, Table } from "./table.ts";
import { textOf } from "./table.ts";

/** Pixels; page.css has the same. */
const ROW = 24;
/** An element's height that every browser can show. */
const TALLEST = 8_000_000;
/** Rows above and below those in sight. */
const MARGIN = 8;
/** Rows on paper. */
const PRINTED = 2000;
/** Characters of the widest column. */
const WIDEST = 48;

/** Characters that a column needs, by some of its values. */
function widthOf(column: Column): number {
  let width = column.name.length + 3;
  for (const value of column.values.slice(0, 2000)) width = Math.max(width, textOf(value).length + 1);
  return Math.min(width, WIDEST);
}

export class Grid {
  readonly element: HTMLElement;
  readonly #table: Table;
  readonly #search: HTMLInputElement;
  readonly #count: HTMLOutputElement;
  readonly #scroller: HTMLElement;
  readonly #head: HTMLElement;
  readonly #body: HTMLElement;
  readonly #dialog: HTMLDialogElement;
  #columns: Column[];
  #sorted: { column: Column; descending: boolean } | undefined;
  #found: Uint32Array | undefined;
  #order: Uint32Array | undefined;
  #selected = 0;
  #waiting: ReturnType<typeof setTimeout> | undefined;
  readonly #moved: (search: string) => void;

  /** @param moved called with the search when the user has changed it */
  constructor(table: Table, search: string, moved: (search: string) => void) {
    this.#table = table;
    this.#moved = moved;
    this.#columns = table.columns.filter(({ shown }) => shown);
    const { name, plural } = table.facts;
    this.#search = element("input", {
      type: "search",
      placeholder: "Search: text, column=text, column>number",
      "aria-label": `Search ${plural}`,
      title: "Words that a row must have. column=text: exactly that; column:text: a part; column>number, column<number. " +
        'Quotes keep blanks: path="/a b". The key / comes here.',
      autocomplete: "off",
      spellcheck: "false",
    });
    this.#search.value = search;
    this.#count = element("output", { "aria-live": "polite" });
    this.#head = element("div", { class: "head", role: "row" });
    this.#body = element("div", { class: "body", role: "rowgroup" });
    this.#scroller = element(
      "div",
      { class: "grid", role: "grid", tabindex: "0", "aria-label": plural, "aria-rowcount": String(table.rows + 1) },
      element("div", { role: "rowgroup", class: "heads" }, this.#head),
      this.#body,
    );
    this.#dialog = element("dialog", { "aria-label": "One row" });
    this.element = element(
      "section",
      { class: "table", id: `view-${name}` },
      element("div", { class: "bar" }, this.#search, this.#chooser(), this.#count),
      this.#scroller,
      this.#dialog,
    );
    this.#search.addEventListener("input", () => {
      clearTimeout(this.#waiting);
      this.#waiting = setTimeout(() => {
        this.#find();
        this.#moved(this.#search.value);
      }, 120);
    });
    this.#scroller.addEventListener("scroll", () => this.#draw());
    this.#scroller.addEventListener("keydown", (event) => this.#key(event));
    this.#body.addEventListener("click", (event) => {
      const row = (event.target as Element).closest<HTMLElement>("[data-place]");
      if (row) this.#show(Number(row.dataset.place));
    });
    this.#dialog.addEventListener("click", (event) => event.target === this.#dialog && this.#dialog.close());
    new ResizeObserver(() => this.#draw()).observe(this.#scroller);
    this.#columnsChanged();
    this.#find();
  }

  /** Takes another search. */
  set search(search: string) {
    if (search === this.#search.value) return;
    this.#search.value = search;
    this.#find();
  }

  focusSearch(): void {
    this.#search.focus();
    this.#search.select();
  }

  get #length(): number {
    return this.#order?.length ?? this.#table.rows;
  }

  #rowAt(place: number): number {
    return this.#order ? this.#order[place]! : place;
  }

  /** The menu of columns. */
  #chooser(): HTMLElement {
    const boxes = this.#table.columns.map((column) => {
      const box = element("input", { type: "checkbox" });
      box.checked = column.shown;
      box.addEventListener("change", () => {
        this.#columns = this.#table.columns.filter((_, i) => boxes[i]!.box.checked);
        this.#columnsChanged();
        this.#draw();
      });
      return { box, label: element("label", { title: column.doc }, box, column.name) };
    });
    const all = element("button", { type: "button" }, "All");
    all.addEventListener("click", () => {
      for (const { box } of boxes) box.checked = true;
      this.#columns = [...this.#table.columns];
      this.#columnsChanged();
      this.#draw();
    });
    const menu = element(
      "details",
      { class: "chooser" },
      element("summary", {}, "Columns"),
      element("div", {}, all, ...boxes.map(({ label }) => label)),
    );
    menu.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      menu.open = false;
      menu.querySelector("summary")!.focus();
    });
    return menu;
  }

  #columnsChanged(): void {
    // The last column takes the room that is left.
    const last = this.#columns.length - 1;
    const widths = this.#columns.map((column, i) => i === last ? `minmax(${widthOf(column)}ch, 1fr)` : `${widthOf(column)}ch`)
      .join(" ");
    this.#scroller.style.setProperty("--columns", widths);
    this.#scroller.setAttribute("aria-colcount", String(this.#columns.length));
    this.#head.replaceChildren(...this.#columns.map((column) => {
      const button = element("button", { type: "button", title: column.doc }, column.name);
      button.addEventListener("click", () => this.#sortBy(column));
      const cell = element("div", { role: "columnheader", class: this.#table.isRight(column) ? "right" : "" }, button);
      cell.setAttribute(
        "aria-sort",
        this.#sorted?.column !== column ? "none" : this.#sorted.descending ? "descending" : "ascending",
      );
      return cell;
    }));
  }

  /** Upwards, downwards, as it was. Numbers begin with the largest: those are looked for. */
  #sortBy(column: Column): void {
    const first = this.#table.isRight(column);
    const now = this.#sorted?.column === column ? this.#sorted : undefined;
    this.#sorted = !now ? { column, descending: first } : now.descending === first ? { column, descending: !first } : undefined;
    const at = this.#columns.indexOf(column);
    this.#columnsChanged();
    this.#arrange();
    this.#head.querySelectorAll("button")[at]?.focus();
  }

  #find(): void {
    this.#found = this.#table.search(this.#search.value);
    this.#arrange();
  }

  #arrange(): void {
    this.#order = this.#sorted ? this.#table.sort(this.#found, this.#sorted.column, this.#sorted.descending) : this.#found;
    this.#selected = 0;
    const { rows, facts } = this.#table;
    this.#count.value = this.#length === rows
      ? `${grouped(rows)} ${facts.plural}`
      : `${grouped(this.#length)} of ${grouped(rows)}`;
    this.#scroller.scrollTop = 0;
    this.#draw();
  }

  /** Rows that fit, and pixels to scroll for one row: fewer than a row's height where there are more than the browser can show. */
  get #measures(): { fit: number; height: number; perRow: number } {
    const view = this.#scroller.clientHeight - this.#head.offsetHeight;
    const full = this.#length * ROW;
    const height = Math.min(full, TALLEST);
    const fit = Math.max(1, Math.floor(view / ROW));
    return { fit, height, perRow: full <= TALLEST ? ROW : (height - view) / Math.max(1, this.#length - fit) };
  }

  #makeRow(place: number): HTMLElement {
    const row = this.#rowAt(place);
    const made = element(
      "div",
      { role: "row", class: "row", id: `row-${place}`, "data-place": String(place), "aria-rowindex": String(place + 2) },
      ...this.#columns.map((column) => {
        const value = this.#table.cell(row, column);
        const text = shown(value);
        const cell = element("div", { role: "gridcell", class: this.#table.isRight(column) ? "right" : "" }, text);
        if (value === null) cell.classList.add("absent");
        if (text.length > WIDEST - 2) cell.title = text.slice(0, 2000);
        return cell;
      }),
    );
    if (place === this.#selected) {
      made.classList.add("selected");
      made.setAttribute("aria-selected", "true");
    }
    return made;
  }

  #draw(): void {
    if (!this.#scroller.isConnected || this.#scroller.clientHeight === 0) return;
    const { fit, height, perRow } = this.#measures;
    this.#body.style.height = `${height}px`;
    const top = this.#scroller.scrollTop;
    const first = Math.max(0, Math.min(Math.floor(top / perRow), this.#length - fit));
    const from = Math.max(0, first - MARGIN);
    const to = Math.min(this.#length, first + fit + 1 + MARGIN);
    // The first row in sight stands where the scroll bar is, the others a row's height apart.
    const offset = perRow === ROW ? from * ROW : top - (first - from) * ROW;
    const rows: HTMLElement[] = [];
    for (let place = from; place < to; place++) {
      const row = this.#makeRow(place);
      row.style.transform = `translateY(${offset + (place - from) * ROW}px)`;
      rows.push(row);
    }
    if (rows.length === 0) rows.push(element("div", { class: "nothing" }, "No row matches."));
    this.#body.replaceChildren(...rows);
    const active = this.#body.querySelector(".selected");
    if (active) this.#scroller.setAttribute("aria-activedescendant", active.id);
    else this.#scroller.removeAttribute("aria-activedescendant");
  }

  #select(place: number): void {
    this.#selected = Math.max(0, Math.min(this.#length - 1, place));
    const { fit, perRow } = this.#measures;
    const top = this.#scroller.scrollTop / perRow;
    if (this.#selected < top) this.#scroller.scrollTop = Math.ceil(this.#selected * perRow);
    else if (this.#selected >= Math.floor(top) + fit) this.#scroller.scrollTop = Math.ceil((this.#selected - fit + 1) * perRow);
    this.#draw();
  }

  #key(event: KeyboardEvent): void {
    if (event.target !== this.#scroller || event.ctrlKey || event.altKey || event.metaKey) return;
    const { fit } = this.#measures;
    const steps: Record<string, number> = {
      ArrowDown: this.#selected + 1,
      ArrowUp: this.#selected - 1,
      PageDown: this.#selected + fit,
      PageUp: this.#selected - fit,
      Home: 0,
      End: this.#length - 1,
    };
    if (event.key in steps) this.#select(steps[event.key]!);
    else if (event.key === "Enter") this.#show(this.#selected);
    else return;
    event.preventDefault();
  }

  /** All columns of one row. */
  #show(place: number): void {
    if (place >= this.#length) return;
    this.#selected = place;
    this.#draw();
    const row = this.#rowAt(place);
    const list = element("dl");
    for (const column of this.#table.columns) {
      const value = this.#table.cell(row, column);
      const text = Array.isArray(value) ? value.map((part) => shown(part)).join("\n") : shown(value);
      list.append(element("dt", { title: column.doc }, column.name), element("dd", {}, text));
    }
    const close = element("button", { type: "button" }, "Close");
    close.addEventListener("click", () => this.#dialog.close());
    this.#dialog.replaceChildren(list, close);
    this.#dialog.showModal();
    this.#dialog.scrollTop = 0;
  }

  /** Rows for paper; `done` removes them. */
  print(): () => void {
    const rows: HTMLElement[] = [];
    for (let place = 0; place < Math.min(this.#length, PRINTED); place++) rows.push(this.#makeRow(place));
    if (this.#length > PRINTED) {
      rows.push(element("div", { class: "nothing" }, `The first ${grouped(PRINTED)} of ${grouped(this.#length)} rows.`));
    }
    this.#body.replaceChildren(...rows);
    this.#body.style.height = "auto";
    return () => this.#draw();
  }
}
