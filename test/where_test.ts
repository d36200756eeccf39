// SPDX-License-Identifier: BSD-2-Clause
/** The language of --where: the meaning of a text, and the place of a mistake. */

import { deepStrictEqual as equal, match, ok, throws } from "node:assert";
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { plan } from "../src/query/plan.ts";
import { UsageError } from "../src/errors.ts";
import { tables } from "../src/query/schema.ts";
import { compile, fixed, learnRegex, parse, WhereError } from "../src/query/where.ts";
import { expressions, print } from "./oracle.ts";
import { root, run, taskIter } from "./support.ts";

await learnRegex();

const files = tables.find(({ name }) => name === "files")!;
const number = (name: string) => files.columns.findIndex((column) => column.name === name);

const tasks = tables.find(({ name }) => name === "tasks")!;
const tcp = tables.find(({ name }) => name === "tcp")!;

/** What the kernel is given for `text`. */
const meaning = (text: string, table = files) => compile(parse(text, table));

function same(...texts: string[]): void {
  for (const text of texts.slice(1)) equal(meaning(text), meaning(texts[0]!), `${texts[0]} is ${text}`);
}

function differ(one: string, other: string): void {
  throws(() => equal(meaning(one), meaning(other)), `${one} is not ${other}`);
}

/** The only comparison of `text`, its string as text. */
function single(text: string, table = files): { flags: number; lo: bigint; hi: bigint; string: string } {
  const { tests, pool } = meaning(text, table);
  equal(tests.length, 1);
  const { flags, lo, hi } = tests[0]!;
  return { flags, lo, hi, string: new TextDecoder("latin1").decode(pool) };
}

/** The error of `text`: its message, and what stands above the caret. */
function wrong(text: string, table = files): { message: string; at: string } {
  try {
    parse(text, table);
  } catch (error) {
    if (!(error instanceof WhereError)) throw error;
    return { message: error.message, at: text.slice(error.position) };
  }
  throw new Error(`${text} is right`);
}

const [NEGATE, ABSENT, START, END] = [1, 2, 4, 8];
const U64 = (1n << 64n) - 1n;
const BIAS = 1n << 63n;

Deno.test("&& binds tighter than ||, and ! tighter than both", () => {
  same("fd == 1 || fd == 2 && fd == 3", "fd == 1 || (fd == 2 && fd == 3)");
  same("fd == 1 && fd == 2 || fd == 3", "(fd == 1 && fd == 2) || fd == 3");
  same("!fd == 1 && fd == 2", "(!(fd == 1)) && fd == 2");
  differ("fd == 1 || fd == 2 && fd == 3", "(fd == 1 || fd == 2) && fd == 3");
  differ("!fd == 1 && fd == 2", "!(fd == 1 && fd == 2)");
});

Deno.test("blanks do not matter, nor do parentheses around all", () => {
  same(
    "fd==1&&type==SOCK||!(uid<3)",
    "  fd == 1 && type == SOCK || ! ( uid < 3 ) ",
    "((fd\t==\n1 && (type == SOCK))) || (!(uid < 3))",
  );
});

Deno.test("a negation goes down into the comparisons", () => {
  same("!(fd == 1 && type == SOCK)", "fd != 1 || type != SOCK");
  same("!(fd == 1 || !(type == SOCK))", "fd != 1 && type == SOCK");
  same("!(path ~ x)", "path !~ x");
  same("!(path == null)", "path != null");
  same("!!(fd == 1)", "fd == 1");
  same("!(fd in (1, 2))", "fd != 1 && fd != 2");
  same("!(fd < 5)", "!fd < 5");
  equal(single("fd >= 5").flags, 0);
  equal(single("!(fd < 5)"), { ...single("fd < 5"), flags: NEGATE });
});

