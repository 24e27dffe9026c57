import { expect, test } from "vitest";
import { ByteWriter } from "../base/bytes.ts";
import { isTidemarkError } from "../base/errors.ts";
import { decodeValue, encodeValue, jsonOf } from "./value.ts";

function failure(value: unknown): unknown {
  try {
    return encodeValue(value, new ByteWriter(), "notes");
  } catch (e) {
    return isTidemarkError(e) ? { code: e.code, details: e.details } : e;
  }
}

test("[MV6] blobs and files of a browser come back", async () => {
  const value = {
    photo: new Blob(["hello"], { type: "text/plain" }),
    files: [new File(["abc"], "a.txt", { lastModified: 7 })],
  };
  const into = new ByteWriter();
  const needed = encodeValue(value, into, "notes");
  expect(needed).toEqual([value.photo, value.files[0]]);
  const read = await Promise.all(needed.map(async (b) => [b, new Uint8Array(await b.arrayBuffer())] as const));
  expect(encodeValue(value, into, "notes", new Map(read))).toEqual([]);
  const decoded = decodeValue(into.finish()) as typeof value;
  expect([decoded.photo.type, await decoded.photo.text()]).toEqual(["text/plain", "hello"]);
  const file = decoded.files[0]!;
  expect([file.name, file.lastModified, await file.text()]).toEqual(["a.txt", 7, "abc"]);
});

test("[MV6] values of another window are as good as ours", () => {
  const frame = document.body.appendChild(document.createElement("iframe"));
  const other = frame.contentWindow as Window & { eval(code: string): unknown };
  const into = new ByteWriter();
  encodeValue(other.eval("({ a: [1, { d: new Date(5) }], m: new Map([[/x/g, new Set([1n])]]) })"), into, "notes");
  expect(decodeValue(into.finish())).toEqual({ a: [1, { d: new Date(5) }], m: new Map([[/x/g, new Set([1n])]]) });
  const plain = new ByteWriter();
  encodeValue(other.eval("({ a: [1, { b: null }] })"), plain, "notes");
  expect(jsonOf(plain.finish())?.isRich === false).toBe(true);
  expect(decodeValue(plain.finish())).toStrictEqual({ a: [1, { b: null }] });
  const blob = other.eval("new Blob(['x'])");
  expect(encodeValue({ blob }, into, "notes")).toEqual([blob]);
  frame.remove();
});

test("[MV6] objects of the page are refused", () => {
  const refused = (type: string): object => ({ code: "VALUE_UNSUPPORTED", details: { path: ".x", type } });
  expect(failure({ x: document.body })).toMatchObject(refused("HTMLBodyElement"));
  expect(failure({ x: new Event("e") })).toMatchObject(refused("Event"));
  expect(failure({ x: document.body.dataset })).toMatchObject(refused("DOMStringMap"));
});

test("[MV6] names with escapes survive a JSON.parse that misreads them once it has met a backslash", () => {
  JSON.parse('{"h":[],"\\\\":0}');
  const value = { h: 1, '"': 2, inner: { h: 1, "\n": [undefined] } };
  const into = new ByteWriter();
  encodeValue(value, into, "notes");
  expect(decodeValue(into.finish())).toStrictEqual(value);
});
