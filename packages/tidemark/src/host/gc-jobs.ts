/**
 * Runs and evictions that pages ask for. Only the tab that does upkeep can do them; any tab may ask. A tab that asks and
 * hears nothing takes upkeep over, as it would with a backlog that does not move, and does it itself.
 */
import { isTidemarkError, TidemarkError } from "../base/errors.ts";
import type { GcProgress, GcReport } from "../protocol/gc.ts";
import type { Failure } from "../protocol/messages.ts";
import type { Asker } from "../gc/strategy.ts";
import { Deposed, type RunRequest } from "./gc-run.ts";
import type { HostEvent } from "../protocol/messages.ts";
import type { Environment } from "./environment.ts";
import { failureOf } from "./failure.ts";
import { Gate } from "./gate.ts";
import type { Tabs } from "./tabs.ts";
import type { Upkeep } from "./upkeep.ts";
import type { Seq, TabId } from "../base/brand.ts";

/** What a run did; of an eviction nothing is to be told. */
export type JobReport = Omit<GcReport, "heldBack">;

export type JobRequest =
  | ({ readonly kind: "run" } & RunRequest)
  /** `since`: the head as it was asked. */
  | { readonly kind: "evict"; readonly holder: string; readonly since: Seq };

/** Between tabs. `tab` is who asked; `what` of a job is how it stands, if it was ever steered. */
export type JobMessage = Asker &
  (
    | { readonly type: "job"; readonly request: JobRequest; readonly what: Steering | undefined }
    | { readonly type: "job-steer"; readonly what: Steering }
    | { readonly type: "job-alive"; readonly progress: GcProgress | undefined }
    | { readonly type: "job-done"; readonly report: JobReport | undefined }
    | { readonly type: "job-failed"; readonly error: Failure }
  );
export type Steering = "pause" | "resume" | "cancel";

export interface JobsSeams {
  readonly self: TabId;
  readonly isHere: () => boolean;
  /** Whether that tab is there, asleep or not. */
  readonly lives: (tab: TabId) => Promise<boolean>;
  /** Does it here, where upkeep is. */
  perform(
    asker: Asker,
    request: JobRequest,
    gate: Gate,
    progress: (progress: GcProgress) => void,
  ): Promise<JobReport | undefined>;
  readonly takeOver: () => Promise<void>;
  readonly post: (message: JobMessage) => void;
  readonly progress: (job: number, progress: GcProgress) => void;
  readonly sleep: (ms: number) => Promise<void>;
}

/** The jobs of one tab. */
export const jobsOf = (upkeep: Upkeep, tabs: Tabs, { clock }: Environment, tell: (event: HostEvent) => void): GcJobs =>
  new GcJobs({
    self: tabs.self,
    isHere: () => upkeep.isHere,
    lives: async (tab) => (await tabs.live()).has(tab),
    perform: async (asker, request, gate, progress) => {
      if (request.kind === "evict") {
        await upkeep.evict(request.holder, asker.tab, request.since);
        return undefined;
      }
      const { scanned, versions, bytes, ...figures } = await upkeep.collect(request, asker, gate, progress);
      const told = { marked: versions, deleted: versions, total: scanned, bytesReclaimed: bytes, dryRun: false };
      return { ...told, ...figures };
    },
    takeOver: () => upkeep.takeOver(),
    post: (message) => tabs.post(message),
    progress: (job, progress) => tell({ type: "gc", job, event: { type: "progress", ...progress } }),
    sleep: (ms) => clock.sleep(ms),
  });

const aliveMs = 400;
/** Silence for so long, twice, is taken to mean that the upkeep tab is frozen. */
const silentMs = 1500;
/** Upkeep may come to this tab meanwhile. */
const lookMs = 50;
/** Whoever lives, and waits for a job whose host is gone, asks anew within so long, even where no message tells him. */
export const askedAnewMs: number = 2 * silentMs + 1000;

export class GcJobs {
  readonly #seams: JobsSeams;
  /** Of those that are done here. */
  readonly #gates = new Map<string, Gate>();
  /** Of our page, done elsewhere. */
  readonly #asked = new Map<number, Asked>();
  /** How those of our page stand that were ever steered: wherever one is done, it goes by that. */
  readonly #steered = new Map<number, Steering>();

  constructor(seams: JobsSeams) {
    this.#seams = seams;
  }

  /** @throws BUSY where another run is under way; what the job itself throws */
  async run(job: number, request: JobRequest): Promise<JobReport | undefined> {
    try {
      for (;;) {
        try {
          const { self, isHere, progress } = this.#seams;
          if (!isHere()) return await this.#elsewhere(job, request);
          return await this.#here({ tab: self, job }, request, this.#steered.get(job), (p) => progress(job, p));
        } catch (e) {
          if (!(e instanceof Deposed) && !isMoved(e)) throw e;
        }
      }
    } finally {
      this.#steered.delete(job);
    }
  }

