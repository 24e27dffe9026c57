/**
 * Runs and evictions that pages ask for. Only the tab that does upkeep can do them; any tab may ask. A tab that asks and
 * hears nothing takes upkeep over, as it would with a backlog that does not move, and does it itself.
 */
import { isTidemarkError, TidemarkError } from "../base/errors.ts";
import type { GcProgress, GcReport } from "../protocol/gc.ts";
import type { Failure } from "../protocol/messages.ts";
import type { RunRequest } from "./gc-run.ts";
import { Deposed } from "./gc-run.ts";
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

/** Between tabs. `tab` is who asked. */
export type JobMessage = { readonly tab: TabId; readonly job: number } & (
  | { readonly type: "job"; readonly request: JobRequest }
  | { readonly type: "job-steer"; readonly what: Steering }
  | { readonly type: "job-alive"; readonly progress: GcProgress | undefined }
  | { readonly type: "job-done"; readonly report: JobReport | undefined }
  | { readonly type: "job-failed"; readonly error: Failure }
);
export type Steering = "pause" | "resume" | "cancel";

export interface JobsSeams {
  readonly self: TabId;
  readonly isHere: () => boolean;
  /** Does it here, where upkeep is, for `tab`. */
  perform(
    tab: TabId,
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
    perform: async (tab, request, gate, progress) => {
      if (request.kind === "evict") {
        await upkeep.evict(request.holder, tab, request.since);
        return undefined;
      }
      const { scanned, versions, bytes, ...figures } = await upkeep.collect(request, gate, progress);
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

export class GcJobs {
  readonly #seams: JobsSeams;
  /** Of our page, done here. */
  readonly #gates = new Map<string, Gate>();
  /** Of our page, done elsewhere. */
  readonly #asked = new Map<number, Asked>();
  /** Pauses and cancellations that came before the job began. */
  readonly #steered = new Map<number, Steering[]>();

  constructor(seams: JobsSeams) {
    this.#seams = seams;
  }

  /** @throws BUSY where another run is under way; what the job itself throws */
  async run(job: number, request: JobRequest): Promise<JobReport | undefined> {
    try {
      for (;;) {
        try {
          return this.#seams.isHere()
            ? await this.#here(this.#seams.self, job, request)
            : await this.#elsewhere(job, request);
        } catch (e) {
          if (!(e instanceof Deposed) && !isMoved(e)) throw e;
        }
      }
    } finally {
      this.#steered.delete(job);
    }
  }

  steer(job: number, what: Steering): void {
    const gate = this.#gates.get(nameOf(this.#seams.self, job));
    if (gate) steered(gate, what);
    else {
      this.#steered.set(job, [...(this.#steered.get(job) ?? []), what]);
      this.#seams.post({ type: "job-steer", tab: this.#seams.self, job, what });
    }
  }

  receive(message: JobMessage): void {
    const { self } = this.#seams;
    if (message.type === "job") {
      if (this.#seams.isHere() && message.tab !== self)
        void this.#forAnother(message.tab, message.job, message.request);
      return;
    }
    if (message.type === "job-steer") {
      const gate = this.#gates.get(nameOf(message.tab, message.job));
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
    tab: TabId,
    job: number,
    request: JobRequest,
    progress: (progress: GcProgress) => void = (p) => this.#seams.progress(job, p),
  ): Promise<JobReport | undefined> {
    const name = nameOf(tab, job);
    const gate = new Gate();
    this.#gates.set(name, gate);
    if (tab === this.#seams.self) for (const what of this.#steered.get(job) ?? []) steered(gate, what);
    try {
      return await this.#seams.perform(tab, request, gate, progress);
    } finally {
      this.#gates.delete(name);
    }
  }

  /** Another tab asked; while it is being done, it hears that we live. */
  async #forAnother(tab: TabId, job: number, request: JobRequest): Promise<void> {
    if (this.#gates.has(nameOf(tab, job))) return; // asked again: it is under way
    const alive = (progress?: GcProgress): void => this.#seams.post({ type: "job-alive", tab, job, progress });
    void this.#beat(nameOf(tab, job), alive);
    try {
      const report = await this.#here(tab, job, request, alive);
      this.#seams.post({ type: "job-done", tab, job, report });
    } catch (e) {
      if (!(e instanceof Deposed)) this.#seams.post({ type: "job-failed", tab, job, error: failureOf(e) });
    }
  }

  /** For as long as it is being done. */
  async #beat(name: string, alive: () => void): Promise<void> {
    do {
      alive();
      await this.#seams.sleep(aliveMs);
    } while (this.#gates.has(name));
  }

  async #elsewhere(job: number, request: JobRequest): Promise<JobReport | undefined> {
    const { self, post, sleep, isHere } = this.#seams;
    const asked = new Asked();
    this.#asked.set(job, asked);
    try {
      for (let silences = 0; ;) {
        const { heard } = asked;
        if (silences > 0 || heard === 0) post({ type: "job", tab: self, job, request });
        for (const what of this.#steered.get(job) ?? []) post({ type: "job-steer", tab: self, job, what });
        for (let waitedMs = 0; waitedMs < silentMs && !asked.end && !isHere(); waitedMs += lookMs) {
          await Promise.race([asked.whenEnded, sleep(lookMs)]);
        }
        if (asked.end) return reportOf(asked.end);
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

const nameOf = (tab: TabId, job: number): string => `${tab}/${job}`;

function steered(gate: Gate, what: Steering): void {
  if (what === "pause") gate.pause();
  else if (what === "resume") gate.resume();
  else gate.cancel(new TidemarkError("CLOSED", "The run was cancelled", { reason: "cancelled" }));
}
