// SPDX-License-Identifier: BSD-2-Clause
/** The commands besides reading a table. Only the typed command is set up, so that a plain read does not pay for the others. */

import type { Command, CommandUnknownOpts } from "@commander-js/extra-typings";
import { UsageError } from "../errors.ts";
import type { Libraries } from "../native/load.ts";
import type { Format } from "../query/request.ts";
import { check } from "./check.ts";
import { completions, SHELLS } from "./completions.ts";
import { count } from "./count.ts";
import { doctor } from "./doctor.ts";
import { mapFor } from "./map.ts";
import {
  addFlags,
  type CheckOptions,
  type CountOptions,
  type FlameOptions,
  oneOf,
  type PinOptions,
  rowFormat,
  type SnapshotOptions,
} from "./options.ts";
import { standardOutput } from "./output.ts";
import { listPins, pin, unpin } from "./pin.ts";
import { STATES } from "./report.ts";
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
container, map, netns, by, warn and crit; only table must be there.

Exit status: ${STATES.map((state, i) => `${i} ${state}`).join(", ")} (could not look).
Of several the highest.`;

const COUNT_HELP = `
Rows are counted in the kernel while it walks the table; --sum, --max, --min
and --distinct may be given several times. The groups come sorted, the largest
first. With --top, the last row has the rest, so that the sums agree.

Examples:
  task-iter count files --by comm,type
  task-iter count tasks --by uid --sum rss_kb --top 10
  task-iter count tcp --by state --distinct remote_addr -f json
  task-iter count stacks --by frames -f folded > stacks.folded
  task-iter count --file metrics.json -o /var/lib/node_exporter/task-iter.prom

A file is a JSON array of objects with name, table, by, sum, max, min, distinct,
top, groups, where, comm, pid, tid, container, map and netns; only table must
be there. An object with counts and checks, two such lists, makes the metrics of
both.`;

const PIN_HELP = `
Examples:
  task-iter pin files /sys/fs/bpf/open --where 'comm == nginx' -f csv
  cat /sys/fs/bpf/open
  task-iter pin --list

The file gives rows without a header; json is written as jsonl. Sockets are
those of the network namespace of the process that reads the file. The file
lasts until task-iter unpin PATH, or the next boot.`;

/** Sets up one command; `everything` returns the whole command line, which completions need. */
type Configure = (command: Command, libraries: Libraries, everything: () => CommandUnknownOpts) => void;

const addCheck: Configure = (command, libraries) => {
  const program = command.argument("[table]", "what to count").argument("[comm]", "an exact thread name");
  addFlags(program as unknown as CommandUnknownOpts, "check");
  program
    .helpOption("-h, --help", "this help")
    .addHelpText("after", CHECK_HELP)
    .action((table, word, given) => {
      const { comm, ...options } = given as unknown as CheckOptions;
      if (word !== undefined && comm !== undefined) throw new UsageError("COMM and --comm are the same: give one");
      check(libraries, { ...options, table, comm: word ?? comm, verbose: options.verbose ?? false });
    });
};

const addCount: Configure = (command, libraries) => {
  const program = command.argument("[table]", "what to count").argument("[comm]", "an exact thread name");
  addFlags(program as unknown as CommandUnknownOpts, "count");
  program
    .helpOption("-h, --help", "this help")
    .addHelpText("after", COUNT_HELP)
    .action((table, word, given) => {
      const { comm, stats = false, verbose = false, ...options } = given as unknown as CountOptions;
      if (word !== undefined && comm !== undefined) throw new UsageError("COMM and --comm are the same: give one");
      count(libraries, { ...options, table, comm: word ?? comm, stats, verbose });
    });
};

const addPin: Configure = (command, libraries) => {
  const program = command.argument("[table]", "what to read").argument("[path]", "where, in a BPF file system");
  addFlags(program as unknown as CommandUnknownOpts, "pin");
  program
    .helpOption("-h, --help", "this help")
    .addHelpText("after", PIN_HELP)
    .action((table, path, given) => {
      const { format, list, output, verbose = false, map: wanted, netns, ...query } = given as unknown as PinOptions;
      if (netns !== undefined) {
        throw new UsageError("a pinned file shows the network namespace of the process that reads it: --netns cannot choose one");
      }
      if (list) {
        if (table !== undefined) throw new UsageError("--list shows all: give no table");
        return writeRows(["path", "query"], listPins(libraries), format);
      }
      if (output !== undefined) throw new UsageError("--output is for pin --list: a pinned file is written by no one");
      if (table === undefined || path === undefined) throw new UsageError("pin needs a TABLE and a PATH, or --list");
      pin(libraries, { ...query, table, map: mapFor(libraries, table, wanted, verbose) }, path, format, verbose);
    });
};

const DOCTOR_HELP = "\nExit status: 0 when the default table, stacks, can be read, else 3.";

const COMPLETIONS_HELP = `
Install:
  task-iter completions bash > /etc/bash_completion.d/task-iter
  task-iter completions zsh > /usr/share/zsh/vendor-completions/_task-iter
  task-iter completions fish > /etc/fish/completions/task-iter.fish`;

const addUnpin: Configure = (command, libraries) => {
  command.argument("<path>").helpOption("-h, --help", "this help").action((path) => unpin(libraries, path));
};

const addDoctor: Configure = (command, libraries) => {
  addFlags(command as unknown as CommandUnknownOpts, "doctor");
  command.helpOption("-h, --help", "this help").addHelpText("after", DOCTOR_HELP).action((given) => {
    const { format } = given as { format?: Format };
    doctor(libraries, format ?? rowFormat(command.parent!));
  });
};

const SNAPSHOT_HELP = `
FILE ends in .tar.zst, .tar.gz or .tar; a name without such an end is a folder,
and - is standard output, as .tar.zst. Tables that read one BPF map are left
out. A table that fails is recorded in manifest.json, with the reason.

