import { expect } from "vitest";
import { isTidemarkError, type TidemarkError } from "./index.ts";

/** The coded error that the work fails with; whatever else becomes of it fails the test. */
export const failure = (work: Promise<unknown>): Promise<TidemarkError> =>
  work.then(
    () => expect.unreachable("it succeeded"),
    (e: unknown) => {
      if (!isTidemarkError(e)) throw e;
      return e;
    },
  );
