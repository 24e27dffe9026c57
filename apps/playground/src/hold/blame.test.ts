import type { GcHolder } from "tidemark";
import { expect, test } from "vitest";
import { blame } from "./blame.ts";

const holder = (part: Partial<GcHolder>): GcHolder => ({
  id: "1",
  kind: "pin",
  owner: "t1",
  seq: 4,
  behind: 700,
  bytesHeld: 0,
  frees: 0,
  ...part,
});

test("names who holds most first, and leaves out who holds nothing", () => {
  const told = blame([
    holder({ kind: "checkpoint", owner: "log" }),
    holder({ kind: "snapshot", owner: "monday", bytesHeld: 1000, behind: 1 }),
    holder({ isSelf: true, bytesHeld: 38_200_000, frees: 38_100_000 }),
  ]);
  expect(told.map(({ text }) => text.replaceAll("\u00a0", " "))).toEqual([
    "This tab holds back 38.2 MB: 700 commits behind; releasing it frees 38.1 MB.",
    "The snapshot “monday” holds back 1.00 kB: 1 commit behind; others keep all of that too.",
  ]);
});

test("tells this tab from another", () => {
  expect(blame([holder({ bytesHeld: 1 })])[0]?.who).toBe("Another tab");
  expect(blame([holder({ bytesHeld: 1, kind: "hold", isSelf: true })])[0]?.who).toBe("This tab's view on a snapshot");
});
