import { describe, expect, test } from "vitest";
import { checkedGcSettings, type GcSettings } from "./gc-settings.ts";

describe("the gc settings of a database", () => {
  test("[GM2][TB5] are taken as they are, in an object of their own", () => {
    const given = {
      proof: "interval",
      budgetMs: 50,
      debtMaxBytes: 65_536,
      debtMaxCommits: Infinity,
      generations: { youngSize: 5 },
      mode: "manual",
      mvccVersionRetentionDays: 0.5,
    } as const;
    const taken = checkedGcSettings(given);
    expect(taken).toEqual(given);
    expect(taken).not.toBe(given);
    expect(taken.generations).not.toBe(given.generations);
    expect(structuredClone(taken)).toEqual(given);
    for (const nothing of [undefined, {}]) expect(checkedGcSettings(nothing)).toEqual({});
  });

  const bad: readonly (readonly [string, unknown, RegExp])[] = [
    ["proof", "snapshot", /"floor" or "interval"; it is "snapshot"/],
    ["budgetMs", 0.5, /a number from 1 to 50; it is 0.5/],
    ["budgetMs", 51, /from 1 to 50/],
    ["budgetMs", "4", /from 1 to 50/],
    ["budgetMs", Number.NaN, /from 1 to 50/],
    ["debtMaxBytes", 65_535, /whole number of bytes from 65536 up, or Infinity/],
    ["debtMaxBytes", 1e6 + 0.5, /whole number of bytes/],
    ["debtMaxCommits", 0, /whole number from 1 up, or Infinity/],
    ["debtMaxCommits", null, /whole number from 1 up/],
    ["mode", "off", /"auto" or "manual"/],
    ["mvccVersionRetentionDays", -1, /a number of days from 0 to 100000; it is -1/],
    ["mvccVersionRetentionDays", 100_001, /a number of days from 0 to 100000/],
    ["mvccVersionRetentionDays", Number.NaN, /a number of days from 0 to 100000/],
    ["mvccVersionRetentionDays", "7", /a number of days from 0 to 100000; it is "7"/],
    ["generations.youngSize", 0, /whole number from 1 on/],
    ["generations.agressiveMode", true, /unknown/],
    ["generations", 5, /an object/],
    ["interval", 5, /no option 'gc.interval'/],
    ["toString", 5, /no option 'gc.toString'/],
  ];
  test.each(bad)("[GM2] %s: %j is refused, by name and range", (path, value, expected) => {
    const [option, inner] = path.split(".") as [string, string?];
    const given = { [option]: inner === undefined ? value : { [inner]: value } } as GcSettings;
    expect(() => checkedGcSettings(given)).toThrow(expected);
    expect(() => checkedGcSettings(given)).toThrow(
      expect.objectContaining({ code: "OPTIONS_INVALID", details: { option: `gc.${path}` } }),
    );
  });

  test.each([null, 5, "auto"])("[GM2] %j is refused", (given) => {
    expect(() => checkedGcSettings(given)).toThrow(/gc must be an object/);
  });
});
