import type { BlobLike } from "../codec/platform.ts";

/** The bytes of blobs, by their identity, as encoding wants them. */
export async function blobsOf(blobs: readonly BlobLike[]): Promise<ReadonlyMap<object, Uint8Array>> {
  const read = blobs.map(async (b) => [b, new Uint8Array(await b.arrayBuffer())] as const);
  return new Map(await Promise.all(read));
}
