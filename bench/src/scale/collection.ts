/** Garbage in blocks, and a page that works all the time while it goes. */
import { collection, createDatabase, type Database, type Metrics } from "tidemark";
import { collectGarbage } from "../timing.ts";
import { dice } from "./rows.ts";
import { untilQuiet } from "./stores.ts";

interface Text {
  readonly id: string;
  readonly round: number;
  readonly text: string;
}
const collections = {
  texts: collection<Text>()({ key: "id" }),
  scratch: collection<{ id: number; n: number }>()({ key: "id" }),
};

let db: Database<typeof collections> | undefined;
const opened = (): Database<typeof collections> => {
  if (!db) throw new Error("No database is open");
  return db;
};

const atOnce = 5000;
const scratchKeys = 500;
const held = "held";
/** The page's own work makes some versions meanwhile. */
const nearlyAll = 0.98;
const lookMs = 250;
const filling = "abcdefghijklmnopqrstuvwxyz".repeat(4);

const idOf = (n: number): string => `t${String(n).padStart(8, "0")}`;
const textOf = (n: number, round: number): Text => ({
  id: idOf(n),
  round,
  text: `${filling.slice(n % 16)}${n}/${round}`,
});

function assertText(found: Text | undefined, n: number, round: number): void {
  const should = textOf(n, round);
  if (found?.round !== should.round || found.text !== should.text) throw new Error(`${should.id} is not as written`);
}

async function putRound(from: number, to: number, round: number): Promise<void> {
  for (let i = from; i < to; i += atOnce) {
    const some = Array.from({ length: Math.min(atOnce, to - i) }, (_, j) => textOf(i + j, round));
    await opened().collection("texts").putMany(some);
  }
}

/** What the page saw of its own work, in milliseconds. */
export interface Seen {
  readonly puts: readonly number[];
  readonly gets: readonly number[];
  /** From one frame to the next. */
  readonly frames: readonly number[];
  readonly longTasks: readonly number[];
}
let working: { readonly end: AbortController; readonly seen: Promise<Seen> } | undefined;

/** Awaited puts and gets in turns, one always outstanding, beside frames. */
async function work(records: number, round: number, end: AbortSignal): Promise<Seen> {
  const [texts, scratch] = [opened().collection("texts"), opened().collection("scratch")];
  const seen = { puts: [] as number[], gets: [] as number[], frames: [] as number[], longTasks: [] as number[] };
  const observer = new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) seen.longTasks.push(duration);
  });
  observer.observe({ type: "longtask" });
  watchFrames(seen.frames, end);
  const roll = dice(1);
  for (let n = 0; !end.aborted; n++) {
    const number = roll(records);
    const from = performance.now();
    await scratch.put({ id: n % scratchKeys, n });
    const between = performance.now();
    const found = await texts.get(idOf(number));
    seen.gets.push(performance.now() - between);
    seen.puts.push(between - from);
    assertText(found, number, round);
  }
  observer.disconnect();
  return seen;
}

function watchFrames(frames: number[], end: AbortSignal): void {
  let last: number | undefined;
  const frame = (): void => {
    if (end.aborted) return;
    const now = performance.now();
    if (last !== undefined) frames.push(now - last);
    last = now;
    requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
}

export interface Collected {
  /** From the release of the snapshot until the last of it was gone. */
  readonly ms: number;
  readonly deleted: number;
  readonly scanned: number;
  readonly steps: number;
  readonly isComplete: boolean;
}

const fileBytes = ({ blockBytes, logBytes, blobBytes }: Metrics): number => blockBytes + logBytes + blobBytes;

export const collectionCalls = {
  openTexts: async (name: string): Promise<void> => {
    db = await createDatabase({ name, collections }).open();
  },
  closeTexts: async (): Promise<void> => {
    await db?.close();
    db = undefined;
  },
  /** Writes records, keeps that state, and writes them so often again: all of it lies in blocks then. */
  pileUp: async (records: number, rounds: number): Promise<{ versions: number; bytes: number }> => {
    await putRound(0, records, 0);
    await opened().snapshots.create(held);
    for (let round = 1; round <= rounds; round++) await putRound(0, records, round);
    await opened().checkpoint();
    await untilQuiet(opened());
    const metrics = await opened().storage.metrics();
    return { versions: metrics.versions, bytes: fileBytes(metrics) };
  },
  /** The same records written once, and what is written beside them: what the stores cannot be smaller than. */
  writeOnce: async (records: number, round: number): Promise<number> => {
    await putRound(0, records, round);
    const scratch = Array.from({ length: scratchKeys }, (_, id) => ({ id, n: id }));
    await opened().collection("scratch").putMany(scratch);
    await opened().checkpoint();
    await untilQuiet(opened());
    return fileBytes(await opened().storage.metrics());
  },
  /** Writes records, and some of them once more, evenly spread: as many old versions, which nobody keeps any more. */
  littleGarbage: async (records: number, garbage: number): Promise<Metrics> => {
    await putRound(0, records, 0);
    await collectionCalls.settleTexts();
    await opened().snapshots.create(held); // or the fold would drop them
    const every = Math.floor(records / garbage);
    const some = Array.from({ length: garbage }, (_, i) => textOf(i * every, 1));
    await opened().collection("texts").putMany(some);
    const metrics = await collectionCalls.settleTexts();
    await opened().snapshots.delete(held);
    return metrics;
  },
  settleTexts: async (): Promise<Metrics> => {
    await opened().checkpoint();
    await untilQuiet(opened());
    return opened().storage.metrics();
  },
  collectTexts: async (): Promise<{ deleted: number; scanned: number; ms: number }> => {
    const { deleted, total, durationMs } = await opened().gc.run();
    return { deleted, scanned: total, ms: durationMs };
  },
  textMetrics: (): Promise<Metrics> => opened().storage.metrics(),
  textBytes: async (): Promise<number> => fileBytes(await opened().storage.metrics()),

  beginWork: (records: number, round: number): void => {
    collectGarbage();
    const end = new AbortController();
    const seen = work(records, round, end.signal);
    seen.catch(() => undefined); // told when it ends
    working = { end, seen };
  },
  endWork: async (): Promise<Seen> => {
    working?.end.abort();
    const seen = await working?.seen;
    if (!seen) throw new Error("Nothing was done");
    return seen;
  },
  /** Lets the garbage go, and waits until it is gone, by nobody's asking. */
  release: async (garbage: number, patienceMs: number): Promise<Collected> => {
    const cycles = new Map<number, { scanned: number; steps: number }>();
    const subscription = opened().gc.subscribe((event) => {
      if (event.type === "progress") cycles.set(event.cycleId, event);
    });
    const sum = (of: "scanned" | "steps"): number => [...cycles.values()].reduce((n, c) => n + c[of], 0);
    const { versions: before } = await opened().storage.metrics();
    const from = performance.now();
    await opened().snapshots.delete(held);
    let deleted = 0;
    while (deleted < garbage * nearlyAll && performance.now() - from < patienceMs) {
      await new Promise((resolve) => setTimeout(resolve, lookMs));
      deleted = before - (await opened().storage.metrics()).versions;
    }
    subscription.unsubscribe();
    const ms = performance.now() - from;
    const isComplete = deleted >= garbage * nearlyAll;
    return { ms, deleted, scanned: sum("scanned"), steps: sum("steps"), isComplete };
  },
  proveTexts: async (records: number, round: number): Promise<void> => {
    const all = await opened().collection("texts").all();
    if (all.length !== records) throw new Error(`${all.length} records are there instead of ${records}`);
    for (const [n, text] of all.entries()) assertText(text, n, round);
  },
};
