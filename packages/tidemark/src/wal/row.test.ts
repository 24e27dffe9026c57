import { expect, test } from "vitest";
import { beginEnvelope, sealEnvelope } from "./envelope.ts";
import { ByteWriter } from "../base/bytes.ts";
import { openRow, putRow, sealRow } from "./row.ts";

const corrupt = expect.objectContaining({ code: "CORRUPT", details: { what: "pin" } });

test("[MV8] a row is read under its own key, and refused under any other, the fence's place included", () => {
  const bytes = sealRow("pin/a", (out) => out.varint(300));
  expect(openRow(bytes, "pin/a", "pin").varint()).toBe(300);
  for (const key of ["pin/b", "floor", ""]) expect(() => openRow(bytes, key, "pin")).toThrow(corrupt);
  expect(() => openRow(bytes, undefined, "pin")).toThrow(expect.objectContaining({ code: "FORMAT_UNSUPPORTED" }));
  expect(putRow("pin/a", (out) => out.varint(300))).toEqual({ kind: "put", store: "meta", key: "pin/a", value: bytes });
});

test("a row of the first format says nothing of its key", () => {
  const out = new ByteWriter();
  beginEnvelope(out, { magic: 0x57524d54, format: 1 });
  out.varint(300);
  expect(openRow(sealEnvelope(out), "pin/a", "pin").varint()).toBe(300);
});
