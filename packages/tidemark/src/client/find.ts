/**
 * `find`: conditions on fields, whatever indexes there are. Of the ways that the planner sees it takes the cheapest by the
 * number of entries, counted in the indexes up to a bound; what its ranges do not say is tested in the page. Where no
 * index has the order asked for, it sorts in memory, of which a limit bounds the need.
 *
 * Records without a field come last in a sort by it, whichever way round. Where two are equal, primary keys decide.
 */
import { isTidemarkError, TidemarkError } from "../base/errors.ts";
import { type Conditions, conditionsOf, type Test, testOf } from "./conditions.ts";
import type { Connection } from "./connection.ts";
import { checkedCount, invalid } from "../protocol/options.ts";
import type { Observer, Subscription } from "./live.ts";
import { type Indexed, isInOrder, type SortField, type Way, waysOf, wholeWay } from "./planner.ts";
import {
  beginStream,
  countOn,
  endStream,
  gatherOn,
  type QueryTarget,
  type Reading,
  recordsOf,
  type Stream,
} from "./reading.ts";
import { collectionIn } from "./schema.ts";
import { everything, type Shape } from "./shape.ts";
import { Sorter, sortOf } from "./sorter.ts";
import { enterAbortable, type Source, type Step, type WritableSource } from "./source.ts";
import type { FindOptions, FindPlan, ReadOptions } from "./types.ts";
import type { Observe } from "./writable-query.ts";

/** Entries of a way are counted no further: where more would be read, it makes no difference how many more. */
const maxCounted = 2000;
const maxExplained = 1_000_000;

export interface FindTarget {
  readonly source: Source | WritableSource;
  readonly collection: string;
  readonly indexed: Indexed;
  readonly observe: Observe | undefined;
}

/** What is asked, checked. */
export interface Question {
  readonly conditions: Conditions;
  readonly sort: readonly SortField[];
  readonly limit: number | undefined;
}

/** @throws OPTIONS_INVALID, KEY_INVALID */
export function questionOf<T>(filter: unknown, options: FindOptions<T> = {}): Question {
  const { sort, limit, ...rest } = options;
  const [unknown] = Object.entries(rest);
  if (unknown) throw invalid(`find.${unknown[0]}`, unknown[1], "left out; there are sort and limit");
  if (limit !== undefined) checkedCount("find.limit", limit);
  return { conditions: conditionsOf(filter), sort: sortOf(sort), limit };
}

interface Choice {
  readonly way: Way;
  readonly isSorted: boolean;
  /** An index walked for its order, in which a record without that field has no entry. */
  readonly isPartial: boolean;
  /** As far as they were counted. */
  readonly entries: number;
}

/** What `find` answers: it can be awaited, which is `toArray()`. */
export class Found<T> implements PromiseLike<T[]> {
  readonly #target: FindTarget;
  readonly #question: Question;
  readonly #ways: readonly Choice[];

  constructor(target: FindTarget, question: Question) {
    this.#target = target;
    this.#question = question;
    this.#ways = choicesOf(question, target.indexed);
  }

  toArray(options: ReadOptions = {}): Promise<T[]> {
    return this.#limited(this.#question.limit, options);
  }

