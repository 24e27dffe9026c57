import { readFileSync } from "node:fs";
import { expect, test } from "vitest";

test("README's quickstart is the example that is compiled and run, in fifteen lines", () => {
  const example = readFileSync(new URL("./quickstart.ts", import.meta.url), "utf8");
  const readme = readFileSync(new URL("../../../README.md", import.meta.url), "utf8");
  expect(/```ts\n([^]*?)```/.exec(readme)?.[1]).toBe(example);
  expect(example.trimEnd().split("\n").length).toBeLessThanOrEqual(15);
});
