/**
 * A cycle: everything that is due under one fixed floor is swept, a step at a time. Floor, points and time are fixed as
 * it begins; which blocks a step takes follows from what is stored and from the cursor alone (plan.ts), never from time.
 * Each step is published in one transaction with the cursor behind it. So a cycle survives any tab: whoever does upkeep
 * next goes on at its cursor, and it ends up the same.
 */
import { byteKey, type Seq, seq } from "../base/brand.ts";
import { fields, flag, listOf, object, oneOf, optional, pair, real, text, whole } from "../codec/form.ts";
import { retentionForm } from "../codec/schema.ts";
import type { Store } from "../mvcc/store.ts";
import type { InternalKey } from "../segments/internal-key.ts";
import { aside } from "../segments/pace.ts";
import { type Found, get, type Read, type Write } from "../storage/contract.ts";
import { type Stretch, stretch } from "./dead-tables.ts";
import {
  type Basis,
  type Execution,
  type ExecutionStatus,
  jsonIn,
  putExecution,
  putJson,
  type RunKind,
} from "./journal.ts";
import { type Cursor, nextStep, type PlanTerms, startOf } from "./plan.ts";
import type { Asker, RunTerms, Tally } from "./strategy.ts";
import { swept } from "./swept.ts";
import type { Tenure } from "./tenure.ts";
import { retentionsAt } from "./rule-under.ts";
import { begun, ended, isAnyReleased, keepersOf, newlyDead, readKeepers } from "./keepers.ts";
import { type Decided, decide, published, type Tools, type WorkOptions } from "./work.ts";

/** What a cycle that begins now goes by, besides who may read. */
export interface Outlook {
  readonly decided: Decided;
  /** Whether what kept versions besides the floor was released since a full cycle last looked. */
  readonly isReleased: boolean;
  /** Of the dead tables those that none has been through: of the others nothing is left. */
  readonly newlyDead: readonly Stretch[];
}

/** What a cycle is, between two of its steps: as stored. */
export interface CycleState extends Tally, Outlook {
  readonly id: number;
  readonly kind: RunKind;
  readonly basis: Basis;
  readonly checkpoint: Seq;
  readonly cursor: Cursor;
  readonly steps: number;
  readonly started: number;
  readonly config: Readonly<Record<string, unknown>>;
  readonly asker?: Asker;
}

/** What its execution tells of it. */
type Executed = Pick<CycleState, "id" | "kind" | "started" | "config" | keyof Tally>;
/** What is told of one as it goes on. */
export type CycleProgress = Pick<CycleState, "id" | "steps" | keyof Tally>;

const cycleKey = "gc/cycle";
export const readCycle: Read = get("meta", cycleKey);
/** One step swaps so many blocks at most, all of them read. */
const maxStepBlocks = 64;
const defaultStepVersions = 10_000;

const putCycle = (state: CycleState): Write => putJson(cycleKey, state);
const deleteCycle: Write = { kind: "delete", store: "meta", key: cycleKey };

const form = fields<CycleState>({
  id: whole,
  kind: oneOf("YOUNG_ONLY", "YOUNG_AND_MIDDLE", "FULL_GC"),
  basis: fields<Basis>({
    floor: whole,
    points: listOf(whole),
    nowMs: real,
    holders: whole,
    log: optional(fields<NonNullable<Basis["log"]>>({ database: whole, incarnation: whole })),
  }),
  checkpoint: whole,
  cursor: fields<Cursor>({
    level: oneOf(-1, 0, 1, 2, 3),
    before: optional(fields<InternalKey>({ key: text, seq: whole })),
  }),
  steps: whole,
  started: real,
  config: object,
  asker: optional(fields<Asker>({ tab: text, job: real })),
  decided: fields<Decided>({ retentions: listOf(pair(whole, retentionForm)), dead: listOf(stretch) }),
  isReleased: flag,
  newlyDead: listOf(stretch),
  scanned: real,
  versions: real,
  bytes: real,
});

/** The cycle under way, if any. Damaged, it is as good as absent: what it left is due as before. */
export function cycleIn(found: Found | undefined): CycleState | undefined {
  const [state] = jsonIn(found, "cycle", form);
  if (!state) return undefined;
  const { before } = state.cursor;
  const cursor = { ...state.cursor, before: before && revived(before) };
  return { ...state, cursor };
}
const revived = ({ key, seq: at }: InternalKey): InternalKey => ({ key: byteKey(key), seq: seq(at) });

export async function outlook(store: Store, basis: Basis, checkpoint: Seq): Promise<Outlook> {
  const decided = await decide(store, basis, checkpoint);
  const [row] = await store.storage.read([readKeepers]);
  const isReleased = isAnyReleased(row, keepersOf(basis, decided.retentions));
  return { decided, isReleased, newlyDead: newlyDead(row, decided.dead) };
}

