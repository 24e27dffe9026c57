/**
 * What becomes of the versions of one record. An old version V of commit c, superseded at n, may go once n is at or below
 * the floor and the checkpoint, and nobody reads in [c, n). What is said here follows from the floor and the holders; a
 * retention policy may keep a version all the same, so only the engine's proof says for certain that one goes.
 */
import type { GcExplanation, GcHolder, GcProof } from "tidemark";

export interface Version {
  readonly seq: number;
  readonly deleted?: true;
}

export type VersionState =
  /** What readers at the head see. */
  | { readonly is: "live" }
  /** The newest version says that the record is gone. */
  | { readonly is: "deleted"; readonly proof?: GcProof }
  /** Superseded and kept: `readers` see it; without any, the floor has not come past `by` yet. */
  | {
      readonly is: "held";
      readonly by: number;
      readonly readers: readonly GcHolder[];
      /** Who keeps the floor from rising past `by`. */
      readonly holdsFloor: GcHolder | undefined;
    }
  /** Superseded, unread, and waiting for the log to be folded. */
  | { readonly is: "waiting"; readonly by: number }
  /** Nobody can see it: it goes with the next run, unless a retention policy keeps it. */
  | { readonly is: "reclaimable"; readonly by: number; readonly proof?: GcProof }
  /** It would go by floor and holders, and the engine's dry run does not list it. */
  | { readonly is: "retained"; readonly by: number };

export interface Situation {
  readonly explanation: Pick<GcExplanation, "floor" | "holders">;
  readonly checkpoint: number;
  /** Of this record, from a dry run that was completed; absent where none was made. */
  readonly proofs?: readonly GcProof[];
}

/** Of each of these versions of one record, which are newest first and complete. */
export function statesOf(versions: readonly Version[], situation: Situation): VersionState[] {
  return versions.map((version, i) => stateOf(version, versions[i - 1], situation));
}

function stateOf(version: Version, successor: Version | undefined, situation: Situation): VersionState {
  const { explanation, checkpoint, proofs } = situation;
  const proof = proofs?.find((p) => p.seq === version.seq);
  if (!successor) return version.deleted ? { is: "deleted", ...(proof && { proof }) } : { is: "live" };
  const by = successor.seq;
  if (proof) return { is: "reclaimable", by, proof };
  const readers = explanation.holders.filter((h) => isReader(h) && version.seq <= h.seq && h.seq < by);
  const [lowest] = explanation.holders.filter((h) => h.seq < by).toSorted((a, b) => a.seq - b.seq);
  if (readers.length > 0 || by > explanation.floor) return { is: "held", by, readers, holdsFloor: lowest };
  if (by > checkpoint) return { is: "waiting", by };
  return { is: proofs ? "retained" : "reclaimable", by };
}

/** A consumer of changes, and the log, keep versions without reading at one state. */
const isReader = ({ kind }: GcHolder): boolean => kind === "pin" || kind === "snapshot" || kind === "hold";

/** Whether two keys are the same, as proofs and pages tell them. */
export function isSameKey(a: unknown, b: unknown): boolean {
  return keyText(a) === keyText(b);
}

/** A key as a program would write it. */
export function keyText(key: unknown): string {
  if (Array.isArray(key)) return `[${key.map(keyText).join(", ")}]`;
  if (typeof key === "string") return JSON.stringify(key);
  if (key instanceof Date) return `Date(${Number.isNaN(key.getTime()) ? "invalid" : key.toISOString()})`;
  const bytes = bytesOf(key);
  if (bytes) return `bytes(${Array.from(bytes, (b) => b.toString(16).padStart(2, "0")).join("")})`;
  return String(key);
}

export function bytesOf(key: unknown): Uint8Array | undefined {
  if (key instanceof ArrayBuffer) return new Uint8Array(key);
  if (ArrayBuffer.isView(key)) return new Uint8Array(key.buffer, key.byteOffset, key.byteLength);
  return undefined;
}

/** The key of a record at the declared path or paths. */
export function keyAt(record: unknown, path: string | readonly string[]): unknown {
  if (typeof path !== "string") return path.map((p) => keyAt(record, p));
  return path
    .split(".")
    .reduce<unknown>((at, field) => (at as Record<string, unknown> | null | undefined)?.[field], record);
}

/** What was typed as a key: JSON where it is that, otherwise the text itself. */
export function typedKey(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "number" || typeof value === "string" || Array.isArray(value) ? value : text;
  } catch {
    return text;
  }
}
