import type { GcHolder, HolderKind } from "tidemark";
import { expect, test } from "vitest";
import { effectOf, explain, kindOf, nameOf, remedyOf } from "./holders.ts";

const holder = (kind: HolderKind, more: Partial<GcHolder> = {}): GcHolder => {
  return { id: "x", kind, owner: "monday", seq: 3, behind: 2, bytesHeld: 0, frees: 0, ...more };
};
const plain = (text: string): string => text.replaceAll("\u00a0", " ");

test("every kind has a name, a word, an explanation, and what can be done about it", () => {
  const kinds: readonly HolderKind[] = ["pin", "snapshot", "hold", "consumer", "checkpoint"];
  expect(kinds.map((kind) => nameOf(holder(kind)))).toEqual([
    "Tab monday",
    "Snapshot “monday”",
    "A view of tab monday on a snapshot",
    "Consumer “monday” of changes",
    "The log, until it is folded",
  ]);
  expect(kinds.map((kind) => kindOf(holder(kind)))).toEqual(["tab", "snapshot", "view", "consumer", "log"]);
  expect(kinds.map((kind) => remedyOf(holder(kind)))).toEqual(["evict", "delete", "evict", "none", "checkpoint"]);
  for (const kind of kinds) expect(plain(explain(holder(kind)))).toContain("at 3, 2 commits behind");
  const self = holder("pin", { isSelf: true });
  expect([nameOf(self), remedyOf(self)]).toEqual(["This tab", "none"]);
});

test("what releasing does is told with its bytes", () => {
  const effect = (bytesHeld: number, frees: number): string =>
    plain(effectOf(holder("snapshot", { bytesHeld, frees })));
  expect(effect(0, 0)).toBe("holds nothing back");
  expect(effect(2048, 0)).toBe("2.0 KB held, all of it by others too");
  expect(effect(2048, 2048)).toBe("releasing it frees 2.0 KB");
  expect(effect(2048, 1024)).toBe("2.0 KB held; releasing it frees 1.0 KB");
});
