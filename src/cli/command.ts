// SPDX-License-Identifier: BSD-2-Clause
/** Commands, options and help. */

import { Command, CommanderError, type CommandUnknownOpts } from "@commander-js/extra-typings";
import manifest from "../../deno.json" with { type: "json" };
import whereHelp from "../../docs/where.md" with { type: "text" };
import { UsageError } from "../errors.ts";
import { hasIterator, hostname } from "../native/kernel.ts";
import type { Libraries } from "../native/load.ts";
import { findTable, plan, type Query } from "../query/plan.ts";
import type { Format } from "../query/request.ts";
import { tables } from "../query/schema.ts";
import { nearest } from "../query/where.ts";
import { type Engine, statements } from "./ddl.ts";
import { count } from "./count.ts";
import { mapFor } from "./map.ts";
import { OutputFile, Spool } from "./outfile.ts";
import { addFlags, type ReadOptions, rowFormat } from "./options.ts";
import { hasColours, redirect, redirected, say, standardOutput } from "./output.ts";
import { read } from "./read.ts";
import { REPORT_FORMATS, type ReportFormat } from "./report.ts";
import { writeRows } from "./rows.ts";
import { addSubcommands, SUBCOMMANDS } from "./subcommands.ts";
import { watch } from "./watch.ts";

const HELP = `
Examples:
  task-iter stacks nginx                kernel stacks of all threads named nginx
  task-iter files --pid 1 -f json       what process 1 has open
  task-iter files -w 'deleted == true && size > 100M' -c pid,comm,size,path
  task-iter tables files                the columns of a table
  task-iter help where                  the language of --where, with examples

With --interval, json is an array for each pass, the rows of jsonl begin with
"t", the time, and text on a terminal is drawn in place. With --changes too,
"op" is + for a row that is new, ~ changed, - gone (only what identifies it).

Exit status: 0 done; 1 output or run-time failure; 2 wrong command line;
3 the kernel cannot be asked.`;

/** What every row begins with: the host's name, as it is or as the user gives it. */
function constantOf({ host, names, format }: ReadOptions): Record<string, string> | undefined {
  if (host === undefined) return undefined;
  if (format !== "jsonl") throw new UsageError("--host is for --format jsonl");
  const name = host === true ? hostname() : host;
  if (new TextEncoder().encode(name).length > HOST_NAME_MAX) {
    throw new UsageError(`a host's name has at most ${HOST_NAME_MAX} bytes`);
  }
  return { [names === "otel" ? "host.name" : "host"]: name };
}

/** `task-iter tables [TABLE]`: rows of the same formats, from the schema. */
function listTables(name: string | undefined, format: Format): void {
  const rows: Record<string, string | boolean>[] = name === undefined
    ? tables.map(({ name, iterator, since, doc }) => ({ table: name, iterator, since, available: hasIterator(iterator), doc }))
    : findTable(name).columns.map(({ name, type, shown, doc, words }) => ({
      column: name,
      type: type === "long" || type === "symbol" ? "string" : type === "signed" ? "number" : type,
      default: shown,
      doc: words.length === 0 ? doc : `${doc} ${words.map(([, word]) => word).join(" ")}`,
    }));
  writeRows(Object.keys(rows[0]!), rows, format);
}

/** sethostname(2) allows 64 bytes; a full name with its domain may be longer (RFC 1035). */
const HOST_NAME_MAX = 255;

/** TABLE and COMM as they were typed: a first word that names no table is COMM for stacks. */
function target(words: (string | undefined)[], files: string | true | undefined): Pick<Query, "table" | "comm"> {
  if (files !== undefined) {
    const comm = files === true ? words[0] : files;
    if ((files === true ? words[1] : words[0]) !== undefined) throw new UsageError("--files takes one COMM");
    return { table: "files", comm };
  }
  const [first, second] = words;
  if (first === undefined) return { table: "stacks" };
  if (tables.some(({ name }) => name === first)) return { table: first, comm: second };
  if (second !== undefined) findTable(first);
  return { table: "stacks", comm: first };
}

/** The query of a plain read, but for the map. */
export function queryOf(words: (string | undefined)[], options: ReadOptions): Query {
  const { columns, where, pid, tid, container, netns, names } = options;
  const query: Query = { ...target(words, options.files), columns, where, pid, tid, container, netns, ...names && { names } };
  if (options.comm === undefined) return query;
  if (query.comm !== undefined) throw new UsageError("COMM and --comm are the same: give one");
  return { ...query, comm: options.comm };
}

