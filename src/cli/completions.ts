// SPDX-License-Identifier: BSD-2-Clause
/**
 * Completion scripts: the files in completions/, with the commands and the schema in the place of their marks. A script runs no
 * program and never evaluates the words on the command line: it only compares them. A loop replaces the usual `compgen -W` or `eval`.
 */

import type { CommandUnknownOpts } from "@commander-js/extra-typings";
import { tables } from "../query/schema.ts";
import candidatesScript from "./completions/candidates.sh" with { type: "text" };
import contextScript from "./completions/context.sh" with { type: "text" };
import bashScript from "./completions/task-iter.bash" with { type: "text" };
import fishScript from "./completions/task-iter.fish" with { type: "text" };
import zshScript from "./completions/task-iter.zsh" with { type: "text" };

export const SHELLS = ["bash", "zsh", "fish"] as const;
export type Shell = typeof SHELLS[number];

interface OptionWords {
  long: string;
  short: string | undefined;
  /** "": none; "files", "columns" and so on: what kind. */
  value: string;
  words: readonly string[];
  doc: string;
}

interface CommandWords {
  /** "" for a read. */
  name: string;
  doc: string;
  options: OptionWords[];
  /** What each operand is: table, path, a word of `shells`, or something else. */
  operands: string[];
}

const DURATIONS = ["500ms", "1s", "2s", "5s", "10s", "1m"];

/** The kind of an option's value, for options without a list of choices. */
const VALUES: Record<string, string> = {
  where: "where",
  ...Object.fromEntries(["columns", "by", "sum", "max", "min", "distinct"].map((name) => [name, "columns"])),
  file: "file",
  output: "file",
};

function wordsOf(command: CommandUnknownOpts, name: string): CommandWords {
  const options = command.createHelp().visibleOptions(command).map((option) => ({
    long: option.long!,
    short: option.short,
    value: option.required ? option.argChoices ? "choice" : VALUES[option.attributeName()] ?? "other" : "",
    words: option.argChoices ?? (option.attributeName() === "interval" ? DURATIONS : []),
    doc: option.description,
  }));
  return { name, doc: command.description(), options, operands: command.registeredArguments.map((argument) => argument.name()) };
}

/** A word that every shell takes as it is, or an error when the sources are changed so that there is none. */
function plain(word: string): string {
  if (/^[\w.:-]+$/.test(word)) return word;
  throw new Error(`completions: ${word} needs quotes`);
}

const list = (words: readonly string[]) => words.map(plain).join(" ");

/** In single quotes, as fish reads them. */
const quote = (text: string) => `'${text.replace(/[\\']/g, "\\$&")}'`;

/** The part that bash and zsh share: `case` statements that set `reply`. */
function data(commands: readonly CommandWords[]): string {
  const lines: string[] = [];
  const select = (name: string, subject: string, cases: [string, string][]) => {
    lines.push(`_task_iter_${name}() {`, `  case ${subject} in`);
    for (const [pattern, words] of cases) if (words) lines.push(`    ${pattern}) reply=(${words}) ;;`);
    lines.push("    *) reply=() ;;", "  esac", "}");
  };
  const named = (name: string, option: OptionWords) =>
    [option.long, option.short].flatMap((word) => word ? `${name}:${word}` : []);
  select("columns", '"$1"', tables.map(({ name, columns }) => [plain(name), list(columns.map(({ name }) => name))]));
  const enumerations = tables.flatMap(({ name, columns }) =>
    columns.flatMap((column): [string, string][] => {
      const words = column.type === "boolean" ? ["true", "false"] : column.words.map(([, word]) => word);
      return words.length === 0 ? [] : [[`${name}:${column.name}`, list(words)]];
    })
  );
  select("words", '"$1:$2"', enumerations);
  select(
    "options",
    '"$1"',
    commands.map((
      { name, options },
    ) => [name || '""', list(options.flatMap(({ long, short }) => short ? [long, short] : [long]))]),
  );
  const valued = commands.flatMap(({ name, options }) =>
    options.filter(({ value }) => value !== "").flatMap((option) => named(name, option).map((key) => ({ key, option })))
  );
  select("value", '"$1:$2"', valued.map(({ key, option }) => [key, option.value]));
  select("choices", '"$1:$2"', valued.map(({ key, option }) => [key, list(option.words)]));
  return lines.join("\n");
}

