/** Transactions: what they read must be what is there right before their commit, and they write all or nothing. */
import type { Transaction } from "tidemark";
import type { Actor } from "./actor.ts";
import { applied, type Effects, type Intent, shown, type State, text, type Value } from "./model.ts";
import { Random } from "./random.ts";
import { type Question, questionOf } from "./questions.ts";
import { type Collections, idOf, type Name, names } from "./schema.ts";
import { draft, entry, isClashing } from "./writing.ts";

interface Reading {
  readonly question: Question;
  readonly answer: string;
  /** What the transaction itself had written by then. */
  readonly own: Effects;
}

class RolledBack extends Error {}

/** What one run of the body did. */
class Attempt {
  readonly readings: Reading[] = [];
  #clears: string[] = [];
  #writes = new Map<string, Map<string, Value | undefined>>();

  get effects(): Effects {
    return { clears: [...this.#clears], writes: new Map([...this.#writes].map(([name, of]) => [name, new Map(of)])) };
  }

  write(name: string, key: string, value: Value | undefined): void {
    this.#writes.set(name, (this.#writes.get(name) ?? new Map<string, Value | undefined>()).set(key, value));
  }

  clear(name: string): void {
    this.#clears.push(name);
    this.#writes.delete(name);
  }
}

export async function transact(actor: Actor, random: Random): Promise<void> {
  const { stage, low } = actor;
  const tag = stage.token(actor.name);
  const isSnapshot = random.chance(0.25);
  const isReadonly = !isSnapshot && random.chance(0.12);
  const isStrict = stage.plan.isStrict || random.chance(0.15);
  const rollsBack = random.chance(0.07);
  const bodySeed = random.seed();
  let attempt = new Attempt();
  const intent: Intent = { what: `transaction ${tag}`, version: actor.version, effects: () => attempt.effects };
  stage.model.intend(tag, intent);
  const body = async (tx: Transaction<Collections>): Promise<void> => {
    attempt = new Attempt();
    await play(actor, tx, attempt, bodySeed, isReadonly);
    if (rollsBack) throw new RolledBack("on purpose");
  };
  const options = {
    isolation: isSnapshot ? ("snapshot" as const) : ("serializable" as const),
    mode: isReadonly ? ("readonly" as const) : ("readwrite" as const),
    durability: isStrict ? ("strict" as const) : ("relaxed" as const),
    tag,
  };
  const outcome = await actor.call(`transaction ${tag}${isSnapshot ? " (snapshot)" : ""}`, () =>
    actor.db.transaction(body, options).catch((e: unknown) => {
      if (!(e instanceof RolledBack)) throw e;
      return "rolled back" as const;
    }),
  );
  if (outcome.is === "lost") return;
  if (outcome.is === "failed") {
    const { code } = outcome.error;
    actor.refused(tag, intent, code);
    const isRight = (state: State): boolean => refusedIn(state, attempt.effects);
    if (code === "CONSTRAINT" && actor.stateOf(low, isRight) === undefined)
      stage.fault("MV3", `transaction ${tag} is refused, and nothing is in its way`);
    if (code !== "CONSTRAINT" && code !== "CONFLICT") actor.unexpected(`transaction ${tag}`, outcome);
    return;
  }
  if (outcome.value === "rolled back") return actor.refused(tag, intent, "rolling back");
  if (intent.seq === undefined) return checkReadOnly(actor, tag, attempt, low);
  actor.acknowledged(intent.seq, isStrict);
  check(actor, tag, attempt, intent.seq, isSnapshot);
}

const holds = (state: State, { question, answer, own }: Reading): boolean =>
  question.answer(applied(state, own)) === answer;

/** Every write was in vain, or there was none: what was read is one state. */
function checkReadOnly(actor: Actor, tag: string, { readings, effects }: Attempt, low: number): void {
  const isAll = (state: State): boolean => readings.every((reading) => holds(state, reading)) && isIdle(state, effects);
  if (actor.stateOf(low, isAll) !== undefined) return;
  const { head } = actor.stage.model;
  actor.stage.fault(
    "MV3",
    `transaction ${tag} read no one state of ${low} to ${head}: ${readings.map(({ question, answer }) => `${question.what}: ${answer}`).join("; ")}`,
  );
}

const isIdle = (state: State, { clears, writes }: Effects): boolean =>
  clears.length === 0 &&
  [...writes].every(([name, of]) => [...of].every(([key, value]) => value === undefined && !state(name).has(key)));

function check(actor: Actor, tag: string, { readings, effects }: Attempt, seq: number, isSnapshot: boolean): void {
  const { model } = actor.stage;
  if (!isSnapshot) {
    const before = model.at(seq - 1);
    for (const reading of readings) {
      if (holds(before, reading)) continue;
      const { question, answer, own } = reading;
      actor.stage.fault(
        "MV3",
        `transaction ${tag}, commit ${seq}, read ${question.what}: ${answer}; right before it that is ${question.answer(applied(before, own))}`,
      );
    }
    return;
  }
  const written = [...effects.writes].flatMap(([name, of]) => [...of.keys()].map((key) => `${name}/${key}`));
  for (let r = seq - 1; r >= 0; r--) {
    const state = model.at(r);
    if (!readings.every((reading) => holds(state, reading))) continue;
    const others = model.writtenIn(r, seq - 1);
    if (!written.some((key) => others.has(key))) return;
  }
  const all = readings.map(({ question, answer }) => `${question.what}: ${answer}`).join("; ");
  actor.stage.fault(
    "MV3",
    `snapshot transaction ${tag}, commit ${seq}, read no state that its writes did not miss: ${all}; it did ${shown(effects)}`,
  );
}

/** Whether an add meets a record, or a slug is taken. */
const refusedIn = (state: State, effects: Effects): boolean =>
  isClashing(applied(state, effects)) ||
  [...effects.writes].some(([name, of]) =>
    [...of].some(([key, value]) => value?.["isAdded"] === true && state(name).has(key)),
  );

async function play(
  actor: Actor,
  tx: Transaction<Collections>,
  attempt: Attempt,
  seed: number,
  isReadonly: boolean,
): Promise<void> {
  const { stage } = actor;
  const random = new Random(seed);
  const steps = 1 + random.below(6);
  for (let i = 0; i < steps; i++) {
    if (random.chance(0.3)) await stage.world.sleep(random.below(20));
    if (isReadonly || random.chance(0.5)) await ask(tx, attempt, questionOf(random));
    else await change(tx, attempt, random, stage.token(actor.name));
  }
}

async function ask(tx: Transaction<Collections>, attempt: Attempt, question: Question): Promise<void> {
  const own = attempt.effects;
  attempt.readings.push({ question, own, answer: await question.ask(tx) });
}

async function change(tx: Transaction<Collections>, attempt: Attempt, random: Random, token: string): Promise<void> {
  const name: Name = random.pick(names);
  if (random.chance(0.02)) {
    attempt.clear(name);
    return tx.collection(name).clear();
  }
  if (random.chance(0.2)) {
    const id = idOf(random);
    attempt.write(name, text(id), undefined);
    await tx.collection(name).delete(id);
    return;
  }
  if (random.chance(0.2)) {
    const id = idOf(random);
    const next = await tx.collection(name).update(id, (current) => ({ ...current, n: current.n + 1, token }));
    if (next) attempt.write(name, text(id), next as unknown as Value);
    return;
  }
  const item = draft(random, name, token);
  const isAdd = random.chance(0.2);
  const written = isAdd ? { ...item, isAdded: true } : item;
  const [key, value] = entry(written);
  if (isAdd && attempt.effects.writes.get(name)?.get(key) !== undefined) return; // it would clash with ourselves
  attempt.write(name, key, value);
  await (isAdd ? tx.collection(name).add(written) : tx.collection(name).put(written));
}
