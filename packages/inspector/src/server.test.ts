import { expect, test } from "vitest";

test("it can be imported on a server, where it does nothing", async () => {
  expect(globalThis.document).toBeUndefined();
  const { TidemarkInspector } = await import("./index.ts");
  expect(TidemarkInspector).toBeTypeOf("function");
});
