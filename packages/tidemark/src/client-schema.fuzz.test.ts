import fc from "fast-check";
import { expect, test } from "vitest";
import { fuzzRuns } from "./base/mutations.test-support.ts";
import { collection, isTidemarkError, openDatabase } from "./index.ts";

interface Row {
  id: string;
}

const junk = fc.constantFrom<unknown>(undefined, null, 0, "x", [], {}, true, Symbol("s"), { key: null }, { key: 1 });
const issue = fc.oneof(junk, fc.record({ message: junk, path: fc.oneof(junk, fc.array(junk, { maxLength: 3 })) }));
const answer = fc.oneof(
  junk,
  fc.record({ value: fc.oneof(junk, fc.constant({ id: "a", n: 1 })) }),
  fc.record({ issues: fc.oneof(junk, fc.array(issue, { maxLength: 3 })) }),
);

test("whatever a schema answers, at once or later, is a record, or refused with a code", async () => {
  let given: unknown;
  const schema = {
    "~standard": {
      version: 1 as const,
      vendor: "fuzz",
      validate: (): { value: Row } => given as { value: Row },
      types: undefined as unknown as { input: Row; output: Row },
    },
  };
  const collections = { rows: collection({ schema, key: "id" }) };
  const db = await openDatabase({ name: "answers", storage: "memory", worker: false, collections });
  await fc.assert(
    fc.asyncProperty(answer, fc.constantFrom("now", "promise", "thenable"), async (of, when) => {
      const later = Promise.resolve(of);
      // oxlint-disable-next-line unicorn/no-thenable -- what is no Promise, and can be awaited, is what this is about
      given = when === "now" ? of : when === "promise" ? later : { then: later.then.bind(later) };
      try {
        await db.collection("rows").put({ id: "a" });
        expect(await db.collection("rows").get("a")).toEqual((of as { value: unknown }).value);
      } catch (e) {
        if (!isTidemarkError(e)) throw e;
        expect(["VALIDATION", "VALUE_UNSUPPORTED", "KEY_INVALID"]).toContain(e.code);
      }
    }),
    { numRuns: fuzzRuns(600) },
  );
  await db.close();
});