/** `task-iter stacks -f folded`: a count by what flame graphs show. */
function foldedStacks(libraries: Libraries, query: Query, options: ReadOptions): void {
  const { columns, interval, netns, map, stats = false, verbose = false } = options;
  if (query.table !== "stacks") throw new UsageError("folded is a format of the table stacks");
  if (columns !== undefined) throw new UsageError("folded shows comm and frames: count stacks --by takes other columns");
  if (interval !== undefined) throw new UsageError("folded is a count of one pass: --interval has no meaning for it");
  const by = ["comm", "frames"];
  count(libraries, { ...query, by, map, netns, format: "folded", header: true, stats, verbose });
}

/** Commander's message in one line. Commander suggests nothing for --formt=json, so this function does. */
function explainUsage(error: CommanderError, words: string[], program: { options: readonly { long?: string }[] }): string {
  const message = error.message.replace(/^error: /, "").replace(/\s+/g, " ");
  if (error.code !== "commander.unknownOption" || message.includes("Did you mean")) return message;
  const wrong = words.find((word) => word.includes("=") && message.includes(`'${word}'`))?.split("=")[0];
  const near = wrong && nearest(wrong, program.options.flatMap(({ long }) => long ?? []));
  return near ? `${message} (Did you mean ${near}?)` : message;
}

/** Suggests a table when no thread has the name and a table's name is similar. */
function hint(words: (string | undefined)[], { comm }: Query): void {
  const near = comm !== undefined && words[0] === comm && nearest(comm, tables.map(({ name }) => name));
  if (near) say(`task-iter: no thread is named ${comm} (did you mean the table ${near}?)`);
}

/** The command line as a whole; subcommands in full where `words` name them. */
export function commandLine(words: readonly string[], libraries: Libraries): CommandUnknownOpts {
  const program = new Command("task-iter")
    .description("Reads Linux kernel tables through BPF iterators: filtered and formatted inside\nthe kernel.")
    .usage("[TABLE] [COMM] [options]\n       task-iter COMMAND ...")
    .enablePositionalOptions()
    .argument("[table]", `what to read (default: stacks): ${tables.map(({ name }) => name).join(" ")}`)
    .argument("[comm]", "an exact thread name");
  addFlags(program as unknown as CommandUnknownOpts, "read");
  program
    .version(manifest.version, "-V, --version", "the version")
    .helpOption("-h, --help", "this help")
    .addHelpText("after", HELP)
    .configureHelp({ styleTitle: (title) => `\x1b[1m${title}\x1b[0m` })
    .exitOverride()
    .configureOutput({ writeOut: (text) => standardOutput.write(text), writeErr: () => {}, getOutHasColors: () => hasColours(1) })
    .hook("preAction", (_, command) => {
      const { output, interval, format } = command.opts() as { output?: string; interval?: number; format?: string };
      if (output === undefined) return;
      if (!output.endsWith("/")) return redirect(new OutputFile(output));
      if (interval === undefined) throw new UsageError("--output FOLDER/ is a file for each pass: it needs --interval");
      redirect(new Spool(output, format ?? "text"));
    })
    .action((table, comm, given) => {
      const options = given as unknown as ReadOptions;
      const query = queryOf([table, comm], options);
      if (options.count !== undefined && options.interval === undefined) throw new UsageError("--count needs --interval");
      if (options.changes && options.interval === undefined) throw new UsageError("--changes needs --interval");
      if (options.changes && redirected() && !redirected()!.begin) {
        throw new UsageError("--output keeps the last snapshot, and changes are none: write them by >> FILE, or to a FOLDER/");
      }
      if (options.changes) query.changes = options.remember;
      if (options.format === "folded") return foldedStacks(libraries, query, options);
      query.map = mapFor(libraries, query.table, options.map, options.verbose ?? false);
      const show = {
        constant: constantOf(options),
        format: options.format,
        header: options.header,
        stats: options.stats ?? false,
        verbose: options.verbose ?? false,
        interval: options.interval ?? 0,
        count: options.count ?? 0,
      };
      if (show.interval > 0) watch(libraries, query, show);
      else if (read(libraries, plan(query, show.format, show.constant !== undefined), show) === 0) hint([table], query);
    });
  const formatOf = (given: object) => (given as { format?: Format }).format ?? rowFormat(program);
  const list = program.commandsGroup("Commands:").command("tables")
    .description("list the tables, or one table's columns")
    .argument("[table]");
  addFlags(list as unknown as CommandUnknownOpts, "tables");
  list.helpOption("-h, --help", "this help").action((name, given) => {
    const { ddl } = given as { ddl?: Engine };
    if (ddl) standardOutput.write(statements(ddl, name === undefined ? tables : [findTable(name)]));
    else listTables(name, formatOf(given));
  });
  program.helpCommand(false).command("help")
    .description("this help, a command's, or a topic's: where")
    .argument("[topic]")
    .action((topic) => {
      const command = program.commands.find((command) => command.name() === topic);
      if (topic === undefined) return standardOutput.write(program.helpInformation() + HELP + "\n");
      if (topic === "where") return standardOutput.write(whereHelp);
      if (command) return standardOutput.write(command.helpInformation());
      const near = nearest(topic, ["where", ...program.commands.map((command) => command.name())]);
      throw new UsageError(`there is no help on ${topic}${near ? ` (did you mean ${near}?)` : ""}: help where, or help COMMAND`);
    });
  const everything = () => commandLine(SUBCOMMANDS.map(({ name }) => name), libraries);
  addSubcommands(program as unknown as CommandUnknownOpts, libraries, words, everything);
  return program as unknown as CommandUnknownOpts;
}

