/** Who holds what back, in words. */
import type { GcHolder } from "tidemark";
import { counted, formatBytes, shortId } from "./format.ts";

type Named = Pick<GcHolder, "kind" | "owner" | "isSelf">;

export function nameOf({ kind, owner, isSelf = false }: Named): string {
  const tab = isSelf ? "This tab" : `Tab ${shortId(owner)}`;
  switch (kind) {
    case "pin":
      return tab;
    case "hold":
      return `A view of tab ${shortId(owner)} on a snapshot`;
    case "snapshot":
      return `Snapshot “${owner}”`;
    case "consumer":
      return `Consumer “${owner}” of changes`;
    default:
      return "The log, until it is folded";
  }
}

/** What kind of thing it is, in a word. */
export const kindOf = ({ kind }: Named): string =>
  ({ pin: "tab", hold: "view", snapshot: "snapshot", consumer: "consumer", checkpoint: "log" })[kind];

/** What releasing it does, or why it does nothing. */
export function effectOf({ bytesHeld, frees }: GcHolder): string {
  if (bytesHeld === 0) return "holds nothing back";
  if (frees === 0) return `${formatBytes(bytesHeld)} held, all of it by others too`;
  return frees === bytesHeld
    ? `releasing it frees ${formatBytes(frees)}`
    : `${formatBytes(bytesHeld)} held; releasing it frees ${formatBytes(frees)}`;
}

/** What can be done about it here. */
export type Remedy = "delete" | "evict" | "checkpoint" | "none";

export function remedyOf({ kind, isSelf = false }: Named): Remedy {
  if (kind === "snapshot") return "delete";
  if (kind === "checkpoint") return "checkpoint";
  if (kind === "consumer") return "none"; // its position is its owner's to move
  return kind === "pin" && isSelf ? "none" : "evict";
}

/** Why it is there, and how it goes by itself. */
export function explain({ kind, isSelf = false, seq, behind }: GcHolder): string {
  const position = `It reads at ${seq}, ${counted(behind, "commit")} behind the head.`;
  switch (kind) {
    case "pin":
      return isSelf
        ? `${position} That is where the oldest open view of this page reads; release the view, and upkeep raises it.`
        : `${position} Another tab has a view open there, or is frozen. It goes when that view is released or the tab is gone.`;
    case "hold":
      return `${position} A view that was opened on a snapshot keeps it, whether or not the snapshot is deleted.`;
    case "snapshot":
      return `${position} It stays readable until it is deleted.`;
    case "consumer":
      return `${position} It has not acknowledged what came since, so the log is kept for it.`;
    default:
      return `${position} What is in the log must stay until it is folded into blocks.`;
  }
}
