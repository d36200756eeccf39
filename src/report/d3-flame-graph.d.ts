// SPDX-License-Identifier: BSD-2-Clause
/** The part of d3-flame-graph that the page uses; the package has no types. Setters return the graph. */

export interface FlameGraph<Node> {
  (selection: unknown): void;
  width(pixels: number): this;
  cellHeight(pixels: number): this;
  minFrameSize(pixels: number): this;
  transitionDuration(ms: number): this;
  inverted(inverted: boolean): this;
  setColorMapper(color: (node: Node) => string): this;
  setLabelHandler(label: (node: Node) => string): this;
  setDetailsHandler(tell: (text: string | null) => void): this;
  setSearchHandler(tell: (found: Node[], sum: number) => void): this;
  setSearchMatch(matches: (node: Node, term: string) => boolean): this;
  onClick(clicked: (node: Node) => void): this;
  search(term: string): void;
  clear(): void;
  zoomTo(node: Node): void;
  resetZoom(): void;
}

export default function flamegraph<Node>(): FlameGraph<Node>;
