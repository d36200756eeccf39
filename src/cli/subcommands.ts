// SPDX-License-Identifier: BSD-2-Clause
/** What task-iter does besides reading a table. Only the one that was typed is set up: a plain read does not pay for them. */

import { type Command, type CommandUnknownOpts, Option } from "@commander-js/extra-typings";
import { UsageError } from "../errors.ts";
import type { Libraries } from "../native/load.ts";
import { type Format, FORMATS } from "../query/request.ts";
import { check } from "./check.ts";
import { completions, SHELLS } from "./completions.ts";
import { doctor } from "./doctor.ts";
import { mapFor } from "./map.ts";
import { oneOf, positive } from "./options.ts";
import { standardOutput } from "./output.ts";
import { listPins, pin, unpin } from "./pin.ts";
import { REPORT_FORMATS, STATES } from "./report.ts";
import { writeRows } from "./rows.ts";

const CHECK_HELP = `
Ranges, and the counts that raise no alert:
  10     0 to 10              10:20    10 to 20
  10:    10 and more          @10:20   all but 10 to 20
  ~:10   10 and less

Examples:
  task-iter check files --where 'comm == nginx' --warn 800 --crit 1000
  task-iter check files --where 'deleted == true && size > 1G' --crit 0
  task-iter check --file checks.json --format junit > report.xml

A file is a JSON array of objects with name, table, where, comm, pid, tid,
map, netns, warn and crit; only table must be there.

Exit status: ${STATES.map((state, i) => `${i} ${state}`).join(", ")} (could not look).
Of several the highest.`;

const PIN_HELP = `
Examples:
  task-iter pin files /sys/fs/bpf/open --where 'comm == nginx' -f csv
  cat /sys/fs/bpf/open
  task-iter pin --list

The file gives rows without a header; json is written as jsonl. Sockets are
those of the network namespace of the process that reads the file. The file
lasts until task-iter unpin PATH, or the next boot.`;

function addCheck(program: Command, libraries: Libraries): void {
  program
    .argument("[table]", "what to count")
    .argument("[comm]", "an exact thread name")
    .optionsGroup("Rows:")
    .option("-w, --where <expr>", "count rows for which it holds")
    .option("--comm <name>", "rows of threads of that name")
    .option("--pid <pid>", "rows of that process", positive)
    .option("--tid <tid>", "rows of that thread", positive)
    .option("--map <id|name>", "the BPF map whose elements are counted")
    .option("--netns <all|path|pid>", "tcp, udp, unix, netlink: the network namespace to count in, or all of them")
    .optionsGroup("Thresholds:")
    .option("--warn <range>", "WARNING when the count is outside the range")
    .option("--crit <range>", "CRITICAL when the count is outside the range")
    .option("--name <text>", "what the check is called")
    .option("--file <path>", "many checks, as JSON; - for standard input")
    .optionsGroup("Other:")
    .addOption(
      new Option("-f, --format <format>", "how to report").choices(REPORT_FORMATS).argParser(oneOf(REPORT_FORMATS))
        .default("nagios" as const),
    )
    .option("-v, --verbose", "on stderr: libbpf's and the verifier's log")
    .helpOption("-h, --help", "this help")
    .addHelpText("after", CHECK_HELP)
    .action((table, word, { comm, ...options }) => {
      if (word !== undefined && comm !== undefined) throw new UsageError("COMM and --comm are the same: give one");
      check(libraries, { ...options, table, comm: word ?? comm, verbose: options.verbose ?? false });
    });
}

function addPin(program: Command, libraries: Libraries): void {
  program
    .argument("[table]", "what to read")
    .argument("[path]", "where, in a BPF file system")
    .optionsGroup("Rows:")
    .addOption(
      new Option("-f, --format <format>", "output format").choices(FORMATS).argParser(oneOf(FORMATS)).default("text" as const),
    )
    .option("-c, --columns <a,b,c>", "columns to show; all for every column", (text) => text.split(","))
    .option("-w, --where <expr>", "keep rows for which it holds")
    .option("--comm <name>", "rows of threads of that name")
    .option("--pid <pid>", "rows of that process", positive)
    .option("--tid <tid>", "rows of that thread", positive)
    .option("--map <id|name>", "the BPF map whose elements are read")
    .addOption(new Option("--netns <all|path|pid>").hideHelp())
    .optionsGroup("Other:")
    .option("--list", "show what is pinned")
    .option("-v, --verbose", "on stderr: libbpf's and the verifier's log")
    .helpOption("-h, --help", "this help")
    .addHelpText("after", PIN_HELP)
    .action((table, path, { format, list, verbose = false, map: wanted, netns, ...query }) => {
      if (netns !== undefined) {
        throw new UsageError("a pinned file shows the network namespace of the process that reads it: --netns cannot choose one");
      }
      if (list) {
        if (table !== undefined) throw new UsageError("--list shows all: give no table");
        return writeRows(["path", "query"], listPins(libraries), format);
      }
      if (table === undefined || path === undefined) throw new UsageError("pin needs a TABLE and a PATH, or --list");
      pin(libraries, { ...query, table, map: mapFor(libraries, table, wanted, verbose) }, path, format, verbose);
    });
}

/** `everything`: not only what `words` name, for the man page and the completions. */
export function addSubcommands(
  program: CommandUnknownOpts,
  libraries: Libraries,
  words: readonly string[],
  everything: () => CommandUnknownOpts,
): void {
  const add = (name: string, description: string, configure: (command: Command, libraries: Libraries) => void) => {
    const command = program.command(name).description(description);
    if (words.includes(name)) configure(command as unknown as Command, libraries);
  };
  program.commandsGroup("Commands:");
  add("check", "count rows and compare with thresholds", addCheck);
  add("pin", "make a query a file that any program reads", addPin);
  add("unpin", "remove such a file", (command) => {
    command.argument("<path>").helpOption("-h, --help", "this help").action((path) => unpin(libraries, path));
  });
  add("doctor", "what this kernel and these privileges allow", (command) => {
    command.addOption(new Option("-f, --format <format>", "output format").choices(FORMATS).argParser(oneOf(FORMATS)))
      .helpOption("-h, --help", "this help").addHelpText("after", DOCTOR_HELP)
      .action(({ format }) => doctor(libraries, format ?? program.opts().format as Format));
  });
  add("completions", "print a completion script for a shell", (command) => {
    command.argument("<shell>", SHELLS.join(", "), oneOf(SHELLS)).helpOption("-h, --help", "this help")
      .addHelpText("after", COMPLETIONS_HELP).action((shell) => standardOutput.write(completions(shell, everything())));
  });
}

const DOCTOR_HELP = "\nExit status: 0 when the default table, stacks, can be read, else 3.";

const COMPLETIONS_HELP = `
Install:
  task-iter completions bash > /etc/bash_completion.d/task-iter
  task-iter completions zsh > /usr/share/zsh/vendor-completions/_task-iter
  task-iter completions fish > /etc/fish/completions/task-iter.fish`;

/** The names that {@linkcode addSubcommands} adds, for who wants them all. */
export const SUBCOMMANDS: readonly string[] = ["check", "pin", "unpin", "doctor", "completions"];
