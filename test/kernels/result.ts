// SPDX-License-Identifier: BSD-2-Clause
/** What the suite tells the host, a line of JSON each. */

export type Result =
  | { kind: "kernel"; release: string }
  | { kind: "pass"; name: string }
  | { kind: "skip" | "fail"; name: string; reason: string }
  | {
    kind: "load";
    table: string;
    format: string;
    way: "light" | "libbpf";
    /** Instructions that the verifier walked through, and that it kept. */
    processed: number;
    size: number;
    milliseconds: number;
  }
  | { kind: "end" };
