import { existsSync, readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";

const examples = {
  migrations: "migrations",
  schema: "schema",
  "snapshots-history-retention": "history",
  "why-is-my-database-not-shrinking": "not-shrinking",
  "what-gc-promises": "gc-proofs",
  queries: "queries",
  transactions: "transactions",
  "live-queries": "live-queries",
  react: "../../react/examples/notebook",
  "import-export": "import-export",
  blobs: "blobs",
  changes: "changes",
};
const guides = new URL("../../../docs/guide/", import.meta.url);

test.each(Object.entries(examples))("the guide %s shows the example that is compiled and run", (guide, example) => {
  const shown = readFileSync(new URL(`${guide}.md`, guides), "utf8").matchAll(/```tsx?\n([^]*?)```/g);
  const files = [`./${example}.ts`, `./${example}.tsx`].map((file) => new URL(file, import.meta.url));
  const run = readFileSync(
    files.find((file) => existsSync(file))!,
    "utf8",
  );
  expect(Array.from(shown, ([, code]) => code)).toEqual([run]);
});

test("every guide has an example", () => {
  expect(readdirSync(guides).toSorted()).toEqual(
    Object.keys(examples)
      .map((guide) => `${guide}.md`)
      .toSorted(),
  );
});
