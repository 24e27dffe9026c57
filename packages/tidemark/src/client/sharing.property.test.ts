import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { hashOf, isEqual } from "./equality.ts";
import { share } from "./sharing.ts";

const scalar = fc.oneof(
  fc.constantFrom(undefined, null, true, 0, -0, NaN, 1, 2.5, "", "a", "b", 7n),
  fc.date({ noInvalidDate: false, min: new Date(0), max: new Date(3) }),
  fc.constantFrom(0, 1).map((n) => new Uint8Array([n, 2])),
  fc.constantFrom("x", "y").map((k) => new Map([[k, { k }]])),
  fc.constantFrom("x", "y").map((k) => new Set([k])),
);
const { tree } = fc.letrec<{ tree: unknown }>((tie) => ({
  tree: fc.oneof(
    { maxDepth: 4, depthSize: "small" },
    scalar,
    fc.dictionary(fc.constantFrom("a", "b", "c", "__proto__"), tie("tree"), { maxKeys: 3, noNullPrototype: true }),
    fc.array(tie("tree"), { maxLength: 6 }),
    fc.sparseArray(tie("tree"), { maxLength: 4, maxNumElements: 3 }),
  ),
}));

/** Plain objects and lists in it, each once. */
function containersIn(value: unknown, found = new Set<object>()): Set<object> {
  if (typeof value !== "object" || value === null || found.has(value)) return found;
  const prototype: unknown = Object.getPrototypeOf(value);
  if (!Array.isArray(value) && prototype !== Object.prototype && prototype !== null) return found;
  found.add(value);
  for (const name of Object.keys(value)) containersIn((value as Record<string, unknown>)[name], found);
  return found;
}

describe("what results share", () => {
  test("is deep-equal to the next result, frozen, and the previous one where it equals that", () => {
    fc.assert(
      fc.property(tree, tree, (a, b) => {
        const previous = share(undefined, structuredClone(a));
        const next = share(previous, structuredClone(b));
        expect(previous).toStrictEqual(a);
        expect(next).toStrictEqual(b);
        for (const part of containersIn([previous, next])) {
          if (containersIn(previous).has(part) || containersIn(next).has(part))
            expect(Object.isFrozen(part)).toBe(true);
        }
        if (isEqual(a, b)) expect(next).toBe(previous);
        expect(share(next, structuredClone(b))).toBe(next);
      }),
    );
  });

  test("does not touch what was frozen before, nor the previous result", () => {
    fc.assert(
      fc.property(tree, tree, (a, b) => {
        const previous = share(undefined, structuredClone(a));
        const deep = structuredClone(b);
        for (const part of containersIn(deep)) Object.freeze(part);
        expect(share(previous, deep)).toStrictEqual(b);
        expect(deep).toStrictEqual(b);
        expect(previous).toStrictEqual(a);
      }),
    );
  });

  const record = fc.record({
    id: fc.nat(500),
    at: fc.date({ min: new Date(0), max: new Date(9) }),
    tags: fc.array(fc.nat(3)),
  });
  const records = fc.uniqueArray(record, { selector: ({ id }) => id, maxLength: 40 });

  test("every record that did not change keeps its identity, wherever it moved, and tags of one that did in place", () => {
    fc.assert(
      fc.property(records, fc.infiniteStream(fc.nat(1000)), fc.constantFrom("few", "many"), (all, choices, how) => {
        const before = share(undefined, structuredClone(all));
        const choose = (n: number): number => choices.next().value % n;
        const after = structuredClone(all);
        const changed = new Set<number>();
        for (let edits = how === "few" ? 1 : 12; edits > 0 && after.length > 0; edits--) {
          const at = choose(after.length);
          const [taken] = after.splice(at, 1);
          const edit = choose(4);
          if (edit === 0) after.splice(choose(after.length + 1), 0, taken!); // moved
          if (edit === 1) after.splice(at, 0, { ...taken!, at: new Date(100 + choose(9)) });
          if (edit === 2) after.splice(at, 0, taken!, { id: 1000 + edits, at: new Date(0), tags: [] });
          if (edit === 1) changed.add(taken!.id);
        }
        const next = share(before, structuredClone(after));
        expect(next).toStrictEqual(after);
        const byId = new Map(before.map((r) => [r.id, r]));
        for (const r of next) {
          if (byId.has(r.id) && !changed.has(r.id)) expect(r).toBe(byId.get(r.id));
        }
        if (how === "few") for (const r of next) if (changed.has(r.id)) expect(r.tags).toBe(byId.get(r.id)!.tags);
      }),
    );
  });

  test("equal values have equal hashes, whatever the order of their fields", () => {
    fc.assert(
      fc.property(tree, (value) => {
        const turned = (v: unknown): unknown => {
          if (Array.isArray(v)) return v.map(turned);
          if (typeof v !== "object" || v === null || Object.getPrototypeOf(v) !== Object.prototype) return v;
          return Object.fromEntries(
            Object.entries(v)
              .toReversed()
              .map(([k, f]) => [k, turned(f)]),
          );
        };
        const other = turned(value);
        if (!isEqual(value, other)) return; // holes became undefined
        expect(hashOf(other)).toBe(hashOf(value));
      }),
    );
  });
});

