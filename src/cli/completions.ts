// SPDX-License-Identifier: BSD-2-Clause
/**
 * Completion scripts, from the commands and the schema. A script is complete in itself: it runs no program and evaluates nothing
 * that was typed, words are only compared. Where `compgen -W` or `eval` would be usual, there is a loop.
 */

import type { CommandUnknownOpts } from "@commander-js/extra-typings";
import { tables } from "../query/schema.ts";

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

/** What the value of an option is, where it is not one of its choices. */
const VALUES: Record<string, string> = { where: "where", columns: "columns", file: "file" };

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

/** What is the same in bash and zsh: `case` statements that set `reply`. */
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

/** How bash and zsh, whose languages agree that far, find out what is being typed: `tokens`, the last of them unfinished. */
const CONTEXT = `
# From tokens[1 ..]: command, table, option (whose value the last one is), operands (how many came before), current.
_task_iter_context() {
  local token i last=$((\${#tokens[@]} - 1))
  command= table= option= operands=0
  for ((i = 1; i < last; i++)); do
    token=\${tokens[i]}
    if [[ -n $option ]]; then
      option=
    elif [[ $token == --files ]]; then
      table=files
    elif [[ $token == --*=* ]]; then
      :
    elif [[ $token == -* ]]; then
      _task_iter_value "$command" "$token"
      if ((\${#reply[@]})); then option=$token; fi
    elif [[ -z $command && $operands == 0 ]] && _task_iter_is_command "$token"; then
      command=$token
    else
      if ((operands == 0)); then table=$token; fi
      operands=$((operands + 1))
    fi
  done
  current=\${tokens[last]}
  if [[ -z $option && $current == --*=* ]]; then
    option=\${current%%=*} current=\${current#*=}
  fi
  _task_iter_columns "$table"
  if ((\${#reply[@]} == 0)) && [[ -z $command ]]; then table=stacks; fi
}

# Of a comparison so far, \`partial\` is the word that is being typed; reply what it may become.
_task_iter_where() {
  local before column blank='[[:space:]]*' name='([a-z0-9_]+)'
  partial=\${1##*[!A-Za-z0-9_.-]}
  before=\${1%"$partial"}
  local value="$name$blank(==|!=)$blank\\$" among="$name[[:space:]]+in$blank[(]([^()]*,)?$blank\\$"
  local start="(^|[(!&|])$blank\\$" operator="(^|[(!&|[:space:]])$name[[:space:]]+\\$"
  kind=
  if [[ $before =~ $value || $before =~ $among ]]; then
    _task_iter_match 1
    _task_iter_words "$table" "$column"
  elif [[ $before =~ $start ]]; then
    kind=column
    _task_iter_columns "$table"
  elif [[ $before =~ $operator ]]; then
    _task_iter_match 2
    _task_iter_words "$table" "$column"
    if ((\${#reply[@]})); then reply=(== != in); else reply=(== != '<' '<=' '>' '>=' '~' '!~' in); fi
    _task_iter_columns_have "$column" || reply=('&&' '||')
  else
    reply=()
  fi
}
`;

