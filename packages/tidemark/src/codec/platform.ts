/**
 * What values need of the platform that the engine rooms' types do not know: it may be missing (Float16Array in older
 * browsers), or it belongs to the DOM (Blob, File).
 */
export interface BlobLike {
  readonly size: number;
  readonly type: string;
  arrayBuffer(): Promise<ArrayBuffer>;
  /** Without a copy. */
  slice(from: number, to: number, type?: string): BlobLike;
}

interface FileLike extends BlobLike {
  readonly name: string;
  readonly lastModified: number;
}

type ViewConstructor = new (buffer: ArrayBuffer, byteOffset?: number, length?: number) => ArrayBufferView;

interface Platform {
  readonly Blob?: {
    new (parts: readonly (Uint8Array | BlobLike)[], options: { type: string }): BlobLike;
    readonly prototype: BlobLike;
  };
  readonly File?: new (
    parts: readonly (Uint8Array | BlobLike)[],
    name: string,
    options: { type: string; lastModified: number },
  ) => FileLike;
  readonly Float16Array?: ViewConstructor;
}

export const platform = globalThis as unknown as Platform;

const blobSize = platform.Blob && Object.getOwnPropertyDescriptor(platform.Blob.prototype, "size")?.get;

/** Whether this is a Blob or File of any realm; the getter throws for what only has the prototype of one. */
export function isBlob(value: object): value is BlobLike {
  try {
    return blobSize !== undefined && typeof blobSize.call(value) === "number";
  } catch {
    return false;
  }
}

const views = new Map<string, ViewConstructor>(
  [
    Int8Array,
    Uint8Array,
    Uint8ClampedArray,
    Int16Array,
    Uint16Array,
    Int32Array,
    Uint32Array,
    Float32Array,
    Float64Array,
    BigInt64Array,
    BigUint64Array,
    DataView,
  ].map((view) => [view.name, view]),
);

export const float16Name = "Float16Array";

/** The typed array or DataView of that name, if the platform has it. */
export function viewConstructor(name: string): ViewConstructor | undefined {
  return name === float16Name ? platform.Float16Array : views.get(name);
}
