import { expect, test } from "vitest";
import { databaseOn, FakeHost, plainAnswer } from "../fake-host.test-support.ts";

const lines = (...ids: readonly string[]): ReadableStream<Uint8Array> =>
  new Blob(ids.map((id) => `${JSON.stringify({ id })}\n`)).stream();

test("what is skipped is asked for at once, each key once, and the first of a key is taken", async () => {
  const host = new FakeHost();
  host.answer = (r) => (r.op === "has" ? r.keys.map((_, i) => i !== 1) /* a and c are there */ : plainAnswer(r));
  const db = databaseOn(host);
  const options = { format: "ndjson", collection: "rows", onConflict: "skip" } as const;
  const report = await db.import(lines("a", "b", "c", "b", "a"), options);
  expect(report).toMatchObject({ collections: { rows: 1 }, skipped: 4 });
  const asked = host.requests.flatMap((r) => (r.op === "has" ? [r.keys.length] : []));
  expect(asked).toEqual([3]);
  expect(host.ops.filter((op) => op === "stage")).toHaveLength(1);
});
