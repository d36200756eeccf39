// SPDX-License-Identifier: BSD-2-Clause
/**
 * From the BTF of a map to the list of steps by which the program writes the map's keys and values as JSON: `struct shape` of
 * bpf/engine/query.h. The format of BTF is that of the kernel's Documentation/bpf/btf.rst.
 */

import {
  enumerator as ENUMERATOR,
  MAX_ENUMERATORS,
  MAX_LOOPS,
  MAX_STEPS,
  shape as SHAPE,
  step as STEP,
  STEP_BOOL,
  STEP_DIGITS,
  STEP_DOUBLES,
  STEP_END,
  STEP_ENUM,
  STEP_IS_SIGNED,
  STEP_LOOP,
  STEP_NEXT,
  STEP_NUMBER,
  STEP_STRING,
  STEP_TEXT,
  STEP_TEXT_MAX,
  TEXTS_SIZE,
} from "./layout.gen.ts";

/** What the kernel says of a map: its type, a number of `enum bpf_map_type`, IDs of types in its BTF (0: none), and sizes in bytes. */
export interface MapFacts {
  type: number;
  key: number;
  value: number;
  keySize: number;
  valueSize: number;
}

/** Kinds of types, `BTF_KIND_*` of linux/btf.h. */
const KIND = {
  INT: 1,
  PTR: 2,
  ARRAY: 3,
  STRUCT: 4,
  UNION: 5,
  ENUM: 6,
  TYPEDEF: 8,
  VOLATILE: 9,
  CONST: 10,
  RESTRICT: 11,
  FUNC_PROTO: 13,
  VAR: 14,
  DATASEC: 15,
  FLOAT: 16,
  DECL_TAG: 17,
  TYPE_TAG: 18,
  ENUM64: 19,
};

const INT_SIGNED = 1;
const INT_CHAR = 2;
const INT_BOOL = 4;

/** Structures of the kernel inside a value: locks, timers, lists, trees, counts of references. They may hold addresses. */
const KERNEL_OBJECT =
  /^bpf_(spin_lock|res_spin_lock|timer|wq|task_work|list_head|list_node|rb_root|rb_node|refcount|dynptr|kptr\w*)$/;

/** Types of maps that elems reads and that have a value for each CPU: percpu_hash, percpu_array, lru_percpu_hash. */
const PER_CPU = [5, 6, 10];

interface Type {
  name: string;
  kind: number;
  /** The type of a modifier, or the size. */
  size: number;
  flag: boolean;
  vlen: number;
  /** Index of what follows the type. */
  more: number;
}

/** A type's members are those of an object; an unnamed member that is a structure lends it its own. */
interface Member {
  name: string;
  type: number;
  /** In bits. */
  offset: number;
  /** Of a bit field, its width; otherwise 0. */
  bits: number;
}

/** BTF, read type by type. @throws {RangeError} it is cut off */
class Btf {
  readonly #view: DataView;
  readonly #strings: number;
  readonly #types: Type[] = [];

  constructor(bytes: Uint8Array) {
    const view = this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const [header, typesAt, typesSize, stringsAt] = [4, 8, 12, 16].map((at) => view.getUint32(at, true)) as [
      number,
      number,
      number,
      number,
    ];
    this.#strings = header + stringsAt;
    const end = header + typesAt + typesSize;
    for (let at = header + typesAt; at < end;) {
      const info = view.getUint32(at + 4, true);
      const [kind, vlen] = [info >>> 24 & 0x1f, info & 0xffff];
      const type = {
        name: this.#text(view.getUint32(at, true)),
        kind,
        size: view.getUint32(at + 8, true),
        flag: info >>> 31 === 1,
        vlen,
        more: at + 12,
      };
      this.#types.push(type);
      at += 12 + (
        kind === KIND.ARRAY || kind === KIND.STRUCT || kind === KIND.UNION || kind === KIND.DATASEC || kind === KIND.ENUM64
          ? 12 * (kind === KIND.ARRAY ? 1 : vlen)
          : kind === KIND.ENUM || kind === KIND.FUNC_PROTO
          ? 8 * vlen
          : kind === KIND.INT || kind === KIND.VAR || kind === KIND.DECL_TAG
          ? 4
          : 0
      );
    }
  }

