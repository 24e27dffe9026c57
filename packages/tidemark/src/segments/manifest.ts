/**
 * The manifest: which blocks there are, in levels. What an upper level holds of a key is newer than what any level below
 * it holds; within a level blocks do not overlap. So a read looks from the top down, at one block a level, and ends
 * where it first finds a version that is old enough.
 *
 * It is stored as a root, which lists the pages of each level, and the pages, which list blocks (page.ts). An edit
 * writes the pages that it touches and the root. The root, in row `manifest` of store `meta`:
 *
 *   0  envelope   9 bytes, see envelope.ts; magic "TMMF", format 3
 *   9  varint     version: rises with every edit
 *      varint     number of levels, uppermost first; then for each:
 *        key      where compaction goes on in it
 *        varint   number of pages; then for each, in order:
 *          varint   id
 *          key      last key   (varint bytes shared with the key before it, varint length of the rest, the rest)
 *          varint   its seq
 *          varint   blocks, versions, of them tombstones, size of the blocks in bytes
 *          varint   the least due of its blocks + 1, 0 for never; versions that only a point or retention keeps
 *      varint     number of marks (marks.ts); then for each, in order:
 *        varint   id of the block
 *        varint   from which floor on it is due; 2^53 - 1 where the block itself says
 *
 * Format 2 knew neither dues nor marks: every block that has anything to lose, or lies below another level, is due.
 * Format 1 was one row that listed the blocks of a single level: manifest-1.ts.
 */
import { type BlockId, blockId, type ByteKey, byteKey, seq } from "../base/brand.ts";
import { ByteReader, ByteWriter } from "../base/bytes.ts";
import { rootFormat } from "../codec/formats.ts";
import type { StoredValue } from "../storage/contract.ts";
import {
  beginEnvelope,
  damaged,
  type Envelope,
  envelopeBytes,
  formatOf,
  openEnvelope,
  sealEnvelope,
} from "../wal/envelope.ts";
import { type BlockInfo, readInternalKey, wakeOf, writeInternalKey } from "./block-info.ts";
import { compareInternal, type InternalKey } from "./internal-key.ts";
import { Level, type LevelEdit } from "./level.ts";
import { type MarkChange, type Marks, nextMarks, noMarks, unchanged } from "./marks.ts";
import type { Page, PageSummary } from "./page.ts";
import { never, type Wake } from "./rule.ts";

/** Each level is about eight times as large as the one above it, so this many reach beyond any quota. */
export const levelCount = 4;

const envelope: Envelope = { magic: 0x464d4d54, ...rootFormat };
const what = { what: "manifest" };
/** As stored: above every floor, as whoever does not know it takes it. */
const noMarkDue = Number.MAX_SAFE_INTEGER;
const start: InternalKey = { key: byteKey(""), seq: seq(0) };

export interface ManifestEdit extends LevelEdit {
  readonly level: number;
  /** Where compaction of this level goes on; absent: where it stood. */
  readonly cursor?: ByteKey;
}

/** The root as stored: a manifest whose pages may not have been read yet. */
export interface Root {
  readonly version: number;
  readonly levels: readonly { readonly cursor: ByteKey; readonly pages: readonly PageSummary[] }[];
  /** Absent from a root of format 2, which had none. */
  readonly marks: Marks | undefined;
}

export class Manifest {
  static readonly empty: Manifest = new Manifest(
    0,
    Array.from({ length: levelCount }, () => Level.empty),
    Array.from({ length: levelCount }, () => byteKey("")),
    noMarks,
  );
  readonly version: number;
  /** Uppermost, which is newest, first. */
  readonly levels: readonly Level[];
  /** Per level, the key at which its next compaction begins. */
  readonly cursors: readonly ByteKey[];
  /** Which blocks hold what a level above them supersedes. */
  readonly marks: Marks;
  /** The levels that hold anything, uppermost first: those that a read looks at. */
  readonly filled: readonly Level[];

  private constructor(version: number, levels: readonly Level[], cursors: readonly ByteKey[], marks: Marks) {
    this.version = version;
    this.levels = levels;
    this.cursors = cursors;
    this.marks = marks;
    this.filled = levels.filter((level) => level.length > 0);
  }

  /** `root` with its pages. */
  static of(root: Root, pageOf: (summary: PageSummary) => Page): Manifest {
    const levels = root.levels.map(({ pages }) => new Level(pages.map((summary) => pageOf(summary))));
    const cursors = root.levels.map(({ cursor }) => cursor);
    return new Manifest(root.version, levels, cursors, root.marks ?? allBelow(levels));
  }

  get blocks(): number {
    return this.levels.reduce((n, level) => n + level.length, 0);
  }
  get versions(): number {
    return this.levels.reduce((n, level) => n + level.versions, 0);
  }
  get tombstones(): number {
    return this.levels.reduce((n, level) => n + level.tombstones, 0);
  }
  get sizeBytes(): number {
    return this.levels.reduce((n, level) => n + level.sizeBytes, 0);
  }

