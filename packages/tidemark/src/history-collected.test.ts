/** History as a tab tells it that has not heard yet of what another one collected. */
import { beforeEach, describe, expect, test } from "vitest";
import { byteKey, type ByteKey } from "./base/brand.ts";
import { encodeKey } from "./codec/key.ts";
import { tablePrefix } from "./codec/record.ts";
import { decodeValue } from "./codec/value.ts";
import type { Handle } from "./mvcc/handles.ts";
import { pinId } from "./mvcc/holders.ts";
import { chunkKeys, large } from "./large-values.test-support.ts";
import { type Item, put, type Tab, World, write } from "./test-world.test-support.ts";

let world: World;
let [tab, other]: Tab[] = [];
beforeEach(async () => {
  world = new World({ cacheMaxBytes: 1 });
  [tab, other] = [await world.open(), await world.open()];
});

const view = (of: Tab, handle: number): Promise<Handle> =>
  of.database.begin(handle, { tracked: false, isolation: "snapshot", fresh: true, attempt: 0 });
const keyOf = (of: Tab, id: string): ByteKey =>
  byteKey(tablePrefix(of.database.catalog.collections["items"]!.table) + encodeKey(id, "items.id"));
const numbers = async (handle: Handle, of: Tab): Promise<readonly unknown[]> =>
  (await handle.history(keyOf(of, "a"))).map(({ value }) => value && (decodeValue(value) as Item).n);

describe.each([
  ["values out of line", 100_000],
  ["values in blocks", 100],
])("history of %s", (_, sizeBytes) => {
  const versions = async (): Promise<void> => {
    for (let n = 1; n <= 4; n++) await write(tab!, [put(large("a", n, sizeBytes))]);
  };

  test("[VG2] is what another tab left of it, and no damage", async () => {
    const keeping = await view(tab!, 1);
    await versions();
    await world.upkeep(tab!); // the view keeps them, in blocks
    await other!.database.store.reload();
    const seen = await view(other!, 2);
    expect(await numbers(seen, other!)).toEqual([4, 3, 2, 1]);
    expect(await numbers(keeping, tab!)).toEqual([]);
    await tab!.database.end(1);
    await write(tab!, [put(large("a", 5, sizeBytes))]);
    await world.upkeep(tab!, [other!]);
    expect((await chunkKeys(tab!.storage)).length).toBe(sizeBytes > 1000 ? 4 : 0); // two versions, of two chunks each
    expect(await numbers(seen, other!)).toEqual([4]);
    const fresh = await view(other!, 3);
    expect(await numbers(fresh, other!)).toEqual([5, 4]);
  });

  test("[TB5] is refused to a view that was evicted", async () => {
    await versions();
    const seen = await view(other!, 2);
    await write(tab!, [put(large("a", 5, sizeBytes))]);
    await world.raise(other!);
    await world.advance(tab!, { evict: new Set([pinId(other!.id)]), by: "user" });
    await world.upkeep(tab!);
    world.pass(5000);
    await expect(seen.history(keyOf(other!, "a"))).rejects.toMatchObject({ code: "READ_VIEW_EVICTED" });
  });
});
