/**
 * Values as JSON that people read. What JSON holds stays as it is; the rest is an object with one name, its tag:
 *
 *   $undefined  true                         $date    ISO text; null: invalid
 *   $number     "NaN" "Infinity" "-0" …      $bigint  decimal digits
 *   $regexp     [source, flags]              $map     [[key, value], …]
 *   $set        [value, …]                   $bytes   [type, base64]
 *   $encoded    base64 of the codec's bytes: all else that can be stored: blobs, files, arrays with holes, and objects
 *               with names that JSON escapes, which not every JSON.parse reads right (codec/text.ts)
 *
 * A name of ours that begins with $ gets another $ in front. Read, an object that is no tag and no such name stays as it is.
 */
import { ByteWriter } from "../../base/bytes.ts";
import { TidemarkError } from "../../base/errors.ts";
import { maxNesting } from "../../codec/pack.ts";
import { type BlobLike, viewConstructor } from "../../codec/platform.ts";
import { hasEscapes, stringifyUnpatched, toJsonPatched } from "../../codec/text.ts";
import { decodeValue, encodeValue } from "../../codec/value.ts";
import { blobsOf } from "../blobs.ts";
import { isPlain } from "../equality.ts";

type BlobBytes = ReadonlyMap<object, Uint8Array>;

/** `value` as JSON text. @throws VALUE_UNSUPPORTED naming `where` */
export async function taggedText(value: unknown, where: string): Promise<string> {
  const tagger = new Tagger(where, undefined);
  const tagged = tagger.tag(value);
  const whole = tagger.unread.length === 0 ? tagged : new Tagger(where, await blobsOf(tagger.unread, where)).tag(value);
  return toJsonPatched() ? stringifyUnpatched(whole) : JSON.stringify(whole);
}

class Tagger {
  readonly unread: BlobLike[] = [];
  readonly #where: string;
  readonly #blobs: BlobBytes | undefined;

  constructor(where: string, blobs: BlobBytes | undefined) {
    this.#where = where;
    this.#blobs = blobs;
  }

  tag(value: unknown): unknown {
    switch (typeof value) {
      case "undefined":
        return { $undefined: true };
      case "number":
        return Number.isFinite(value) && !Object.is(value, -0)
          ? value
          : { $number: Object.is(value, -0) ? "-0" : String(value) };
      case "bigint":
        return { $bigint: String(value) };
      case "object":
        return value === null ? null : this.#object(value);
      default:
        return value;
    }
  }

  #object(value: object): unknown {
    if (Array.isArray(value)) return this.#list(value);
    if (isPlain(value)) return this.#fields(value);
    if (value instanceof Date) return { $date: Number.isNaN(value.getTime()) ? null : value.toISOString() };
    if (value instanceof RegExp) return { $regexp: [value.source, value.flags] };
    if (value instanceof Map) return { $map: Array.from(value, ([k, v]) => [this.tag(k), this.tag(v)]) };
    if (value instanceof Set) return { $set: Array.from(value, (v) => this.tag(v)) };
    if (value instanceof ArrayBuffer) return { $bytes: ["ArrayBuffer", toBase64(new Uint8Array(value))] };
    if (ArrayBuffer.isView(value)) {
      const bytes = new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
      return { $bytes: [value.constructor.name, toBase64(bytes)] };
    }
    return this.#encoded(value);
  }

  #list(value: readonly unknown[]): unknown {
    for (let i = 0; i < value.length; i++) if (!Object.hasOwn(value, i)) return this.#encoded(value);
    return Object.keys(value).length > value.length ? this.#encoded(value) : value.map((v) => this.tag(v));
  }

  #fields(value: object): unknown {
    const tagged: Record<string, unknown> = {};
    if (Object.keys(value).some(hasEscapes)) return this.#encoded(value);
    for (const [name, field] of Object.entries(value)) {
      setOwn(tagged, name.startsWith("$") ? `$${name}` : name, this.tag(field));
    }
    return tagged;
  }

  #encoded(value: unknown): unknown {
    const out = new ByteWriter();
    this.unread.push(...encodeValue(value, out, this.#where, this.#blobs));
    return { $encoded: toBase64(out.written()) };
  }
}

