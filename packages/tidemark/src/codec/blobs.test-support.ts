/** Blobs whose bytes are known, and records that hold them. */
import { expect } from "vitest";
import { checksum } from "../base/checksum.ts";

const kilobyte = 1024;
/** Around what each limit is: of staying in a value's bytes, of a chunk, of a piece, of a value that is in memory whole. */
export const notableSizes: readonly number[] = [
  0,
  1,
  32 * kilobyte,
  32 * kilobyte + 1,
  60 * kilobyte,
  60 * kilobyte + 1,
  240 * kilobyte,
  240 * kilobyte + 1,
  1024 * kilobyte - 200,
  1024 * kilobyte,
  1024 * kilobyte + 1,
  2500 * kilobyte,
];

export function patterned(sizeBytes: number, seed: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(sizeBytes);
  for (let i = 0; i < sizeBytes; i++) bytes[i] = i * 31 + (i >> 8) + seed * 7;
  return bytes;
}

export const blob = (sizeBytes: number, seed = 1, type = "image/x-test"): Blob =>
  new Blob([patterned(sizeBytes, seed)], { type });

export const file = (sizeBytes: number, seed = 1): File =>
  new File([patterned(sizeBytes, seed)], `file-${seed}.bin`, { type: "video/x-test", lastModified: 1000 + seed });

/** The value with what its large parts are in their place, so that they can be compared, and shown where they differ. */
async function plain(value: unknown): Promise<unknown> {
  if (value instanceof Blob) {
    const about = value instanceof File ? [value.name, value.lastModified] : [];
    return ["blob", value.type, value.size, ...about, checksum(new Uint8Array(await value.arrayBuffer()), 0)];
  }
  if (value instanceof Uint8Array) return ["bytes", value.length, checksum(value, 0)];
  if (Array.isArray(value)) return Promise.all(value.map(plain));
  if (value instanceof Map) return new Map((await plain([...value])) as [unknown, unknown][]);
  if (typeof value !== "object" || value === null || Object.getPrototypeOf(value) !== Object.prototype) return value;
  const fields = Object.entries(value).map(async ([name, field]) => [name, await plain(field)] as const);
  return Object.fromEntries(await Promise.all(fields));
}

export async function expectSame(found: unknown, expected: unknown): Promise<void> {
  expect(await plain(found)).toStrictEqual(await plain(expected));
}

export const areSame = (a: unknown, b: unknown): Promise<boolean> =>
  expectSame(a, b).then(
    () => true,
    () => false,
  );

/** The largest piece that is read of any blob while `work` runs. */
export async function largestRead(work: () => Promise<unknown>): Promise<number> {
  const read = Object.getOwnPropertyDescriptor(Blob.prototype, "arrayBuffer")!;
  let most = 0;
  Blob.prototype.arrayBuffer = function (this: Blob): Promise<ArrayBuffer> {
    most = Math.max(most, this.size);
    return (read.value as Blob["arrayBuffer"]).call(this);
  };
  try {
    await work();
  } finally {
    Object.defineProperty(Blob.prototype, "arrayBuffer", read);
  }
  return most;
}
