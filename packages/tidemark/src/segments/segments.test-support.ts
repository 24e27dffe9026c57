/** What the tests of this room share: synthetic block lists, and blocks in memory under a manifest. */
import { type BlockId, blockId, type ByteKey, byteKey, type Seq, seq, stamp, type TableId } from "../base/brand.ts";
import { checksum } from "../base/checksum.ts";
import { withReference } from "../codec/outside.ts";
import { Block } from "./block.ts";
import type { BlockInfo } from "./block-info.ts";
import type { StagedBlock } from "./block-writer.ts";
import { type ChangeSource, noChanges } from "./changes.ts";
import type { InternalKey } from "./internal-key.ts";
import { levelCount, Manifest, type ManifestEdit } from "./manifest.ts";
import { merge, type Merged, type MergeInput } from "./merge.ts";
import { headlong } from "./pace.ts";
import { never, type Readable, type Rule } from "./rule.ts";
import { inlineBytes, type KeyVersions, type Version } from "./version.ts";

export const at = (key: string, n: number): InternalKey => ({ key: byteKey(key), seq: seq(n) });

export const infoOf = (
  id: number,
  first: InternalKey,
  last: InternalKey,
  more: Partial<Omit<BlockInfo, "id" | "first" | "last">> = {},
): BlockInfo => ({
  id: blockId(id),
  first,
  last,
  count: 3,
  tombstones: 1,
  obsolete: 0,
  outside: 0,
  filter: new Uint8Array(0),
  due: never,
  pinned: 0,
  sizeBytes: 100 + (id % 1000),
  ...more,
});

/** Nobody reads below `floor` but at `points`, and everything is checkpointed. */
export const readableAt = (floor: Seq, points: readonly Seq[] = []): Readable & { readonly holders: number } => ({
  floor,
  points,
  nowMs: 0,
  holders: 0,
});
export const ruleAt = (floor: number, points: readonly number[] = []): Rule => ({
  ...readableAt(
    seq(floor),
    points.map((point) => seq(point)),
  ),
  checkpoint: seq(Number.MAX_SAFE_INTEGER),
  retentionOf: () => undefined,
});

/** Numbers from 1 on. */
export function numbers(): () => number {
  let last = 0;
  return () => ++last;
}

/** A record's payload whose value lies out of line. */
export const referring = (id: number, sizeBytes = 100_000): Uint8Array =>
  withReference(new Uint8Array(2), { id, sizeBytes });

/** Makes the checksum right again. */
export function reseal(bytes: Uint8Array): Uint8Array {
  new DataView(bytes.buffer, bytes.byteOffset).setUint32(4, checksum(bytes.subarray(8)), true);
  return bytes;
}

/** A source as a memtable is one, over a list in order; it counts how many keys were read from it. */
export class ListedChanges implements ChangeSource {
  readonly list: readonly KeyVersions[];
  keysRead = 0;

  constructor(list: readonly KeyVersions[]) {
    this.list = list;
  }

  read(from: ByteKey, limit: number): readonly KeyVersions[] {
    const found = this.list.filter(({ key }) => key >= from).slice(0, limit);
    this.keysRead += found.length;
    return found;
  }
}

/** What a merge came to, with what it dropped: bytes of keys and payloads. */
export interface Counted extends Merged {
  readonly dropped: { readonly versions: number; readonly bytes: number };
}

export interface MergeOptions extends Partial<Pick<MergeInput, "targetBytes" | "maxStoreBytes" | "pace">> {
  readonly floor?: number;
  readonly points?: readonly number[];
  readonly staysAbove?: Seq | undefined;
  readonly isDead?: (table: TableId) => boolean;
}

/** Blocks in memory under a manifest, and a record of what the merges did. */
export class Disk {
  readonly stored = new Map<BlockId, StagedBlock>();
  readonly loads: (readonly BlockId[])[] = [];
  readonly stores: (readonly StagedBlock[])[] = [];
  manifest = Manifest.empty;
  readonly newPageId = numbers();
  /** Called before each load and store: a hook that throws kills the merge there. */
  onCall: () => void = () => undefined;
  #lastId = 0;
  #lastSeq = 0;

