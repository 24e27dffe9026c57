/**
 * Code on pages that are no guides stands, line by line, in a file beside this one that is compiled and run: blocks, and
 * what is code within a sentence, as far as it calls something or sets an option.
 */
import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";

const root = new URL("../../../", import.meta.url);
const textOf = (path: string): string => readFileSync(new URL(path, root), "utf8");
const inLines = (code: string): string =>
  code
    .split("\n")
    .map((line) => line.trim())
    .join("\n")
    .trim();
const inOneLine = (code: string): string => code.replaceAll(/\s+/g, " ").replaceAll(/,? ([)\]])/g, "$1");

/** What `details` hold, and what leaves something out. */
const isNoCode = /^(failures|outcome): |…/;

const examples = readdirSync(import.meta.dirname, { recursive: true, encoding: "utf8" })
  .filter((file) => /\.tsx?$/.test(file) && file !== "docs.test.ts")
  .map((file) => readFileSync(new URL(file, import.meta.url), "utf8"));

describe.each(["README.md", "docs/recipes.md", "docs/errors.md"])("%s", (path) => {
  const page = textOf(path);
  const blocks = Array.from(page.matchAll(/```([jt]sx?)\n([^]*?)```/g), ([, , code]) => inLines(code!));
  const spans = Array.from(page.replaceAll(/```[^]*?```/g, "").matchAll(/`([^`\n]+)`/g), ([, code]) => code!);
  const calls = spans.filter((code) => /\w\(.*\)|^\w+: /.test(code) && !isNoCode.test(code));

  test("has code", () => {
    expect(blocks.length + calls.length).toBeGreaterThan(0);
  });

  test.each(blocks.map((code) => [code]))("%s", (code) => {
    expect(examples.some((example) => inLines(example).includes(code))).toBe(true);
  });

  test.each([...new Set(calls)].map((code) => [code]))("`%s`", (code) => {
    expect(examples.some((example) => inOneLine(example).includes(inOneLine(code)))).toBe(true);
  });
});
