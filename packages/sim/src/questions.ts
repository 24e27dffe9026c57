/**
 * Reads, each said twice: as a program asks the database, and as one line over arrays. What the two answer is compared
 * as text.
 */
import type { ReadableCollection } from "tidemark";
import { brief, type State, text, type Value } from "./model.ts";
import type { Random } from "./random.ts";
import { type Collections, groupOf, idOf, type Item, type Name, tagOf } from "./schema.ts";

/** A database, a transaction or a view. */
export interface Readable {
  collection<N extends Name>(name: N): ReadableCollection<Collections[N]>;
}

export interface Question {
  readonly what: string;
  /** What the database answers, as text. */
  ask(of: Readable): Promise<string>;
  /** What it should, in this state. */
  answer(state: State): string;
}

type Made = readonly [
  what: string,
  ask: (of: Readable) => Promise<unknown>,
  answer: (items: readonly Item[]) => unknown,
];

const byKey = (a: Item, b: Item): number => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0);
const byN = (a: Item, b: Item): number => a.n - b.n || byKey(a, b);
const byGroupN = (a: Item, b: Item): number => (a.group < b.group ? -1 : a.group > b.group ? 1 : byN(a, b));

/** A question about one collection. */
export function questionOf(random: Random, name: Name = random.chance(0.8) ? "items" : "notes"): Question {
  const [what, ask, answer] = name === "items" ? ofItems(random) : ofBoth(random, name);
  return {
    what: `${name} ${what}`,
    ask: async (of) => flat(await ask(of)),
    answer: (state) => flat(answer(([...state(name).values()] as unknown as Item[]).toSorted(byKey))),
  };
}

function ofBoth(random: Random, name: Name): Made {
  const id = idOf(random);
  const [low, high] = [random.below(10), random.below(12)];
  const limit = 1 + random.below(4);
  return random.pick<() => Made>([
    () => [`get ${id}`, (of) => of.collection(name).get(id), (all) => all.find((i) => i.id === id)],
    () => [`has ${id}`, (of) => of.collection(name).has(id), (all) => all.some((i) => i.id === id)],
    () => {
      const ids = [id, idOf(random), idOf(random)];
      return [
        `getMany ${ids.join()}`,
        (of) => of.collection(name).getMany(ids),
        (all) => ids.map((k) => all.find((i) => i.id === k)),
      ];
    },
    () => ["all", (of) => of.collection(name).all(), (all) => all],
    () => ["count", (of) => of.collection(name).count(), (all) => all.length],
    () => [
      `n in ${low}–${high}`,
      (of) => of.collection(name).where("n").between(low, high).toArray(),
      (all) => all.filter((i) => low <= i.n && i.n < high).toSorted(byN),
    ],
    () => [
      `keys from ${id}, backwards, ${limit}`,
      (of) => of.collection(name).where().aboveOrEqual(id).reverse().limit(limit).primaryKeys(),
      (all) =>
        all
          .filter((i) => i.id >= id)
          .map((i) => i.id)
          .toReversed()
          .slice(0, limit),
    ],
    () => [
      `count of n above ${low}`,
      (of) => of.collection(name).where("n").above(low).count(),
      (all) => all.filter((i) => i.n > low).length,
    ],
  ])();
}

function ofItems(random: Random): Made {
  if (random.chance(0.5)) return ofBoth(random, "items");
  const [group, tag] = [groupOf(random), tagOf(random)];
  const [from, count] = [random.below(3), 1 + random.below(5)];
  return random.pick<() => Made>([
    () => [
      `tagged ${tag}`,
      (of) => of.collection("items").where("tags").equals(tag).toArray(),
      (all) => all.filter((i) => i.tags.includes(tag)),
    ],
    () => [
      "count of those with tags",
      (of) => of.collection("items").where("tags").above("").count(),
      (all) => all.filter((i) => i.tags.length > 0).length,
    ],
    () => [
      `group ${group}, ${count} from ${from}`,
      (of) => of.collection("items").where("groupN").startsWith([group]).offset(from).limit(count).toArray(),
      (all) =>
        all
          .filter((i) => i.group === group)
          .toSorted(byGroupN)
          .slice(from, from + count),
    ],
    () => [
      `slug s${from}`,
      (of) => of.collection("items").where("slug").equals(`s${from}`).first(),
      (all) => all.find((i) => i.slug === `s${from}`),
    ],
    () => [
      `odd n of ${group}`,
      (of) =>
        of
          .collection("items")
          .find({ group, n: { $gte: from } }, { sort: "n" })
          .toArray(),
      (all) => all.filter((i) => i.group === group && i.n >= from).toSorted(byN),
    ],
    () => [
      "the first by group",
      (of) => of.collection("items").where("groupN").first(),
      (all) => all.toSorted(byGroupN)[0],
    ],
    () => [
      "the last by group",
      (of) => of.collection("items").where("groupN").last(),
      (all) => all.toSorted(byGroupN).at(-1),
    ],
  ])();
}

function flat(answer: unknown): string {
  if (Array.isArray(answer)) return `[${answer.map((one) => flat(one)).join()}]`;
  return typeof answer === "object" && answer !== null ? brief(answer as Value) : (text(answer) ?? "nothing");
}