  #text(at: number): string {
    let text = "";
    for (let i = this.#strings + at; this.#view.getUint8(i) !== 0; i++) text += String.fromCharCode(this.#view.getUint8(i));
    return text;
  }

  word(at: number): number {
    return this.#view.getUint32(at, true);
  }

  /** The type itself, without typedefs and qualifiers; `undefined` for void. */
  resolve(id: number, typedefs = true): Type | undefined {
    for (let turns = 0; turns < 32; turns++) {
      const type = this.#types[id - 1];
      const modifies = type && (type.kind >= KIND.VOLATILE && type.kind <= KIND.RESTRICT || type.kind === KIND.TYPE_TAG ||
        typedefs && type.kind === KIND.TYPEDEF);
      if (!modifies) return type;
      id = type.size;
    }
    return undefined;
  }

  /** Bytes of a value. */
  sizeOf(id: number): number {
    const type = this.resolve(id);
    if (!type) return 0;
    if (type.kind === KIND.PTR) return 8;
    if (type.kind === KIND.ARRAY) return this.sizeOf(this.word(type.more)) * this.word(type.more + 8);
    if (type.kind === KIND.VAR) return this.sizeOf(type.size);
    return type.size;
  }

  members(type: Type): Member[] {
    return Array.from({ length: type.vlen }, (_, i) => {
      const at = type.more + i * 12;
      if (type.kind === KIND.DATASEC) {
        const variable = this.#types[this.word(at) - 1]!;
        return { name: variable.name, type: variable.size, offset: this.word(at + 4) * 8, bits: 0 };
      }
      const place = this.word(at + 8);
      return {
        name: this.#text(this.word(at)),
        type: this.word(at + 4),
        offset: type.flag ? place & 0xffffff : place,
        bits: type.flag ? place >>> 24 : 0,
      };
    });
  }

  enumerators(type: Type): [string, bigint][] {
    return Array.from({ length: type.vlen }, (_, i) => {
      if (type.kind === KIND.ENUM) {
        const at = type.more + i * 8;
        const value = this.word(at + 4);
        return [this.#text(this.word(at)), type.flag ? BigInt.asIntN(32, BigInt(value)) : BigInt(value)];
      }
      const at = type.more + i * 12;
      return [this.#text(this.word(at)), BigInt(this.word(at + 8)) << 32n | BigInt(this.word(at + 4))];
    });
  }
}

/** More than the program has room for: the element is shown as digits. */
class TooLarge extends Error {}

/** Writes `struct shape`. */
class Shape {
  readonly bytes = new Uint8Array(SHAPE.size);
  readonly #view = new DataView(this.bytes.buffer);
  readonly #btf: Btf;
  readonly #texts = new Map<string, number>();
  readonly #enums = new Map<string, number>();
  #textsEnd = 0;
  #steps = 1; // a list that begins with step 0 is none
  #enumerators = 0;
  #loops = 0;
  /** Text that the next step writes first. */
  #text = "";
  /** Quotes are doubled: the list is for a cell of CSV. */
  #doubles = false;

  constructor(btf: Btf) {
    this.#btf = btf;
  }

  /** A text's index in `texts`. */
  #intern(text: string): number {
    const known = this.#texts.get(text);
    if (known !== undefined) return known;
    const bytes = new TextEncoder().encode(text);
    if (this.#textsEnd + bytes.length > TEXTS_SIZE || bytes.length > STEP_TEXT_MAX) throw new TooLarge();
    const at = this.#textsEnd;
    this.bytes.set(bytes, SHAPE.texts + at);
    this.#textsEnd += bytes.length;
    this.#texts.set(text, at);
    return at;
  }

  #quote(text: string): string {
    return this.#doubles ? text.replaceAll('"', '""') : text;
  }

  #step(kind: number, at = 0, argument = 0, more: { size?: number; shift?: number; bits?: number; flags?: number } = {}): number {
    const text = this.#quote(this.#text);
    this.#text = "";
    if (text.length > STEP_TEXT_MAX / 2 && kind !== STEP_TEXT) {
      // Names are ASCII; a part ends anywhere.
      for (let from = 0; from < text.length; from += STEP_TEXT_MAX) {
        this.#raw(STEP_TEXT, text.slice(from, from + STEP_TEXT_MAX), 0, 0, {});
      }
      return this.#raw(kind, "", at, argument, more);
    }
    return this.#raw(kind, text, at, argument, more);
  }

