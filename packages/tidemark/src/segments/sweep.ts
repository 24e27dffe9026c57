/**
 * The sweep: blocks of one level are looked at again under a new floor, and what has become reclaimable in them goes.
 * Unlike a merge it brings nothing new; it is where garbage goes that no merge meets.
 *
 *  - It reads the blocks that are due, and beside them only what decides their chains: of a marked block the superseding
 *    versions in levels above, of a tombstone what it may hide below, of a chain that begins before them its last block.
 *    So every chain is judged with all that bears on it, and what is left is exactly what the rule keeps.
 *  - A run of neighbouring blocks that loses nothing is not rewritten. If its figures were early or empty, they are
 *    corrected in the manifest.
 *  - Levels are swept from the bottom up, and each from its end to its beginning: what a tombstone or a newer version
 *    might hide is dealt with before it.
 */
import type { BlockId, ByteKey, Seq } from "../base/brand.ts";
import { seq } from "../base/brand.ts";
import { assert } from "../base/errors.ts";
import { type OutsideRef, outsideOf } from "../codec/outside.ts";
import { tableOf } from "../codec/record.ts";
import type { BlockInfo } from "./block-info.ts";
import type { Block } from "./block.ts";
import { BlockWriter } from "./block-writer.ts";
import { ChainLookup } from "./chain-lookup.ts";
import type { Level } from "./level.ts";
import type { Manifest } from "./manifest.ts";
import { lostWith } from "./merge.ts";
import { lookAhead } from "./pace.ts";
import type { Rewriting } from "./rewriting.ts";
import { type Clause, type Elsewhere, judge, type Kept, never, type Newer, onRelease, type Wake } from "./rule.ts";
import type { Version } from "./version.ts";

/** Positions of neighbouring blocks of a level: from ≤ i < to. */
export interface Run {
  readonly from: number;
  readonly to: number;
}

export interface SweepInput extends Rewriting {
  readonly manifest: Manifest;
  readonly level: number;
  /** In order. */
  readonly runs: readonly Run[];
  /** All of the runs are written anew, each as few blocks as it makes, and not only those that lose something. */
  readonly isRewriting?: boolean;
  /** With the proof. `supersededBy` is 0 in a dead table. */
  dropped(key: ByteKey, version: Version, supersededBy: Seq, clause: Clause | "cleared"): void;
}

export interface Swept {
  readonly removed: readonly BlockInfo[];
  readonly added: readonly BlockInfo[];
  /** Versions looked at. */
  readonly scanned: number;
  readonly written: { readonly blocks: number; readonly bytes: number };
  readonly lost: readonly OutsideRef[];
  /** Blocks whose marks have been dealt with. */
  readonly cleared: ReadonlySet<BlockId>;
  /** Blocks that still hold what something above them supersedes: when that is due, their own figures say. */
  readonly marks: readonly (readonly [BlockId, Wake])[];
}

export const sweep = (input: SweepInput): Promise<Swept> => new Sweep(input).run();

/** A key of a run, judged. */
interface Judged {
  readonly key: ByteKey;
  readonly kept: readonly Kept[];
}

interface JudgedRun extends Run {
  readonly keys: readonly Judged[];
  readonly isLosing: boolean;
}

/** So many versions are read, or keys written, between two looks at the clock: a key may have thousands of versions. */
const versionsPerLook = 64;
const keysPerLook = 16;

class Sweep {
  readonly #input: SweepInput;
  readonly #level: Level;
  readonly #chains: ChainLookup;
  readonly #writer: BlockWriter;
  readonly #removed: BlockInfo[] = [];
  readonly #lost: OutsideRef[] = [];
  readonly #cleared = new Set<BlockId>();
  /** Keys of which versions stay that a level above supersedes. */
  readonly #superseded: ByteKey[] = [];
  #scanned = 0;
  #dropped = 0;
  #written = 0;

