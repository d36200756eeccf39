// SPDX-License-Identifier: BSD-2-Clause
import { deepStrictEqual as equal, match, ok } from "node:assert";
import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { manual } from "../scripts/man.ts";
import { tables } from "../src/query/schema.ts";
import { run, taskIter, TemporaryFolder } from "./support.ts";

const has = (command: string) => run("sh", ["-c", `command -v ${command}`]).status === 0;
const word = (text: string) => text.replaceAll("'", "'\\''");

/** What bash offers after `line`, whose last word, as readline sees it, is `current`; and what was left in the folder. */
function bash(line: string, current: string): { replies: string[]; left: string[] } {
  using folder = new TemporaryFolder();
  writeFileSync(`${folder.path}/script`, taskIter("completions", "bash").stdout);
  const code = `. ./script; compopt() { :; }; COMP_LINE='${word(line)}' COMP_POINT=${line.length}
    _task_iter task-iter '${word(current)}' ''; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { status, stdout, stderr } = run("bash", ["--norc", "-uc", code], { cwd: folder.path });
  equal([status, stderr], [0, ""]);
  return { replies: stdout.split("\n").filter((reply) => reply), left: readdirSync(folder.path) };
}

const columns = (table: string) => tables.find(({ name }) => name === table)!.columns.map(({ name }) => name);

Deno.test("the scripts of completions are what their shells and shellcheck take without a word", () => {
  using folder = new TemporaryFolder();
  for (
    const [shell, command] of [["bash", ["shellcheck", "-s", "bash"]], ["zsh", ["zsh", "-n"]], ["fish", ["fish", "-n"]]] as const
  ) {
    const path = `${folder.path}/task-iter.${shell}`;
    writeFileSync(path, taskIter("completions", shell).stdout);
    const [program, ...args] = command;
    equal(run(program!, [...args, path]), { status: 0, stdout: "", stderr: "" }, shell);
  }
});

Deno.test("bash completes tables, commands, columns, options and their words", () => {
  const cases: [string, string, string[]][] = [
    ["task-iter fi", "fi", ["files"]],
    ["task-iter chec", "chec", ["check"]],
    ["task-iter --form", "--form", ["--format"]],
    ["task-iter check files --w", "--w", ["--where", "--warn"]],
    ["task-iter files --format j", "j", ["json", "jsonl"]],
    ["task-iter files --format=j", "j", ["json", "jsonl"]],
    ["task-iter check -f ", "", ["nagios", "json", "tap", "junit", "prom"]],
    ["task-iter count fil", "fil", ["files"]],
    ["task-iter count files --by pid,de", "pid,de", ["pid,dev", "pid,deleted"]],
    ["task-iter count files --sum si", "si", ["size"]],
    ["task-iter count -f fo", "fo", ["folded"]],
    ["task-iter files --columns pid,de", "pid,de", ["pid,dev", "pid,deleted"]],
    ["task-iter --columns ", "", [...columns("stacks"), "all"]],
    ["task-iter --files -c file_o", "file_o", ["file_ops"]],
    ["task-iter completions f", "f", ["fish"]],
    ["task-iter pin sta", "sta", ["stacks"]],
    ["task-iter files --where 'de", "de", ["dev", "deleted"]],
    ["task-iter files --where 'file_o", "file_o", ["file_ops ==", "file_ops !="]],
    ["task-iter files --where 'fd > 2 && !(type == SO", "fd > 2 && !(type == SO", ["fd > 2 && !(type == SOCK"]],
    ['task-iter files --where "type in (REG, SO', "type in (REG, SO", ["type in (REG, SOCK"]],
    ["task-iter files -w deleted==t", "t", ["true"]],
    ["task-iter files --where 'type ", "type ", ["type ==", "type !=", "type in"]],
    ["task-iter files --where 'fd > 2 ", "fd > 2 ", ["fd > 2 &&", "fd > 2 ||"]],
    ["task-iter check stacks --where 'state == ", "state == ", "RSDTtXZPI".split("").map((state) => `state == ${state}`)],
  ];
  for (const [line, current, replies] of cases) equal(bash(line, current).replies, replies, line);
});

const HARM = ["$(touch x)", "`touch x`", "a[$(touch x)]", "${x:=$(touch x)}", "<(touch x)", "; touch x;", "$((a[$(touch x)]))"];

Deno.test("bash evaluates nothing that was typed", () => {
  for (const harm of HARM) {
    for (
      const line of [
        `task-iter ${harm} `,
        `task-iter ${harm}`,
        `task-iter --where ${harm} `,
        `task-iter --where '${harm} == `,
        `task-iter --where "${harm}`,
        `task-iter files --columns ${harm}`,
        `task-iter '${harm}' --columns `,
        `task-iter '${harm}' --where 'fd == `,
        `task-iter --${harm}= `,
        `task-iter check --file ${harm}`,
        `task-iter -f ${harm}`,
      ]
    ) {
      equal(bash(line, line.slice(line.lastIndexOf(" ") + 1)).left, ["script"], line);
      equal(bash(line, harm).left, ["script"], line);
    }
  }
});

