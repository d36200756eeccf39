// SPDX-License-Identifier: BSD-2-Clause
/** Commands, options and help. */

import { Command, CommanderError, InvalidArgumentError, Option } from "@commander-js/extra-typings";
import whereHelp from "../../docs/where.md" with { type: "text" };
import manifest from "../../deno.json" with { type: "json" };
import { type Format, FORMATS, type Libraries } from "../native/program.ts";
import { findTable, MAP_TYPES, type Query, UsageError } from "../query/plan.ts";
import { tables } from "../query/schema.ts";
import { nearest } from "../query/where.ts";
import { iterators } from "./explain.ts";
import { findMap } from "./map.ts";
import { write } from "./output.ts";
import { read, textHeader } from "./read.ts";

const UNITS: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** Milliseconds. */
function duration(text: string): number {
  const match = /^([0-9]+(?:\.[0-9]+)?)(ms|s|m|h)$/.exec(text);
  const ms = match ? Number(match[1]) * UNITS[match[2]!]! : 0;
  if (ms < 1) throw new InvalidArgumentError("a duration is 500ms, 2s or 1m.");
  return ms;
}

function positive(text: string): number {
  const number = Number(text);
  if (!/^[0-9]+$/.test(text) || number < 1 || number > 0x7fffffff) throw new InvalidArgumentError("it is a positive number.");
  return number;
}

const formatOption = () => new Option("-f, --format <format>", "output format").choices(FORMATS).default("text" as Format);

const HELP = `
Examples:
  task-iter stacks nginx                kernel stacks of all threads named nginx
  task-iter files --pid 1 -f json       what process 1 has open
  task-iter files -w 'deleted == true && size > 100M' -c pid,comm,size,path
  task-iter tables files                the columns of a table
  task-iter help where                  the language of --where, with examples

Exit status: 0 done; 1 output or run-time failure; 2 wrong command line;
3 the kernel cannot be asked.`;

