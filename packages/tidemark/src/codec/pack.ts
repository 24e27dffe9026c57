/**
 * Takes a value apart into what JSON holds and patches that restore the rest.
 *
 * A patch is a list: a code, what that code needs, then the path from the root of the skeleton to its placeholder.
 * Patches come innermost first, since turning a placeholder into a Map ends all paths through it.
 *
 *   code      needs                                placeholder
 *   "u"                                            0           undefined
 *   "n"       "NaN", "Infinity", "-Infinity", "-0" 0           number
 *   "i"       digits, hexadecimal                  0           BigInt
 *   "d"       ms since 1970, null when invalid     0           Date
 *   "r"       source, flags                        0           RegExp
 *   "m"                                            [[k, v], …] Map
 *   "s"                                            [v, …]      Set
 *   "o"                                            [[k, v], …] object with a name that JSON escapes
 *   "h"       length, indexes                      [v, …]      array with holes; the elements it has
 *   "b"       bytes                                0           ArrayBuffer
 *   "v"       name, bytes                          0           typed array or DataView
 *   "B"       type, bytes                          0           Blob
 *   "F"       type, bytes, name, lastModified      0           File
 *
 * The input is never changed: an object that holds a special is copied, as is each object on the way to it.
 */
import { TidemarkError } from "../base/errors.ts";
import { maxInlineBytes } from "./outside.ts";
import { type BlobLike, isBlob } from "./platform.ts";
import { hasEscapes } from "./text.ts";
import { nameOfPlace, type Step } from "./place.ts";

export type Patch = (Step | null | readonly number[])[];

export interface Packed {
  readonly skeleton: unknown;
  readonly patches: readonly Patch[];
  readonly attachments: readonly Attachment[];
  /** Blobs whose bytes were not given. If there are any, the rest is not to be used. */
  readonly unread: readonly BlobLike[];
}

/** Bytes, or a blob that stays aside, and its place. */
export type Attachment = Uint8Array | { readonly blob: BlobLike; readonly place: string };

export const maxNesting = 500;
const placeholder = 0;

/**
 * @param setsAside whether large blobs are not to be read.
 * @throws TidemarkError VALUE_UNSUPPORTED naming the place of what cannot be stored.
 */
export function pack(
  value: unknown,
  where: string,
  blobBytes: ReadonlyMap<object, Uint8Array> | undefined,
  setsAside: boolean,
): Packed {
  const packer = new Packer(value, where, blobBytes, setsAside);
  const skeleton = packer.pack(value, 0);
  return { skeleton, patches: packer.patches, attachments: packer.attachments, unread: packer.unread };
}

// Captured once: called on something else these throw, whatever its prototype or tag pretends.
const dateTime = Date.prototype.getTime;
const mapEntries = Map.prototype.entries;
const setValues = Set.prototype.values;
const tagOf = Object.prototype.toString;
const getter = (of: object, name: PropertyKey): (() => unknown) => Object.getOwnPropertyDescriptor(of, name)!.get!;
const regexpSource = getter(RegExp.prototype, "source") as () => string;
const viewName = getter(Object.getPrototypeOf(Uint8Array.prototype) as object, Symbol.toStringTag) as () =>
  | string
  | undefined;

class Packer {
  readonly patches: Patch[] = [];
  readonly attachments: Attachment[] = [];
  readonly unread: BlobLike[] = [];
  readonly #root: unknown;
  readonly #where: string;
  readonly #blobBytes: ReadonlyMap<object, Uint8Array> | undefined;
  readonly #setsAside: boolean;
  /** Leads to what is being packed. */
  readonly #path: Step[] = [];

  constructor(
    root: unknown,
    where: string,
    blobBytes: ReadonlyMap<object, Uint8Array> | undefined,
    setsAside: boolean,
  ) {
    this.#root = root;
    this.#where = where;
    this.#blobBytes = blobBytes;
    this.#setsAside = setsAside;
  }

  /** What stands for `value` in the skeleton: itself where JSON can hold it, else a copy or a placeholder. */
  pack(value: unknown, depth: number): unknown {
    switch (typeof value) {
      case "string":
      case "boolean":
        return value;
      case "number":
        return this.#number(value);
      case "undefined":
        return this.#patch(["u"]);
      case "bigint":
        return this.#patch(["i", value.toString(16)]);
      case "object":
        return value === null ? null : this.#object(value, depth + 1);
      default:
        return this.#refuse(typeof value, `is a ${typeof value}`);
    }
  }

