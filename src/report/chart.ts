// SPDX-License-Identifier: BSD-2-Clause
/// <reference lib="dom" />
/** The flame graph of kernel stacks, by d3-flame-graph; what it lacks is here: keys, a choice of names, plain search. */

// @ts-types="./d3-flame-graph.d.ts"
import flamegraph, { type FlameGraph } from "d3-flame-graph";
import { select } from "d3-selection";
import { element, grouped } from "./dom.ts";
import type { Table } from "./table.ts";
import { colorOf, type Frame, treeOf, visible } from "./tree.ts";

/** A frame as d3-hierarchy lays it out. */
interface Node {
  data: Frame & { fade?: boolean; hide?: boolean };
  parent: Node | null;
  children?: Node[];
  highlight?: boolean;
}

/** Names and stacks with their numbers; each different pair is counted once. */
function stacksOf(table: Table): [string, readonly string[], number][] {
  const [comm, frames] = [table.named("comm"), table.named("frames")];
  if (!comm || !frames) return [];
  const counts = new Map<number, number>();
  for (let row = 0; row < table.rows; row++) {
    const key = (comm.codes?.[row] ?? 0) * frames.values.length + (frames.codes?.[row] ?? 0);
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  return [...counts].map(([key, count]) => [
    visible(String(comm.values[Math.floor(key / frames.values.length)] ?? "")),
    (frames.values[key % frames.values.length] ?? []) as readonly string[],
    count,
  ]);
}

const threads = (count: number) => `${grouped(count)} ${count === 1 ? "thread" : "threads"}`;

export class Chart {
  readonly element: HTMLElement;
  readonly #stacks: [string, readonly string[], number][];
  readonly #place = element("div", { class: "flame", tabindex: "0", role: "img", "aria-label": "Flame graph of kernel stacks" });
  readonly #details = element("p", { class: "details", "aria-live": "polite" });
  readonly #search = element("input", {
    type: "search",
    placeholder: "Search frames",
    "aria-label": "Search frames",
    autocomplete: "off",
    spellcheck: "false",
  });
  readonly #names = element("select", { "aria-label": "Name of the threads" });
  #graph: FlameGraph<Node> | undefined;
  #root: Node | undefined;
  #current: Node | undefined;
  #width = 0;

  constructor(table: Table) {
    this.#stacks = stacksOf(table);
    const counts = new Map<string, number>();
    for (const [comm, , count] of this.#stacks) counts.set(comm, (counts.get(comm) ?? 0) + count);
    this.#names.append(element("option", { value: "" }, `all names (${grouped(table.rows)})`));
    const sorted = [...counts].sort(([, a], [, b]) => b - a);
    for (const [i, [comm, count]] of sorted.entries()) {
      this.#names.append(element("option", { value: String(i + 1) }, `${comm} (${grouped(count)})`));
    }
    const reset = element("button", { type: "button" }, "Reset zoom");
    reset.addEventListener("click", () => this.#reset());
    this.element = element(
      "section",
      { id: "view-flame" },
      element("div", { class: "bar" }, this.#search, this.#names, reset),
      this.#details,
      this.#place,
      element("p", { class: "hint" }, "Click or Enter: zoom. Arrow keys: from frame to frame. Escape: whole graph. /: search."),
    );
    this.#names.addEventListener("change", () => this.#draw(sorted[Number(this.#names.value) - 1]?.[0]));
    this.#search.addEventListener("input", () => this.#find());
    this.#place.addEventListener("keydown", (event) => this.#key(event));
    new ResizeObserver(() => {
      if (this.#place.clientWidth > 0 && this.#place.clientWidth !== this.#width) {
        this.#draw(sorted[Number(this.#names.value) - 1]?.[0]);
      }
    }).observe(this.#place);
  }

  focusSearch(): void {
    this.#search.focus();
    this.#search.select();
  }

  #draw(comm: string | undefined): void {
    this.#width = this.#place.clientWidth;
    const tree = treeOf(this.#stacks.filter(([name]) => comm === undefined || name === comm));
    this.#place.replaceChildren();
    // A new one each time: what the library keeps of an earlier tree it tells by the name of a class, which is made short here.
    const graph = flamegraph<Node>().width(this.#width).cellHeight(20).minFrameSize(1).transitionDuration(0)
      .inverted(true)
      .setColorMapper((node: Node) => node.highlight ? "#b48ef5" : colorOf(node.data.name))
      .setLabelHandler((node: Node) => this.#say(node))
      .setDetailsHandler((text: string | null) => this.#tell(text))
      .setSearchHandler((_: Node[], sum: number) =>
        this.#tell(this.#search.value ? `${threads(sum)} in frames that match` : null)
      )
      .setSearchMatch((node: Node, term: string) => node.data.name.toLowerCase().includes(term.toLowerCase()))
      .onClick((node: Node) => this.#mark(node));
    this.#graph = graph;
    const selection = select(this.#place as HTMLElement).datum(tree);
    selection.call(graph as never);
    this.#root = selection.datum() as unknown as Node;
    this.#current = this.#root;
    this.#tell(null);
    this.#find();
  }

  #say({ data }: Node): string {
    const all = this.#root?.data.value ?? data.value;
    return `${data.name}: ${threads(data.value)}, ${(100 * data.value / Math.max(1, all)).toFixed(1)} %`;
  }

  #tell(text: string | null): void {
    this.#details.textContent = text ?? (this.#root ? this.#say(this.#root) : "");
  }

  #find(): void {
    if (this.#search.value) this.#graph?.search(this.#search.value);
    else this.#graph?.clear();
    this.#mark(this.#current);
  }

  #reset(): void {
    this.#graph?.resetZoom();
    this.#mark(this.#root);
  }

  /** Makes `node` the one that keys go from. */
  #mark(node: Node | undefined): void {
    this.#current = node;
    for (const frame of this.#place.querySelectorAll<SVGGElement>("g.frame")) {
      frame.classList.toggle("current", (select(frame).datum() as unknown) === node);
    }
    if (node && node !== this.#root) this.#tell(this.#say(node));
  }

  #key(event: KeyboardEvent): void {
    const node = this.#current;
    if (!node || event.ctrlKey || event.altKey || event.metaKey) return;
    const siblings = node.parent?.children ?? [node];
    const beside = (step: number) => siblings[siblings.indexOf(node) + step];
    const largest = node.children?.reduce((a, b) => b.data.value > a.data.value ? b : a);
    const next: Record<string, Node | null | undefined> = {
      ArrowDown: largest,
      ArrowUp: node.parent,
      ArrowLeft: beside(-1),
      ArrowRight: beside(1),
      Home: this.#root,
    };
    if (event.key in next) {
      if (next[event.key]) this.#mark(next[event.key]!);
    } else if (event.key === "Enter") {
      this.#graph?.zoomTo(node);
      this.#mark(node);
    } else if (event.key === "Escape") this.#reset();
    else return;
    event.preventDefault();
  }
}
