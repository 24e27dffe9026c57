/**
 * Generations: numbers that are given out once in the life of a medium, by a durable counter. Whoever has one has 2^30
 * ids of its own, for blocks and for chunks of values. The counter outlives even the database's deletion, so that a tab
 * which was frozen meanwhile can never write over what is its namesake's.
 */
import { assert } from "../base/errors.ts";
import { type Found, get, type Read, type ReserveUse, type Storage, valueOf, type Write } from "../storage/contract.ts";
import { damaged } from "./envelope.ts";
import { openRow, putRow } from "./row.ts";

export const idsPerGeneration: number = 2 ** 30;
/** Ids stay below 2^53. */
const maxGenerations = 2 ** 23;

const key = "generation";
const what = "generation";

/** The counter, and the upkeep epoch, which gave out generations before there was a counter. */
export const readGenerations: readonly Read[] = [get("meta", key), get("meta", "upkeep")];

const lastIn = (found: Found | undefined, of: string): number => {
  const bytes = valueOf(found);
  if (!bytes) return 0;
  const last = openRow(bytes, of, what).varint();
  if (last < maxGenerations) return last;
  throw damaged({ what }, "says that more were given out than there are");
};

/** The last one given out, in what `readGenerations` found. */
export const lastGeneration = (found: readonly (Found | undefined)[]): number =>
  Math.max(lastIn(found[0], key), lastIn(found[1], "upkeep"));

export function putGeneration(last: number): Write {
  assert(last < maxGenerations, "there are generations left");
  return putRow(key, (out) => out.varint(last));
}

/** Takes the next one. Strict: who has it may outlive a crash of the medium, and nobody must get it again then. */
export async function takeGeneration(storage: Storage, reserve: ReserveUse = "none"): Promise<number> {
  let taken = 0;
  do {
    await storage.commit({
      durability: "strict",
      isRepeatable: true,
      reserve,
      stores: ["meta"],
      reads: readGenerations,
      writes: (found) => {
        taken = lastGeneration(found) + 1;
        return [putGeneration(taken)];
      },
    });
  } while (isInUse(await storage.read(readsOfIds(taken))));
  return taken;
}

/** For `isInUse`. */
export const readsOfIds = (taken: number): readonly Read[] =>
  (["blocks", "blobs"] as const).map((store) => ({
    kind: "keys",
    store,
    range: { from: taken * idsPerGeneration },
    limit: 1,
  }));

/**
 * Whether ids of a generation that was taken just now, or of later ones, have been written to: then the counter was lost,
 * and whoever goes on with it would write over what is stored. It is above that again when enough have been taken.
 */
export const isInUse = (found: readonly Found[]): boolean => found.some((keys) => keys.length > 0);
