/** In a real browser, with a real worker: large blobs cross between them, and through storage, without their bytes. */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { collection, type Database, deleteDatabase, openDatabase } from "./index.ts";

vi.setConfig({ testTimeout: 120_000, hookTimeout: 30_000 });

interface Clip {
  id: string;
  movie: Blob;
  more?: unknown;
}
const declarations = { clips: collection<Clip>()({ key: "id" }) };
const names = ["blobs", "blobs-imported"] as const;
const open = (name: string): Promise<Database<typeof declarations>> =>
  openDatabase({ name, collections: declarations });

const megabyte = 2 ** 20;
/** Each megabyte is like no other. */
function movieOf(megabytes: number): File {
  const pieces = Array.from({ length: megabytes }, (_, n) => {
    const piece = new Uint32Array(megabyte / 4);
    for (let i = 0; i < piece.length; i++) piece[i] = Math.imul(i + 1, 2_654_435_761) + n;
    return new Blob([piece]);
  });
  return new File(pieces, "movie.mp4", { type: "video/mp4", lastModified: 7 });
}

/** Digests of its slices: nobody has all of it in memory here either. */
async function digests(blob: Blob): Promise<readonly string[]> {
  const all: string[] = [];
  for (let from = 0; from < blob.size; from += 4 * megabyte) {
    const slice = await blob.slice(from, from + 4 * megabyte).arrayBuffer();
    all.push(new Uint8Array(await crypto.subtle.digest("SHA-256", slice)).join());
  }
  return all;
}

let db: Database<typeof declarations>;
beforeEach(async () => {
  db = await open(names[0]);
});
afterEach(async () => {
  await db.close();
  for (const name of names) await deleteDatabase(name);
});

describe("a file of 64 MB", () => {
  test("[MV6][MV11] comes back as it was, and stays readable when the database is closed", async () => {
    const movie = movieOf(64);
    const expected = await digests(movie);
    const started = performance.now();
    await db.collection("clips").put({ id: "a", movie, more: [new Blob(["small"]), Uint8Array.of(1, 2), new Date(3)] });
    const written = performance.now();
    const found = (await db.collection("clips").get("a"))!;
    const [writeMs, readMs] = [written - started, performance.now() - written];
    console.log(`64 MB: written in ${Math.round(writeMs)} ms, read in ${Math.round(readMs)} ms`);
    await db.close();
    expect(found.movie).toBeInstanceOf(File);
    const { name, type, lastModified, size } = found.movie as File;
    expect({ name, type, lastModified, size }).toEqual({
      name: "movie.mp4",
      type: "video/mp4",
      lastModified: 7,
      size: 64 * megabyte,
    });
    expect(await digests(found.movie)).toEqual(expected);
    const [small, ...rest] = found.more as [Blob, Uint8Array, Date];
    expect([await small.text(), ...rest]).toEqual(["small", Uint8Array.of(1, 2), new Date(3)]);
    const url = URL.createObjectURL(found.movie);
    expect((await (await fetch(url)).blob()).size).toBe(64 * megabyte);
    URL.revokeObjectURL(url);
    db = await open(names[0]);
    expect(await digests((await db.collection("clips").get("a"))!.movie)).toEqual(expected);
  });

  test("[MV3][MV6] is written by a transaction, exported and imported", async () => {
    const movie = movieOf(64);
    await db.transaction(async (tx) => {
      await tx.collection("clips").put({ id: "a", movie });
      expect((await tx.collection("clips").get("a"))?.movie.size).toBe(64 * megabyte);
    });
    const exported = await new Response(db.export() as ReadableStream<Uint8Array<ArrayBuffer>>).blob();
    const other = await open(names[1]);
    await other.import(exported.stream());
    const found = await other.collection("clips").get("a");
    expect(await digests(found!.movie)).toEqual(await digests(movie));
    await other.close();
  });
});