Deno.test("jumps are short-circuits", () => {
  const jumps = (text: string) => meaning(text).tests.map(({ onFalse, onTrue }) => [onFalse, onTrue]);
  const [ACCEPT, REJECT] = [64, 65];
  equal(jumps("fd == 1"), [[REJECT, ACCEPT]]);
  equal(jumps("fd == 1 && fd == 2"), [[REJECT, 1], [REJECT, ACCEPT]]);
  equal(jumps("fd == 1 || fd == 2"), [[1, ACCEPT], [REJECT, ACCEPT]]);
  equal(jumps("(fd == 1 || fd == 2) && fd == 3"), [[1, 2], [REJECT, 2], [REJECT, ACCEPT]]);
  equal(jumps("fd == 1 && fd == 2 || fd == 3"), [[2, 1], [2, ACCEPT], [REJECT, ACCEPT]]);
});

Deno.test("numbers are decimal or hexadecimal, with suffixes of 1024", () => {
  const value = (text: string) => single(`fd == ${text}`).lo;
  equal(["7", "007", "0x1F", "0XfF", "4k", "4K", "0x10k", "3m", "3M", "2g", "2G", "0"].map(value), [
    7n,
    7n,
    31n,
    255n,
    4096n,
    4096n,
    16384n,
    3n << 20n,
    3n << 20n,
    2n << 30n,
    2n << 30n,
    0n,
  ]);
  equal(value("18446744073709551615"), U64);
  equal(single("fd < 3"), { flags: 0, lo: 0n, hi: 2n, string: "" });
  equal(single("fd > 3"), { flags: NEGATE, lo: 0n, hi: 3n, string: "" });
  equal(single("fd < 0"), { flags: NEGATE, lo: 0n, hi: U64, string: "" }, "nothing is below 0");
  equal(single("fd > 0xffffffffffffffff").flags, NEGATE, "nothing is above the largest number");
  equal(single("pos == -1").lo, BIAS - 1n);
  equal(single("pos >= -9223372036854775808"), { flags: 0, lo: 0n, hi: U64, string: "" });
  equal(single("pos <= 9223372036854775807"), { flags: 0, lo: 0n, hi: U64, string: "" });
});

Deno.test("= is ==", () => {
  same("fd == 1 && path == '/x'", "fd = 1 && path='/x'");
  equal(wrong("fd === 1").message, "a value is missing");
});

Deno.test("columns of times compare with durations", () => {
  const time = (text: string) => single(`utime_ns == ${text}`, tasks).lo;
  const second = 1_000_000_000n;
  equal(["7", "7ns", "7us", "7ms", "10s", "5m", "2h", "3d", "1.5h", "0.25s"].map(time), [
    7n,
    7n,
    7000n,
    7_000_000n,
    10n * second,
    300n * second,
    7200n * second,
    259_200n * second,
    5400n * second,
    second / 4n,
  ]);
  equal(single("srtt_us > 2ms", tcp).hi, 2000n, "in the column's own unit");
  equal(wrong("srtt_us > 1ns", tcp), { message: "srtt_us is never 1ns: its unit is larger", at: "1ns" });
  equal(wrong("utime_ns > 1.5ns", tasks).at, "1.5ns");
  equal(wrong("utime_ns > 9999999999d", tasks).message, `utime_ns is a number from 0 to ${U64}`);
});

