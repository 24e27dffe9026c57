import { expect, test } from "vitest";
import { Address } from "./address.ts";

const opened = (href: string): { address: Address; written: string[] } => {
  const written: string[] = [];
  return { address: new Address(href, (text) => void written.push(text)), written };
};

test("reads the section and the choices", () => {
  const { address } = opened("https://example.test/demo/?state=TX&order=date#atlas");
  expect(address.section).toBe("atlas");
  expect(address.get("state")).toBe("TX");
  expect(address.get("prefix")).toBe("");
  expect(address.oneOf("order", ["latest", "date"])).toBe("date");
  expect(address.oneOf("state", ["CA", "NV"])).toBe("CA");
});

test("writes what changed, and keeps the rest", () => {
  const { address, written } = opened("https://example.test/?state=TX#atlas");
  address.set("prefix", "da l&a");
  address.section = "race";
  address.set("state", "");
  address.set("prefix", "");
  address.section = "";
  expect(written).toEqual([
    "?state=TX&prefix=da+l%26a#atlas",
    "?state=TX&prefix=da+l%26a#race",
    "?prefix=da+l%26a#race",
    "#race",
    "",
  ]);
});

test("does not write what is there already", () => {
  const { address, written } = opened("https://example.test/?state=TX#atlas");
  address.set("state", "TX");
  address.set("prefix", "");
  address.section = "atlas";
  expect(written).toEqual([]);
});
