import { expect, test } from "vitest";
import type { Request } from "../protocol/messages.ts";
import { packed } from "./packing.ts";

const write = (bytes: number, fill: number): Request & { readonly op: "write" } => ({
  op: "write",
  writes: new Uint8Array(bytes).fill(fill),
  epoch: 1,
  durability: "relaxed",
  tag: "",
});

test("the writes of one message: small ones come in one buffer, large ones are moved", () => {
  const requests = [write(5, 1), { op: "end", handle: 3 } as const, write(40_000, 2), write(7, 3)];
  const moved: ArrayBuffer[] = [];
  const sent = packed(requests, moved);
  expect(sent).toEqual(requests);
  expect(moved).toEqual([(requests[2] as { readonly writes: Uint8Array }).writes.buffer]);
  const [first, , large, last] = sent as readonly { readonly writes: Uint8Array }[];
  expect(first!.writes.buffer).toBe(last!.writes.buffer);
  expect(first!.writes.buffer.byteLength).toBe(12);
  expect(large!.writes.buffer).toBe(moved[0]);
});

test("a small write alone goes as it is, and the part of a long one is moved", () => {
  const moved: ArrayBuffer[] = [];
  const alone = [write(5, 1)];
  expect(packed(alone, moved)).toBe(alone);
  expect(moved).toEqual([]);
  const part = { upload: 1, position: 0, count: 9, maxBytes: 9, writes: new Uint8Array(20_000) };
  packed([{ op: "part", part }], moved);
  expect(moved).toEqual([part.writes.buffer]);
});
