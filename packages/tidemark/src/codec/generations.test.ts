import { describe, expect, test } from "vitest";
import { defaultGenerations, type GenerationOptions, generationOptions } from "./generations.ts";

describe("the options of generations", () => {
  test("[GM6] have defaults", () => {
    expect(generationOptions()).toEqual(defaultGenerations);
    expect(generationOptions({ youngSize: 5, aggressiveMode: true })).toEqual({
      ...defaultGenerations,
      youngSize: 5,
      aggressiveMode: true,
    });
  });

  const bad: readonly (readonly [string, unknown, RegExp])[] = [
    ["youngSize", 0, /from 1/],
    ["middleSize", 1.5, /whole number/],
    ["oldSize", "many", /whole number/],
    ["youngEveryMinutes", 0, /above 0/],
    ["fullEveryHours", Number.NaN, /above 0/],
    ["youngAgeHours", -1, /above 0/],
    ["middleAgeDays", Number.POSITIVE_INFINITY, /up to 100000/],
    ["oldAgeMonths", null, /above 0/],
    ["pressureAt", 1.1, /up to 1/],
    ["aggressiveMode", 1, /true or false/],
    ["toString", 1, /unknown/],
  ];
  test.each(bad)("[GM6] %s: %s is refused, by name and range", (option, value, expected) => {
    const given = { [option]: value } as Partial<GenerationOptions>;
    expect(() => generationOptions(given)).toThrow(expected);
    expect(() => generationOptions(given)).toThrow(
      expect.objectContaining({ code: "OPTIONS_INVALID", details: { option: `gc.generations.${option}` } }),
    );
  });

  test("[GM6] what is no object is refused", () => {
    for (const value of [null, 5, "x"]) {
      expect(() => generationOptions(value as unknown as Partial<GenerationOptions>)).toThrow(/must be an object/);
    }
  });
});