/** What an operand may be, as branches on `COMMAND:OPERANDS`. */
function operandCases(commands: readonly CommandWords[], files: string): string {
  const names = commands.flatMap(({ name }) => name || []);
  const every = tables.map(({ name }) => name);
  return commands.flatMap(({ name, operands }) =>
    operands.map((operand, i) => {
      const words = operand === "table" ? name === "" ? [...every, ...names] : every : operand === "shell" ? SHELLS : [];
      return `          ${name}:${i}) ${operand === "path" ? files : `reply=(${list(words)})`} ;;`;
    })
  ).join("\n");
}

/** `script` with its marks replaced. A mark is a line `#NAME`, or `@NAME@` inside a line. */
function fill(script: string, marks: Record<string, string>): string {
  return script.replace(/^#(\w+)$|@(\w+)@/gm, (_, line, word) => {
    const text = marks[line ?? word];
    if (text === undefined) throw new Error(`completions: nothing for the mark ${line ?? word}`);
    return text;
  });
}

const withoutEnd = (text: string) => text.replace(/\n$/, "");

/** The script for bash or zsh, which share the code that finds the word to complete; `files` completes paths. */
function posix(script: string, commands: readonly CommandWords[], separator: string, files: string): string {
  return fill(script, {
    data: data(commands),
    context: withoutEnd(contextScript),
    candidates: fill(withoutEnd(candidatesScript), { operands: operandCases(commands, files), files }),
    commands: commands.flatMap(({ name }) => name || []).map(plain).join(separator),
  });
}

const bash = (commands: readonly CommandWords[]) => posix(bashScript, commands, " | ", "compopt -o default; reply=()");

const zsh = (commands: readonly CommandWords[]) => posix(zshScript, commands, "|", "unsetopt ksharrays; _files; return");

function fish(commands: readonly CommandWords[]): string {
  const every = tables.map(({ name }) => name);
  const columns = [
    "function __task_iter_columns",
    "    switch $argv[1]",
    ...tables.flatMap(({ name, columns }) => [
      `        case ${plain(name)}`,
      `            printf '%s\\n' ${list(columns.map(({ name }) => name))}`,
    ]),
    "    end",
    "end",
    "function __task_iter_words",
    '    switch "$argv[1]:$argv[2]"',
    ...tables.flatMap(({ name, columns }) =>
      columns.flatMap((column) => {
        const words = column.type === "boolean" ? ["true", "false"] : column.words.map(([, word]) => word);
        return words.length === 0 ? [] : [`        case ${name}:${column.name}`, `            printf '%s\\n' ${list(words)}`];
      })
    ),
    "    end",
    "end",
  ];
  const valued = commands.flatMap(({ options }) =>
    options.filter(({ value }) => value !== "").flatMap(({ long, short }) => short ? [long, short] : [long])
  );
  const lines = [`complete -c task-iter -n '__task_iter_at -:0' -a '${list(every)}'`];
  for (const { name, doc, options, operands } of commands) {
    const key = name || "-";
    if (name) lines.push(`complete -c task-iter -n '__task_iter_at -:0' -a ${plain(name)} -d ${quote(doc)}`);
    operands.forEach((operand, i) => {
      const at = `complete -c task-iter -n '__task_iter_at ${key}:${i}'`;
      if (operand === "path") lines.push(`${at} -F`);
      if (operand === "shell") lines.push(`${at} -a '${list(SHELLS)}'`);
      if (operand === "table" && name) lines.push(`${at} -a '${list(tables.map(({ name }) => name))}'`);
    });
    for (const { long, short, value, words, doc } of options) {
      const names = `-l ${plain(long.slice(2))}${short ? ` -s ${plain(short.slice(1))}` : ""}`;
      const kinds: Record<string, string> = {
        "": "",
        where: " -x -a '(__task_iter_where)'",
        columns: " -x -a '(__task_iter_list)'",
        file: " -r -F",
        choice: ` -x -a '${list(words)}'`,
        other: words.length > 0 ? ` -x -a '${list(words)}'` : " -x",
      };
      lines.push(`complete -c task-iter -n '__task_iter_in ${key}' ${names}${kinds[value]} -d ${quote(doc)}`);
    }
  }
  return fill(fishScript, {
    data: columns.join("\n"),
    options: lines.join("\n"),
    valued: list([...new Set(valued)]),
    commands: list(commands.flatMap(({ name }) => name || [])),
    tables: list(every),
  });
}

/** The script for `shell`; `program` is the whole command line. */
export function completions(shell: Shell, program: CommandUnknownOpts): string {
  const commands = [wordsOf(program, ""), ...program.commands.map((command) => wordsOf(command, command.name()))];
  return { bash, zsh, fish }[shell](commands);
}
