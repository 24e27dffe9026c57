import { describe, expect, test } from "vitest";
import { RetentionPolicy } from "../codec/retention.ts";
import type { Retention } from "../codec/retention.ts";
import type { Catalog, Definition } from "../codec/schema.ts";
import { decodeCatalog, emptyCatalog, encodeCatalog } from "../mvcc/schema.ts";
import { cleared, mergeDeclaration } from "./catalog.ts";

const five = RetentionPolicy.keepLatestN(5).retention;
const byRange = RetentionPolicy.keepRange(3, 9).and(RetentionPolicy.keepFor(2)).retention;

const definition = (retention?: Retention, version = 1): Definition => ({
  version,
  dropCollections: [],
  collections: { notes: { key: "id", indexes: {}, ...(retention && { retention }) } },
});
/** As it is read from storage. */
const stored = (catalog: Catalog): Catalog => decodeCatalog(encodeCatalog(catalog));
const merged = (onto: Catalog, declared: Definition): Catalog | undefined => {
  const change = mergeDeclaration(onto, declared, onto.epoch + 1);
  expect(change?.build ?? []).toEqual([]);
  return change && stored(change.catalog);
};

describe("a declared retention", () => {
  test("[GM4] is stored with a new collection", () => {
    const catalog = merged(emptyCatalog, definition(byRange))!;
    expect(catalog.collections["notes"]).toMatchObject({ table: 1, retention: byRange });
    expect(merged(catalog, definition(byRange))).toBeUndefined();
  });

  test.each([
    ["one where there was none", undefined, five],
    ["another one", five, byRange],
    ["the one that keeps nothing", five, RetentionPolicy.union().retention],
  ])("[GM4] %s replaces the stored one: a new epoch, and the same tables", (_, before, now) => {
    const catalog = merged(emptyCatalog, definition(before))!;
    const next = merged(catalog, definition(now))!;
    expect(next).toEqual({
      ...catalog,
      epoch: catalog.epoch + 1,
      collections: { notes: { ...catalog.collections["notes"], retention: now } },
    });
    expect(merged(next, definition(now))).toBeUndefined();
  });

  test("[GM4] that is absent leaves the stored one, whatever else changes", () => {
    const catalog = merged(emptyCatalog, definition(five))!;
    expect(merged(catalog, definition())).toBeUndefined();
    const newer = merged(catalog, definition(undefined, 2))!;
    expect(newer.collections["notes"]).toEqual(catalog.collections["notes"]);
    const indexes = { n: { path: "n", unique: false, multi: false } };
    const indexed = mergeDeclaration(
      newer,
      { ...definition(undefined, 2), collections: { notes: { key: "id", indexes } } },
      9,
    )!;
    expect(indexed.catalog.collections["notes"]).toMatchObject({ retention: five, indexes });
  });

  test("[GM4] of an older program changes nothing", () => {
    const catalog = merged(emptyCatalog, definition(five, 2))!;
    expect(() => mergeDeclaration(catalog, definition(byRange, 1), 5)).toThrow(
      expect.objectContaining({ code: "SCHEMA_OUTDATED" }),
    );
  });

  test("[GM4][MV11] outlasts a clearing", () => {
    const catalog = merged(emptyCatalog, definition(five))!;
    expect(stored(cleared(catalog, "notes", 7)).collections["notes"]).toMatchObject({ table: 2, retention: five });
  });
});

describe("how long all collections keep versions", () => {
  const keeping = (keepForMs?: number): Definition => ({
    ...definition(),
    ...(keepForMs === undefined ? {} : { keepForMs }),
  });

  test("[CN][GM4] is stored with the catalog; declared anew it is replaced, absent it stays, and 0 ends it", () => {
    const catalog = merged(emptyCatalog, keeping(500))!;
    expect(catalog.keepForMs).toBe(500);
    expect(merged(catalog, keeping(500))).toBeUndefined();
    expect(merged(catalog, keeping())).toBeUndefined();
    expect(merged(catalog, keeping(80))).toEqual({ ...catalog, epoch: catalog.epoch + 1, keepForMs: 80 });
    expect(merged(catalog, definition(five))!.keepForMs).toBe(500);
    const ended = merged(catalog, keeping(0))!;
    expect(ended).not.toHaveProperty("keepForMs");
    expect(merged(ended, keeping(0))).toBeUndefined();
  });

  test("[CN][MV11] outlasts a clearing", () => {
    expect(stored(cleared(merged(emptyCatalog, keeping(500))!, "notes", 7)).keepForMs).toBe(500);
  });
});
