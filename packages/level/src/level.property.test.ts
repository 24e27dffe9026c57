/** Calls in any order, none awaited, against a sorted array: each takes effect when it is made. */
import fc from "fast-check";
import { afterEach, describe, expect, test } from "vitest";
import { TidemarkLevel } from "./index.ts";

type Bytes = Uint8Array;
type Entry = readonly [key: Bytes, value: string];
/** Sorted by bytes. */
type Model = readonly Entry[];
type Db = TidemarkLevel<Bytes>;

let n = 0;
const made: Db[] = [];
function make(): Db {
  const options = { storage: "memory", worker: false, keyEncoding: "view" } as const;
  const db = new TidemarkLevel<Bytes>(`property${n++}`, options);
  made.push(db);
  return db;
}
afterEach(() => Promise.all(made.splice(0).map((db) => db.close())));

const compare = (a: Uint8Array, b: Uint8Array): number => Buffer.compare(a, b);

interface Range {
  readonly gt?: Bytes;
  readonly gte?: Bytes;
  readonly lt?: Bytes;
  readonly lte?: Bytes;
  readonly reverse?: boolean;
  readonly limit?: number;
}
type Put = readonly ["put", Bytes, string];
type Del = readonly ["del", Bytes];
type Call =
  | Put
  | Del
  | readonly ["batch", readonly (Put | Del)[]]
  | readonly ["clear", Range]
  | readonly ["get", Bytes]
  | readonly ["getMany", readonly Bytes[]]
  | readonly ["hasMany", readonly Bytes[]]
  | readonly ["iterate", Range, readonly Step[]];
/** Of an iterator, once all calls were made. */
type Step = readonly ["next"] | readonly ["nextv", number] | readonly ["seek", Bytes] | readonly ["all"];

// The model.

function within(model: Model, { gt, gte, lt, lte, reverse = false, limit = Infinity }: Range): Model {
  const found = model.filter(([key]) => {
    const isAbove = gte ? compare(key, gte) >= 0 : gt ? compare(key, gt) > 0 : true;
    return isAbove && (lte ? compare(key, lte) <= 0 : lt ? compare(key, lt) < 0 : true);
  });
  return (reverse ? found.toReversed() : found).slice(0, limit);
}

const without = (model: Model, gone: readonly Bytes[]): Model =>
  model.filter(([key]) => !gone.some((other) => compare(key, other) === 0));

function written(model: Model, [kind, key, value]: Put | Del): Model {
  const rest = without(model, [key]);
  return kind === "del" ? rest : [...rest, [key, value] as const].toSorted(([a], [b]) => compare(a, b));
}

const valueIn = (model: Model, key: Bytes): string | undefined => model.find(([k]) => compare(k, key) === 0)?.[1];

/** What each step gives, from `model` on. */
function walked(model: Model, range: Range, steps: readonly Step[]): unknown[] {
  const { limit = Infinity, reverse, ...bounds } = range;
  const whole = within(model, { ...bounds, reverse: reverse ?? false });
  let [rest, taken, isClosed] = [whole, 0, false];
  const take = (size: number): Model => {
    const items = rest.slice(0, Math.min(size, limit - taken));
    rest = rest.slice(items.length);
    taken += items.length;
    return items;
  };
  return steps.map((step) => {
    if (isClosed) return "closed";
    switch (step[0]) {
      case "next":
        return take(1)[0];
      case "nextv":
        return take(step[1]);
      case "all":
        isClosed = true;
        return take(Infinity);
      default: {
        // A seek.
        const isIn = within([[step[1], ""]], bounds).length > 0;
        rest = isIn ? whole.filter(([key]) => compare(key, step[1]) * (reverse ? -1 : 1) >= 0) : [];
        return undefined;
      }
    }
  });
}

// The database.

