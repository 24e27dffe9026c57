/** A world whose garbage is collected in steps, beside a model that says what has to stay; all batches are verified. */
import { isDeepStrictEqual } from "node:util";
import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import type { ByteKey, Seq } from "./base/brand.ts";
import { isTidemarkError } from "./base/errors.ts";
import type { Retention } from "./codec/retention.ts";
import { define } from "./collections/define.ts";
import { checkpoint } from "./gc/checkpoint.ts";
import { compact } from "./gc/compact.ts";
import { beginCycle, cycleIn, type CycleState, endCycle, readCycle, stepCycle } from "./gc/cycle.ts";
import { dryRun, type Proof as DryProof } from "./gc/dry-run.ts";
import { basisOf, type Proof } from "./gc/floor.ts";
import { checkExact, shown } from "./gc-model.test-support.ts";
import { outcomeIn } from "./gc-outcome.test-support.ts";
import type { Basis, RunKind } from "./gc/journal.ts";
import { reclaim } from "./gc/reclaim.ts";
import { nothingDone } from "./gc/strategy.ts";
import { Tenure } from "./gc/tenure.ts";
import type { WorkOptions } from "./gc/work.ts";
import type { Handle } from "./mvcc/handles.ts";
import type { Pace } from "./segments/pace.ts";
import { storeNames } from "./storage/contract.ts";
import type { KeepRelaxed } from "./storage/memory.ts";
import {
  type Change,
  clear,
  commit,
  databaseName,
  type Item,
  itemsAt,
  itemsIn,
  smallLevels,
  type Tab,
  World,
  write,
} from "./test-world.test-support.ts";
import { Verifier } from "./testing/verifier.ts";

export interface Coverage {
  marked: number;
  spanning: number;
  pinned: number;
  hiding: number;
  levels: number;
  removed: number;
  crashes: number;
  resumed: number;
  fullRuns: number;
}
export const coverage = (): Coverage => ({
  marked: 0,
  spanning: 0,
  pinned: 0,
  hiding: 0,
  levels: 0,
  removed: 0,
  crashes: 0,
  resumed: 0,
  fullRuns: 0,
});

interface OpenView {
  readonly tab: Tab;
  readonly number: number;
  readonly view: Handle;
  readonly items: readonly Item[];
}

export interface GcWorldTerms {
  readonly proof: Proof;
  readonly retention?: Retention | undefined;
  readonly keepForMs?: number | undefined;
  readonly pace?: Pace;
  readonly targetBytes?: number;
}

export class GcWorld {
  readonly world: World;
  readonly verifier: Verifier;
  readonly seen = coverage();
  readonly #terms: GcWorldTerms;
  readonly #work: WorkOptions;
  #tabs: Tab[] = [];
  #views: OpenView[] = [];
  /** What snapshots hold, by name. */
  readonly #snapshots = new Map<string, { readonly seq: Seq; readonly items: readonly Item[] }>();
  #handles = 0;
  #upkeep = 0;
  #n = 0;

  constructor(terms: GcWorldTerms) {
    this.#terms = terms;
    const { pace = smallLevels.pace, targetBytes = smallLevels.targetBytes } = terms;
    this.#work = { ...smallLevels, pace, targetBytes };
    this.verifier = new Verifier(() => this.world.clock.now());
    this.world = new World({
      retention: terms.retention,
      keepForMs: terms.keepForMs,
      heard: (writes) => this.verifier.written(writes),
      rewrite: this.#work,
      cacheMaxBytes: 2000,
    });
  }

  /** Tells records apart. */
  nextN(): number {
    return ++this.#n;
  }

  get upkeepTab(): Tab {
    return this.#tabs[this.#upkeep % this.#tabs.length]!;
  }
  tab(which: number): Tab {
    return this.#tabs[which % this.#tabs.length]!;
  }

