// SPDX-License-Identifier: BSD-2-Clause
/** Metrics in the text format that Prometheus reads (https://prometheus.io/docs/instrumenting/exposition_formats). */

/** A gauge: all its samples. */
export interface Metric {
  name: string;
  help: string;
  samples: { labels: readonly (readonly [name: string, value: string])[]; value: string }[];
}

/** In a help text a line feed and a backslash are escaped, in a label's value a double quote too. NUL would end the text. */
const escaped = (text: string) => text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n").replaceAll("\0", "\ufffd").toWellFormed();

const label = ([name, value]: readonly [string, string]) => `${name}="${escaped(value).replaceAll('"', '\\"')}"`;

/** The metrics as text, without times: the reader knows when it has read them. */
export function exposition(metrics: readonly Metric[]): string {
  return metrics.map(({ name, help, samples }) => {
    const lines = samples.map(({ labels, value }) =>
      `${name}${labels.length === 0 ? "" : `{${labels.map(label).join(",")}}`} ${value}\n`
    );
    return `# HELP ${name} ${escaped(help)}\n# TYPE ${name} gauge\n${lines.join("")}`;
  }).join("");
}

/** Units of columns, by the end of their names, and the base units of Prometheus: a factor, or a divisor, a power of ten. */
const UNITS: readonly { end: string; base: string; factor?: bigint; digits?: number }[] = [
  { end: "_ns", base: "_seconds", digits: 9 },
  { end: "_us", base: "_seconds", digits: 6 },
  { end: "_ms", base: "_seconds", digits: 3 },
  { end: "_kb", base: "_bytes", factor: 1024n },
];

/** The name of a column in base units, and how its values are written then; exactly, whatever their size. */
export function inBaseUnits(column: string): { name: string; write(value: bigint): string } {
  const unit = UNITS.find(({ end }) => column.endsWith(end));
  if (!unit) return { name: column, write: String };
  const { end, base, factor = 1n, digits = 0 } = unit;
  return {
    name: column.slice(0, -end.length) + base,
    write(value) {
      const text = String(value < 0n ? -value * factor : value * factor).padStart(digits + 1, "0");
      const fraction = text.slice(text.length - digits).replace(/0+$/, "");
      return `${value < 0n ? "-" : ""}${text.slice(0, text.length - digits)}${digits && fraction ? `.${fraction}` : ""}`;
    },
  };
}
