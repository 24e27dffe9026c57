import { expect, test } from "vitest";
import { type BlockId, blockId, byteKey, seq, stamp, tableId } from "../base/brand.ts";
import { Block } from "./block.ts";
import type { BlockInfo } from "./block-info.ts";
import { noChanges } from "./changes.ts";
import { Level } from "./level.ts";
import { merge, type MergeInput, type Merged } from "./merge.ts";
import { headlong } from "./pace.ts";
import { ruleAt } from "./segments.test-support.ts";

const targetBytes = 500;
const stored = new Map<BlockId, Block>();
let ids = 0;

/** Merges into a level; keys as given, a letter each, whose value has so many bytes. */
async function merged(
  level: Level,
  sizes: Readonly<Record<string, number>>,
  above: readonly BlockInfo[],
): Promise<Merged> {
  const fresh = Object.entries(sizes).map(([name, size]) => ({
    key: byteKey(`\0\0\0\x01${name}`),
    versions: [{ seq: seq(++ids), stamp: stamp(1), payload: new Uint8Array(size) }],
  }));
  const input: MergeInput = {
    changes: fresh.length === 0 ? noChanges : { read: (from, n) => fresh.filter((c) => c.key >= from).slice(0, n) },
    above,
    level,
    below: [],
    staysAbove: undefined,
    rule: ruleAt(0),
    isDead: (table) => table !== tableId(1),
    targetBytes,
    maxStoreBytes: 10_000,
    pace: headlong,
    newBlockId: () => blockId(++ids),
    load: async (wanted) => wanted.map(({ id }) => stored.get(id)!),
    store: async (blocks) => {
      for (const { id, bytes } of blocks) stored.set(id, Block.open(id, bytes));
    },
  };
  return merge(input);
}

test("[VG14] a small block that lies before one that moves in stays before it", async () => {
  const newPageId = (): number => ++ids;
  const own = await merged(Level.empty, { a: 50, f: 480 }, []);
  const level = Level.empty.edit(own, newPageId);
  const above = (await merged(Level.empty, { d: 480, f: 470 }, [])).added;
  const { removed, added } = await merged(level, {}, above);
  const names = (infos: readonly BlockInfo[]): string => infos.map(({ first }) => first.key.at(-1)).join("");
  expect([names(level.pages[0]!.infos), names(above)]).toEqual(["af", "df"]);
  expect(added[0]).toBe(above[0]); // it moved
  expect(names([...level.edit({ removed, added }, newPageId).blocks()])).toBe("adff");
});