  async first(options: ReadOptions = {}): Promise<T | undefined> {
    return (await this.#limited(Math.min(1, this.#question.limit ?? 1), options))[0];
  }

  /** How many there are; from an index alone where its ranges say it all. */
  count({ signal }: ReadOptions = {}): Promise<number> {
    return this.#enter(signal, async (connection) => {
      const { limit } = this.#question;
      const { way } = await this.#choose(
        connection,
        this.#ways.filter((choice) => !choice.isPartial),
      );
      const { target, shape } = this.#along(way);
      if (shape.filters.length === 0) return countOn(connection, target, shape, limit);
      const reading: Reading = { shape: { ...shape, limit }, wants: "values", signal };
      const [n = 0] = await gatherOn(connection, target, reading, (sum: number[], { values }) => {
        sum[0] = (sum[0] ?? 0) + values.length;
      });
      return n;
    });
  }

  /** Which way it would take, and which others it sees. Entries are counted, up to a million. */
  explain({ signal }: ReadOptions = {}): Promise<FindPlan> {
    return this.#enter(signal, async (connection) => {
      const considered = await this.#counted(connection, this.#ways);
      const { way, isSorted } = cheapest(considered);
      const { target, shape } = this.#along(way);
      const { sort } = this.#question;
      return {
        collection: this.#target.collection,
        index: way.index,
        ranges: way.ranges.length,
        entries: await countOn(connection, target, shape, maxExplained),
        isFiltered: shape.filters.length > 0,
        isReverse: isSorted && isDescending(sort),
        sortedBy: sort.length === 0 ? "nothing" : isSorted ? "index" : "memory",
        considered: considered.map(({ way: { index }, entries }) => ({ index, entries })),
      };
    });
  }

  /** Tells the results now, and anew whenever a commit in any tab touched what was read. Not in a transaction or view. */
  subscribe(observer: Observer<T[]> | ((records: T[]) => void)): Subscription {
    const { observe, ...target } = this.#target;
    if (observe) {
      const found = (source: Source) => new Found<T>({ ...target, observe: undefined, source }, this.#question);
      return observe((source) => found(source).toArray(), `${target.collection}.find(…)`).subscribe(observer);
    }
    throw new TidemarkError("TRANSACTION_INVALID", "Only what db.collection(…) finds can be subscribed to", {
      why: "subscribe",
    });
  }

  // oxlint-disable-next-line unicorn/no-thenable -- awaiting it is what nearly everybody does
  then<A = T[], B = never>(
    fulfilled?: ((records: T[]) => A | PromiseLike<A>) | null,
    rejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    return this.toArray().then(fulfilled, rejected);
  }

  /** Every record in turn, all as of one state. Memory stays flat, but where it is sorted in memory. */
  async *values({ signal }: ReadOptions = {}): AsyncGenerator<T, void> {
    const { limit, sort } = this.#question;
    const begin = async (connection: Connection): Promise<Stream | undefined> => {
      const { way, isSorted, isPartial } = await this.#choose(connection);
      if (isPartial || !isSorted || limit === 0) return undefined;
      const { target, shape } = this.#along(way);
      return beginStream(connection, target, { ...shape, limit, reverse: isDescending(sort) }, signal);
    };
    const begun = await this.#enter(signal, begin, (late) => late && endStream(late));
    if (begun) yield* recordsOf<T>(begun);
    else yield* untilAborted(signal, await this.toArray({ ...(signal && { signal }) }));
  }

  /** As `values()`. */
  [Symbol.asyncIterator](): AsyncGenerator<T, void> {
    return this.values();
  }

  #limited(limit: number | undefined, { signal }: ReadOptions): Promise<T[]> {
    return this.#enter(signal, async (connection) => {
      if (limit === 0) return [];
      const { way, isSorted, isPartial } = await this.#choose(connection);
      if (!isSorted) return this.#sorted(connection, way, limit, signal);
      const found = await this.#inOrder(connection, way, limit, signal);
      if (!isPartial || found.length === limit) return found;
      // Records without the field may be wanted too: those no index lists.
      return this.#sorted(connection, wholeWay(undefined, this.#target.indexed.key), limit, signal);
    });
  }

  #inOrder(connection: Connection, way: Way, limit: number | undefined, signal?: AbortSignal): Promise<T[]> {
    const { target, shape } = this.#along(way);
    const asked = { ...shape, limit, reverse: isDescending(this.#question.sort) };
    return gatherOn(connection, target, { shape: asked, wants: "values", signal }, (all: T[], { values }) => {
      for (const value of values) all.push(value as T);
    });
  }

  async #sorted(connection: Connection, way: Way, limit: number | undefined, signal?: AbortSignal): Promise<T[]> {
    const { target, shape } = this.#along(way);
    const [sorter] = await gatherOn(connection, target, { shape, wants: "values", signal }, (all: Sorter[], part) => {
      all[0] ??= new Sorter(this.#question.sort, this.#target.indexed.key, limit);
      for (const value of part.values) all[0].add(value);
    });
    return (sorter?.sorted() ?? []) as T[];
  }

  /** In the line of calls: where it takes several requests, what is called later waits. */
  #enter<R>(signal: AbortSignal | undefined, step: Step<R>, discard?: (late: R) => void): Promise<R> {
    const { source } = this.#target;
    const enter = <S>(taken: Step<S>): Promise<S> =>
      "hold" in source && this.#ways.length > 1 ? source.hold(taken) : source.enter(taken);
    return enterAbortable({ enter }, signal, (connection) => this.#again(connection, step), discard);
  }

  /** A view of an older state has other indexes, which is known once it was asked for one of today's: then they are left out. */
  async #again<R>(connection: Connection, step: Step<R>): Promise<R> {
    try {
      return await step(connection);
    } catch (e) {
      const isTold = isTidemarkError(e, "UNKNOWN_NAME") && e.details["index"] !== undefined;
      if (!isTold || this.#ways.every(({ way }) => way.index !== undefined)) throw e;
      return step(connection);
    }
  }

  async #choose(connection: Connection, ways: readonly Choice[] = this.#ways): Promise<Choice> {
    return ways.length === 1 ? ways[0]! : cheapest(await this.#counted(connection, ways));
  }

  /** Those whose index can be read by now: it need not wait for one that is still being built. */
  #ready(connection: Connection, ways: readonly Choice[]): Promise<readonly Choice[]> {
    const { source, collection } = this.#target;
    return source.underSchema(connection, async (schema) => {
      const { indexes } = collectionIn(schema, collection);
      const isReady = (index: string): boolean => Object.hasOwn(indexes, index) && indexes[index]!.building !== true;
      return ways.filter(({ way: { index } }) => index === undefined || isReady(index));
    });
  }

  async #counted(connection: Connection, ways: readonly Choice[]): Promise<readonly Choice[]> {
    const counting = (await this.#ready(connection, ways)).map(async (choice) => {
      if (choice.isPartial) return { ...choice, entries: maxCounted };
      const { target, shape } = this.#along(choice.way);
      return { ...choice, entries: await countOn(connection, target, shape, maxCounted) };
    });
    return Promise.all(counting);
  }

  #along({ index, ranges, isOneKey, covers }: Way): { readonly target: QueryTarget; readonly shape: Shape } {
    const { source, collection } = this.#target;
    const { fields, elements, others } = this.#question.conditions;
    const left = {
      fields: fields.filter((field) => !covers.has(field)),
      elements: elements.filter((element) => !covers.has(element)),
      others,
    };
    const isTested = left.fields.length + left.elements.length + left.others.length > 0;
    const filters: readonly Test[] = isTested ? [testOf(left)] : [];
    return { target: { source, collection, index }, shape: { ...everything, ranges, isOneKey, filters } };
  }
}