  async open(): Promise<void> {
    while (this.#tabs.length < 2) this.#tabs.push(await this.world.open());
  }

  async write(which: number, changes: readonly Change[]): Promise<void> {
    await write(this.tab(which), changes);
  }

  /** Changes the catalog: one more collection. */
  async declare(name: string): Promise<void> {
    const collections = { [name]: { key: "id", indexes: {} } };
    await define(this.upkeepTab.database, { version: 1, collections, dropCollections: [] });
  }

  async clear(which: number): Promise<void> {
    const tab = this.tab(which);
    for (;;) {
      const number = ++this.#handles;
      try {
        await clear(tab, await tab.database.begin(number, { ...viewing, tracked: true }));
        await commit(tab, number, []);
        return;
      } catch (e) {
        await tab.database.end(number);
        if (!isTidemarkError(e, "CONFLICT")) throw e;
      }
    }
  }

  async view(which: number, snapshot?: string): Promise<void> {
    const tab = this.tab(which);
    const number = ++this.#handles;
    if (snapshot !== undefined && !this.#snapshots.has(snapshot)) return;
    const view = await tab.database.begin(number, { ...viewing, ...(snapshot === undefined ? {} : { snapshot }) });
    const items = await itemsIn(view);
    if (snapshot !== undefined) deepStrictEqual(items, this.#snapshots.get(snapshot)!.items);
    this.#views.push({ tab, number, view, items });
  }

  async release(which: number): Promise<void> {
    const [open] = this.#views.splice(which % Math.max(1, this.#views.length), 1);
    if (open) await open.tab.database.end(open.number);
  }

  async snapshot(which: number, name: string): Promise<void> {
    const { database } = this.tab(which);
    if (this.#snapshots.has(name)) {
      this.#snapshots.delete(name);
      await database.snapshots.delete(name);
      return;
    }
    const { seq: at } = await database.snapshots.create(name);
    const number = ++this.#handles;
    const view = await database.begin(number, { ...viewing, snapshot: name });
    this.#snapshots.set(name, { seq: at, items: await itemsIn(view) });
    await database.end(number);
  }

  async die(which: number): Promise<void> {
    const tab = this.tab(which);
    this.world.kill(tab);
    this.#views = this.#views.filter((open) => open.tab !== tab);
    this.#tabs = this.#tabs.filter((one) => one !== tab);
    await this.open();
  }

  /** Another tab does upkeep from here on. */
  handOver(): void {
    this.#upkeep++;
  }

  async advance(answers = true): Promise<{ basis: Basis; tenure: Tenure } | undefined> {
    const tab = this.upkeepTab;
    if (!tab.tenure || tab.tenure.isDeposed || !(await tab.tenure.lasts())) {
      tab.tenure = await Tenure.begin(tab.storage);
      await tab.database.store.reload();
    }
    for (const one of answers ? this.#tabs : []) {
      await one.database.store.follow();
      await this.world.raise(one);
    }
    const advanced = await this.world.advance(tab, { proof: this.#terms.proof });
    return (
      advanced && { basis: basisOf(advanced, tab.database.store.fence, this.world.clock.now()), tenure: tab.tenure }
    );
  }

  async fold(answers = true, compactions = 0): Promise<void> {
    const begun = await this.advance(answers);
    if (!begun) return;
    const { store } = this.upkeepTab.database;
    await checkpoint(store, begun.tenure, begun.basis, this.#work);
    for (let i = 0; i < compactions; i++) await compact(store, begun.tenure, begun.basis, this.#work);
  }

  /** Begins a cycle, or goes on with the one under way, for so many steps; all of them where it does not say. */
  async cycle(kind: RunKind, steps = Infinity): Promise<void> {
    const begun = await this.advance();
    if (!begun) return;
    const { store } = this.upkeepTab.database;
    const { tenure, basis } = begun;
    const under = await this.#underway();
    if (under) this.seen.resumed++;
    const terms = { kind, basis, config: {}, before: nothingDone, isAsked: false };
    let state: CycleState | "over" | undefined = under ?? (await beginCycle(store, tenure, terms, this.#work));
    for (let i = 0; i < steps && state !== undefined && state !== "over"; i++) {
      state = await stepCycle(store, tenure, state, this.#work, () => this.world.clock.now());
    }
  }

  async #underway(): Promise<CycleState | undefined> {
    const [row] = await this.upkeepTab.storage.read([readCycle]);
    return cycleIn(row);
  }

  /** Ends what is under way, collects everything that is due, and compares with the model. */
  async fullRun(isWatched = true): Promise<Basis> {
    await this.cycle("FULL_GC");
    const begun = await this.advance();
    ok(begun);
    const { store } = this.upkeepTab.database;
    const { tenure, basis } = begun;
    await checkpoint(store, tenure, basis, this.#work);
    while ((await reclaim(store, tenure, basis, this.#work)) !== undefined);
    this.#cover();
    const terms = { kind: "FULL_GC", basis, config: {}, before: nothingDone, isAsked: false } as const;
    let state: CycleState | "over" | undefined = await beginCycle(store, tenure, terms, this.#work);
    while (state !== undefined && state !== "over") {
      state = await stepCycle(store, tenure, state, this.#work, () => this.world.clock.now());
    }
    this.seen.fullRuns++;
    if (isWatched) {
      this.#checkExact(basis);
      const again = await beginCycle(store, tenure, terms, this.#work);
      ok(again === undefined, "a second full cycle has nothing to do");
    }
    return basis;
  }

  /** A dry run in pages of this size, and the run: the one says what the other does, and changes nothing. */
  async dryRun(limit: number): Promise<number> {
    await this.cycle("FULL_GC");
    const begun = await this.advance();
    ok(begun);
    const { store } = this.upkeepTab.database;
    const { tenure, basis } = begun;
    const before = await this.bytes();
    const proofs: DryProof[] = [];
    for (let after: ByteKey | undefined; ;) {
      const page = await dryRun(store, basis, limit, after);
      proofs.push(...page.proofs);
      if (page.after === undefined) break;
      ok(page.proofs.length >= limit && (after === undefined || page.after > after));
      after = page.after;
    }
    deepStrictEqual(await this.bytes(), before, "a dry run changes nothing");
    for (const proof of proofs) this.#checkProof(proof, basis);
    const from = this.verifier.removals.length;
    await checkpoint(store, tenure, basis, this.#work);
    const terms = { kind: "FULL_GC", basis, config: {}, before: nothingDone, isAsked: false } as const;
    let state: CycleState | "over" | undefined = await beginCycle(store, tenure, terms, this.#work);
    while (state !== undefined && state !== "over") {
      state = await stepCycle(store, tenure, state, this.#work, () => this.world.clock.now());
    }
    const named = (all: readonly { key: ByteKey; seq: number }[]) =>
      all.map(({ key, seq: c }) => `${shown(key)} ${c}`).toSorted();
    deepStrictEqual(named(this.verifier.removals.slice(from)), named(proofs), JSON.stringify(basis));
    return proofs.length;
  }

  /** By what is stored, and the definition of each clause. */
  #checkProof({ key, seq: c, supersededBy, floor, clause }: DryProof, basis: Basis): void {
    const stored = this.verifier.stored().get(key) ?? [];
    const { fence } = this.upkeepTab.database.store;
    const logged = this.verifier.chains.of(key).flatMap((v) => (v.seq > fence.seq ? [v.seq] : []));
    const next = [...stored, ...logged].find((n) => n > c);
    strictEqual(floor, basis.floor);
    if (clause === "cleared") return strictEqual(supersededBy, 0);
    if (clause === "tombstone") return deepStrictEqual([supersededBy, next], [c, undefined]);
    strictEqual(supersededBy, next);
    strictEqual(clause, basis.points.some((p) => p < c) ? "interval" : "floor");
  }

  outcome(): Promise<unknown> {
    return outcomeIn(this.upkeepTab.storage);
  }

  /** Begins a full cycle under what is found now, and takes it to its end; whoever finds one goes on with it. */
  async begin(): Promise<Basis> {
    const begun = await this.advance();
    ok(begun);
    await checkpoint(this.upkeepTab.database.store, begun.tenure, begun.basis, this.#work);
    return begun.basis;
  }

  async finish(basis: Basis): Promise<void> {
    const tab = this.upkeepTab;
    if (!tab.tenure || !(await tab.tenure.lasts())) {
      tab.tenure = await Tenure.begin(tab.storage);
      await tab.database.store.reload();
    }
    const { store } = tab.database;
    const terms = { kind: "FULL_GC", basis, config: {}, before: nothingDone, isAsked: false } as const;
    const { tenure } = tab;
    const left = await this.#underway();
    const isOurs = left !== undefined && isDeepStrictEqual(left.basis, basis);
    // A crash may have taken the end of the cycle before: that ends again, and does no more than it had done.
    if (left && !isOurs) await endCycle(tenure, left, "CANCELLED", this.world.clock.now());
    let state: CycleState | "over" | undefined = isOurs ? left : await beginCycle(store, tenure, terms, this.#work);
    while (state !== undefined && state !== "over") {
      state = await stepCycle(store, tenure, state, this.#work, () => this.world.clock.now());
    }
  }

  /** All that is stored. */
  async bytes(): Promise<unknown> {
    return this.upkeepTab.storage.read(storeNames.map((store) => ({ kind: "range", store, range: {} })));
  }

  #checkExact(basis: Basis): void {
    checkExact(this.verifier, basis);
  }

  #cover(): void {
    const { manifest } = this.upkeepTab.database.store;
    this.seen.marked += manifest.marks.size;
    this.seen.levels = Math.max(this.seen.levels, manifest.filled.length);
    for (const level of manifest.filled) {
      const blocks = [...level.blocks()];
      this.seen.spanning += blocks.filter((info, i) => blocks[i - 1]?.last.key === info.first.key).length;
      this.seen.pinned += blocks.reduce((n, { pinned }) => n + pinned, 0);
    }
    for (const level of manifest.filled.slice(0, -1)) this.seen.hiding += level.tombstones;
  }

  /** Every view and every snapshot reads as when it was made; nothing was removed that somebody sees. */
  async check(): Promise<void> {
    deepStrictEqual(this.verifier.violations, []);
    for (const { view, items } of this.#views) {
      deepStrictEqual(await itemsIn(view), items, `view at ${view.seq}`);
      const byAt = items.filter(({ at }) => at !== undefined).toSorted((a, b) => a.at! - b.at!);
      deepStrictEqual(await itemsAt(view, 0, 99), byAt, `view at ${view.seq} by index`);
    }
    const tab = this.upkeepTab;
    for (const [name, { items }] of this.#snapshots) {
      const number = ++this.#handles;
      deepStrictEqual(await itemsIn(await tab.database.begin(number, { ...viewing, snapshot: name })), items, name);
      await tab.database.end(number);
    }
  }

  /** Does `work`; the medium dies at its n-th step from now, if it comes so far, and everybody begins anew. */
  async crashing(dieAt: number, keepRelaxed: KeepRelaxed, work: () => Promise<void>): Promise<void> {
    const { medium } = this.world;
    const from = medium.steps;
    medium.onStep = ({ n }) => {
      if (n === from + dieAt) medium.crash({ keepRelaxed });
      return "go";
    };
    try {
      await work();
      medium.crash({ keepRelaxed });
    } catch (e) {
      if (!isTidemarkError(e, "STORAGE_LOST")) throw e;
    }
    medium.onStep = undefined;
    this.seen.crashes++;
    this.world.live.clear();
    this.#tabs = [];
    this.#views = [];
    await this.verifier.restart(await medium.open(databaseName));
    await this.open();
    const left = new Map((await this.upkeepTab.database.snapshots.list()).map(({ name, seq: at }) => [name, at]));
    for (const [name, { seq: at }] of this.#snapshots) if (left.get(name) !== at) this.#snapshots.delete(name);
    for (const name of left.keys())
      if (!this.#snapshots.has(name)) await this.upkeepTab.database.snapshots.delete(name);
  }

  async endCycle(): Promise<void> {
    const begun = await this.advance();
    const state = await this.#underway();
    if (begun && state) await endCycle(begun.tenure, state, "CANCELLED", this.world.clock.now());
  }
}

const viewing = { tracked: false, isolation: "snapshot", fresh: true, attempt: 0 } as const;