  #raw(
    kind: number,
    text: string,
    at: number,
    argument: number,
    { size = 0, shift = 0, bits = 0, flags = 0 }: { size?: number; shift?: number; bits?: number; flags?: number },
  ): number {
    if (this.#steps >= MAX_STEPS) throw new TooLarge();
    const number = this.#steps++;
    const place = SHAPE.step + number * STEP.size;
    this.#view.setUint32(place + STEP.text, this.#intern(text), true);
    this.#view.setUint16(place + STEP.text_length, new TextEncoder().encode(text).length, true);
    this.#view.setUint32(place + STEP.at, at, true);
    this.#view.setUint32(place + STEP.argument, argument, true);
    for (
      const [offset, byte] of [
        [STEP.kind, kind],
        [STEP.flags, flags],
        [STEP.bytes, size],
        [STEP.shift, shift],
        [STEP.bits, bits],
      ] as const
    ) this.#view.setUint8(place + offset, byte);
    return number;
  }

  /** The index of the first enumerator; those of a type are listed once. */
  #enumeratorsOf(type: Type): number {
    const listed = this.#btf.enumerators(type);
    const key = `${this.#doubles} ${type.more}`;
    const known = this.#enums.get(key);
    if (known !== undefined) return known;
    const first = this.#enumerators;
    for (const [name, value] of listed) {
      const text = this.#quote(JSON.stringify(name));
      this.#enumerator(value, this.#intern(text), text.length);
    }
    this.#enumerator(0n, 0, 0);
    this.#enums.set(key, first);
    return first;
  }

  #enumerator(value: bigint, text: number, length: number): void {
    if (this.#enumerators >= MAX_ENUMERATORS) throw new TooLarge();
    const place = SHAPE.enumerator + this.#enumerators++ * ENUMERATOR.size;
    this.#view.setBigInt64(place + ENUMERATOR.value, BigInt.asIntN(64, value), true);
    this.#view.setUint32(place + ENUMERATOR.text, text, true);
    this.#view.setUint32(place + ENUMERATOR.length, length, true);
  }

  /** `count` elements of `size` bytes, each written by `each`. */
  #array(at: number, count: number, size: number, each: (at: number) => void): void {
    if (count === 0) {
      this.#text += "[]";
      return;
    }
    if (++this.#loops > MAX_LOOPS) throw new TooLarge();
    this.#text += "[";
    this.#step(STEP_LOOP, 0, count);
    each(at);
    if (this.#text) this.#step(STEP_TEXT);
    this.#text = ",";
    this.#step(STEP_NEXT, size);
    this.#text = "]";
    this.#loops--;
  }

  #isChar(id: number): boolean {
    const type = this.#btf.resolve(id, false);
    return type !== undefined && type.kind === KIND.INT && type.size === 1 &&
      (type.name === "char" || (this.#btf.word(type.more) >>> 24 & 0xf) === INT_CHAR);
  }

  #number(type: Type, bit: number, bits: number): void {
    const signed = type.kind === KIND.INT ? (this.#btf.word(type.more) >>> 24 & INT_SIGNED) !== 0 : type.flag;
    const isBool = type.kind === KIND.INT && (this.#btf.word(type.more) >>> 24 & INT_BOOL) !== 0;
    const [at, shift] = [bit >>> 3, bit & 7];
    const flags = signed ? STEP_IS_SIGNED : 0;
    const more = { size: (shift + bits + 7) >>> 3, shift, bits, flags };
    if (type.kind === KIND.INT) this.#step(isBool ? STEP_BOOL : STEP_NUMBER, at, 0, more);
    else this.#step(STEP_ENUM, at, this.#enumeratorsOf(type), more);
  }

  /** Writes the bits of a number that the program has no other form for: 128 bits, floating point. */
  #bits(at: number, size: number): void {
    this.#text += '"0x';
    const words = Math.ceil(size / 8);
    for (let i = words - 1; i >= 0; i--) {
      const bytes = Math.min(8, size - i * 8);
      this.#step(STEP_DIGITS, at + i * 8, bytes * 2, { size: bytes, bits: bytes * 8 });
    }
    this.#text += '"';
  }

  /** A value of the type, `bit` bits after the beginning of the element or of the innermost loop's. */
  #value(id: number, bit: number, bits = 0): void {
    const type = this.#btf.resolve(id);
    const at = bit >>> 3;
    switch (type?.kind) {
      case KIND.INT: {
        // Older compilers gave a bit field an integer of its own, with an offset and a width.
        const encoding = this.#btf.word(type.more);
        const [offset, width] = [encoding >>> 16 & 0xff, encoding & 0xff];
        if (!bits && type.size > 8) return this.#bits(at, type.size);
        return this.#number(type, bit + offset, bits || width);
      }
      case KIND.ENUM:
      case KIND.ENUM64:
        return this.#number(type, bit, bits || type.size * 8);
      case KIND.FLOAT:
        return this.#bits(at, type.size);
      case KIND.ARRAY: {
        const [element, , count] = [0, 4, 8].map((offset) => this.#btf.word(type.more + offset)) as [number, number, number];
        if (this.#isChar(element) && count > 0) {
          this.#step(STEP_STRING, at, count, { flags: this.#doubles ? STEP_DOUBLES : 0 });
          return;
        }
        const size = this.#btf.sizeOf(element);
        return this.#array(at, count, size, (at) => this.#value(element, at * 8));
      }
      case KIND.STRUCT:
      case KIND.UNION:
      case KIND.DATASEC:
        if (KERNEL_OBJECT.test(type.name)) break;
        this.#text += "{";
        this.#members(type, bit, "");
        this.#text += "}";
        return;
    }
    this.#text += "null"; // a pointer, a kernel object, a type that has no value
  }

  #members(type: Type, bit: number, separator: string): string {
    for (const member of this.#btf.members(type)) {
      const nested = this.#btf.resolve(member.type);
      if (member.name === "" && (nested?.kind === KIND.STRUCT || nested?.kind === KIND.UNION)) {
        separator = this.#members(nested, bit + member.offset, separator);
      } else if (member.name !== "") {
        this.#text += `${separator}${JSON.stringify(member.name)}:`;
        this.#value(member.type, bit + member.offset, member.bits);
        separator = ",";
      }
    }
    return separator;
  }

  /** Adds a list for a value of the type, or for a list of `cpus` of them. Each begins at a multiple of eight bytes. */
  list(place: number, id: number, cpus: number | undefined, doubles: boolean): void {
    this.#doubles = doubles;
    const first = this.#steps;
    const quoted = doubles && this.#needsQuotes(id, cpus);
    // The quotes of the cell itself, which are not doubled.
    if (quoted) this.#raw(STEP_TEXT, '"', 0, 0, {});
    if (cpus === undefined) this.#value(id, 0);
    else this.#array(0, cpus, (this.#btf.sizeOf(id) + 7) & ~7, (at) => this.#value(id, at * 8));
    if (this.#text) this.#step(STEP_TEXT);
    this.#raw(STEP_END, quoted ? '"' : "", 0, 0, {});
    this.#view.setUint32(SHAPE.first + place * 4, first, true);
  }

  /** A number alone contains nothing that CSV would quote. */
  #needsQuotes(id: number, cpus: number | undefined): boolean {
    const type = this.#btf.resolve(id);
    return cpus !== undefined || type === undefined || type.kind !== KIND.INT || type.size > 8;
  }
}

/**
 * The data by which the program writes a map's elements as JSON; `undefined` where its types need more than the program has room
 * for, or the BTF does not describe the element.
 *
 * @param cpus the number of possible CPUs: a per-CPU map has a value for each
 * @param csv the elements are cells of CSV, whose quotes are doubled; the predicate compares JSON as it is
 */
export function shapeOf(
  { type, key, value, keySize, valueSize }: MapFacts,
  bytes: Uint8Array,
  cpus: number,
  csv: boolean,
): { shape: Uint8Array } | undefined {
  const btf = new Btf(bytes);
  const shape = new Shape(btf);
  try {
    for (
      const [place, id, size, values] of [[0, key, keySize, undefined], [
        1,
        value,
        valueSize,
        PER_CPU.includes(type) ? cpus : undefined,
      ]] as const
    ) {
      if (id === 0 || btf.sizeOf(id) !== size) continue;
      shape.list(place, id, values, csv);
      shape.list(place + 2, id, values, false);
    }
  } catch (error) {
    if (error instanceof TooLarge) return undefined;
    throw error;
  }
  return { shape: shape.bytes };
}