  #number(n: number): number {
    if (Number.isFinite(n) && (n !== 0 || 1 / n > 0)) return n;
    return this.#patch(["n", n === 0 ? "-0" : String(n)]);
  }

  #object(value: object, depth: number): unknown {
    if (depth > maxNesting) this.#refuseNesting();
    const prototype = Object.getPrototypeOf(value) as object | null;
    if (prototype === Object.prototype || prototype === null) return this.#fields(value, undefined, depth);
    if (Array.isArray(value)) return this.#array(value, prototype, depth);
    if (prototype === Date.prototype) return this.#special(value, "Date", depth);
    if (isForeignObjectPrototype(prototype)) return this.#fields(value, { ...value }, depth);
    const tag = tagOf.call(value).slice("[object ".length, -1);
    if (ancestors(prototype) !== ancestorsByTag(value, tag)) this.#refuse(classOf(value));
    return this.#special(value, tag, depth);
  }

  #fields(value: object, initialCopy: Record<string, unknown> | undefined, depth: number): unknown {
    let copy = initialCopy;
    const path = this.#path;
    const names = Object.keys(value);
    if (names.some(hasEscapes)) return this.#entries(value, names, depth);
    for (const name of names) {
      const field = (value as Record<string, unknown>)[name];
      if (typeof field === "string" || field === null || typeof field === "boolean") continue;
      path.push(name);
      const packed = this.pack(field, depth);
      path.pop();
      if (packed === field) continue;
      copy ??= { ...value };
      if (name === "__proto__") Object.defineProperty(copy, name, { ...fieldShape, value: packed });
      else copy[name] = packed;
    }
    return copy ?? value;
  }

  #entries(value: object, names: readonly string[], depth: number): unknown {
    const path = this.#path;
    const held = names.map((name, i) => {
      path.push(i, 1);
      const packed = this.pack((value as Record<string, unknown>)[name], depth);
      path.length -= 2;
      return [name, packed];
    });
    this.#patch(["o"]);
    return held;
  }

  #array(array: readonly unknown[], prototype: object | null, depth: number): unknown {
    if (prototype !== Array.prototype && !isForeignArrayPrototype(prototype)) this.#refuse(classOf(array));
    const names = Object.keys(array);
    const last = names.at(-1);
    // Indexes come first among the names and are canonical, so the last name tells whether all are indexes.
    if (last !== undefined && !isIndex(last)) {
      this.#path.push(last);
      this.#refuse("named property", "is a named property of an array");
    }
    if (names.length === array.length) return this.#elements(array, prototype !== Array.prototype, depth);
    const indexes = names.map(Number);
    const held = this.#elements(
      indexes.map((i) => array[i]),
      false,
      depth,
    );
    this.#patch(["h", array.length, indexes]);
    return held;
  }

  #elements(elements: readonly unknown[], mustCopy: boolean, depth: number): readonly unknown[] {
    let copy = mustCopy ? [...elements] : undefined;
    for (let i = 0; i < elements.length; i++) {
      this.#path.push(i);
      const packed = this.pack(elements[i], depth);
      this.#path.pop();
      if (packed === elements[i]) continue;
      copy ??= [...elements];
      copy[i] = packed;
    }
    return copy ?? elements;
  }

  #special(value: object, tag: string, depth: number): unknown {
    if (tag === "Map") return this.#map(this.#contentOf(value, entriesOf), depth);
    if (tag !== "Set") return this.#leaf(value, tag);
    const held = this.#elements(this.#contentOf(value, valuesOf), false, depth);
    this.#patch(["s"]);
    return held;
  }

  #contentOf<T>(value: object, read: (value: object) => T): T {
    try {
      return read(value);
    } catch {
      return this.#refuse(classOf(value));
    }
  }

  #leaf(value: object, tag: string): number {
    try {
      return this.#byTag(value, tag);
    } catch (e) {
      if (!(e instanceof TypeError)) throw e;
      // Not what its tag says, or a buffer that was transferred away.
      if (!ArrayBuffer.isView(value) && tag !== "ArrayBuffer") this.#refuse(classOf(value));
      return this.#refuse("detached buffer", "is a buffer that was transferred away");
    }
  }

  #byTag(value: object, tag: string): number {
    switch (tag) {
      case "Date": {
        const ms = dateTime.call(value as Date);
        return this.#patch(["d", Number.isNaN(ms) ? null : ms]);
      }
      case "RegExp":
        return this.#patch(["r", regexpSource.call(value), (value as RegExp).flags]);
      case "ArrayBuffer":
        return this.#attach(["b"], new Uint8Array(value as ArrayBuffer, 0));
      case "Blob":
      case "File":
        return this.#blob(value, tag);
      default:
        return ArrayBuffer.isView(value) ? this.#view(value) : this.#refuse(classOf(value));
    }
  }

  #map(entries: readonly (readonly [unknown, unknown])[], depth: number): unknown {
    const path = this.#path;
    const held = entries.map(([key, value], i) => {
      path.push(i, 0);
      const packedKey = this.pack(key, depth);
      path[path.length - 1] = 1;
      const packedValue = this.pack(value, depth);
      path.length -= 2;
      return [packedKey, packedValue];
    });
    this.#patch(["m"]);
    return held;
  }

  #view(view: ArrayBufferView): number {
    if (tagOf.call(view.buffer) !== "[object ArrayBuffer]")
      this.#refuse("SharedArrayBuffer", "is a view of shared memory");
    const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
    return this.#attach(["v", viewName.call(view) ?? "DataView"], bytes);
  }

  #blob(blob: object, tag: "Blob" | "File"): number {
    if (!isBlob(blob)) return this.#refuse(classOf(blob));
    const content = this.#contentOfBlob(blob);
    if (content === undefined) {
      if (this.#blobBytes !== undefined) this.#refuse(tag, `is a ${tag} whose content was not read`);
      this.unread.push(blob);
      return placeholder;
    }
    if (tag === "Blob") return this.#attach(["B", blob.type], content);
    const { name, lastModified } = blob as BlobLike & { name: string; lastModified: number };
    return this.#attach(["F", blob.type], content, [name, lastModified]);
  }

  #contentOfBlob(blob: BlobLike): Attachment | undefined {
    if (!this.#setsAside || blob.size <= maxInlineBytes) return this.#blobBytes?.get(blob);
    return { blob, place: this.#where + nameOfPlace(this.#root, this.#path).path };
  }

  #attach(patch: Patch, content: Attachment, more: readonly Step[] = []): number {
    this.attachments.push(content);
    patch.push(content instanceof Uint8Array ? content.length : content.blob.size, ...more);
    return this.#patch(patch);
  }

  #patch(patch: Patch): number {
    for (const step of this.#path) patch.push(step);
    this.patches.push(patch);
    return placeholder;
  }

  #refuse(type: string, problem = `is an instance of ${type}`): never {
    this.#throwAt(nameOfPlace(this.#root, this.#path).path, type, problem);
  }

  #refuseNesting(): never {
    const { path, cycle } = nameOfPlace(this.#root, this.#path);
    if (cycle) this.#throwAt(path, "cycle", "refers to an object that contains it");
    this.#throwAt(path, "nesting", `is nested more than ${maxNesting} deep`);
  }

  #throwAt(path: string, type: string, problem: string): never {
    const where = this.#where;
    throw new TidemarkError("VALUE_UNSUPPORTED", `${where}${path} ${problem}, which cannot be stored`, {
      where,
      path,
      type,
    });
  }
}

