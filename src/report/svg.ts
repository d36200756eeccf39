// SPDX-License-Identifier: BSD-2-Clause
/// <reference lib="dom" />
/** The script inside the SVG of `task-iter flame`: zoom and search. Without it the picture is whole all the same. */

const WIDTH = 1200;
/** Width of a character of its font. */
const CHARACTER = 7.3;

const svg = document.documentElement as unknown as SVGSVGElement;
const frames = [...svg.querySelectorAll<SVGGElement>("g.frame")].map((group) => ({
  group,
  name: group.dataset.name!,
  x: Number(group.dataset.x),
  width: Number(group.dataset.width),
  level: Number(group.dataset.level),
  value: Number(group.dataset.value),
}));
type Frame = typeof frames[number];
const details = svg.querySelector("#details")!;
const reset = svg.querySelector<SVGTextElement>("#reset")!;
const search = svg.querySelector<SVGTextElement>("#search")!;

function zoom(to: Frame): void {
  for (const { group, x, width, level, name } of frames) {
    const ancestor = level <= to.level && x <= to.x + 1e-6 && x + width >= to.x + to.width - 1e-6;
    const within = level > to.level && x >= to.x - 1e-6 && x + width <= to.x + to.width + 1e-6;
    group.classList.toggle("above", ancestor && level < to.level);
    group.classList.toggle("hidden", !ancestor && !within);
    const scale = WIDTH / to.width;
    const left = ancestor ? 0 : (x - to.x) * scale;
    const wide = ancestor ? WIDTH : width * scale;
    const [rect, text] = [group.querySelector("rect")!, group.querySelector("text")!];
    rect.setAttribute("x", left.toFixed(2));
    rect.setAttribute("width", Math.max(0, wide - 0.5).toFixed(2));
    text.setAttribute("x", (left + 3).toFixed(2));
    const room = Math.floor((wide - 6) / CHARACTER);
    text.textContent = room < 3 ? "" : name.length <= room ? name : `${name.slice(0, room - 1)}…`;
  }
  reset.classList.toggle("hidden", to.level === 0);
}

function find(term: string): void {
  const wanted = term.toLowerCase();
  let threads = 0;
  let end = -1;
  for (const { group, name, x, width, value } of [...frames].sort((a, b) => a.x - b.x || a.level - b.level)) {
    const found = wanted !== "" && name.toLowerCase().includes(wanted);
    group.classList.toggle("found", found);
    // A frame below one that was found is counted already.
    if (found && x + width > end + 1e-6 && x >= end - 1e-6) {
      threads += value;
      end = x + width;
    }
  }
  search.textContent = wanted === "" ? "Search" : `Search: ${threads} threads in ${term}`;
}

const ask = () => {
  const term = prompt("Frames whose name has:", "");
  if (term !== null) find(term);
};
const root = frames.find(({ level }) => level === 0)!;
for (const frame of frames) {
  const { group } = frame;
  const tell = () => details.textContent = group.querySelector("title")!.textContent;
  group.addEventListener("click", () => zoom(frame));
  group.addEventListener("mouseenter", tell);
  group.addEventListener("focus", tell);
}
reset.addEventListener("click", () => zoom(root));
search.addEventListener("click", ask);
addEventListener("keydown", (event) => {
  const focused = frames.find(({ group }) => group === document.activeElement);
  if (event.key === "Enter" && focused) zoom(focused);
  else if (event.key === "Enter" && document.activeElement === search) ask();
  else if (event.key === "Escape") zoom(root);
  else if (event.key === "/" || (event.ctrlKey && event.key === "f")) ask();
  else return;
  event.preventDefault();
});