  get loaded(): readonly BlockId[] {
    return this.loads.flat();
  }

  /** Of the lowest level, where it is not said. */
  blocks(level = levelCount - 1): readonly BlockInfo[] {
    return [...this.manifest.levels[level]!.blocks()];
  }
  ids(level = levelCount - 1): readonly BlockId[] {
    return this.blocks(level).map(({ id }) => id);
  }

  open(id: BlockId): Block {
    return Block.open(id, this.stored.get(id)!.bytes);
  }

  /** A merge into `level`, of which nothing is published. */
  async merged(
    changes: ChangeSource,
    above: readonly BlockInfo[],
    level: number,
    { floor = 0, points, staysAbove, isDead = () => false, ...options }: MergeOptions,
  ): Promise<Counted> {
    this.loads.length = 0;
    this.stores.length = 0;
    const { levels } = this.manifest;
    const dropped = { versions: 0, bytes: 0 };
    const merged = await merge({
      changes,
      above,
      staysAbove,
      level: levels[level]!,
      below: levels.slice(level + 1),
      rule: ruleAt(floor, points),
      isDead,
      targetBytes: 1000,
      maxStoreBytes: 256 * 1024,
      pace: headlong,
      newBlockId: () => blockId(++this.#lastId),
      load: async (infos) => {
        const ids = infos.map(({ id }) => id);
        this.onCall();
        this.loads.push(ids);
        return ids.map((id) => this.open(id));
      },
      store: async (blocks) => {
        this.onCall();
        this.stores.push(blocks);
        for (const block of blocks) this.stored.set(block.id, block);
      },
      dropped: (key, version) => {
        dropped.versions++;
        dropped.bytes += inlineBytes(key, version.payload);
      },
      ...options,
    });
    return { ...merged, dropped };
  }

  publish(edits: readonly ManifestEdit[]): void {
    this.manifest = this.manifest.edit(edits, this.newPageId);
    const listed = new Set([...this.manifest.all()].map(({ id }) => id));
    for (const id of this.stored.keys()) if (!listed.has(id)) this.stored.delete(id);
  }

  async fold(
    changes: readonly KeyVersions[],
    { level = levelCount - 1, ...options }: MergeOptions & { level?: number } = {},
  ): Promise<Counted> {
    const merged = await this.merged(new ListedChanges(changes), [], level, options);
    this.publish([{ level, removed: merged.removed, added: merged.added }]);
    return merged;
  }

  /** `above`, blocks of `level`, goes into the level below it. */
  async sink(
    level: number,
    above: readonly BlockInfo[],
    { cursor, ...options }: MergeOptions & { readonly cursor?: ByteKey } = {},
  ): Promise<Counted> {
    const merged = await this.merged(noChanges, above, level + 1, options);
    const { removed, added } = merged;
    this.publish([
      { level, removed: above, added: [], ...(cursor === undefined ? {} : { cursor }) },
      { level: level + 1, removed, added },
    ]);
    return merged;
  }

  put(key: string, payloadBytes = 100): KeyVersions {
    return { key: byteKey(key), versions: [this.version(new Uint8Array(payloadBytes))] };
  }

  remove(key: string): KeyVersions {
    return { key: byteKey(key), versions: [this.version(undefined)] };
  }

  version(payload: Uint8Array | undefined): Version {
    const n = ++this.#lastSeq;
    return { seq: seq(n), stamp: stamp(n), payload };
  }

  /** Everything that a level lists, as key@seq. */
  content(level = levelCount - 1): readonly string[] {
    return this.blocks(level).flatMap(({ id, count }) => {
      const block = this.open(id);
      return Array.from({ length: count }, (_, i) => `${block.keyAt(i)}@${block.seqAt(i)}`);
    });
  }
}

export const keys = (from: number, to: number): readonly string[] =>
  Array.from({ length: to - from }, (_, i) => `k${String(from + i).padStart(4, "0")}`);

/** The lowest level: about 80 keys of 100 bytes in about ten blocks. */
export async function filledDisk(): Promise<Disk> {
  const disk = new Disk();
  await disk.fold(keys(0, 80).map((key) => disk.put(key)));
  return disk;
}