  /** Whether some level lists this very block. */
  has(info: BlockInfo): boolean {
    return this.filled.some((level) => level.has(info));
  }

  *all(): Generator<BlockInfo, void> {
    for (const level of this.levels) yield* level.blocks();
  }

  /** The block of this id, by looking through all pages: for reports of damage, not for reads. */
  info(id: BlockId): BlockInfo | undefined {
    for (const info of this.all()) if (info.id === id) return info;
    return undefined;
  }

  pages(): readonly Page[] {
    return this.levels.flatMap((level) => level.pages);
  }

  /** The next version of this manifest. */
  edit(edits: readonly ManifestEdit[], newPageId: () => number, change: MarkChange = unchanged): Manifest {
    const levels = [...this.levels];
    const cursors = [...this.cursors];
    for (const { level, removed, added, cursor } of edits) {
      levels[level] = levels[level]!.edit({ removed, added }, newPageId);
      if (cursor !== undefined) cursors[level] = cursor;
    }
    const [removed, added] = [edits.flatMap((e) => e.removed), edits.flatMap((e) => e.added)];
    return new Manifest(this.version + 1, levels, cursors, nextMarks(this.marks, change, removed, added));
  }

  encodeRoot(): StoredValue {
    const out = new ByteWriter(128 + 64 * this.pages().length);
    beginEnvelope(out, envelope);
    out.varint(this.version);
    out.varint(this.levels.length);
    for (const [i, level] of this.levels.entries()) {
      const cursor = this.cursors[i]!;
      out.varint(cursor.length);
      out.key(cursor);
      out.varint(level.pages.length);
      let before = byteKey("");
      for (const page of level.pages) {
        out.varint(page.id);
        writeInternalKey(out, page.last, before);
        out.varint(page.blocks);
        out.varint(page.versions);
        out.varint(page.tombstones);
        out.varint(page.sizeBytes);
        out.varint(page.due === never ? 0 : page.due + 1);
        out.varint(page.pinned);
        before = page.last.key;
      }
    }
    out.varint(this.marks.size);
    for (const [id, due] of [...this.marks].toSorted(([a], [b]) => a - b)) {
      out.varint(id);
      out.varint(due === never ? noMarkDue : due);
    }
    return sealEnvelope(out);
  }
}

/** @throws TidemarkError CORRUPT or FORMAT_UNSUPPORTED with {what: "manifest"}. */
export function decodeRoot(bytes: Uint8Array): Root {
  openEnvelope(bytes, envelope, what);
  const input = new ByteReader(bytes, what.what, envelopeBytes);
  const version = input.varint();
  if (input.varint() !== levelCount) throw damaged(what, "has another number of levels");
  const levels = Array.from({ length: levelCount }, () => {
    const cursor = input.key(input.varint());
    return { cursor, pages: readPages(input, formatOf(bytes)) };
  });
  const marks = formatOf(bytes) < 3 ? undefined : readMarks(input);
  if (!input.done) throw damaged(what, "goes on after its end");
  return { version, levels, marks };
}

function readMarks(input: ByteReader): Marks {
  const marks = new Map<BlockId, Wake>();
  for (let left = input.varint(); left > 0; left--) {
    const [id, due] = [blockId(input.varint()), input.varint()];
    marks.set(id, due === noMarkDue ? never : due);
  }
  return marks;
}

/** Of a manifest that had no marks: nobody knows what is superseded from above, so all that could be is looked at. */
function allBelow(levels: readonly Level[]): Marks {
  const [, ...below] = levels.filter((level) => level.length > 0);
  return new Map(below.flatMap((level) => [...level.blocks()].map(({ id }) => [id, 0] as const)));
}

function readPages(input: ByteReader, format: number): readonly PageSummary[] {
  const pages: PageSummary[] = [];
  let before = start;
  for (let left = input.varint(); left > 0; left--) {
    const id = input.varint();
    const last = readInternalKey(input, before.key);
    if (!last) throw damaged(what, "shares more of a key than there is");
    if (pages.length > 0 && compareInternal(before, last) >= 0) throw damaged(what, "lists pages out of order");
    const [blocks, versions, tombstones] = [input.varint(), input.varint(), input.varint()];
    const sizeBytes = input.varint();
    const [due, pinned] = format < 3 ? [0, 0] : [wakeOf(input.varint()), input.varint()];
    pages.push({ id, last, blocks, versions, tombstones, sizeBytes, due, pinned });
    before = last;
  }
  return pages;
}

/** The pages that `next` has and `before` has not, and the other way round. */
export function pageChanges(before: Manifest, next: Manifest): { added: readonly Page[]; removed: readonly Page[] } {
  const [old, now] = [before.pages(), next.pages()];
  const oldIds = new Set(old.map(({ id }) => id));
  const nowIds = new Set(now.map(({ id }) => id));
  return { added: now.filter(({ id }) => !oldIds.has(id)), removed: old.filter(({ id }) => !nowIds.has(id)) };
}

/** All pages that a root lists. */
export const pageSummaries = (root: Root): readonly PageSummary[] => root.levels.flatMap(({ pages }) => pages);
