// SPDX-License-Identifier: BSD-2-Clause
/** Makes dist/task-iter.8 from the commands, as --help shows them, and the schema. */

import type { CommandUnknownOpts } from "@commander-js/extra-typings";
import { mkdirSync, writeFileSync } from "node:fs";
import manifest from "../deno.json" with { type: "json" };
import { commandLine, NO_LIBRARIES } from "../src/cli/command.ts";
import { SUBCOMMANDS } from "../src/cli/subcommands.ts";
import { tables } from "../src/query/schema.ts";

/** Text as groff takes it literally: no escape, no request at the start of a line, hyphens that can be copied. */
const roff = (text: string) => text.replaceAll("\\", "\\e").replaceAll("-", "\\-").replace(/^([.'])/gm, "\\&$1");

/** The text after a command's help: paragraphs, of which indented lines are kept as they are. */
function afterHelp(command: CommandUnknownOpts): string[] {
  let text = "";
  command.configureOutput({ writeOut: (part) => text += part, getOutHasColors: () => false }).outputHelp();
  const from = text.search(/^(Examples|Ranges|Install)/m);
  if (from < 0) return [];
  return text.slice(from).trimEnd().split(/\n\n+/).flatMap((paragraph) => [".PP", ".nf", roff(paragraph), ".fi"]);
}

function options(command: CommandUnknownOpts): string[] {
  return command.createHelp().visibleOptions(command).flatMap(({ flags, description, argChoices, defaultValue }) => {
    const choices = argChoices ? ` One of ${argChoices.join(", ")}${defaultValue ? `; ${defaultValue} by default` : ""}.` : "";
    return [".TP", `.B ${roff(flags)}`, roff(`${description.replace(/[ .]*$/, "")}.${choices}`)];
  });
}

/** The page's source. */
export function manual(): string {
  const program = commandLine(SUBCOMMANDS.map(({ name }) => name), NO_LIBRARIES);
  const lines = [
    `.TH TASK\\-ITER 8 "" "task\\-iter ${manifest.version}" "System administration"`,
    ".SH NAME",
    "task\\-iter \\- read Linux kernel tables through BPF iterators",
    ".SH SYNOPSIS",
    ".nf",
    roff(program.usage().replace(/^/, "task-iter ").replaceAll("\n       ", "\n")),
    ".fi",
    ".SH DESCRIPTION",
    roff(program.description().replaceAll("\n", " ")),
    ".SH OPTIONS",
    ...options(program),
    ...afterHelp(program),
    ".SH COMMANDS",
  ];
  for (const command of program.commands) {
    const operands = command.registeredArguments.map((argument) =>
      argument.required ? `<${argument.name()}>` : `[${argument.name()}]`
    );
    lines.push(
      `.SS ${roff(["task-iter", command.name(), ...operands, "[options]"].join(" "))}`,
      roff(command.description()) + ".",
    );
    lines.push(...options(command), ...afterHelp(command));
  }
  lines.push(".SH TABLES");
  for (const { name, doc, since, columns } of tables) {
    lines.push(`.SS ${roff(name)}`, roff(`${doc} Linux ${since} or later.`));
    for (const { name, shown, doc, words } of columns) {
      const text = [
        doc,
        ...(shown ? [] : ["Shown when asked for."]),
        ...(words.length > 0 ? [words.map(([, word]) => word).join(" ")] : []),
      ];
      lines.push(".TP", `.B ${roff(name)}`, roff(text.join(" ")));
    }
  }
  lines.push(".SH SEE ALSO", ".BR ps (1),", ".BR lsof (8),", ".BR ss (8),", ".BR bpftool (8)");
  return lines.join("\n") + "\n";
}

if (import.meta.main) {
  mkdirSync(new URL("../dist/", import.meta.url), { recursive: true });
  writeFileSync(new URL("../dist/task-iter.8", import.meta.url), manual());
}
