import { expect, test } from "vitest";
import { outcomeOf } from "./outcome.ts";

test("all that was acknowledged is there", () => {
  expect(outcomeOf(10, { count: 10, missing: 0 })).toEqual({ told: 10, found: 10, lost: 0, unheard: 0 });
});

test("a write whose answer was on its way is no loss", () => {
  expect(outcomeOf(10, { count: 11, missing: 0 })).toEqual({ told: 10, found: 11, lost: 0, unheard: 1 });
});

test("what is missing at the end is lost", () => {
  expect(outcomeOf(10, { count: 7, missing: 0 })).toEqual({ told: 10, found: 7, lost: 3, unheard: 0 });
});

test("so is what is missing in between", () => {
  expect(outcomeOf(10, { count: 9, missing: 1 })).toEqual({ told: 10, found: 9, lost: 1, unheard: 0 });
  expect(outcomeOf(10, { count: 6, missing: 2 })).toEqual({ told: 10, found: 6, lost: 4, unheard: 0 });
});

test("nothing was acknowledged, nothing is there", () => {
  expect(outcomeOf(0, { count: 0, missing: 0 })).toEqual({ told: 0, found: 0, lost: 0, unheard: 0 });
});
