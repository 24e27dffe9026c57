/** The example of docs/formats/export.md is what the code writes, to the byte, and what it reads. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { ByteSource } from "./client/transfer/byte-source.ts";
import type { Header, Trailer } from "./client/transfer/frames.ts";
import { NativeWriter, readNative } from "./client/transfer/native.ts";

const name = "export";
const page = readFileSync(new URL(`../../../docs/formats/${name}.md`, import.meta.url), "utf8");
const hexIn = (block: string): string => block.replaceAll(/#.*/g, "").trim().split(/\s+/).join(" ");
const hexOf = (bytes: Uint8Array): string => Array.from(bytes, (b) => b.toString(16).padStart(2, "0")).join(" ");

const header: Header = {
  name: "shop",
  version: 1,
  seq: 7,
  kind: "export",
  collections: [{ name: "notes", key: "id", indexes: { byStars: { path: "stars", unique: false, multi: false } } }],
};
async function allOf<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const one of items) all.push(one);
  return all;
}
const note = { id: "a", stars: 3 };

async function example(): Promise<Uint8Array> {
  const writer = new NativeWriter(header);
  const pieces = [...writer.begin(), ...(await allOf(writer.write(0, [note]))), ...writer.end(undefined)];
  return Uint8Array.from(pieces.flatMap((piece) => [...piece]));
}

test("the page shows the bytes of an export", async () => {
  const [shown, more] = [...page.matchAll(/^```hex\n([^]*?)^```$/gm)].map(([, block]) => hexIn(block!));
  expect(more).toBeUndefined();
  expect(shown).toBe(hexOf(await example()));
});

test("which are read as what they were made of", async () => {
  const bytes = await example();
  const told: (Header | Trailer)[] = [];
  const source = new ByteSource(new Blob([bytes.slice()]).stream(), undefined);
  const records = await allOf(
    readNative(source, { begun: (it) => void told.push(it), ended: (it) => void told.push(it) }),
  );
  expect(records.flat().map((one) => [one.collection, one.value()])).toEqual([["notes", note]]);
  expect(told).toEqual([header, { records: [1] }]);
});