/** `task-iter tables [TABLE]`: rows of the same formats, from the schema. */
function listTables(name: string | undefined, format: Format): void {
  const has = iterators();
  const rows: Record<string, string | boolean>[] = name === undefined
    ? tables.map(({ name, iterator, since, doc }) => ({ table: name, iterator, since, available: has(iterator), doc }))
    : findTable(name).columns.map(({ name, type, shown, doc, words }) => ({
      column: name,
      type: type === "long" || type === "symbol" ? "string" : type === "signed" ? "number" : type,
      default: shown,
      doc: words.length === 0 ? doc : `${doc} ${words.map(([, word]) => word).join(" ")}`,
    }));
  if (format === "json") return write(`[\n${rows.map((row) => JSON.stringify(row)).join(",\n")}\n]\n`);
  if (format === "jsonl") return write(rows.map((row) => JSON.stringify(row) + "\n").join(""));
  const names = Object.keys(rows[0]!);
  if (format === "csv") {
    const cell = (value: unknown) => /[",\n]/.test(String(value)) ? `"${String(value).replaceAll('"', '""')}"` : value;
    return write([names, ...rows.map((row) => names.map((key) => cell(row[key])))].map((row) => row.join(",") + "\n").join(""));
  }
  const columns = names.map((name) => ({
    name,
    shown: true,
    width: Math.max(name.length, ...rows.map((row) => String(row[name]).length)),
    doc: "",
    type: "string" as const,
    words: [],
  }));
  const line = (row: typeof rows[number]) =>
    columns.map(({ name, width }) => String(row[name]).padEnd(width)).join(" ").trimEnd() + "\n";
  write(textHeader(columns) + rows.map(line).join(""));
}

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

/** What commander says, in one line; it does not see that --formt=json is nearly an option. */
function explainUsage(error: CommanderError, words: string[], program: { options: readonly { long?: string }[] }): string {
  const message = error.message.replace(/^error: /, "").replace(/\s+/g, " ");
  if (error.code !== "commander.unknownOption" || message.includes("Did you mean")) return message;
  const wrong = words.find((word) => word.includes("=") && message.includes(`'${word}'`))?.split("=")[0];
  const near = wrong && nearest(wrong, program.options.flatMap(({ long }) => long ?? []));
  return near ? `${message} (Did you mean ${near}?)` : message;
}

/** Carries out `words`, the command line without the program's name. @throws what main.ts turns into an exit status */
export function run(words: string[], libraries: Libraries): void {
  const program = new Command("task-iter")
    .description("Reads Linux kernel tables through BPF iterators: filtered and formatted inside the kernel.")
    .argument("[table]", `what to read (default: stacks): ${tables.map(({ name }) => name).join(" ")}`)
    .argument("[comm]", "an exact thread name")
    .addOption(formatOption())
    .option("-c, --columns <a,b,c>", "columns to show; all for every column", (text) => text.split(","))
    .option("-w, --where <expr>", "keep rows for which it holds, tested in the kernel")
    .option("--files [comm]", "the same as: files [comm]")
    .option("--comm <name>", "rows of threads of that name")
    .option("--pid <pid>", "rows of that process", positive)
    .option("--tid <tid>", "rows of that thread", positive)
    .option("--map <id|name>", "the BPF map that elems, sk-storage and sockmap read")
    .option("--netns <all|path|pid>", "tcp, udp, unix, netlink: the network namespace to read, or all of them")
    .option("--interval <duration>", "read again every 500ms, 2s, 1m ...", duration)
    .option("--count <n>", "how many times, with --interval", positive)
    .option("--no-header", "text and csv without the header line")
    .option("--stats", "on stderr at the end: rows, bytes, milliseconds")
    .option("-v, --verbose", "on stderr: libbpf's and the verifier's log")
    .version(manifest.version)
    .helpOption("-h, --help", "this help")
    .addHelpText("after", HELP)
    .exitOverride()
    .configureOutput({ writeOut: write, writeErr: () => {} })
    .action((table, comm, options) => {
      const query: Query = {
        ...target([table, comm], options.files),
        columns: options.columns,
        where: options.where,
        pid: options.pid,
        tid: options.tid,
        netns: options.netns,
      };
      if (options.comm !== undefined) {
        if (query.comm !== undefined) throw new UsageError("COMM and --comm are the same: give one");
        query.comm = options.comm;
      }
      if (options.count !== undefined && options.interval === undefined) throw new UsageError("--count needs --interval");
      if (MAP_TYPES[query.table]) {
        query.map = findMap(libraries, query.table, options.map, options.verbose ?? false);
      } else if (options.map !== undefined) {
        throw new UsageError(`${query.table} does not read a map: --map is for ${Object.keys(MAP_TYPES).join(", ")}`);
      }
      read(libraries, query, {
        format: options.format,
        header: options.header,
        stats: options.stats ?? false,
        verbose: options.verbose ?? false,
        interval: options.interval ?? 0,
        count: options.count ?? 0,
      });
    });
  program.command("tables")
    .description("list the tables, or one table's columns")
    .argument("[table]")
    .action((name) => listTables(name, program.opts().format));
  program.helpCommand(false).command("help")
    .description("this help, a command's, or a topic's: where")
    .argument("[topic]")
    .action((topic) => {
      const command = program.commands.find((command) => command.name() === topic);
      if (topic === undefined) return write(program.helpInformation() + HELP + "\n");
      if (topic === "where") return write(whereHelp);
      if (command) return write(command.helpInformation());
      const near = nearest(topic, ["where", ...program.commands.map((command) => command.name())]);
      throw new UsageError(`there is no help on ${topic}${near ? ` (did you mean ${near}?)` : ""}: help where, or help COMMAND`);
    });
  try {
    program.parse(words, { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode !== 0) throw new UsageError(explainUsage(error, words, program));
  }
}
