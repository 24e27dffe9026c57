/** Writes outside of transactions: each is one commit, or none. */
import type { Actor } from "./actor.ts";
import { applied, type Effects, type Intent, type State, text, type Value } from "./model.ts";
import type { Random } from "./random.ts";
import { type Item, idOf, itemOf, type Name, tagOf } from "./schema.ts";

interface Write {
  readonly what: string;
  readonly call: () => Promise<unknown>;
  readonly effects: (before: State) => Effects;
  /** Whether it does nothing in that state, and says so with this answer. */
  readonly idle?: (before: State, answer: unknown) => boolean;
  /** Names nobody in the log: found by what it did. */
  readonly isNameless?: boolean;
  /** Whether it has to be refused in that state. */
  readonly isRefusedIn?: (before: State) => boolean;
}

const effectsOn = (name: string, writes: Iterable<readonly [string, Value | undefined]>): Effects => ({
  clears: [],
  writes: new Map([[name, new Map(writes)]]),
});

/** Whether two records claim one slug, which is unique. */
export function isClashing(state: State): boolean {
  const slugs = [...state("items").values()].flatMap(({ slug }) => (slug === undefined ? [] : [slug]));
  return new Set(slugs).size < slugs.length;
}

export async function writeOf(actor: Actor, random: Random): Promise<void> {
  const token = actor.stage.token(actor.name);
  const write = random.weighted(kinds)(actor, random, token);
  const { stage, low } = actor;
  const { head } = stage.model;
  const intent: Intent = { what: write.what, version: actor.version, effects: write.effects };
  if (!write.isNameless) stage.model.intend(token, intent);
  const outcome = await actor.call(write.what, write.call);
  if (outcome.is === "lost") return;
  if (outcome.is === "failed") {
    const { code } = outcome.error;
    if (!write.isNameless) actor.refused(token, intent, code);
    if (code === "CONSTRAINT") {
      const isRight = (state: State): boolean =>
        write.isRefusedIn?.(state) === true || isClashing(applied(state, write.effects(state)));
      if (actor.stateOf(low, isRight) === undefined)
        stage.fault("MV3", `${write.what} is refused, and nothing is in its way`);
    } else if (code !== "CONFLICT") actor.unexpected(write.what, outcome);
    return;
  }
  const seq = write.isNameless ? stage.model.claim(head, stage.model.head, write.effects) : intent.seq;
  if (seq !== undefined) return actor.acknowledged(seq, stage.plan.isStrict);
  const idle = write.idle && actor.stateOf(low, (state) => write.idle!(state, outcome.value));
  if (idle === undefined)
    stage.fault(
      "MV1",
      `${write.what} (${token}) is acknowledged with ${JSON.stringify(outcome.value)?.slice(0, 200)}, and nowhere in the log`,
    );
  else actor.saw(idle);
}

type Make = (actor: Actor, random: Random, token: string) => Write;

const pickName = (random: Random): Name => (random.chance(0.8) ? "items" : "notes");

/** Notes have no tags, slugs and groups of their own, but the same shape. */
export const draft = (random: Random, name: Name, token: string): Item => {
  const item = itemOf(random, token);
  if (name === "items") return item;
  const { slug: _, ...rest } = item;
  return rest;
};

const asValue = (item: Item): Value => item as unknown as Value;
export const entry = (item: Item): readonly [string, Value] => [text(item.id), asValue(item)];

const put: Make = (actor, random, token) => {
  const name = pickName(random);
  const item = draft(random, name, token);
  return {
    what: `put ${name}/${item.id} ${token}`,
    call: () => actor.db.collection(name).put(item),
    effects: () => effectsOn(name, [entry(item)]),
  };
};

const add: Make = (actor, random, token) => {
  const name = pickName(random);
  const item = draft(random, name, token);
  return {
    what: `add ${name}/${item.id} ${token}`,
    call: () => actor.db.collection(name).add(item),
    effects: () => effectsOn(name, [entry(item)]),
    isRefusedIn: (state) => state(name).has(text(item.id)),
  };
};

const putMany: Make = (actor, random, token) => {
  const name = pickName(random);
  const items = Array.from({ length: 1 + random.below(random.chance(0.1) ? 14 : 5) }, () => draft(random, name, token));
  const isAdd = random.chance(0.2);
  const distinct = new Map(items.map((item) => entry(item)));
  const usable = isAdd ? [...new Map(items.map((item) => [item.id, item])).values()] : items;
  return {
    what: `${isAdd ? "addMany" : "putMany"} ${name}/${usable.map(({ id }) => id).join()} ${token}`,
    call: () => (isAdd ? actor.db.collection(name).addMany(usable) : actor.db.collection(name).putMany(usable)),
    effects: () => effectsOn(name, distinct),
    isRefusedIn: (state) =>
      usable.some(({ id }) => isAdd && state(name).has(text(id))) ||
      isClashing(applied(state, effectsOn(name, distinct))),
  };
};