/** The value that JSON stands for; objects of `json` become part of it. @throws VALIDATION where a tag is malformed. */
export function fromTagged(json: unknown, depth = 0): unknown {
  if (typeof json !== "object" || json === null) return json;
  if (depth > maxNesting) throw malformed("is nested too deeply");
  if (Array.isArray(json)) {
    for (let i = 0; i < json.length; i++) json[i] = fromTagged(json[i], depth + 1);
    return json as unknown[];
  }
  const names = Object.keys(json);
  const fields = json as Record<string, unknown>;
  const [only] = names;
  if (names.length === 1 && Object.hasOwn(untag, only!)) return untag[only as Tag](fields[only!], depth + 1);
  if (!names.some((name) => name.startsWith("$$"))) {
    for (const name of names) setOwn(fields, name, fromTagged(fields[name], depth + 1));
    return fields;
  }
  const made: Record<string, unknown> = {};
  for (const name of names)
    setOwn(made, name.startsWith("$$") ? name.slice(1) : name, fromTagged(fields[name], depth + 1));
  return made;
}

type Tag = "$undefined" | "$number" | "$bigint" | "$date" | "$regexp" | "$map" | "$set" | "$bytes" | "$encoded";

const numbers: Readonly<Record<string, number>> = { NaN, Infinity, "-Infinity": -Infinity, "-0": -0 };

const untag: Readonly<Record<Tag, (of: unknown, depth: number) => unknown>> = {
  $undefined: (of) => (of === true ? undefined : refuse("$undefined", "true")),
  $number: (of) =>
    typeof of === "string" && Object.hasOwn(numbers, of)
      ? numbers[of]
      : refuse("$number", `"NaN", "Infinity", "-Infinity" or "-0"`),
  $bigint: (of) => (typeof of === "string" && /^-?\d+$/.test(of) ? BigInt(of) : refuse("$bigint", "decimal digits")),
  $date: (of) => {
    if (of === null) return new Date(NaN);
    const date = new Date(typeof of === "string" ? of : NaN);
    return Number.isNaN(date.getTime()) ? refuse("$date", "a date as ISO 8601 writes it, or null") : date;
  },
  $regexp: (of) => {
    try {
      const [source, flags] = textsIn(of)!;
      return new RegExp(source, flags);
    } catch {
      return refuse("$regexp", "a source and flags");
    }
  },
  $map: (of, depth) => {
    const isMap = Array.isArray(of) && of.every((entry) => Array.isArray(entry) && entry.length === 2);
    if (!isMap) return refuse("$map", "a list of pairs");
    return new Map((of as [unknown, unknown][]).map(([k, v]) => [fromTagged(k, depth), fromTagged(v, depth)]));
  },
  $set: (of, depth) =>
    Array.isArray(of) ? new Set(of.map((v: unknown) => fromTagged(v, depth))) : refuse("$set", "a list"),
  $bytes: (of) => {
    const [type, base64] = textsIn(of) ?? refuse("$bytes", "a type and base64");
    const { buffer } = fromBase64(base64, "$bytes");
    if (type === "ArrayBuffer") return buffer;
    const View = viewConstructor(type) ?? refuse("$bytes", "of a known type");
    try {
      return new View(buffer);
    } catch {
      return refuse("$bytes", `whole elements of ${type}`);
    }
  },
  $encoded: (of) => {
    if (typeof of !== "string") return refuse("$encoded", "base64");
    try {
      return decodeValue(fromBase64(of, "$encoded"));
    } catch {
      return refuse("$encoded", "the bytes of a value");
    }
  },
};

const textsIn = (of: unknown): readonly [string, string] | undefined =>
  Array.isArray(of) && of.length === 2 && of.every((t) => typeof t === "string") ? (of as [string, string]) : undefined;

const refuse = (tag: Tag, expected: string): never => {
  throw malformed(`has a ${tag} that is not ${expected}`);
};

const malformed = (why: string): TidemarkError => new TidemarkError("VALIDATION", `The value ${why}`, {});

/** Sets a field whatever its name: `__proto__` is one like others. */
export function setOwn(object: Record<string, unknown>, name: string, value: unknown): void {
  if (name !== "__proto__") object[name] = value;
  else Object.defineProperty(object, name, { value, enumerable: true, configurable: true, writable: true });
}

/** So many bytes at a time become text: a multiple of three, and fewer than a call takes arguments. */
const base64Bytes = 24_576;

function toBase64(bytes: Uint8Array): string {
  let text = "";
  for (let i = 0; i < bytes.length; i += base64Bytes) {
    text += btoa(String.fromCharCode.apply(null, bytes.subarray(i, i + base64Bytes) as unknown as number[]));
  }
  return text;
}

function fromBase64(text: string, tag: Tag): Uint8Array<ArrayBuffer> {
  try {
    const binary = atob(text);
    const bytes = new Uint8Array(binary.length);
    for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
    return bytes;
  } catch {
    return refuse(tag, "base64");
  }
}
