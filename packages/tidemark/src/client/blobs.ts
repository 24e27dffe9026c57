import { unreadable } from "../codec/aside.ts";
import type { BlobLike } from "../codec/platform.ts";

/** The bytes of blobs, by their identity, as encoding wants them. @throws VALUE_UNSUPPORTED where one cannot be read */
export async function blobsOf(blobs: readonly BlobLike[], where: string): Promise<ReadonlyMap<object, Uint8Array>> {
  const read = blobs.map(async (b) => {
    const buffer = await b.arrayBuffer().catch((e: unknown): never => {
      throw unreadable(`A blob of '${where}'`, e);
    });
    return [b, new Uint8Array(buffer)] as const;
  });
  return new Map(await Promise.all(read));
}