/** A change of one record, as a patch or as a function. */
const update: Make = (actor, random, token) => {
  const id = idOf(random);
  const patch = {
    token,
    n: random.below(12),
    tags: [tagOf(random)],
    ...(random.chance(0.2) ? { pad: "short" } : {}),
  };
  const isFunction = random.chance(0.5);
  return {
    what: `update items/${id} ${token}`,
    call: () =>
      isFunction
        ? actor.db
            .collection("items")
            .update(id, (current) => patched(current as unknown as Value, patch) as unknown as Item)
        : actor.db.collection("items").update(id, patch),
    effects: (before) => {
      const found = before("items").get(text(id));
      return found ? effectsOn("items", [[text(id), patched(found, patch)]]) : { clears: [], writes: new Map() };
    },
    idle: (before, answer) => answer === undefined && !before("items").has(text(id)),
  };
};

function patched(value: Value, patch: object): Value {
  const all: Record<string, unknown> = { ...value, ...patch };
  for (const [field, of] of Object.entries(all)) if (of === undefined) delete all[field];
  return all;
}

const upsert: Make = (actor, random, token) => {
  const item = itemOf(random, token);
  const next = (current: Value | undefined): Value => ({
    ...asValue(item),
    n: ((current?.["n"] as number | undefined) ?? 0) + 1,
  });
  return {
    what: `upsert items/${item.id} ${token}`,
    call: () =>
      actor.db.collection("items").upsert(item.id, (current) => next(current as unknown as Value) as unknown as Item),
    effects: (before) => effectsOn("items", [[text(item.id), next(before("items").get(text(item.id)))]]),
  };
};

const queryUpdate: Make = (actor, random, token) => {
  const at = random.below(12);
  const matches = (before: State): [string, Value][] =>
    [...before("items")]
      .filter(([, value]) => value["n"] === at)
      .map(([key, value]) => [key, { ...value, token, n: at + 1 }]);
  return {
    what: `update all items of n ${at} ${token}`,
    call: () =>
      actor.db
        .collection("items")
        .where("n")
        .equals(at)
        .update((current) => ({ ...current, token, n: at + 1 })),
    effects: (before) => effectsOn("items", matches(before)),
    idle: (before, answer) => answer === 0 && matches(before).length === 0,
  };
};

const queryDelete: Make = (actor, random) => {
  const at = random.below(12);
  const matches = (before: State): [string, undefined][] =>
    [...before("items")].filter(([, value]) => value["n"] === at).map(([key]) => [key, undefined]);
  return {
    what: `delete all items of n ${at}`,
    call: () => actor.db.collection("items").where("n").equals(at).delete(),
    effects: (before) => effectsOn("items", matches(before)),
    idle: (before, answer) => answer === 0 && matches(before).length === 0,
    isNameless: true,
  };
};

const remove: Make = (actor, random) => {
  const name = pickName(random);
  const ids = Array.from({ length: random.chance(0.7) ? 1 : 1 + random.below(4) }, () => idOf(random));
  const isMany = ids.length > 1;
  const there = (before: State): string[] => [...new Set(ids)].filter((id) => before(name).has(text(id)));
  return {
    what: `delete ${name}/${ids.join()}`,
    call: () => (isMany ? actor.db.collection(name).deleteMany(ids) : actor.db.collection(name).delete(ids[0]!)),
    effects: (before) =>
      effectsOn(
        name,
        there(before).map((id) => [text(id), undefined]),
      ),
    idle: (before, answer) => (isMany ? answer === 0 : answer === false) && there(before).length === 0,
    isNameless: true,
  };
};

const clear: Make = (actor, random) => {
  const name = pickName(random);
  return {
    what: `clear ${name}`,
    call: () => actor.db.collection(name).clear(),
    effects: () => ({ clears: [name], writes: new Map() }),
    isNameless: true,
  };
};

const kinds: readonly (readonly [number, Make])[] = [
  [30, put],
  [8, add],
  [14, putMany],
  [10, update],
  [6, upsert],
  [5, queryUpdate],
  [4, queryDelete],
  [14, remove],
  [1.5, clear],
];