  steer(job: number, what: Steering): void {
    const { self, post } = this.#seams;
    if (this.#steered.get(job) !== "cancel") this.#steered.set(job, what);
    const gate = this.#gates.get(nameOf({ tab: self, job }));
    if (gate) steered(gate, what);
    else post({ type: "job-steer", tab: self, job, what });
  }

  /** Upkeep has come to another tab. */
  moved(): void {
    for (const asked of this.#asked.values()) asked.isLost = true;
  }

  receive(message: JobMessage): void {
    const { self } = this.#seams;
    if (message.type === "job") {
      if (this.#seams.isHere() && message.tab !== self) void this.#forAnother(message);
      return;
    }
    if (message.type === "job-steer") {
      const gate = this.#gates.get(nameOf(message));
      if (gate) steered(gate, message.what);
      return;
    }
    const asked = message.tab === self ? this.#asked.get(message.job) : undefined;
    if (!asked) return;
    asked.heard++;
    if (message.type === "job-alive" && message.progress) this.#seams.progress(message.job, message.progress);
    if (message.type === "job-done") asked.settle({ report: message.report });
    if (message.type === "job-failed") asked.settle({ error: message.error });
  }

  async #here(
    asker: Asker,
    request: JobRequest,
    what: Steering | undefined,
    progress: (progress: GcProgress) => void,
  ): Promise<JobReport | undefined> {
    const name = nameOf(asker);
    const gate = new Gate();
    this.#gates.set(name, gate);
    if (what) steered(gate, what);
    try {
      return await this.#seams.perform(asker, request, gate, progress);
    } finally {
      this.#gates.delete(name);
    }
  }

  /** Another tab asked; while it is being done, it hears that we live. */
  async #forAnother({ tab, job, request, what }: Extract<JobMessage, { type: "job" }>): Promise<void> {
    const asker = { tab, job };
    const present = this.#gates.get(nameOf(asker));
    if (present) return what && steered(present, what); // asked again: it is under way
    const alive = (progress?: GcProgress): void => this.#seams.post({ type: "job-alive", tab, job, progress });
    const done = this.#here(asker, request, what, alive);
    void this.#beat(asker, alive);
    try {
      const report = await done;
      this.#seams.post({ type: "job-done", tab, job, report });
    } catch (e) {
      if (!(e instanceof Deposed)) this.#seams.post({ type: "job-failed", tab, job, error: failureOf(e) });
    }
  }

  /** For as long as it is being done. Who paused it and died never resumes it: it is cancelled, as when he closes. */
  async #beat(asker: Asker, alive: () => void): Promise<void> {
    for (let gate; (gate = this.#gates.get(nameOf(asker))); await this.#seams.sleep(aliveMs)) {
      alive();
      if (gate.isPaused && !(await this.#seams.lives(asker.tab))) steered(gate, "cancel");
    }
  }

  async #elsewhere(job: number, request: JobRequest): Promise<JobReport | undefined> {
    const { self, post, sleep, isHere } = this.#seams;
    const asked = new Asked();
    this.#asked.set(job, asked);
    try {
      for (let silences = 0; ;) {
        const { heard } = asked;
        const what = this.#steered.get(job);
        if (silences > 0 || heard === 0 || asked.isLost) post({ type: "job", tab: self, job, request, what });
        else if (what) post({ type: "job-steer", tab: self, job, what });
        asked.isLost = false;
        const isNews = (): boolean => asked.end !== undefined || asked.isLost || isHere();
        for (let waitedMs = 0; waitedMs < silentMs && !isNews(); waitedMs += lookMs) {
          await Promise.race([asked.whenEnded, sleep(lookMs)]);
        }
        if (asked.end) return reportOf(asked.end);
        if (asked.isLost) continue;
        silences = asked.heard > heard ? 0 : silences + 1;
        if (silences >= 2) await this.#seams.takeOver();
        if (silences >= 2 || isHere()) throw moved();
      }
    } finally {
      this.#asked.delete(job);
    }
  }
}

type End = { readonly report: JobReport | undefined } | { readonly error: Failure };

/** A job of our page that another tab does. */
class Asked {
  /** How often we heard of it. */
  heard = 0;
  end: End | undefined;
  /** Whoever did it does so no more. */
  isLost = false;
  readonly whenEnded: Promise<void>;
  #ended: () => void = () => undefined;

  constructor() {
    this.whenEnded = new Promise((resolve) => (this.#ended = resolve));
  }

  settle(end: End): void {
    this.end = end;
    this.#ended();
  }
}

function reportOf(end: End): JobReport | undefined {
  if ("error" in end) throw new TidemarkError(end.error.code, end.error.message, end.error.details);
  return end.report;
}

/** Upkeep is in another tab now: ask anew. */
const moved = (): TidemarkError => new TidemarkError("BUSY", "Upkeep has moved to another tab", { moved: true });
const isMoved = (e: unknown): boolean => isTidemarkError(e, "BUSY") && e.details["moved"] === true;

const nameOf = ({ tab, job }: Asker): string => `${tab}/${job}`;

function steered(gate: Gate, what: Steering): void {
  if (what === "pause") gate.pause();
  else if (what === "resume") gate.resume();
  else gate.cancel(new TidemarkError("CLOSED", "The run was cancelled", { reason: "cancelled" }));
}
