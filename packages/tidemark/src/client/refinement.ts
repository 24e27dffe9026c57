import { invalid } from "../protocol/options.ts";
import type { Part } from "./parts.ts";
import type { Shape } from "./shape.ts";

/** What is done with the parts of a scan in the page: nothing, but where filters have to see the records. */
export class Refinement {
  readonly #filters: Shape["filters"];
  #skip: number;
  #left: number;

  constructor({ filters, offset, limit }: Shape) {
    this.#filters = filters;
    this.#skip = offset;
    this.#left = limit ?? Infinity;
  }

  /** Whether nothing further is needed. */
  get isEnough(): boolean {
    return this.#filters.length > 0 && this.#left <= 0;
  }

  /** What passes of the next part. */
  of({ values, keys }: Part): Part {
    if (this.#filters.length === 0) return { values, keys };
    const passing: { values: unknown[]; keys: Part["keys"][number][] } = { values: [], keys: [] };
    for (const [i, value] of values.entries()) {
      if (this.#left <= 0) break;
      if (!this.#passes(value)) continue;
      if (this.#skip > 0) {
        this.#skip--;
        continue;
      }
      this.#left--;
      passing.values.push(value);
      if (keys.length > 0) passing.keys.push(keys[i]!);
    }
    return passing;
  }

  #passes(value: unknown): boolean {
    return this.#filters.every((test) => {
      const passes = test(value);
      if (typeof (passes as { then?: unknown } | undefined)?.then === "function") {
        throw invalid("filter", passes, "a synchronous function; read what it needs before, or filter the result");
      }
      return Boolean(passes);
    });
  }
}
