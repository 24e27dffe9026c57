import { expect, test } from "vitest";
import type { GcHolder } from "../protocol/gc.ts";
import { describeGc } from "./describe-gc.ts";

const megabyte = 1024 * 1024;
const holder = (given: Partial<GcHolder>): GcHolder => ({
  id: "x",
  kind: "pin",
  owner: "3",
  seq: 12,
  behind: 4000,
  bytesHeld: 38 * megabyte,
  frees: 9.96 * megabyte,
  ...given,
});

test("[VG13] an explanation reads as text: kind, owner, commits behind, bytes held, and what releasing frees", () => {
  const holders = [
    holder({}),
    holder({ kind: "snapshot", owner: 'before "x"', seq: 15, behind: 1, bytesHeld: 1.25 * megabyte, frees: 0 }),
    holder({ kind: "hold", isSelf: true, bytesHeld: 1, frees: 1 }),
    holder({ kind: "checkpoint", owner: "log", bytesHeld: 1023, frees: 1024 ** 5 * 20 }),
    holder({ isSelf: true, seq: 4012, behind: 0, bytesHeld: 0, frees: 0 }),
  ];
  expect(describeGc({ floor: 12, head: 4012, holders, reclaimable: 1024 }).split("\n")).toEqual([
    "1.0 KB can go now; the floor is 12, the head 4012",
    "tab 3 holds back 38 MB: at 12, 4000 commits behind; releasing it frees 10 MB",
    'snapshot "before \\"x\\"" holds back 1.3 MB: at 15, 1 commit behind; others keep all of that too',
    "a view of this tab on a snapshot holds back 1 byte: at 12, 4000 commits behind; releasing it frees 1 byte",
    "the log, until it is folded, holds back 1023 bytes: at 12, 4000 commits behind; releasing it frees 20480 TB",
    "this tab holds back nothing: at 4012, 0 commits behind",
  ]);
});

test("[VG13] nothing held reads as one line", () => {
  const text = describeGc({ floor: 3, head: 3, holders: [], reclaimable: 0 });
  expect(text).toBe("0 bytes can go now; the floor is 3, the head 3");
});
