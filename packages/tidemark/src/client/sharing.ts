/**
 * What one result of a live query shares with the one before it, so that whoever compares by identity (a memo, a list
 * that renders) sees what changed and nothing else.
 *
 * A value that equals its predecessor is its predecessor. Where a list or an object changed, that is asked again of what
 * it holds; objects by name, lists as follows:
 *
 *   1. what is equal from the start on, and from the end on, keeps its place: mostly all but one
 *   2. in between both are walked side by side, looking one ahead: single insertions, removals and changes
 *   3. what is left over, records that moved, is found by hash, wherever it was
 *   4. the rest is new or changed; each is taken for the successor of a leftover, in order, for what lies within
 *
 * Everything is frozen, so that nobody changes what others were given: plain objects and lists, deeply. Other built-ins
 * cannot be (a frozen typed array throws, a frozen Map changes all the same); they keep their identity where equal.
 */
import { hashOf, isEqual, isEqualAt, isPlain, maxDepth } from "./equality.ts";

type Container = Record<string | number, unknown>;
type List = readonly unknown[];

/** So many values of one hash are compared before one is taken for new. */
const maxCandidates = 64;

/**
 * `next`, deep-equal to what it was, made of `previous` where that holds the same, and frozen. `previous` is the last
 * answer. Replaces and freezes within `next` itself, where that is not frozen before.
 */
export function share<T>(previous: unknown, next: T): T {
  return new Sharing().share(previous, next, 0) as T;
}

class Sharing {
  /** What became of objects seen before: one that is there twice stays one, and circles end. */
  readonly #done = new Map<object, unknown>();

  share(previous: unknown, next: unknown, depth: number): unknown {
    if (typeof next !== "object" || next === null || depth > maxDepth) return next;
    // Lists find out themselves, while they look for what is the same in them.
    const areLists = Array.isArray(previous) && Array.isArray(next);
    if (Object.is(previous, next) || (!areLists && isEqual(previous, next, depth))) return previous;
    const done = this.#done.get(next);
    if (done !== undefined) return done;
    this.#done.set(next, next);
    const shared = this.#within(previous, next, depth + 1);
    this.#done.set(next, shared);
    return shared;
  }

  #within(previous: unknown, next: object, depth: number): unknown {
    if (Array.isArray(next)) return this.#list(previous, next, depth);
    if (!isPlain(next)) return next;
    const before = isPlain(previous) ? previous : {};
    const out = new Rewritten(next);
    for (const name of Object.keys(next)) {
      out.put(name, this.share(Object.hasOwn(before, name) ? before[name] : undefined, next[name], depth));
    }
    return out.frozen();
  }

  #list(previous: unknown, next: List, depth: number): unknown {
    const before: List = Array.isArray(previous) ? previous : [];
    const { start, end, endBefore, kept, open, spare } = aligned(before, next);
    if (start === next.length && start === before.length && before === previous) return previous;
    const out = new Rewritten(next);
    for (let i = 0; i < start; i++) out.put(i, before[i]);
    for (let i = end; i < next.length; i++) out.put(i, before[i - end + endBefore]);
    for (const [i, j] of kept) out.put(i, before[j]);
    const { left, unused } = findMoved(before, next, open, spare, (i, j) => out.put(i, before[j]));
    left.forEach((i, k) => out.put(i, this.share(k < unused.length ? before[unused[k]!] : undefined, next[i], depth)));
    return out.frozen();
  }
}

/** Parts of an object replaced by equal ones; in a copy where it is frozen. */
class Rewritten {
  readonly #original: object;
  #target: object;

  constructor(original: object) {
    this.#original = original;
    this.#target = original;
  }

  put(name: string | number, value: unknown): void {
    if (Object.is((this.#original as Container)[name], value)) return;
    if (Object.isFrozen(this.#target)) this.#target = copyOf(this.#target);
    Reflect.set(this.#target, name, value); // what cannot be replaced stays: it is equal
  }

  frozen(): object {
    return Object.freeze(this.#target);
  }
}

function copyOf(original: object): object {
  if (Array.isArray(original)) return original.slice(); // keeps holes
  // Not by assignment, which takes a field named `__proto__` for the prototype.
  return Object.getPrototypeOf(original) === null ? Object.assign(Object.create(null), original) : { ...original };
}

interface Alignment {
  /** Below `start` both are the same, and from `end` on what the other one has from `endBefore` on. */
  readonly start: number;
  readonly end: number;
  readonly endBefore: number;
  /** In between: positions in `next` and in `before` of objects that are equal. */
  readonly kept: readonly (readonly [number, number])[];
  /** Positions of objects in `next` without such a partner, and in `before`. */
  readonly open: readonly number[];
  readonly spare: readonly number[];
}

function aligned(before: List, next: List): Alignment {
  const kept: [number, number][] = [];
  const [open, spare]: [number[], number[]] = [[], []];
  const isSame = (i: number, j: number): boolean => isEqualAt(next, i, before, j);
  const keep = (i: number, j: number): void => void (isObject(next[i]) && kept.push([i, j]));
  const leave = (positions: number[], list: List, at: number): void => void (isObject(list[at]) && positions.push(at));

  let start = 0;
  let [end, endBefore] = [next.length, before.length];
  for (; start < end && start < endBefore && isSame(start, start);) start++;
  while (end > start && endBefore > start && isSame(end - 1, endBefore - 1))
    [end, endBefore] = [end - 1, endBefore - 1];

  let j = start;
  for (let i = start; i < end; i++) {
    if (j < endBefore && isSame(i, j)) keep(i, j++);
    else if (j + 1 < endBefore && isSame(i, j + 1)) {
      leave(spare, before, j);
      keep(i, j + 1);
      j += 2;
    } else {
      leave(open, next, i);
      const isInserted = i + 1 < end && j < endBefore && isSame(i + 1, j);
      if (!isInserted && j < endBefore) leave(spare, before, j++);
    }
  }
  for (; j < endBefore; j++) leave(spare, before, j);
  return { start, end, endBefore, kept, open, spare };
}

/** Tells of each open position where in `before` an equal one is left; answers what remains open, and what unused. */
function findMoved(
  before: List,
  next: List,
  open: readonly number[],
  spare: readonly number[],
  found: (i: number, j: number) => void,
): { readonly left: readonly number[]; readonly unused: readonly number[] } {
  if (open.length === 0 || spare.length === 0) return { left: open, unused: spare };
  const byHash = new Map<number, number[]>();
  for (const j of spare.toReversed()) {
    const hash = hashOf(before[j]);
    const bucket = byHash.get(hash);
    if (bucket) bucket.push(j);
    else byHash.set(hash, [j]);
  }
  const used = new Set<number>();
  const left = open.filter((i) => {
    const bucket = byHash.get(hashOf(next[i])) ?? [];
    // From the end: equal ones are taken in the order in which they were.
    for (let k = bucket.length - 1; k >= Math.max(0, bucket.length - maxCandidates); k--) {
      const j = bucket[k]!;
      if (!isEqual(before[j], next[i])) continue;
      bucket.splice(k, 1);
      used.add(j);
      found(i, j);
      return false;
    }
    return true;
  });
  return { left, unused: spare.filter((j) => !used.has(j)) };
}

const isObject = (value: unknown): boolean => typeof value === "object" && value !== null;
