/** Who holds back what, in words. */
import type { GcHolder } from "tidemark";
import { formatBytes, formatCount } from "../format.ts";

export interface Blame {
  readonly who: string;
  readonly bytes: number;
  readonly text: string;
}

const nameOf = ({ kind, owner, isSelf = false }: GcHolder): string => {
  const tab = isSelf ? "This tab" : "Another tab";
  const names: Readonly<Record<GcHolder["kind"], string>> = {
    pin: tab,
    hold: `${tab}'s view on a snapshot`,
    snapshot: `The snapshot “${owner}”`,
    consumer: `The consumer “${owner}”`,
    checkpoint: "The log, until it is folded,",
  };
  return names[kind];
};

/** Those who hold back anything, the one that holds most first. */
export function blame(holders: readonly GcHolder[]): readonly Blame[] {
  return holders
    .filter(({ bytesHeld }) => bytesHeld > 0)
    .toSorted((a, b) => b.bytesHeld - a.bytesHeld)
    .map((holder) => {
      const who = nameOf(holder);
      const { bytesHeld: bytes, behind, frees } = holder;
      const effect = frees === 0 ? "others keep all of that too" : `releasing it frees ${formatBytes(frees)}`;
      const commits = `${formatCount(behind)} ${behind === 1 ? "commit" : "commits"} behind`;
      return { who, bytes, text: `${who} holds back ${formatBytes(bytes)}: ${commits}; ${effect}.` };
    });
}
