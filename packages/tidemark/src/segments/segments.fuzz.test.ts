import fc from "fast-check";
import { expect, test } from "vitest";
import { blockId, byteKey, seq, stamp } from "../base/brand.ts";
import { attempt, fuzzRuns, noise, resealed, sealedInputs } from "../base/mutations.test-support.ts";
import type { StoredValue } from "../storage/contract.ts";
import { Block, type BlockEntry, encodeBlock } from "./block.ts";
import type { BlockInfo } from "./block-info.ts";
import { filterOf, hashOf, mayHold } from "./filter.ts";
import { compareInternal, newest } from "./internal-key.ts";
import { decodeRoot, Manifest, pageSummaries } from "./manifest.ts";
import { upgradedFrom1 } from "./manifest-1.ts";
import { rowsManifest } from "./manifest-rows.ts";
import { Page } from "./page.ts";

const numRuns = fuzzRuns(800);

const key = fc.uint8Array({ minLength: 4, maxLength: 9 }).map((bytes) => byteKey(String.fromCharCode(...bytes)));
const version = fc.record({
  seq: fc.oneof(fc.nat(300), fc.nat(2 ** 50)).map(seq),
  stamp: fc.maxSafeNat().map(stamp),
  payload: fc.option(fc.uint8Array({ maxLength: 20 }), { nil: undefined }),
});
const entries = fc
  .uniqueArray(fc.record({ key, version }), {
    minLength: 1,
    maxLength: 8,
    selector: (e) => `${e.key} ${e.version.seq}`,
  })
  .map((all) => all.toSorted((a, b) => compareInternal(at(a), at(b))));
const at = ({ key: of, version: { seq: s } }: BlockEntry): { key: typeof of; seq: typeof s } => ({ key: of, seq: s });

test("[MV8] a block of any bytes is refused as damaged, and so is what it cannot tell", () => {
  fc.assert(
    fc.property(sealedInputs(entries.map(encodeBlock)), key, (bytes, wanted) => {
      const opened = attempt(() => Block.open(blockId(7), bytes));
      if ("code" in opened) return;
      const block = opened.answer;
      for (let i = 0; i < block.count; i++) {
        attempt(() => [block.keyAt(i), block.keyEquals(i, wanted), block.entryBytesAt(i)]);
        const [whole, payload] = [attempt(() => block.versionAt(i)), attempt(() => block.payloadAt(i))];
        if ("answer" in whole) expect(payload).toEqual({ answer: whole.answer.payload });
        if ("answer" in whole) expect(Number.isSafeInteger(whole.answer.seq)).toBe(true);
      }
      attempt(() => block.find(wanted, newest));
      attempt(() => block.chain(block.keyAt(0), newest));
    }),
    { numRuns },
  );
});

test("a filter of any bytes answers, and that of its keys holds them", () => {
  fc.assert(
    fc.property(noise, fc.array(key), (bytes, keys) => {
      for (const k of keys)
        expect([mayHold(filterOf(keys), hashOf(k)), typeof mayHold(bytes, hashOf(k))]).toEqual([true, "boolean"]);
    }),
    { numRuns: Math.ceil(numRuns / 5) },
  );
});

/** As the manifest lists them: one behind the other. */
const infos = fc
  .uniqueArray(fc.tuple(key, fc.nat(500).map(seq)), { minLength: 2, maxLength: 12, selector: ([k]) => k })
  .chain((keys) => {
    const sorted = keys.map(([k, s]) => ({ key: k, seq: s })).toSorted(compareInternal);
    const pairs = sorted
      .slice(0, sorted.length & ~1)
      .flatMap((first, i, all) => (i % 2 === 0 ? [[first, all[i + 1]!] as const] : []));
    return fc.tuple(...pairs.map(([first, last], i) => infoArb(i, first, last)));
  });
const infoArb = (i: number, first: BlockInfo["first"], last: BlockInfo["last"]): fc.Arbitrary<BlockInfo> =>
  fc.record({
    id: fc.constant(blockId(100 + i)),
    first: fc.constant(first),
    last: fc.constant(last),
    count: fc.integer({ min: 1, max: 500 }),
    tombstones: fc.nat(9),
    obsolete: fc.nat(9),
    outside: fc.nat(3),
    due: fc.constantFrom(Infinity, 0, 7),
    pinned: fc.nat(3),
    sizeBytes: fc.nat(40_000),
    filter: fc.uint8Array({ maxLength: 12 }),
  });

const made = infos.map((added) => {
  let pages = 0;
  const edits = [{ level: 3, removed: [], added }];
  const marks = { set: [[added[0]!.id, 5] as const], cleared: new Set<never>() };
  return Manifest.empty.edit(edits, () => ++pages, marks);
});

test("[MV8] a manifest of any root and any pages is refused as damaged, or lists blocks in order", () => {
  const roots = sealedInputs(made.map((m) => m.encodeRoot()));
  const pages = sealedInputs(made.map((m) => m.pages()[0]!.encode()));
  fc.assert(
    fc.property(made, roots, pages, fc.boolean(), fc.boolean(), key, (whole, root, page, isRoot, isPage, wanted) => {
      const decoded = attempt(() => decodeRoot(isRoot ? root : whole.encodeRoot()));
      if ("code" in decoded) return;
      const rows = pageSummaries(decoded.answer).map(({ id }) => {
        const value = (isPage ? page : whole.pages()[0]!.encode()) as StoredValue;
        return { key: `manifest/${id}`, value };
      });
      const found = attempt(() => {
        const manifest = rowsManifest(decoded.answer, rows);
        for (const level of manifest.levels) {
          const blocks = [...level.blocks()];
          for (const [i, info] of blocks.entries()) {
            if (i > 0) expect(compareInternal(blocks[i - 1]!.last, info.first)).toBeLessThan(0);
          }
          level.holding(wanted);
          level.findBeginning(wanted);
        }
        return manifest.encodeRoot();
      });
      if ("answer" in found) expect(decodeRoot(found.answer).levels).toEqual(decoded.answer.levels);
    }),
    { numRuns },
  );
});

test("[MV8] a manifest of the first format, of any bytes, is refused as damaged, or lists blocks in order", () => {
  const bare = Uint8Array.from(Buffer.from("544d4d460000000001010100016bff010100070564", "hex"));
  const old = resealed(bare, bare);
  expect(upgradedFrom1(old)).toMatchObject({ blocks: 1, versions: 5, sizeBytes: 100 });
  fc.assert(
    fc.property(sealedInputs(fc.constant(old)), (bytes) => {
      const found = attempt(() => upgradedFrom1(bytes));
      if ("answer" in found) expect(found.answer.blocks).toBeGreaterThanOrEqual(0);
    }),
    { numRuns },
  );
});

test("a page that is read again is the one that was written", () => {
  fc.assert(
    fc.property(made, (manifest) => {
      const [page] = manifest.pages();
      expect(Page.stored(page!, page!.encode()).infos).toEqual(page!.infos);
      expect(decodeRoot(manifest.encodeRoot())).toMatchObject({ version: 1, marks: manifest.marks });
    }),
    { numRuns: Math.ceil(numRuns / 10) },
  );
});