test("a field named `__proto__` is a field, also where what was frozen is copied", () => {
  const make = (v: number): { b: object } => JSON.parse(`{"__proto__":[{"v":${v}}],"b":{}}`) as { b: object };
  const first = share(undefined, Object.freeze(make(1)));
  const next = share(first, Object.freeze(make(2)));
  expect(next).toStrictEqual(make(2));
  expect(Object.hasOwn(next, "__proto__")).toBe(true);
  expect(next.b).toBe(first.b);
});

test("of twins each goes to one, in their order", () => {
  const before = share(undefined, [{ n: 1 }, { n: 1 }, { n: 2 }]);
  const next = share(before, [{ n: 2 }, { n: 1 }, { n: 3 }, { n: 1 }, { n: 1 }]);
  expect(next.filter((r) => before.includes(r))).toHaveLength(3);
  expect(new Set(next).size).toBe(5);
});

test("what refers to itself, or is there twice, ends and stays so", () => {
  const circle: { name: string; self?: unknown } = { name: "a" };
  circle.self = circle;
  const first = share(undefined, { circle, twice: [circle, circle] });
  expect(first.circle.self).toBe(first.circle);
  expect(first.twice[0]).toBe(first.twice[1]);
  expect(Object.isFrozen(first.circle)).toBe(true);
  const again: typeof circle = { name: "b" };
  again.self = again;
  expect(share(first, { circle: again, twice: [] }).circle.name).toBe("b");
});

test("instances of classes stay themselves, and are not frozen", () => {
  class Note {
    text = "a";
  }
  const note = new Note();
  const shared = share([new Note()], [note]);
  expect(shared[0]).toBe(note);
  expect(Object.isFrozen(note)).toBe(false);
});

const median = (sample: number[]): number => sample.toSorted((a, b) => a - b)[sample.length >> 1]!;

test("10 000 records of which one changed, moved or came are shared in a fraction of what it takes to parse them", () => {
  const all = Array.from({ length: 10_000 }, (_, i) => ({
    id: `record ${i}`,
    listId: i % 100,
    title: `What is to be done, number ${i}`,
    done: i % 3 === 0,
    place: { lat: i / 7, lon: i / 3 },
  }));
  const text = JSON.stringify(all);
  const parse = (): typeof all => JSON.parse(text) as typeof all;
  const edits: Record<string, (list: typeof all) => void> = {
    none: () => undefined,
    changed: (list) => void (list[5000] = { ...list[5000]!, title: "Other" }),
    moved: (list) => list.unshift(...list.splice(7000, 1)),
    came: (list) => list.splice(20, 0, { ...list[0]!, id: "new" }),
    turned: (list) => list.reverse(),
  };
  const timed = <R>(work: () => R): [number, R] => {
    const since = performance.now();
    return [0, work()].with(0, performance.now() - since) as [number, R];
  };
  const previous = share(undefined, parse());
  const parsing: number[] = [];
  const took: Record<string, number> = {};
  for (const [name, edit] of Object.entries(edits)) {
    const times = Array.from({ length: 15 }, () => {
      const [parseMs, next] = timed(parse);
      parsing.push(parseMs);
      edit(next);
      const [ms, shared] = timed(() => share(previous, next));
      const kept = new Set(previous);
      expect(shared.filter((r) => !kept.has(r)).length).toBe(name === "changed" || name === "came" ? 1 : 0);
      return ms;
    });
    took[name] = median(times);
  }
  const [first] = timed(() => share(undefined, parse()));
  console.log(
    `  JSON.parse of 10 000 records ${median(parsing).toFixed(1)} ms; shared: ` +
      Object.entries({ ...took, "for the first time, with parsing": first })
        .map(([name, ms]) => `${name} ${ms.toFixed(1)} ms`)
        .join(", "),
  );
  expect(took["changed"]).toBeLessThan(median(parsing) * 4); // mostly it is below 1
});