Examples:
  task-iter snapshot machine.tar.zst
  task-iter snapshot - --redact | ssh desk 'cat > machine.tar.zst'
  task-iter snapshot machine.tar.zst --where 'vmas:comm == nginx'

Exit status: 0 done; 1 not written; 2 wrong command line; 3 no table could be
read.`;

const addSnapshot: Configure = (command, libraries) => {
  const program = command.argument("<path>", "where: FILE.tar.zst, FILE.tar.gz, a folder, or - for standard output");
  addFlags(program as unknown as CommandUnknownOpts, "snapshot");
  program
    .helpOption("-h, --help", "this help")
    .addHelpText("after", SNAPSHOT_HELP)
    .action(async (path, given) => {
      const { snapshot } = await import("./snapshot/snapshot.ts");
      snapshot(libraries, path, given as unknown as SnapshotOptions);
    });
};

const REPORT_HELP = `
Without SNAPSHOT the page shows this machine as it is now; else SNAPSHOT is what
task-iter snapshot has written, in any of its forms, and - is standard input.
The page needs no network and no other file.

Examples:
  task-iter report > report.html
  task-iter report machine.tar.zst > report.html`;

const addReport: Configure = (command, libraries) => {
  const program = command.argument("[path]", "a snapshot; this machine otherwise");
  addFlags(program as unknown as CommandUnknownOpts, "report");
  program
    .helpOption("-h, --help", "this help")
    .addHelpText("after", REPORT_HELP)
    .action(async (path, given) => {
      const { report } = await import("./snapshot/page.ts");
      report(libraries, path, given as unknown as SnapshotOptions);
    });
};

const FLAME_HELP = `
A bar is a function of the kernel; its width is the number of threads that are
in it or in what it called. Names of threads are the lowest bars but one.

Examples:
  task-iter flame > stacks.svg
  task-iter flame --where 'state == D' > stuck.svg
  task-iter flame machine.tar.zst > stacks.svg`;

const addFlame: Configure = (command, libraries) => {
  const program = command.argument("[path]", "a snapshot; this machine otherwise");
  addFlags(program as unknown as CommandUnknownOpts, "flame");
  program
    .helpOption("-h, --help", "this help")
    .addHelpText("after", FLAME_HELP)
    .action(async (path, given) => {
      const { flame } = await import("./snapshot/flame.ts");
      flame(libraries, path, given as unknown as FlameOptions);
    });
};

const addCompletions: Configure = (command, _, everything) => {
  command.argument("<shell>", SHELLS.join(", "), oneOf(SHELLS)).helpOption("-h, --help", "this help")
    .addHelpText("after", COMPLETIONS_HELP).action((shell) => standardOutput.write(completions(shell, everything())));
};

/** The commands besides reading a table and listing tables. */
export const SUBCOMMANDS: readonly { name: string; description: string; configure: Configure }[] = [
  { name: "count", description: "count rows by groups, in the kernel", configure: addCount },
  { name: "check", description: "count rows and compare with thresholds", configure: addCheck },
  { name: "pin", description: "make a query a file that any program reads", configure: addPin },
  { name: "unpin", description: "remove such a file", configure: addUnpin },
  { name: "snapshot", description: "every table of this machine in one file", configure: addSnapshot },
  { name: "report", description: "this machine or a snapshot as a page to look at", configure: addReport },
  { name: "flame", description: "kernel stacks as a flame graph, in SVG", configure: addFlame },
  { name: "doctor", description: "what this kernel and these privileges allow", configure: addDoctor },
  { name: "completions", description: "print a completion script for a shell", configure: addCompletions },
];

/** Adds every command, and sets up those in `words`. */
export function addSubcommands(
  program: CommandUnknownOpts,
  libraries: Libraries,
  words: readonly string[],
  everything: () => CommandUnknownOpts,
): void {
  program.commandsGroup("Commands:");
  for (const { name, description, configure } of SUBCOMMANDS) {
    const command = program.command(name).description(description);
    if (words.includes(name)) configure(command as unknown as Command, libraries, everything);
  }
}
