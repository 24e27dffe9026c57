/**
 * A piece of upkeep's work on blocks: new blocks are staged in small transactions that nobody refers to yet, and then
 * published by one small strict transaction that swaps the manifest, and writes down what was removed. Before it
 * everything is as it was; after it all of it is done; nothing in between.
 */
import type { BlockId, ByteKey, Seq } from "../base/brand.ts";
import type { OutsideRef } from "../codec/outside.ts";
import { tableOf } from "../codec/record.ts";
import { type GarbageLedger, unknownSeq } from "../mvcc/ledger.ts";
import { systemTable } from "../mvcc/schema.ts";
import type { Store } from "../mvcc/store.ts";
import type { BlockInfo } from "../segments/block-info.ts";
import { decodeRoot, type Manifest, type ManifestEdit } from "../segments/manifest.ts";
import { readRoot } from "../segments/manifest-rows.ts";
import type { MarkChange } from "../segments/marks.ts";
import { defaultMaxStoreBytes, defaultTargetBytes } from "../segments/merge.ts";
import { defaultLevels, type LevelOptions } from "../segments/levels.ts";
import { aside, headlong, type Pace } from "../segments/pace.ts";
import type { Rewriting } from "../segments/rewriting.ts";
import type { Clause } from "../segments/rule.ts";
import { type Version, versionBytes } from "../segments/version.ts";
import { type Found, type ReserveUse, type StoredValue, valueOf, type Write } from "../storage/contract.ts";
import { deletesOf } from "../wal/chunks.ts";
import { type Fence, sameLog } from "../wal/log.ts";
import { deadTables, isIn, type Stretch } from "./dead-tables.ts";
import { type Basis, Removal, type StepKind } from "./journal.ts";
import { loadAll, LookAnew } from "./load.ts";
import { publish } from "./publish.ts";
import { keepersOf, type Retentions } from "./keepers.ts";
import { retentionsAt, ruleUnder } from "./rule-under.ts";
import type { Tenure } from "./tenure.ts";

export interface WorkOptions {
  readonly targetBytes: number;
  readonly maxStoreBytes: number;
  readonly levels: LevelOptions;
  readonly pace: Pace;
  /** About so many versions go in one step of a cycle. */
  readonly maxStepVersions?: number | undefined;
}

export const defaultWork: WorkOptions = {
  targetBytes: defaultTargetBytes,
  maxStoreBytes: defaultMaxStoreBytes,
  levels: defaultLevels,
  pace: headlong,
};

/** A swap is made in one go: pages, root and ledger are encoded. It may take so much of a slice. */
const swapShare = 3 / 4;

/** A browser may keep larger values in files of their own, which a later strict transaction need not flush. */
const maxRelaxedBytes = 60 * 1024;

export interface WorkTerms {
  readonly kind: StepKind;
  readonly basis: Basis;
  /** The fence that is stored with what is published: another one where a checkpoint moves it. */
  readonly fence: Fence;
  /** The checkpoint to judge by, where that is an earlier one. */
  readonly checkpoint?: Seq;
  /** What was found as that began: catalogs of then may have been collected since. Absent: as it is at the checkpoint. */
  readonly decided?: Decided;
  /** What may be taken on a full disk for what is staged; all of it goes back as that is published. */
  readonly reserve: ReserveUse;
  readonly cycle?: { readonly id: number; readonly step: number };
}

export interface Decided {
  readonly retentions: Retentions;
  readonly dead: readonly Stretch[];
}

export const decide = async (store: Store, basis: Basis, checkpoint: Seq): Promise<Decided> => ({
  retentions: await retentionsAt(store, checkpoint),
  dead: await deadTables(store, basis, checkpoint),
});

/** What the work is done with. */
export interface Tools extends Rewriting {
  readonly manifest: Manifest;
  readonly dead: readonly Stretch[];
  /** What keeps single versions under that rule. */
  readonly keepers: readonly string[];
  readonly removal: Removal;
  readonly dropped: (key: ByteKey, version: Version, supersededBy: Seq, clause: Clause | "cleared") => void;
  /** Counts values out of line that go with what was dropped, and answers what deletes them. */
  readonly lose: (refs: readonly OutsideRef[]) => readonly Write[];
}

export interface Proposal<T> {
  readonly edits: readonly ManifestEdit[];
  readonly marks: MarkChange;
  readonly also: readonly Write[];
  /** As in `Publication`. */
  readonly trim?: readonly Write[] | undefined;
  readonly done: T;
}

/**
 * Does `work` and publishes what it proposes. `undefined`: the work declined, the tenure is over, or what it was planned
 * on is no more; look anew.
 */
export async function published<T>(
  store: Store,
  tenure: Tenure,
  terms: WorkTerms,
  options: WorkOptions,
  work: (tools: Tools) => Promise<Proposal<T> | undefined>,
): Promise<T | undefined> {
  const { manifest, fence } = store;
  if (!isOfLog(terms.basis, fence)) return undefined;
  const ledger = store.ledger.through(terms.fence.seq, terms.basis.floor);
  const staged: BlockId[] = [];
  let isPublished = false;
  try {
    // By the catalog of the log and manifest taken above: if these are replaced meanwhile, nothing is published.
    const tools = await toolsFor(store, tenure, terms, options, { manifest, ledger, staged });
    const proposal = await work(tools);
    if (!proposal) return undefined;
    const { edits, marks, also, trim, done } = proposal;
    if (options.pace.isDue(swapShare)) await options.pace.pause();
    const record = tenure.journal.record(recordOf(terms, tools));
    ledger.forget(tools.isDead);
    const next = { manifest: manifest.edit(edits, () => tenure.newBlockId(), marks), fence: terms.fence, ledger };
    const before = { manifest, fence };
    isPublished = await publish(store, tenure, {
      before,
      next,
      gone: goneFrom(edits),
      // Blocks that move from level to level may hold what others kept, and nobody looks.
      keeps: edits.some(({ added }) => added.some(({ pinned }) => pinned > 0)) ? tools.keepers : [],
      isMoving: terms.kind === "compact",
      also: [...also, ...record.writes],
      trim,
      pace: options.pace,
    });
    if (!isPublished) {
      if (!tenure.isDeposed) await store.reload(); // or the next attempt would be on the same
      return undefined;
    }
    record.written();
    return done;
  } catch (e) {
    if (e instanceof LookAnew) return undefined;
    throw e;
  } finally {
    if (!isPublished) await unstage(tenure, staged, manifest);
  }
}