/** A cycle over what is due now, its row written; `undefined` where nothing is due. Its execution says RUNNING. */
export async function beginCycle(
  store: Store,
  tenure: Tenure,
  { kind, basis, config, before, isAsked, asker }: RunTerms,
  options: WorkOptions,
): Promise<CycleState | undefined> {
  const { manifest, fence } = store;
  const { pace } = options;
  const fresh = {
    kind,
    basis,
    config,
    checkpoint: fence.seq,
    ...(await aside(pace, outlook(store, basis, fence.seq))),
    cursor: startOf(manifest, kind),
    steps: 0,
    ...before,
    started: basis.nowMs,
    ...(asker && { asker }),
  };
  const isDue = nextStep(manifest, fresh.cursor, planTerms(fresh, options)) !== undefined;
  if (!isDue && !isAsked) return undefined;
  const state: CycleState = { id: tenure.journal.nextExecution(), ...fresh };
  const writes = [putCycle(state), ...putExecution(executionOf(state, "RUNNING"))];
  const all = ([keepers]: readonly Found[]) => (kind === "FULL_GC" ? [...writes, begun(keepers)] : writes);
  const written = tenure.write("relaxed", [readKeepers], all, ["meta"]);
  return (await aside(pace, written)) ? state : undefined;
}

/** Takes the next step. "over": nothing is left, it is ended. `undefined`: look anew, it may be another tab's by now. */
export async function stepCycle(
  store: Store,
  tenure: Tenure,
  state: CycleState,
  options: WorkOptions,
  nowMs: () => number,
): Promise<CycleState | "over" | undefined> {
  const { id, basis, checkpoint, steps } = state;
  const terms = {
    kind: "sweep",
    basis,
    fence: store.fence,
    checkpoint,
    decided: state.decided,
    reserve: "all",
    cycle: { id, step: steps + 1 },
  } as const;
  let isOver = false;
  const next = await published(store, tenure, terms, options, async (tools) => {
    const step = nextStep(tools.manifest, state.cursor, planTerms(state, options));
    isOver = step === undefined;
    if (!step) return undefined;
    const { scanned, change } = await swept(tools, { level: step.level, runs: step.runs });
    const done = advanced(state, step.cursor, scanned, tools);
    return { ...change, also: [...change.also, putCycle(done)], done };
  });
  if (!isOver) return next;
  return (await aside(options.pace, endCycle(tenure, state, "COMPLETED", nowMs()))) ? "over" : undefined;
}

const advanced = (state: CycleState, cursor: Cursor, scanned: number, { removal }: Tools): CycleState => ({
  ...state,
  cursor,
  steps: state.steps + 1,
  scanned: state.scanned + scanned,
  versions: state.versions + removal.versions,
  bytes: state.bytes + removal.bytes,
});

/** Ends a cycle, finished or not, and writes down what became of it. False: the tenure is over. */
export function endCycle(
  tenure: Tenure,
  state: CycleState,
  status: Exclude<ExecutionStatus, "RUNNING">,
  nowMs: number,
  error?: string,
): Promise<boolean> {
  const isFull = status === "COMPLETED" && state.kind === "FULL_GC";
  const writes: readonly Write[] = [
    deleteCycle,
    ...putExecution({ ...executionOf(state, status), completed: nowMs, ...(error === undefined ? {} : { error }) }),
  ];
  const under = keepersOf(state.basis, state.decided.retentions);
  const all = ([keepers]: readonly Found[]) =>
    isFull ? [...writes, ...ended(keepers, under, state.decided.dead)] : writes;
  return tenure.write("relaxed", [readKeepers], all, ["meta"]);
}

/** What ended before its cycle began is written down without one. False: the tenure is over. */
export const noteUnbegun = (
  tenure: Tenure,
  run: Executed,
  status: "CANCELLED" | "FAILED",
  completed: number,
  error: string,
): Promise<boolean> =>
  tenure.write("relaxed", [], () => putExecution({ ...executionOf(run, status), completed, error }), ["meta"]);

const executionOf = (state: Executed, status: ExecutionStatus): Execution => ({
  id: state.id,
  type: state.kind,
  started: state.started,
  status,
  scanned: state.scanned,
  marked: state.versions,
  swept: state.versions,
  bytes: state.bytes,
  config: state.config,
});

function planTerms(
  { basis, checkpoint, isReleased, newlyDead: dead }: Omit<CycleState, "id">,
  { levels, maxStepVersions = defaultStepVersions }: WorkOptions,
): PlanTerms {
  const reach = Math.min(basis.floor, checkpoint);
  return { reach, isReleased, dead, maxStepBytes: levels.maxStepBytes, maxStepBlocks, maxStepVersions };
}

/** Whether a full cycle would look at what only points and retention kept: some were released since the last. */
export const isAnyKeeperReleased = async (store: Store, basis: Basis): Promise<boolean> => {
  const [row] = await store.storage.read([readKeepers]);
  return isAnyReleased(row, keepersOf(basis, await retentionsAt(store, store.head.seq)));
};
