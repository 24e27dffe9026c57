import { expect, test, vi } from "vitest";

// An error made while the worker's script is first run has its stack described, for which V8 parses that whole script
// again: that alone took a sixth of an opening.
test("loading the engine makes no error", async () => {
  const made: unknown[] = [];
  vi.doMock(import("./base/errors.ts"), async (original) => {
    const errors = await original();
    class Counted extends errors.TidemarkError {
      constructor(...args: ConstructorParameters<typeof errors.TidemarkError>) {
        super(...args);
        made.push(args);
      }
    }
    return { ...errors, TidemarkError: Counted };
  });
  const { linkInline } = await import("./inline.ts");
  expect(made).toEqual([]);
  const link = linkInline();
  expect(await link.surface.listDatabases("memory")).toMatchObject({ ok: true });
  link.dispose();
});
