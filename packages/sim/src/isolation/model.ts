/** A database that is trivially correct, if transactions run one after another; and one without any isolation. */
import {
  type Answer,
  answerOf,
  answerOfRange,
  type Ended,
  isRead,
  type Item,
  type Name,
  type Outcome,
  type Read,
  type Step,
  type Write,
} from "./script.ts";

type State = Map<string, Item>;

class Refused extends Error {}

function read(state: State, action: Read): Answer {
  return action.do === "get" ? answerOf(state.get(action.id)) : answerOfRange(between(state, action));
}

function write(state: State, action: Write): void {
  switch (action.do) {
    case "put":
      return put(state, action.item);
    case "add":
      if (state.has(action.item.id)) throw new Refused("its key is taken");
      return put(state, action.item);
    case "delete":
      state.delete(action.id);
      break;
    case "clear":
      state.clear();
      break;
    case "deleteRange":
      for (const { id } of between(state, action)) state.delete(id);
      break;
    default:
      for (const item of between(state, action)) put(state, { ...item, n: item.n + action.by });
  }
}

function put(state: State, item: Item): void {
  const owner = [...state.values()].find(({ slug }) => slug !== undefined && slug === item.slug);
  if (owner && owner.id !== item.id) throw new Refused("its slug is taken");
  state.set(item.id, item);
}

const between = (state: State, { from, to }: { readonly from: number; readonly to: number }): readonly Item[] =>
  [...state.values()].filter(({ n }) => from <= n && n < to).sort((a, b) => a.n - b.n || (a.id < b.id ? -1 : 1));

const stateOf = (items: readonly Item[]): State => new Map(items.map((item) => [item.id, item]));

/** What comes out if they run one after another, in this order. How often bodies run is not compared. */
function serially(start: readonly Item[], steps: readonly Step[], order: readonly Name[]): Outcome {
  const ended: { [who in Name]?: Ended } = {};
  let state = stateOf(start);
  for (const who of order) {
    const draft = new Map(state);
    const answers: Answer[] = [];
    let failed: string | undefined;
    try {
      for (const { what } of steps.filter((step) => step.who === who)) {
        if (what === "rollback") failed = "rolled back";
        if (typeof what === "string") continue;
        if (isRead(what)) answers.push(read(draft, what));
        else write(draft, what);
      }
    } catch (e) {
      if (!(e instanceof Refused)) throw e;
      failed = "CONSTRAINT";
    }
    if (failed === undefined) state = draft;
    ended[who] = { answers, runs: 1, ...(failed === undefined ? {} : { failed }) };
  }
  return { ended, items: Object.fromEntries(state) };
}

export function serialOutcomes(start: readonly Item[], steps: readonly Step[]): readonly Outcome[] {
  const names = [...new Set(steps.map(({ who }) => who))];
  return permutations(names).map((order) => serially(start, steps, order));
}

const permutations = <T>(of: readonly T[]): readonly (readonly T[])[] =>
  of.length === 0 ? [[]] : of.flatMap((one, i) => permutations(of.toSpliced(i, 1)).map((rest) => [one, ...rest]));

/** What comes out if every step takes effect at once, and rolling back takes back what it wrote. Nobody is refused. */
export function withoutIsolation(start: readonly Item[], steps: readonly Step[]): Outcome {
  const state = stateOf(start);
  const before = new Map<Name, State>();
  const answers = new Map<Name, Answer[]>();
  const failed = new Map<Name, string>();
  for (const { who, what } of steps) {
    if (!before.has(who)) before.set(who, new Map(state));
    if (what === "rollback") {
      state.clear();
      for (const [id, item] of before.get(who)!) state.set(id, item);
      failed.set(who, "rolled back");
    }
    if (typeof what === "string") continue;
    if (isRead(what)) answers.set(who, [...(answers.get(who) ?? []), read(state, what)]);
    else if (what.do === "add" || what.do === "put") state.set(what.item.id, what.item);
    else write(state, what);
  }
  const endedOf = (who: Name): Ended => ({
    answers: answers.get(who) ?? [],
    runs: 1,
    ...(failed.has(who) ? { failed: failed.get(who)! } : {}),
  });
  return {
    ended: Object.fromEntries([...before.keys()].map((who) => [who, endedOf(who)])),
    items: Object.fromEntries(state),
  };
}
