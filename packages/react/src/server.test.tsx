import { type ReactNode, Suspense } from "react";
import { renderToReadableStream, renderToString } from "react-dom/server";
import { collection, createDatabase } from "tidemark";
import { expect, test, vi } from "vitest";
import { useLiveQuery, useRecord, useSuspenseLiveQuery } from "./index.ts";

const collections = { notes: collection<{ id: string; text: string }>()({ key: "id" }) };
// There is no IndexedDB here: whatever were read would fail.
const db = createDatabase({ name: "server", collections });
const query = vi.fn<() => Promise<string>>(async () => "read");

function Live(): ReactNode {
  const found = useRecord(db.collection("notes"), "a");
  return `${useLiveQuery(db, query)} ${useLiveQuery(db, query, [], "none yet")} ${found?.text}`;
}
function Waiting(): ReactNode {
  return useSuspenseLiveQuery(db, query, ["waiting"]);
}
const page = (
  <main>
    <Live />
    <Suspense fallback="a moment">
      <Waiting />
    </Suspense>
  </main>
);

test("a server renders defaults and fallbacks, and reads nothing", async () => {
  expect(typeof window).toBe("undefined");
  const html = renderToString(page);
  expect(html).toContain("undefined none yet undefined");
  expect(html).toContain("a moment");
  const stream = await renderToReadableStream(page, { onError: () => undefined });
  const streamed = await new Response(stream).text();
  expect(streamed).toContain("a moment");
  expect(query).not.toHaveBeenCalled();
});