/** Makes a call; what it answers, and what it should. */
function called(db: Db, model: Model, call: Call): { after: Model; answer: Promise<unknown>; expected: unknown } {
  const of = (answer: Promise<unknown>, expected: unknown, after = model) => ({ after, answer, expected });
  switch (call[0]) {
    case "put":
      return of(db.put(call[1], call[2]), undefined, written(model, call));
    case "del":
      return of(db.del(call[1]), undefined, written(model, call));
    case "batch": {
      const operations = call[1].map(([type, key, value]) =>
        type === "put" ? ({ type, key, value } as const) : ({ type, key } as const),
      );
      return of(db.batch(operations), undefined, call[1].reduce(written, model));
    }
    case "clear": {
      const gone = within(model, call[1]).map(([key]) => key);
      return of(db.clear(call[1]), undefined, without(model, gone));
    }
    case "get":
      return of(db.get(call[1]), valueIn(model, call[1]));
    case "getMany":
      return of(
        db.getMany([...call[1]]),
        call[1].map((key) => valueIn(model, key)),
      );
    case "hasMany":
      return of(
        db.hasMany([...call[1]]),
        call[1].map((key) => valueIn(model, key) !== undefined),
      );
    default:
      return of(iterated(db, call[1], call[2]), [
        walked(model, call[1], call[2]),
        within(model, call[1]).map(([key]) => key),
        within(model, call[1]).map(([, value]) => value),
      ]);
  }
}

/** The iterators are made now; what they give is asked for step by step. */
async function iterated(db: Db, range: Range, steps: readonly Step[]): Promise<unknown> {
  const [keys, values] = [db.keys(range).all(), db.values(range).all()];
  const iterator = db.iterator(range);
  const given: unknown[] = [];
  for (const step of steps) {
    if (given.length > 0 && steps[given.length - 1]![0] === "all") break;
    if (step[0] === "seek") given.push(iterator.seek(step[1]));
    else given.push(await (step[0] === "nextv" ? iterator.nextv(step[1]) : iterator[step[0]]()));
  }
  while (given.length < steps.length) given.push("closed");
  await iterator.close();
  return [given, await keys, await values];
}

/** abstract-level loses a seek that comes after the end, on an iterator that was made before its database was open. */
const withoutSeeks = (one: Call): Call =>
  one[0] === "iterate" ? [one[0], one[1], one[2].filter(([kind]) => kind !== "seek")] : one;

const key = fc
  .uint8Array({ maxLength: 3, max: 255 })
  .map((bytes) => Uint8Array.from(bytes, (b) => [0, 97, 255, b][b % 4]!));
const value = fc.string({ maxLength: 8, unit: "binary" });
const put = fc.tuple(fc.constant("put"), key, value);
const del = fc.tuple(fc.constant("del"), key);
const range = fc.record(
  { gt: key, gte: key, lt: key, lte: key, reverse: fc.boolean(), limit: fc.nat(5) },
  { requiredKeys: [] },
);
const step = fc.oneof(
  { arbitrary: fc.tuple(fc.constant("next")), weight: 4 },
  fc.tuple(fc.constant("nextv"), fc.integer({ min: 1, max: 3 })),
  fc.tuple(fc.constant("seek"), key),
  fc.tuple(fc.constant("all")),
);
const call = fc.oneof(
  { arbitrary: put, weight: 4 },
  del,
  fc.tuple(fc.constant("batch"), fc.array(fc.oneof(put, del), { maxLength: 5 })),
  fc.tuple(fc.constant("clear"), range),
  fc.tuple(fc.constant("get"), key),
  fc.tuple(fc.constant("getMany"), fc.array(key)),
  fc.tuple(fc.constant("hasMany"), fc.array(key)),
  { arbitrary: fc.tuple(fc.constant("iterate"), range, fc.array(step, { maxLength: 6 })), weight: 3 },
) as fc.Arbitrary<Call>;

describe("calls made in one tick", () => {
  test("take effect in their order, and an iterator gives what was there when it was made", async () => {
    const property = fc.asyncProperty(fc.array(call, { maxLength: 20 }), fc.boolean(), async (calls, isOpen) => {
      const db = make();
      if (isOpen) await db.open();
      let model: Model = [];
      const answers = (isOpen ? calls : calls.map(withoutSeeks)).map((one) => {
        const { after, answer, expected } = called(db, model, one);
        model = after;
        return { answer, expected, one };
      });
      for (const { answer, expected, one } of answers) expect([one, await answer]).toEqual([one, expected]);
      expect(await db.iterator().all()).toEqual(model);
      await db.close();
    });
    await fc.assert(property, { numRuns: 300 });
  }, 120_000);
});
