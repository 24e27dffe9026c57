/**
 * What tabs tell one another. Hints all of them: a lost or late message delays, it never corrupts, since every commit
 * is validated against the log itself. What comes in is checked before it is believed; entries carry checksums and a
 * chain, so a foreign or stale one does not apply.
 */
import type { TabId } from "../base/brand.ts";
import { bytes, either, fields, finite, flag, type Form, object, oneOf, optional, text, whole } from "../codec/form.ts";
import type { GcProgress } from "../protocol/gc.ts";
import { failureForm } from "../protocol/forms.ts";
import { gcRunChecks } from "../protocol/gc-settings.ts";
import { areOptions } from "../protocol/options.ts";
import type { JobMessage, JobReport, JobRequest, Steering } from "./gc-jobs.ts";

export type TabMessage =
  /** A log entry was appended; small ones come along. */
  | { readonly type: "commit"; readonly bytes: Uint8Array | undefined }
  /** The log was folded up to somewhere. */
  | { readonly type: "checkpoint" }
  /** Whoever does upkeep: fold the log. */
  | { readonly type: "wanted" }
  /** Upkeep asks every tab to raise its pin, and each answers when it has. */
  | { readonly type: "raise" }
  | { readonly type: "raised"; readonly tab: TabId }
  /** A snapshot was deleted, or a view on one released. */
  | { readonly type: "released" }
  /** A consumer of changes got on. */
  | { readonly type: "consumed" }
  /** A transaction of mine lost: let it pass before you begin another. */
  | { readonly type: "courtesy"; readonly by?: TabId; readonly forMs?: number }
  | { readonly type: "deleted" }
  /** A tab joins; those that are there answer, and from then on tell it what they commit. */
  | { readonly type: "joined" }
  | { readonly type: "present" }
  /** Without shared locks: is anybody there? */
  | { readonly type: "ping" }
  | { readonly type: "pong" }
  /** Upkeep has come to me: whoever waits for a job of mine asks me for it. */
  | { readonly type: "upkeep" }
  /** How a cycle of garbage collection goes on. */
  | { readonly type: "gc"; readonly progress: GcProgress }
  | JobMessage;

const none = fields<object>({});
const progress = fields<GcProgress>({
  cycleId: whole,
  phase: oneOf("checkpoint", "sweep", "done"),
  steps: whole,
  scanned: whole,
  deleted: whole,
  bytesReclaimed: finite,
});
const report = fields<JobReport>({
  marked: finite,
  deleted: finite,
  total: finite,
  durationMs: finite,
  bytesReclaimed: finite,
  slices: finite,
  longestSliceMs: finite,
  cycleId: whole,
  dryRun: flag,
});
const steering = oneOf<Steering>("pause", "resume", "cancel");
type RequestOf<K extends JobRequest["kind"]> = Extract<JobRequest, { kind: K }>;
const request = either(
  fields<RequestOf<"run">>({
    kind: oneOf("run"),
    options: (value) => areOptions(value, gcRunChecks),
    isBackground: flag,
  }),
  fields<RequestOf<"evict">>({ kind: oneOf("evict"), holder: text, since: whole }),
);
const asker = { tab: text, job: finite };

const forms: Readonly<Record<TabMessage["type"], Form>> = {
  commit: fields({ bytes: optional(bytes) }),
  checkpoint: none,
  wanted: none,
  raise: none,
  raised: fields({ tab: text }),
  released: none,
  consumed: none,
  courtesy: fields<object>({ by: optional(text), forMs: optional(finite) }),
  deleted: none,
  joined: none,
  present: none,
  ping: none,
  pong: none,
  upkeep: none,
  gc: fields({ progress }),
  job: fields({ ...asker, request, what: optional(steering) }),
  "job-steer": fields({ ...asker, what: steering }),
  "job-alive": fields({ ...asker, progress: optional(progress) }),
  "job-done": fields({ ...asker, report: optional(report) }),
  "job-failed": fields({ ...asker, error: failureForm }),
};

/** `undefined`: it is none. */
export function asTabMessage(raw: unknown): TabMessage | undefined {
  if (!object(raw) || !("type" in raw) || !text(raw.type) || !Object.hasOwn(forms, raw.type)) return undefined;
  return forms[raw.type as TabMessage["type"]](raw) ? (raw as TabMessage) : undefined;
}