  constructor(input: SweepInput) {
    this.#input = input;
    this.#level = input.manifest.levels[input.level]!;
    this.#chains = new ChainLookup(input.manifest, input.load);
    this.#writer = new BlockWriter(input);
  }

  async run(): Promise<Swept> {
    const judged: JudgedRun[] = [];
    for (const run of this.#input.runs) judged.push(await this.#judgeRun(run));
    for (const run of judged) {
      if (run.isLosing || this.#input.isRewriting) await this.#rewrite(run);
      else this.#correct(run);
    }
    await this.#look(); // the last blocks are encoded in one go
    await this.#writer.finish();
    const { added, written } = this.#writer;
    const [removed, scanned, lost, cleared] = [this.#removed, this.#scanned, this.#lost, this.#cleared];
    return { removed, added, scanned, written, lost, cleared, marks: this.#marks() };
  }

  /**
   * A mark is what tells the next sweep to look above, so as long as a version stays that something up there
   * supersedes, its block has one.
   */
  #marks(): readonly (readonly [BlockId, Wake])[] {
    if (this.#superseded.length === 0) return [];
    const blocks = new Map(this.#writer.added.map((info) => [info.id, info]));
    const gone = new Set(this.#removed.map(({ id }) => id));
    for (const { from, to } of this.#input.runs) {
      for (let i = from; i < to; i++) {
        const info = this.#level.at(i)!;
        if (!gone.has(info.id)) blocks.set(info.id, info);
      }
    }
    const holds = ({ first, last }: BlockInfo): boolean =>
      this.#superseded.some((key) => first.key <= key && key <= last.key);
    return [...blocks.values()].filter(holds).map(({ id }) => [id, never]);
  }

  async #rewrite({ from, to, keys }: JudgedRun): Promise<void> {
    for (let i = from; i < to; i++) this.#removed.push(this.#level.at(i)!);
    for (const { key, kept } of keys) {
      for (const { version, wake } of kept) this.#writer.add(key, version, wake);
      if (this.#writer.full) await this.#writer.drain();
      if (++this.#written % keysPerLook === 0) await this.#look();
    }
    this.#writer.cut();
  }

  async #look(): Promise<void> {
    if (this.#input.pace.isDue(lookAhead)) await this.#input.pace.pause();
  }

  async #judgeRun(run: Run): Promise<JudgedRun> {
    const before = this.#dropped;
    const keys: Judged[] = [];
    let versions: Version[] = [];
    let key: ByteKey | undefined;
    let isMarked = false;
    const refers = this.#refersOutside(run);
    const judgeLast = async (): Promise<void> => {
      if (key === undefined) return;
      const begun = keys.length === 0 && this.#level.at(run.from - 1)?.last.key === key ? run.from : undefined;
      keys.push({ key, kept: await this.#judgeKey(key, versions, run, begun, isMarked, refers) });
    };
    for (const block of await this.#loadRun(run)) {
      const isBlockMarked = this.#input.manifest.marks.has(block.id);
      for (let e = 0; e < block.count; e++) {
        if (key === undefined || !block.keyEquals(e, key)) {
          await judgeLast();
          [versions, key, isMarked] = [[], block.keyAt(e), false];
        }
        if (e % versionsPerLook === 0) await this.#look();
        isMarked ||= isBlockMarked;
        versions.push(block.versionAt(e));
      }
      this.#scanned += block.count;
      this.#cleared.add(block.id);
    }
    await judgeLast();
    return { ...run, keys, isLosing: this.#dropped > before };
  }

  async #loadRun({ from, to }: Run): Promise<readonly Block[]> {
    const blocks: Block[] = [];
    for (let i = from; i < to;) {
      const infos: BlockInfo[] = [];
      for (let bytes = 0; i < to; i++) {
        const info = this.#level.at(i)!;
        bytes += info.sizeBytes;
        if (infos.length > 0 && bytes > this.#input.maxStoreBytes) break;
        infos.push(info);
      }
      blocks.push(...(await this.#input.load(infos)));
      await this.#look();
    }
    return blocks;
  }

  /** Whether any version of the run has its value out of line. */
  #refersOutside({ from, to }: Run): boolean {
    for (let i = from; i < to; i++) if (this.#level.at(i)!.outside > 0) return true;
    return false;
  }

  /** `begun`: where the chain begins before the run, the run's position; `refers`: as `#refersOutside` of the run. */
  async #judgeKey(
    key: ByteKey,
    versions: readonly Version[],
    run: Run,
    begun: number | undefined,
    isMarked: boolean,
    refers: boolean,
  ): Promise<readonly Kept[]> {
    if (this.#input.isDead(tableOf(key))) return this.#dropAll(key, versions);
    const [newest] = versions;
    const isWhole = begun === undefined && !isMarked;
    if (isWhole && versions.length === 1 && newest!.payload !== undefined) return [{ version: newest!, wake: never }];
    const { rule, level } = this.#input;
    const latest = rule.retentionOf(tableOf(key))?.latest ?? 0;
    const { newer, position } = isWhole ? alone : await this.#chains.newer(key, level, begun, isMarked, latest);
    const [older, next] = await this.#older(key, versions, newer, position, run);
    const gone: Version[] = [];
    const kept = judge({ key, versions, newer, position, older }, rule, (version, supersededBy, clause) => {
      gone.push(version);
      this.#input.dropped(key, version, supersededBy, clause);
    });
    this.#dropped += gone.length;
    if (gone.length > 0 && refers) this.#lost.push(...lostWith(gone, kept, newer, next));
    if (isMarked && newer !== undefined && kept.length > 0) this.#superseded.push(key);
    return kept;
  }

  #dropAll(key: ByteKey, versions: readonly Version[]): readonly Kept[] {
    for (const version of versions) this.#input.dropped(key, version, seq(0), "cleared");
    this.#dropped += versions.length;
    this.#lost.push(...lostWith(versions, [], undefined));
    return [];
  }

  /** Looked up only where it matters: for a tombstone that could go, and where values may be shared; with the next one. */
  async #older(
    key: ByteKey,
    versions: readonly Version[],
    newer: Newer | undefined,
    position: number,
    run: Run,
  ): Promise<readonly [Elsewhere, Version | undefined]> {
    const { rule, level } = this.#input;
    const [newest] = versions;
    const mayGo = newer === undefined && newest!.payload === undefined && newest!.seq < rule.floor;
    const mayShare = rule.points.length > 0 && versions.some(({ payload }) => payload && outsideOf(payload));
    if (!mayGo && !mayShare) return ["none", undefined];
    const older = await this.#chains.older(key, level, run.to);
    if (older.length === 0) return ["none", undefined];
    const rest = {
      key,
      versions: older,
      newer: versions.at(-1)!,
      position: position + versions.length,
      older: "none",
    } as const;
    return [judge(rest, rule, () => undefined).length > 0 ? "some" : "going", older[0]];
  }

  /** Blocks that stay as they are, but were announced otherwise than they are, are listed with the right figures. */
  #correct({ from, to, keys }: JudgedRun): void {
    const wakes = keys.flatMap(({ kept }) => kept.map(({ wake }) => wake));
    let at = 0;
    for (let i = from; i < to; i++) {
      const info = this.#level.at(i)!;
      const own = wakes.slice(at, (at += info.count));
      const due = own.reduce((least, wake) => (wake === onRelease ? least : Math.min(least, wake)), never);
      const pinned = own.filter((wake) => wake === onRelease).length;
      if (due === info.due && pinned === info.pinned) continue;
      this.#removed.push(info);
      this.#writer.adopt({ ...info, due, pinned });
    }
    assert(at === wakes.length, "what loses nothing has as many versions as it had");
  }
}

const alone = { newer: undefined, position: 0 } as const;