/** A log that was struck gave its last seqs to other commits: what was decided on it holds no more. */
export const isOfLog = ({ log }: Basis, fence: Fence): boolean =>
  log === undefined || sameLog(fence, { ...fence, ...log });

interface Draft {
  readonly manifest: Manifest;
  /** What is dropped is taken out of it. */
  readonly ledger: GarbageLedger;
  /** Blocks stored so far that nothing refers to yet. */
  readonly staged: BlockId[];
}

async function toolsFor(
  store: Store,
  tenure: Tenure,
  { kind, basis, fence, checkpoint = fence.seq, decided, reserve }: WorkTerms,
  { targetBytes, maxStoreBytes, pace }: WorkOptions,
  { manifest, ledger, staged }: Draft,
): Promise<Tools> {
  const { retentions, dead } = decided ?? (await aside(pace, decide(store, basis, checkpoint)));
  const removal = new Removal();
  return {
    manifest,
    rule: ruleUnder(basis, checkpoint, retentions),
    keepers: keepersOf(basis, retentions),
    dead,
    removal,
    targetBytes,
    maxStoreBytes,
    pace,
    isDead: (table) => isIn(dead, table),
    newBlockId: () => tenure.newBlockId(),
    load: (infos) => loadAll(store, tenure, infos, pace),
    store: async (blocks, isLast) => {
      staged.push(...blocks.map((b) => b.id));
      const writes = blocks.map((b): Write => ({ kind: "put", store: "blocks", key: b.id, value: b.bytes }));
      // The last ones bring all that was staged to the disk here, where no commit waits for it, and not in the swap.
      const isStrict = isLast || blocks.some((b) => b.bytes.length > maxRelaxedBytes);
      const durability = isStrict ? "strict" : "relaxed";
      const stored = tenure.write(durability, [], () => writes, ["blocks"], reserve);
      if (!(await aside(pace, stored))) throw new LookAnew();
      for (const block of blocks) if (kind !== "fold" || !store.blocks.keepStored(block)) giveBack(block.bytes);
    },
    dropped: (key, version, supersededBy, clause) => {
      removal.add(key, version);
      if (clause !== "cleared" && clause !== "tombstone") count(ledger, key, version, supersededBy);
    },
    lose: (refs) => {
      removal.addOutside(refs);
      return refs.flatMap((ref) => deletesOf(ref));
    },
  };
}

/** The ledger counts superseded versions that are no tombstones, and index entries as if they had always been there. */
function count(ledger: GarbageLedger, key: ByteKey, { seq: c, payload }: Version, supersededBy: Seq): void {
  const table = tableOf(key);
  if (payload === undefined || table === systemTable) return;
  ledger.drop(payload.length === 0 ? unknownSeq : c, supersededBy, versionBytes(key, payload), table);
}

/** At once: the collector comes late to memory that lies outside its heap. What is stored, storage has copied. */
const giveBack = (bytes: StoredValue): void => void (bytes.buffer as Transferable).transfer?.(0);

/** Not in every browser that we run in. */
interface Transferable {
  transfer?(newByteLength: number): ArrayBuffer;
}

const recordOf = ({ kind, basis, fence, checkpoint, cycle }: WorkTerms, { removal }: Tools) => ({
  kind,
  cycle: cycle?.id ?? 0,
  step: cycle?.step ?? 0,
  floor: basis.floor,
  points: basis.points,
  checkpoint: checkpoint ?? fence.seq,
  holders: basis.holders,
  versions: removal.versions,
  bytes: removal.bytes,
  hash: removal.hash,
});

/** What was moved, or is listed with other figures, is both removed and added: it stays. */
function goneFrom(edits: readonly ManifestEdit[]): readonly BlockId[] {
  const kept = new Set(edits.flatMap(({ added }) => added.map(({ id }) => id)));
  return edits.flatMap(({ removed }) => removed.flatMap(({ id }: BlockInfo) => (kept.has(id) ? [] : [id])));
}

/**
 * What was staged and not published goes again, at once: a full disk must not stay full of it. Unless the publishing
 * went through without our being told: then the manifest has moved on, and it stays for the next tenure to judge.
 */
async function unstage(tenure: Tenure, staged: readonly BlockId[], before: Manifest): Promise<void> {
  if (staged.length === 0) return;
  const deletes = ([row]: readonly Found[]): readonly Write[] | undefined => {
    const bytes = valueOf(row);
    if (!bytes || decodeRoot(bytes).version !== before.version) return undefined;
    return staged.map((id): Write => ({ kind: "delete", store: "blocks", key: id }));
  };
  await tenure.write("relaxed", [readRoot], deletes, ["blocks"]).catch(() => undefined); // the next tenure sweeps
}
