/** abstract-level's own test suite, all of it, as tests of the file that calls this. */
// @ts-expect-error -- it has no types
import untyped from "abstract-level/test/index.js";
import { afterAll, expect } from "vitest";
import { TidemarkLevel, type TidemarkLevelOptions } from "./index.ts";
import { made, tape } from "./tape.test-support.ts";

const suite = untyped as (options: { test: typeof tape; factory: (options?: object) => unknown }) => void;

export function ownSuite(options: TidemarkLevelOptions<string, string>): void {
  const name = crypto.randomUUID();
  let n = 0;
  suite({ test: tape, factory: (more) => new TidemarkLevel(`${name}/${n++}`, { ...options, ...more }) });
  // What it tests it takes from the manifest: where that said less, there would be fewer.
  afterAll(() => expect(made.assertions).toBeGreaterThan(4600));
}