const entriesOf = (map: object): [unknown, unknown][] => [...mapEntries.call(map as Map<unknown, unknown>)];
const valuesOf = (set: object): unknown[] => [...setValues.call(set as Set<unknown>)];

const fieldShape = { writable: true, enumerable: true, configurable: true };
const isIndex = (name: string): boolean => String(Number(name) >>> 0) === name && name !== "4294967295";

/** Object.prototype of another realm, as of an iframe; its objects are as plain as ours. */
function isForeignObjectPrototype(prototype: object): boolean {
  return ancestors(prototype) === 1 && Object.hasOwn(prototype, "isPrototypeOf");
}

function isForeignArrayPrototype(prototype: object | null): boolean {
  return Array.isArray(prototype) && ancestors(prototype) === 2;
}

/** How many prototypes there are, `prototype` included: subclasses have more than what they extend. */
function ancestors(prototype: object): number {
  let count = 0;
  for (let p: object | null = prototype; p !== null; p = Object.getPrototypeOf(p) as object | null) count++;
  return count;
}

/** How many prototypes a built-in has, be it of our realm or another. */
const ancestorsByTag = (value: object, tag: string): number =>
  tag === "File" || (ArrayBuffer.isView(value) && tag !== "DataView") ? 3 : 2;

function classOf(value: object): string {
  const made: unknown = (Object.getPrototypeOf(value) as object | null)?.constructor;
  const name = typeof made === "function" ? made.name : "";
  return name === "" ? "unnamed class" : name;
}