/** For a command line that is inspected, never carried out. */
const refuse = () => {
  throw new Error("this command line is not to be carried out");
};
export const NO_LIBRARIES: Libraries = { open: refuse, program: refuse };

/**
 * The parts of `words` that belong to `command` itself: its first operand, the words after that operand, and the values of its
 * options, as commander would find them. Unlike commander, this function goes on after a mistake.
 */
function split(
  command: CommandUnknownOpts,
  words: readonly string[],
): { operand?: string; rest: string[]; values: Map<string, string> } {
  const values = new Map<string, string>();
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!;
    if (word === "--" || !word.startsWith("-") || word === "-") return { operand: word, rest: words.slice(i + 1), values };
    const equals = word.startsWith("--") ? word.indexOf("=") : -1;
    const flag = equals > 0 ? word.slice(0, equals) : word.startsWith("--") ? word : word.slice(0, 2);
    const option = command.options.find(({ long, short }) => flag === long || flag === short);
    if (!option || equals > 0 || !flag.startsWith("--") && word.length > 2) {
      // "-fjson"; "-vfjson" is "-v -fjson".
      const attached = equals > 0 ? word.slice(equals + 1) : word.slice(2);
      if (option?.required) values.set(option.attributeName(), attached);
      else if (option && equals < 0 && word.length > 2) words = [...words.slice(0, i + 1), `-${attached}`, ...words.slice(i + 1)];
      continue;
    }
    const next = words[i + 1];
    if (option.required || option.optional && next !== undefined && !next.startsWith("-")) {
      if (next !== undefined) values.set(option.attributeName(), next);
      i++;
    }
  }
  return { rest: [], values };
}

/** The subcommand that `words` call and the words behind its name; `undefined` for a read. */
export function subcommandOf(words: readonly string[]): { name: string; rest: string[] } | undefined {
  const program = commandLine([], NO_LIBRARIES);
  const { operand, rest } = split(program, words);
  return program.commands.some((command) => command.name() === operand) ? { name: operand!, rest } : undefined;
}

/** The format that a check with these words reports in. */
export function reportFormat(words: readonly string[]): ReportFormat {
  const { name = "", rest = [] } = subcommandOf(words) ?? {};
  const command = commandLine([name], NO_LIBRARIES).commands.find((command) => command.name() === name);
  let format: string | undefined;
  for (let left = rest; command && left.length > 0;) {
    const { values, rest } = split(command, left);
    format = values.get("format") ?? format;
    left = rest;
  }
  return REPORT_FORMATS.find((known) => known === format) ?? "nagios";
}

/** Carries out `words`, the command line without the program's name. @throws what main.ts turns into an exit status */
export async function run(words: string[], libraries: Libraries): Promise<void> {
  const program = commandLine(words, libraries);
  try {
    await program.parseAsync(words, { from: "user" });
    redirected()?.commit();
  } catch (error) {
    redirected()?.abandon();
    redirect(undefined);
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode !== 0) throw new UsageError(explainUsage(error, words, program));
  }
}
