import { deleteDatabase } from "tidemark";
import { expect, test, vi } from "vitest";

test("the quickstart runs, in a real worker", async () => {
  const log = vi.spyOn(console, "log").mockImplementation(() => undefined);
  await import("./quickstart.ts");
  await expect.poll(() => log.mock.calls).toContainEqual([["Hello, tide"]]);
  log.mockRestore();
  await deleteDatabase("notes");
});