/**
 * Types `keys` into an interactive shell on a terminal, in which task-iter only writes its arguments; these, and the folder. Nothing
 * tells when a shell is ready for the next key: on a busy machine it is typed again, more slowly.
 */
function type(
  shell: string,
  args: string,
  setup: string,
  keys: string[],
  wanted: string[] = [],
): { args: string[]; left: string[] } {
  for (const patience of [1, 3, 9]) {
    const result = typeOnce(shell, args, setup, keys, patience);
    if (result.left.length > 0 || patience === 9 || result.args.join("\n") === wanted.join("\n")) return result;
  }
  throw new Error("unreachable");
}

function typeOnce(
  shell: string,
  args: string,
  setup: string,
  keys: string[],
  patience: number,
): { args: string[]; left: string[] } {
  using folder = new TemporaryFolder();
  const name = shell.split(" ")[0]!;
  writeFileSync(`${folder.path}/script`, taskIter("completions", name).stdout);
  writeFileSync(`${folder.path}/keys`, keys.join("\n") + "\n");
  const typing =
    `sleep ${0.5 * patience}; printf '%s\\n' '${word(setup)}'; sleep ${
      1.5 * patience
    }; while IFS= read -r part; do printf '%b' "$part"; sleep ${0.7 * patience}; done < keys; ` +
    `printf '\\003'; sleep 0.2; printf 'exit\\n'; sleep 0.3`;
  run("bash", ["-c", `{ ${typing}; } | TERM=xterm timeout -k 1 60 script -qec '${shell} ${args}' /dev/null`], {
    cwd: folder.path,
    env: { ...process.env, HOME: folder.path },
  });
  const left = readdirSync(folder.path).filter((file) => !file.startsWith("."));
  const typed = left.includes("typed") ? Deno.readTextFileSync(`${folder.path}/typed`).split("\n").slice(0, -1) : [];
  return { args: typed, left: left.filter((file) => !["script", "keys", "typed"].includes(file)) };
}

const SHELLS: Record<string, [string, string]> = {
  bash: ["--norc --noprofile -i", ". ./script; task-iter() { printf '%s\\n' \"$@\" > typed; }"],
  // zsh expands what is typed by itself before it completes, unless Tab is told not to: expand-or-complete.
  zsh: [
    "-f -i",
    "autoload -U compinit; compinit -u -D; bindkey '^I' complete-word; source ./script; task-iter() { print -rl -- \"$@\" > typed }",
  ],
};

for (const [shell, [args, setup]] of Object.entries(SHELLS)) {
  const missing = !has(shell);
  Deno.test({
    name: `${shell} on a terminal completes, and evaluates nothing${missing ? ` (skipped: no ${shell})` : ""}`,
    ignore: missing,
    fn() {
      for (
        const [keys, wanted] of [
          ["task-iter fil\\t--whe\\t'type == SO\\t", ["files", "--where", "type == SOCK"]],
          ["task-iter files --columns pid,dele\\t", ["files", "--columns", "pid,deleted"]],
        ] as const
      ) {
        equal(type(shell, args, setup, [keys, "\\n"], [...wanted]), { args: wanted, left: [] });
      }
      equal(
        type(shell, args, setup, ['task-iter --where "$(touch x) == \\t', "\\003", "task-iter $(touch x) --whe\\t"]).left,
        [],
      );
    },
  });
}