function bash(commands: readonly CommandWords[]): string {
  const names = commands.flatMap(({ name }) => name || []);
  return `# bash completion for task-iter, made by: task-iter completions bash
# Nothing that was typed is evaluated, and no program is run.
${data(commands)}

_task_iter_is_command() {
  case $1 in ${names.map(plain).join(" | ")}) return 0 ;; esac
  return 1
}

_task_iter_match() { column=\${BASH_REMATCH[$1]}; }

_task_iter_columns_have() {
  local found=1 word kept=("\${reply[@]}")
  _task_iter_columns "$table"
  for word in "\${reply[@]}"; do [[ $word == "$1" ]] && found=0; done
  reply=("\${kept[@]}")
  return $found
}
${CONTEXT}
# The line up to the cursor as tokens, quotes taken off; \`quote\` is the one left open.
_task_iter_split() {
  local line=\${COMP_LINE:0:COMP_POINT} i char token= begun=
  tokens=() quote=
  for ((i = 0; i < \${#line}; i++)); do
    char=\${line:i:1}
    if [[ -n $quote ]]; then
      if [[ $char == "$quote" ]]; then quote=; else token+=$char; fi
    elif [[ $char == [\\'\\"] ]]; then
      quote=$char begun=1
    elif [[ $char == \\\\ ]]; then
      i=$((i + 1)) token+=\${line:i:1} begun=1
    elif [[ $char == [[:space:]] ]]; then
      if [[ -n $begun ]]; then tokens+=("$token"); fi
      token= begun=
    else
      token+=$char begun=1
    fi
  done
  tokens+=("$token")
}

_task_iter() {
  local command table option operands current partial kind quote word stem tokens reply
  _task_iter_split
  _task_iter_context
${candidates(commands, "compopt -o default; reply=()")}
  # What readline replaces is $2, which may begin before or after the partial word.
  stem=\${2%"$partial"}
  if [[ \${2-} != *"$partial" ]]; then stem=; fi
  COMPREPLY=()
  for word in "\${reply[@]}"; do
    [[ $word == "$partial"* ]] && COMPREPLY+=("$stem$word")
  done
  if [[ $kind == list ]]; then compopt -o nospace; fi
  # A column's name ends nothing: two continuations keep readline from closing the quote behind it.
  if [[ $kind == column && \${#COMPREPLY[@]} == 1 ]]; then
    compopt -o nospace
    if [[ -n $quote ]]; then COMPREPLY=("\${COMPREPLY[0]} ==" "\${COMPREPLY[0]} !="); fi
  fi
}

complete -F _task_iter task-iter
`;
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

/** From the words to the candidates in reply and their kind, which bash and zsh have in common; `files` completes paths. */
const candidates = (commands: readonly CommandWords[], files: string): string =>
  `  partial=$current kind=
  _task_iter_value "$command" "$option"
  case \${reply[0]-} in
    where) _task_iter_where "$current" ;;
    columns)
      partial=\${current##*,}
      _task_iter_columns "$table"
      reply+=(all)
      kind=list
      ;;
    file) ${files} ;;
    ?*) _task_iter_choices "$command" "$option" ;;
    *)
      if [[ $current == -* ]]; then
        _task_iter_options "$command"
      else
        case $command:$operands in
${operandCases(commands, files)}
          *) reply=() ;;
        esac
      fi
      ;;
  esac`;

function zsh(commands: readonly CommandWords[]): string {
  const names = commands.flatMap(({ name }) => name || []);
  return `#compdef task-iter
# zsh completion for task-iter, made by: task-iter completions zsh
# Nothing that was typed is evaluated, and no program is run.
${data(commands)}

_task_iter_is_command() {
  case $1 in (${names.map(plain).join("|")}) return 0 ;; esac
  return 1
}

_task_iter_match() { column=\${match[$1 - 1]}; }

_task_iter_columns_have() {
  local found=1 kept=("\${reply[@]}")
  _task_iter_columns "$table"
  (($reply[(Ie)$1])) && found=0
  reply=("\${kept[@]}")
  return $found
}
${CONTEXT}
_task_iter() {
  setopt localoptions ksharrays
  local command table option operands current partial kind column
  local -a tokens reply match mbegin mend
  # The words before the cursor without their quotes: (Q) expands nothing.
  tokens=("\${(@Q)words[0,CURRENT-2]}" "$PREFIX")
  _task_iter_context
${candidates(commands, "unsetopt ksharrays; _files; return")}
  IPREFIX=$IPREFIX\${PREFIX%"$partial"}
  PREFIX=$partial
  if [[ $kind == (list|column) ]]; then
    compadd -S '' -- "\${reply[@]}"
  else
    compadd -- "\${reply[@]}"
  fi
}

if [[ \${funcstack[1]-} == _task-iter ]]; then _task_iter "$@"; else compdef _task_iter task-iter; fi
`;
}

function fish(commands: readonly CommandWords[]): string {
  const names = commands.flatMap(({ name }) => name || []);
  const lines = [
    "# fish completion for task-iter, made by: task-iter completions fish",
    "# Nothing that was typed is evaluated, and no program is run.",
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
    `# The command, the table and the number of operands before the cursor.
function __task_iter_context
    set -l command -
    set -l table -
    set -l operands 0
    set -l value 0
    set -l tokens (commandline -opc)
    for token in $tokens[2..]
        if test $value = 1
            set value 0
        else if test "$token" = --files
            set table files
        else if string match -q -- '--*=*' "$token"
            continue
        else if string match -q -- '-*' "$token"
            contains -- "$token" ${
      list([
        ...new Set(commands.flatMap(({ options }) =>
          options.filter(({ value }) => value !== "").flatMap(({ long, short }) => short ? [long, short] : [long])
        )),
      ])
    }; and set value 1
        else if test $command = - -a $operands = 0; and contains -- "$token" ${list(names)}
            set command $token
        else
            test $operands = 0; and set table $token
            set operands (math $operands + 1)
        end
    end
    if test $command = - ; and not contains -- "$table" ${list(tables.map(({ name }) => name))}
        set table stacks
    end
    printf '%s\\n' $command "$table" $operands
end
function __task_iter_at
    set -l context (__task_iter_context)
    test "$context[1]:$context[3]" = $argv[1]
end
function __task_iter_in
    set -l context (__task_iter_context)
    test "$context[1]" = $argv[1]
end
# What is being typed, without the option before it and the quote left open.
function __task_iter_current
    commandline -ct | string replace -r -- '^--[a-z]+=' '' | string replace -r -- '^["\\']' ''
end
function __task_iter_list
    set -l context (__task_iter_context)
    set -l stem (__task_iter_current | string replace -r -- '[^,]*$' '')
    for word in (__task_iter_columns $context[2]) all
        printf '%s\\n' "$stem$word"
    end
end
function __task_iter_where
    set -l context (__task_iter_context)
    set -l current (__task_iter_current)
    set -l stem (string replace -r -- '[A-Za-z0-9_.-]*$' '' "$current")
    set -l column (string match -r -- '([a-z0-9_]+)\\s*(?:[!=]=|\\sin\\s*\\((?:[^()]*,)?)\\s*$' "$stem")
    if test (count $column) -gt 1
        for word in (__task_iter_words $context[2] $column[2])
            printf '%s\\n' "$stem$word"
        end
    else if string match -qr -- '(^|[(!&|])\\s*$' "$stem"
        for word in (__task_iter_columns $context[2])
            printf '%s\\n' "$stem$word"
        end
    end
end`,
    "complete -c task-iter -f",
    `complete -c task-iter -n '__task_iter_at -:0' -a '${list(tables.map(({ name }) => name))}'`,
  ];
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
  return lines.join("\n") + "\n";
}

/** The script for `shell`; `program` is the whole command line. */
export function completions(shell: Shell, program: CommandUnknownOpts): string {
  const commands = [wordsOf(program, ""), ...program.commands.map((command) => wordsOf(command, command.name()))];
  return { bash, zsh, fish }[shell](commands);
}
