import { existsSync, readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";

const examples: Readonly<Record<string, string | readonly string[]>> = {
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
  inspector: ["inspect", "inspect-lazily", "inspect-react"].map((example) => `../../inspector/examples/${example}`),
};
const guides = new URL("../../../docs/guide/", import.meta.url);

test.each(Object.entries(examples))("the guide %s shows what is compiled and run", (guide, shows) => {
  const shown = readFileSync(new URL(`${guide}.md`, guides), "utf8").matchAll(/```tsx?\n([^]*?)```/g);
  const run = [shows].flat().map((example) => {
    const files = [`./${example}.ts`, `./${example}.tsx`].map((file) => new URL(file, import.meta.url));
    return readFileSync(
      files.find((file) => existsSync(file))!,
      "utf8",
    );
  });
  expect(Array.from(shown, ([, code]) => code)).toEqual(run);
});

test("every guide has an example", () => {
  expect(readdirSync(guides).toSorted()).toEqual(
    Object.keys(examples)
      .map((guide) => `${guide}.md`)
      .toSorted(),
  );
});