Deno.test("m is minutes of a time and 1024 * 1024 of anything else; M is never a time", () => {
  equal(single("utime_ns == 5m", tasks).lo, 300_000_000_000n);
  equal(single("rss_kb == 5m", tasks).lo, 5n << 20n);
  for (const size of ["5M", "5k", "5K", "5g", "5G"]) {
    const { message, at } = wrong(`utime_ns > ${size}`, tasks);
    equal(at, size);
    match(message, /^utime_ns is a time, and \w is a size: ns us ms s m h d follow a duration's number$/);
  }
  for (const duration of ["5s", "5h", "3d", "5ms", "5us", "5ns", "1.5h"]) {
    const { message, at } = wrong(`rss_kb > ${duration}`, tasks);
    equal(at, duration);
    match(message, /^rss_kb is not a time: .* columns that end in _ns or _us$/);
  }
  equal(single("rss_kb == 0x1d", tasks).lo, 29n, "a hexadecimal digit is no unit");
});

/** The only comparison of `text`, of two columns: their names, factors, and how. */
function pair(text: string, table = files): [string, bigint, string, bigint, number, number] {
  const { tests: [test], pool } = meaning(text, table);
  equal(pool.length, 0);
  const name = (column: number) => table.columns[column]!.name;
  return [name(test!.column), test!.lo, name(test!.offset), test!.hi, test!.flags, test!.length];
}

const [PAIR, LESS, SIGNED, OTHER_SIGNED] = [16, 1, 2, 4];

Deno.test("two columns compare, each with a factor that becomes a whole number", () => {
  equal(pair("fd == ino"), ["fd", 1n, "ino", 1n, PAIR, 0]);
  equal(pair("fd != ino"), ["fd", 1n, "ino", 1n, PAIR | NEGATE, 0]);
  equal(pair("fd < ino"), ["fd", 1n, "ino", 1n, PAIR, LESS]);
  equal(pair("fd >= ino"), ["fd", 1n, "ino", 1n, PAIR | NEGATE, LESS]);
  equal(pair("fd > ino * 0.9"), ["ino", 9n, "fd", 10n, PAIR, LESS]);
  equal(pair("fd <= 0.75 * ino"), ["ino", 3n, "fd", 4n, PAIR | NEGATE, LESS]);
  equal(pair("2 * fd * 3 == ino * 1.5"), ["fd", 4n, "ino", 1n, PAIR, 0]);
  equal(pair("pos < size"), ["pos", 1n, "size", 1n, PAIR, LESS | SIGNED | OTHER_SIGNED]);
  equal(pair("fd < size"), ["fd", 1n, "size", 1n, PAIR, LESS | OTHER_SIGNED]);
  equal(pair("fd > size"), ["size", 1n, "fd", 1n, PAIR, LESS | SIGNED]);
  for (const text of ["fd > ino*0.9", "fd>ino *0.9", "fd > ino* 0.9", "fd > 0.9*ino", "fd > 0.90 * ino", "!(fd <= ino * 0.9)"]) {
    equal(pair(text), pair("fd > ino * 0.9"), text);
  }
  equal(pair("local_port == remote_port", tcp), ["local_port", 1n, "remote_port", 1n, PAIR, 0]);
  same("path == comm", "path == 'comm'");
});

Deno.test("a factor at a column that is compared with a number bounds the column", () => {
  same("fd > 50", "fd * 2 > 100", "2 * fd > 101", "fd * 0.5 > 25", "0.02*fd > 1");
  same("fd >= 51", "fd * 2 >= 101");
  same("fd < 51", "fd * 2 < 101");
  same("fd <= 50", "fd * 2 <= 101");
  same("fd == 50", "fd * 2 == 100");
  same("pos >= -3", "pos * 2 >= -7");
  same("pos > -4", "pos * 2 > -7");
  same("pos < -3", "pos * 2 < -7");
  same("pos <= -4", "pos * 2 <= -7");
  const never = { flags: NEGATE, lo: 0n, hi: U64, string: "" };
  const always = { ...never, flags: 0 };
  equal(["fd * 2 == 101", "fd * 0.001 > 18446744073709551615", "fd * 3 != 7"].map((text) => single(text)), [
    never,
    never,
    always,
  ]);
  equal(single("fd * 0.001 < 18446744073709551615"), always);
  same("fd != null", "fd * 2 != null");
});

/** The tests of `text`, which has regular expressions, and how many states they have. */
const regexes = (text: string) => {
  const { tests, states } = meaning(text);
  return { states: states.length / 256, tests: tests.map(({ lo, hi, flags }) => [Number(lo), Number(hi), flags]) };
};
const MATCHES = 32;

Deno.test("a regular expression stands between slashes after =~ and !~, with i for either case", () => {
  equal(regexes("path =~ /^a$/"), { states: 4, tests: [[2, 3, MATCHES]] });
  equal(regexes("path !~ /^a$/"), { states: 4, tests: [[2, 3, MATCHES | NEGATE]] });
  same("!(path =~ /a/)", "path !~ /a/", "path!~/a/");
  same("path =~ /[aA]/", "path =~ /a/i");
  same("path =~ /a\\/b/", "path =~ /a[/]b/");
  same('path =~ /a b|c"(d) && e/ && fd == 1', '(path=~/a b|c"(d) && e/)&&fd==1');
  const two = regexes("path =~ /ab/ || comm !~ /^c/i || frames =~ /x/".replace("frames", "mode"));
  equal(two.tests.map(([, , flags]) => flags), [MATCHES, MATCHES | NEGATE, MATCHES]);
  equal(two.states, 2 + 2 + 1 + 1, "the first two states are those of all");
});

Deno.test("after !~ a pattern that begins with a slash stays a pattern", () => {
  const pattern = (text: string) => regexes(text).states === 0;
  const patterns = ["path !~ /var/*", "path !~ /var", "path !~ /", "path !~ /var/log", "path !~ /usr/lib/*", "path !~ /*"];
  for (const text of [...patterns, "path !~ '/var/'", "path ~ /var/", "path ~ /var/i"]) {
    ok(pattern(text), text);
    ok(pattern(`${text} && path == /x/`) && pattern(`(${text}) || path == /i`) && pattern(`fd == 1 && (${text})`), text);
  }
  const expressions = ["/var/", "/var/i", "/a b/", "/a|b/", "/(a)/", "/java.* -jar/", "/a\\/b/", "/=/", "/a,b/", "/a!b/"];
  for (const text of expressions) ok(!pattern(`path !~ ${text}`) && !pattern(`path !~ ${text} && fd == 1`), text);
});

Deno.test("words of enumerations in either case, or their numbers; booleans are words", () => {
  same("type == SOCK", "type == sock", "type == 12", 'type == "SOCK"');
  const states = tables.find(({ name }) => name === "stacks")!;
  throws(() => equal(compile(parse("state == t", states)), compile(parse("state == T", states))), "t and T are two states");
  equal([single("deleted == true").lo, single("deleted == false").lo], [1n, 0n]);
});

Deno.test("strings are bare or quoted, with escapes for any byte", () => {
  const string = (text: string) => single(`path == ${text}`).string;
  equal(string("/var/log/a-b_c.d:e*"), "/var/log/a-b_c.d:e*");
  equal(string('"a b"'), "a b");
  equal(string(`'a "b"'`), 'a "b"');
  equal(string(String.raw`"\n\t\r\"\'\*\\\x00\xfF"`), "\n\t\r\"'*\\\0\xff");
  equal(string('""'), "");
  equal(string('"null"'), "null", "only a bare null is the absent value");
  equal(new TextDecoder().decode(meaning("path == 日本").pool), "日本");
  equal(single("path == null").flags, ABSENT);
  equal(single("path != null").flags, ABSENT | NEGATE);
});

Deno.test("a pattern has its * at the start, at the end, or at both", () => {
  const pattern = (text: string) => {
    const { flags, string } = single(`path ~ ${text}`);
    return [string, flags];
  };
  equal(pattern("abc"), ["abc", START | END]);
  equal(pattern("abc*"), ["abc", START]);
  equal(pattern("*abc"), ["abc", END]);
  equal(pattern('"*a c*"'), ["a c", 0]);
  equal(pattern("*"), ["", 0]);
  equal(pattern('"**"'), ["", 0]);
  equal(pattern('""'), ["", START | END]);
  equal(pattern(String.raw`"\*a\x2ab*"`), ["*a*b", START]);
  equal(single("path !~ a*"), { ...single("path ~ a*"), flags: START | NEGATE });
  equal(single("path == a*b").string, "a*b", "in an equality a * is a character");
});

Deno.test("in is an or of equalities", () => {
  same("fd in (1, 2,3)", "fd == 1 || fd == 2 || fd == 3");
  same("path in (/a, 'b c', null)", "path == /a || path == 'b c' || path == null");
  same("fd in (1)", "fd == 1");
});

Deno.test("a number column is fixed where the whole expression leaves it one value", () => {
  const pid = (text: string) => fixed(parse(text, files), number("pid"));
  for (const text of ["pid == 7", "fd == 1 && (type == SOCK && pid == 7)", "!(pid != 7)", "pid in (7)", "pid in (7, 7)"]) {
    equal(pid(text), 7, text);
  }
  equal(pid("pid == 7 && fd == 1 || pid == 7 && fd == 2"), 7);
  for (
    const text of ["fd == 7", "pid != 7", "pid == 7 || fd == 1", "pid == 7 || pid == 8", "pid >= 7 && pid <= 7", "pid == null"]
  ) {
    equal(pid(text), undefined, text);
  }
});

Deno.test("an error points at its place and names what is near", () => {
  const cases: [text: string, at: string, message: RegExp][] = [
    ["", "", /^a column's name is missing$/],
    ["tpye == SOCK", "tpye == SOCK", /^files has no column tpye \(did you mean type\?\)$/],
    ["fd == 1 && pth ~ x", "pth ~ x", /no column pth \(did you mean path\?\)/],
    ["xyzzyxyzzy == 1", "xyzzyxyzzy == 1", /^files has no column xyzzyxyzzy$/],
    ["type == SOK", "SOK", /^type is never SOK \(did you mean SOCK\?\)$/],
    ["type in (REG, DRI)", "DRI)", /^type is never DRI \(did you mean DIR\?\)$/],
    ["fd == 1 & fd == 2", "& fd == 2", /did you mean &&\?/],
    ["fd == 1 | fd == 2", "| fd == 2", /did you mean \|\|\?/],
    ["fd == 1 and fd == 2", "and fd == 2", /^&& or \|\| is missing \(did you mean &&\?\)$/],
    ["fd == 1 fd == 2", "fd == 2", /^&& or \|\| is missing$/],
    ["fd == 1)", ")", /^&& or \|\| is missing$/],
    ["(fd == 1", "", /^a \) is missing$/],
    ["fd", "", /^fd is compared with nothing/],
    ["fd ==", "", /^a value is missing$/],
    ["fd == ==", "==", /^a value is missing$/],
    ["fd == abc", "abc", /^fd is a number, not abc$/],
    ["fd == 1.5", "1.5", /^fd is a number, not 1.5$/],
    ["fd == -1", "-1", /^fd is never negative$/],
    ["fd == 18446744073709551616", "18446744073709551616", /from 0 to 18446744073709551615$/],
    ["pos == 9223372036854775808", "9223372036854775808", /from -9223372036854775808 to 9223372036854775807$/],
    ["fd == 99999999999G", "99999999999G", /from 0 to/],
    ["fd ~ 1", "~ 1", /^fd is not a string: ~ compares strings$/],
    ["path < a", "< a", /^path is a string/],
    ["type < REG", "< REG", /^type has no order/],
    ["deleted == 1", "1", /^deleted is true or false$/],
    ["fd < null", "< null", /^null is compared with == or !=$/],
    ["path ~ a*b", "a*b", /stands only at the start and at the end/],
    ["path ~ **a", "**a", /stands only at the start and at the end/],
    ["path == 'abc", "'abc", /^a string without its end$/],
    ['path == "a\\q"', '\\q"', /^an unknown escape/],
    ['path == "\\x4"', '\\x4"', /^an unknown escape/],
    ["fd in 1", "1", /^in needs a list/],
    ["fd in ()", ")", /^a value is missing$/],
    ["fd in (1 2)", "2)", /^a , or \) is missing$/],
    ["!", "", /^a column's name is missing$/],
    ["fd == inoo", "inoo", /^fd is a number, not inoo \(did you mean ino\?\)$/],
    ["fd == path", "path", /^path is not a number, and fd is one$/],
    ["type * 2 == fd", "type * 2 == fd", /^type is not a number: it has no factor$/],
    ["path * 2 == x", "path * 2 == x", /^path is not a number: it has no factor$/],
    ["fd == 2 * 3", "2 * 3", /^2\*3 is not a column with a number as its factor$/],
    ["fd * ino == 3", "fd * ino == 3", /^fd\*ino is not a column/],
    ["fd == ino *", "ino *", /^a factor is missing/],
    ["fd == -2 * ino", "-2 * ino", /^-2\*ino is not a column/],
    ["fd == 0.0 * ino", "0.0 * ino", /^a factor is above 0$/],
    ["fd == ino * 1k", "ino * 1k", /is not a column with a number as its factor$/],
    ["fd ~ ino", "~ ino", /^fd is not a string/],
    ["fd in (ino)", "ino)", /^fd is a number, not ino/],
    ["fd * 2 in (1)", "in (1)", /compared with nothing/],
    ["fd == 0.00000000000000000001 * ino", "0.00000000000000000001 * ino", /more than 64 bits$/],
    ["path =~ x", "x", /^=~ is followed by a regular expression/],
    ["path =~ '/x/'", "'/x/'", /^=~ is followed by a regular expression/],
    ["path =~ /x", "/x", /^a regular expression without its end/],
    ["path =~ /x/y", "/x/y", /^i is the only flag of a regular expression, not y$/],
    ["fd =~ /x/", "=~ /x/", /^fd is not a string: =~ compares strings$/],
    ["path == /x/ && path =~ /a(b/", "/", /^unterminated group$/],
    ["path =~ /ab(?=c)/", "(?=c)/", /^\(\?=c\) is a lookaround/],
    ["path =~ /(a)\\1/", "\\1/", /^\\1 is a back reference/],
    ["path =~ /x\\by/", "\\by/", /^\\b is a word boundary/],
    ["path =~ /x.*a.{20}y/", ".{20}y/", /^the expression is too large because of \.\{20\}: a table has at most 4096 states$/],
    ["path =~ /^a{3000}/ || comm =~ /^b{3000}/", "/^b{3000}/", /at most 4096 states together: with this one 6004$/],
  ];
  for (const [text, at, message] of cases) {
    const found = wrong(text);
    equal(found.at, at, text);
    ok(message.test(found.message), `${text}: ${found.message}`);
  }
});

Deno.test("the command line shows the caret under the place and ends with 2", () => {
  const { status, stdout, stderr } = taskIter("files", "--where", "path == '日本' && tpye == SOCK");
  equal([status, stdout], [2, ""]);
  equal(stderr.split("\n"), [
    "task-iter: files has no column tpye (did you mean type?)",
    "  path == '日本' && tpye == SOCK",
    "                    ^",
    "",
  ]);
  const hostile = taskIter("files", "--where", "\x1b[31m\u202e == 1");
  equal(hostile.status, 2);
  // deno-lint-ignore no-control-regex
  ok(!/[\x00-\x09\x0b-\x1f\x7f\u202e]/.test(hostile.stderr), "nothing for the terminal to obey");
  const long = taskIter("files", "--where", `${"fd == 1 && ".repeat(30)}fd & 2${" && fd == 3".repeat(30)}`).stderr.split("\n");
  equal(long[1]![long[2]!.indexOf("^")], "&");
  ok(long.every((line) => line.length < 140), "what is far from the place is left out");
  equal(taskIter("files", "--columns", "pid,pth").status, 2);
  ok(/files has no column pth \(did you mean path\?\)/.test(taskIter("files", "--columns", "pid,pth").stderr));
});

Deno.test("an expression that is too large is refused at the place, with the limit", () => {
  const many = (count: number) => Array.from({ length: count }, (_, i) => `fd == ${i}`).join(" || ");
  equal(meaning(many(64)).tests.length, 64);
  equal(wrong(many(66)), { message: "an expression has at most 64 comparisons: here is one more", at: "64 || fd == 65" });
  equal(wrong(`fd in (${Array.from({ length: 65 }, (_, i) => i).join(",")})`).at, "64)");
  throws(
    () => plan({ table: "files", where: many(64), pid: 1 }, "json"),
    /UsageError: the query has 65 comparisons, .*; 64 is the limit/,
  );
  const text = (length: number) => `path == "${"x".repeat(length)}"`;
  equal(meaning(text(2048)).pool.length, 2048);
  equal(wrong(`${text(2000)} || ${text(49)}`), {
    message: "an expression's strings have at most 2048 bytes together: with this one 2049",
    at: `"${"x".repeat(49)}"`,
  });
  throws(() => plan({ table: "files", where: text(2048), comm: "x" }, "json"), /UsageError: the query's strings have 2049 bytes/);
  equal(wrong(text(200_000)).at[0], '"', "no limit of the runtime is met first");
  const nested = (depth: number) => `${"(".repeat(depth)}fd == 1${")".repeat(depth)}`;
  equal(meaning(nested(200)), meaning("fd == 1"));
  ok(/at most 200 levels/.test(wrong(nested(201)).message));
  ok(/at most 200 levels/.test(wrong("!".repeat(100_000)).message));
});

/** Parses and plans; may throw only the two errors that describe a mistake. */
function survives(where: string): void {
  try {
    plan({ table: "files", where }, "json");
  } catch (error) {
    if (error instanceof WhereError) {
      ok(error.position >= 0 && error.position <= where.length);
      const [, text, caret] = error.explain().split("\n");
      ok(text !== undefined && caret !== undefined && error.explain().split("\n").length === 3);
    } else if (!(error instanceof UsageError)) throw error;
  }
}

Deno.test("no text crashes the parser", () => {
  fc.assert(fc.property(fc.string({ unit: "binary", maxLength: 200 }), survives), { numRuns: 2000 });
  fc.assert(fc.property(fc.string({ unit: "grapheme", maxLength: 200 }), survives), { numRuns: 1000 });
  const piece = fc.constantFrom(
    ..."fd path type deleted pos ino*0.9 2* * =~ /a/ /(a|b)*$/i /var/* = == != < <= > >= ~ !~ ! && || ( ) , in null true SOCK 1 0x -1 4k \" ' \\ \\x * a*b \ud800 __proto__ constructor"
      .split(" "),
  );
  fc.assert(fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => survives(pieces.join(" "))), { numRuns: 2000 });
});

Deno.test("no mutation of an expression crashes the parser", () => {
  const edit = fc.record({ at: fc.nat(), cut: fc.nat(3), put: fc.string({ unit: "binary", maxLength: 3 }) });
  const valid = expressions(files.columns, []).map(print);
  fc.assert(
    fc.property(valid, fc.array(edit, { maxLength: 4 }), (text, edits) => {
      if (edits.length === 0 && (text.match(/ (==|!=|<=?|>=?|!?~|in) /g) ?? []).length <= 64) meaningOrLimit(text);
      survives(edits.reduce((text, { at, cut, put }) => {
        const from = at % (text.length + 1);
        return text.slice(0, from) + put + text.slice(from + cut);
      }, text));
    }),
    { numRuns: 2000 },
  );
});

/** A valid expression is refused for its size only. */
function meaningOrLimit(text: string): void {
  try {
    meaning(text);
  } catch (error) {
    ok(/at most/.test((error as Error).message), `${text}: ${error}`);
  }
}

Deno.test("task-iter help where is docs/where.md", () => {
  const { status, stdout } = taskIter("help", "where");
  equal([status, stdout], [0, readFileSync(`${root}docs/where.md`, "utf8")]);
  ok(/help where/.test(taskIter("--help").stdout));
  ok(stdout.split("\n").every((line) => line.length <= 80), "it fits a terminal");
});

const examples = readFileSync(`${root}docs/where.md`, "utf8").split("## Examples")[1]!.replace(/\\\n\s*/g, "").match(
  /^ {4}task-iter .*$/gm,
)!;

Deno.test("there are twelve examples", () => equal(examples.length, 12));

for (const example of examples) {
  const name = example.trim().split(" ")[1]!;
  Deno.test({
    name: `the example works: ${example.trim()}`,
    ignore: !tables.some((table) => table.name === name),
    fn() {
      const { status, stderr } = run("bash", [
        "-c",
        `set -o pipefail; ${example.trim().replace(/^task-iter/, `${root}dist/task-iter`)} | cat >/dev/null`,
      ]);
      equal([status, stderr], [0, ""]);
    },
  });
}