function* untilAborted<T>(signal: AbortSignal | undefined, records: readonly T[]): Generator<T, void> {
  for (const record of records) {
    signal?.throwIfAborted();
    yield record;
  }
}

const isDescending = (sort: readonly SortField[]): boolean => sort[0]?.isDescending ?? false;

function choicesOf({ conditions, sort, limit }: Question, indexed: Indexed): readonly Choice[] {
  const complete = waysOf(conditions, indexed).map((way): Choice => ({
    way,
    isSorted: isInOrder(way, sort),
    isPartial: false,
    entries: 0,
  }));
  const [by, then] = sort;
  if (by === undefined || then !== undefined || limit === undefined) return complete;
  const isThere = complete.some(({ isSorted }) => isSorted);
  const byOrder = Object.entries(indexed.indexes).find(([, { path, multi }]) => path === by.path && !multi);
  if (isThere || !byOrder) return complete;
  return [...complete, { way: wholeWay(byOrder[0], by.path), isSorted: true, isPartial: true, entries: 0 }];
}

/** What must be sorted costs about twice as much. */
const cheapest = (ways: readonly Choice[]): Choice =>
  ways.reduce((best, way) => (costOf(way) < costOf(best) ? way : best));
const costOf = ({ entries, isSorted }: Choice): number => entries * (isSorted ? 1 : 2);
