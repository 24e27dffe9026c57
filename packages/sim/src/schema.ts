/** What the simulated programs store, and how random records of it come about. */
import type { Engine } from "./engine.ts";
import type { Random } from "./random.ts";

export interface Item {
  readonly id: string;
  /** Unique to the call that wrote it. */
  readonly token: string;
  readonly n: number;
  readonly group: string;
  readonly tags: readonly string[];
  readonly slug?: string;
  readonly pad?: string;
  /** The data version that it was written under, once there is a second one. */
  readonly version?: number;
}

const indexes = {
  n: "n",
  tags: { path: "tags", multi: true },
  slug: { path: "slug", unique: true },
  groupN: ["group", "n"],
} as const;

export function schemaOf({ collection, RetentionPolicy }: Engine) {
  const retention = RetentionPolicy.keepLatestN(3);
  const items = collection<Item>()({ key: "id", indexes });
  const notes = collection<Item>()({ key: "id", indexes: { n: "n" }, retention });
  // Version 2: items are migrated; of notes an index is built on what is there.
  const further = {
    items: collection<Item>()({ key: "id", indexes: { ...indexes, group: "group" } }),
    notes: collection<Item>()({ key: "id", indexes: { n: "n", group: "group" }, retention }),
  };
  return { first: { items, notes }, second: further };
}
export type Collections = ReturnType<typeof schemaOf>["first"];
export type Name = keyof Collections;
export const names: readonly Name[] = ["items", "notes"];

const groups = ["a", "b", "c"];
const tags = ["x", "y", "z"];
const keys = 14;

export const idOf = (random: Random): string => `k${String(random.below(keys)).padStart(2, "0")}`;

export function itemOf(random: Random, token: string, id: string = idOf(random)): Item {
  const slug = random.chance(0.25) ? { slug: `s${random.below(8)}` } : {};
  const size = random.pick([0, 20, 200, 2000, 5000, 8000, random.chance(0.3) ? 90_000 : 40_000]);
  const pad = size === 0 ? {} : { pad: `${token}.`.repeat(Math.ceil(size / (token.length + 1))) };
  return {
    id,
    token,
    n: random.below(12),
    group: random.pick(groups),
    tags: tags.filter(() => random.chance(0.4)),
    ...slug,
    ...pad,
  };
}

export const groupOf = (random: Random): string => random.pick(groups);
export const tagOf = (random: Random): string => random.pick(tags);
