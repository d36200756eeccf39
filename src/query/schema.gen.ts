// SPDX-License-Identifier: BSD-2-Clause
// Generated from bpf/tables by scripts/generate.ts.
// deno-fmt-ignore-file
import type { ColumnType } from "./schema.ts";

type Column = readonly [string, boolean, number, string, ColumnType, readonly (readonly [number, string])[]];
export const generated: readonly (readonly [string, string, string, string, string, readonly Column[]])[] = [
  ["files", "task_file", "5.8", "file descriptors", "Open file descriptors of every process.", [
    ["comm",true,16,"Name of the thread that holds the descriptor table.","string",[]],
    ["pid",true,8,"Process ID.","number",[]],
    ["tid",true,8,"Thread ID.","number",[]],
    ["fd",true,6,"File descriptor number.","number",[]],
    ["type",true,4,"Type of file; ANON is an anonymous inode (epoll, eventfd, bpf ...).","enum",[[0,"ANON"],[1,"FIFO"],[2,"CHR"],[4,"DIR"],[6,"BLK"],[8,"REG"],[10,"LNK"],[12,"SOCK"]]],
    ["mode",true,4,"Access: r, w, or - in their place.","string",[]],
    ["path",true,40,"Path, as /proc/PID/fd shows it.","long",[]],
    ["file_ops",true,24,"Symbol of the file's operations; where the kernel keeps none for data, of one of them.","symbol",[]],
    ["flags",false,8,"Flags, as in /proc/PID/fdinfo (O_* bits).","number",[]],
    ["pos",false,12,"Position in bytes.","signed",[]],
    ["ino",false,10,"Inode number.","number",[]],
    ["dev",false,7,"Device of the file system, major:minor.","string",[]],
    ["size",false,12,"Size in bytes.","signed",[]],
    ["uid",false,6,"User ID of the file's owner.","number",[]],
    ["deleted",false,7,"Whether its name has been unlinked.","boolean",[]],
  ]],
  ["stacks", "task", "5.8", "task stacks", "Kernel stacks of all threads.", [
    ["comm",true,16,"Name of the thread.","string",[]],
    ["pid",true,8,"Process ID.","number",[]],
    ["tid",true,8,"Thread ID.","number",[]],
    ["frames",true,40,"Kernel stack, innermost frame first: symbol+0xoffset/0xsize.","frames",[]],
    ["state",false,5,"State, as ps shows it.","enum",[[0,"R"],[1,"S"],[2,"D"],[3,"T"],[4,"t"],[5,"X"],[6,"Z"],[7,"P"],[8,"I"]]],
    ["depth",false,5,"Number of frames, at most 64.","number",[]],
    ["wchan",false,24,"Kernel function that the thread sleeps in.","symbol",[]],
  ]],
];
