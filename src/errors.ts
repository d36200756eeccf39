// SPDX-License-Identifier: BSD-2-Clause
/** What can go wrong between a question and its rows. */

/** Errno values that the code branches on (asm-generic/errno-base.h, errno.h). */
export const EPERM = 1;
export const EINTR = 4;
export const E2BIG = 7;
export const EBADF = 9;
export const EAGAIN = 11;
export const EACCES = 13;
export const EEXIST = 17;
export const EINVAL = 22;
export const ENFILE = 23;
export const EMFILE = 24;
export const EFBIG = 27;
export const ENOSPC = 28;
export const EPIPE = 32;
export const ENOSYS = 38;
export const EOPNOTSUPP = 95;

/** The question cannot be asked: the words are wrong, not the kernel. */
export class UsageError extends Error {
  override name = "UsageError";
}

/** The step at which the kernel or the system refused. */
export type Step = "open" | "configure" | "load" | "attach" | "netns" | "iter_create" | "read" | "write" | "pin" | "wait";

/** A step failed; `errno` is positive, 0 where the system gave none. */
export class TaskIterError extends Error {
  override name = "TaskIterError";
  constructor(readonly step: Step, readonly errno: number, message: string, readonly log = "") {
    super(message);
  }
}