Deno.test({
  name: `fish completes, and evaluates nothing${has("fish") ? "" : " (skipped: no fish)"}`,
  ignore: !has("fish"),
  fn() {
    using folder = new TemporaryFolder();
    writeFileSync(`${folder.path}/script`, taskIter("completions", "fish").stdout);
    const complete = (line: string) => {
      const { stdout, stderr } = run("fish", ["--no-config", "-c", "source ./script; complete -C $argv[1]", line], {
        cwd: folder.path,
        env: { ...process.env, HOME: folder.path },
      });
      equal(stderr, "", line);
      return stdout.split("\n").filter((reply) => reply).map((reply) => reply.split("\t")[0]);
    };
    equal(complete("task-iter fil"), ["files"]);
    equal(complete("task-iter check files --w"), ["--warn", "--where"]);
    equal(complete("task-iter files --format=j"), ["--format=json", "--format=jsonl"]);
    equal(complete("task-iter files --columns pid,de"), ["pid,deleted", "pid,dev"]);
    equal(complete("task-iter files --where 'type in (REG, SO"), ["type in (REG, SOCK"]);
    equal(complete("task-iter files --where 'fd > 2 && file_o"), ["fd > 2 && file_ops"]);
    equal(complete("task-iter completions z"), ["zsh"]);
    for (const harm of [...HARM, "(touch x)"]) {
      for (
        const line of [
          `task-iter ${harm} `,
          `task-iter --where '${harm} == `,
          `task-iter '${harm}' --columns `,
          `task-iter --file ${harm}`,
        ]
      ) {
        complete(line);
        ok(!existsSync(`${folder.path}/x`), line);
      }
    }
  },
});

const COMMANDS = [[], ["tables"], ["check"], ["pin"], ["unpin"], ["completions"]];

Deno.test("help fits 80 columns, in groups and with examples", () => {
  for (const words of COMMANDS) {
    const { status, stdout, stderr } = taskIter(...words, "--help");
    equal([status, stderr], [0, ""]);
    for (const line of stdout.split("\n")) ok(line.length <= 80, line);
  }
  const help = taskIter("--help").stdout;
  for (const title of ["Rows and columns:", "Output:", "Other:", "Commands:", "Examples:"]) {
    ok(help.includes(`\n${title}\n`), title);
  }
  for (const { name } of tables) ok(help.includes(name), name);
});

Deno.test("what is misspelt is answered with what was meant", () => {
  const cases: [string[], number, RegExp][] = [
    [["--colums", "pid"], 2, /did you mean --columns\?/i],
    [["files", "--format", "jsn"], 2, /Did you mean json\?/],
    [["files", "-c", "pdi"], 2, /did you mean pid\?/],
    [["files", "-w", "tpye == REG"], 2, /did you mean type\?/],
    [["files", "-w", "type == SOK"], 2, /did you mean SOCK\?/],
    [["tables", "fils"], 2, /did you mean files\?/],
    [["fils"], 0, /^task-iter: no thread is named fils \(did you mean the table files\?\)\n$/],
    [["check", "stack"], 3, /did you mean stacks\?/],
    [["completions", "bsh"], 2, /Did you mean bash\?/],
    [["pin", "--lst"], 2, /did you mean --list\?/i],
  ];
  for (const [words, status, message] of cases) {
    const result = taskIter(...words);
    equal(result.status, status, words.join(" "));
    match(result.stderr, message);
  }
});

Deno.test("the manual page has every option, command and column, and groff takes it", () => {
  const page = manual();
  const help = COMMANDS.map((words) => taskIter(...words, "--help").stdout).join("");
  const plain = page.replaceAll("\\-", "-");
  for (const [option] of help.matchAll(/--[a-z]+/g)) ok(plain.includes(option), option);
  for (const { name, columns } of tables) {
    ok(plain.includes(`.SS ${name}\n`), name);
    for (const column of columns) ok(plain.includes(`.B ${column.name}\n${column.doc.replaceAll("\\", "\\e")}`), column.name);
  }
  if (!has("groff")) return;
  const { status, stdout, stderr } = run("groff", ["-man", "-Tutf8", "-ww", "-rLL=80n"], { input: page });
  equal([status, stderr], [0, ""]);
  ok(stdout.includes("--columns") || stdout.includes("columns"));
});
