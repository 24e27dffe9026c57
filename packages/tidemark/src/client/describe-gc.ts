import type { GcExplanation, GcHolder } from "../protocol/gc.ts";

/** What `db.gc.explain()` answered, to be read: a line on the whole, and one for each holder, the lowest first. */
export function describeGc({ floor, head, holders, reclaimable }: GcExplanation): string {
  const whole = `${bytes(reclaimable)} can go now; the floor is ${floor}, the head ${head}`;
  return [whole, ...holders.map(describeHolder)].join("\n");
}

function describeHolder(holder: GcHolder): string {
  const { seq, behind, bytesHeld } = holder;
  const held = bytesHeld === 0 ? "nothing" : bytes(bytesHeld);
  const position = `at ${seq}, ${behind} ${behind === 1 ? "commit" : "commits"} behind`;
  return `${nameOf(holder)} holds back ${held}: ${position}${effectOf(holder)}`;
}

function nameOf({ kind, owner, isSelf = false }: GcHolder): string {
  const tab = isSelf ? "this tab" : `tab ${owner}`;
  const names = {
    pin: tab,
    hold: `a view of ${tab} on a snapshot`,
    snapshot: `snapshot ${JSON.stringify(owner)}`,
    consumer: `consumer ${JSON.stringify(owner)} of changes`,
    checkpoint: "the log, until it is folded,",
  };
  return names[kind];
}

function effectOf({ bytesHeld, frees }: GcHolder): string {
  if (bytesHeld === 0) return "";
  return frees === 0 ? "; others keep all of that too" : `; releasing it frees ${bytes(frees)}`;
}

const units = ["KB", "MB", "GB", "TB"] as const;

/** In units of 1024, with two digits or more. */
function bytes(n: number): string {
  if (n < 1024) return n === 1 ? "1 byte" : `${n} bytes`;
  const power = Math.min(units.length, Math.floor(Math.log2(n) / 10));
  const value = n / 1024 ** power;
  return `${value < 9.95 ? value.toFixed(1) : Math.round(value)} ${units[power - 1]}`;
}
