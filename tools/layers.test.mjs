import { describe, expect, it } from "vitest";
import { violations } from "./layers.mjs";

/** @param {string} file @param {string} source */
const inEngine = (file, source) => violations(`packages/tidemark/src/${file}`, source);

describe("layers", () => {
  it("lets a room import itself and what lies below", () => {
    expect(
      inEngine("wal/log.ts", 'import { a } from "./entry.ts";\nimport type { B } from "../base/brand.ts";'),
    ).toEqual([]);
    expect(inEngine("wal/log.ts", 'import type { Storage } from "../storage/contract.ts";')).toEqual([]);
  });

  it.each([
    ["an import", 'import { a } from "../gc/floor.ts";'],
    ["a type import", 'import type { A } from "../gc/floor.ts";'],
    ["an import over several lines", 'import {\n  a,\n  b,\n} from "../gc/floor.ts";'],
    ["an import for its effect", 'import "../gc/floor.ts";'],
    ["a re-export", 'export { a } from "../gc/floor.ts";'],
    ["a re-export of all", "export * from '../gc/floor.ts';"],
    ["a dynamic import", 'const a = await import("../gc/floor.ts");'],
    ["a worker", 'new Worker(new URL("../gc/floor.ts", import.meta.url));'],
    ["code after a comment", '/* why */ import { a } from "../gc/floor.ts"; // so'],
    ["code after an unpaired quote in a regular expression", 'const q = /"/;\nconst a = import("../gc/floor.ts");'],
  ])("finds %s that goes up", (_, source) => {
    const [violation, ...more] = inEngine("wal/log.ts", source);
    expect(violation).toMatch(
      /^packages\/tidemark\/src\/wal\/log\.ts:\d: imports \.\.\/gc\/floor\.ts, but wal may only import storage\/contract\.ts, codec, base$/,
    );
    expect(more).toEqual([]);
  });

  it("gives the line", () => {
    expect(inEngine("wal/log.ts", '/*\n*/\nimport {\n  a,\n} from "../gc/floor.ts";')[0]).toContain("log.ts:5:");
  });

  it.each([
    ["a line comment", '// import { a } from "../gc/floor.ts";'],
    ["a block comment", '/**\n * import { a } from "../gc/floor.ts";\n */'],
    ["a template", '`\nimport { a } from "../gc/floor.ts";\n`'],
    ["a string", `const a = 'import { a } from "../gc/floor.ts"';`],
  ])("ignores %s", (_, source) => {
    expect(inEngine("wal/log.ts", source)).toEqual([]);
  });

  it("keeps the rooms above storage from every medium", () => {
    expect(inEngine("mvcc/view.ts", 'import { a } from "../storage/memory.ts";')).toHaveLength(1);
    expect(inEngine("mvcc/view.test.ts", 'import { a } from "../storage/memory.ts";')).toEqual([]);
    expect(inEngine("host/host.ts", 'import { a } from "../storage/indexeddb.ts";')).toEqual([]);
  });

  it("holds tests to what lies at or below their room", () => {
    expect(inEngine("wal/log.test.ts", 'import { a } from "../mvcc/view.ts";')[0]).toContain("tests in wal may only");
    expect(inEngine("whole.test.ts", 'import { a } from "./host/host.ts";')).toEqual([]);
  });

  it("keeps rooms from doors, from files outside, from Node, and from rooms nobody listed", () => {
    expect(inEngine("client/api.ts", 'import { a } from "../index.ts";')).toHaveLength(1);
    expect(inEngine("client/api.ts", 'import { a } from "tidemark";')).toHaveLength(1);
    expect(inEngine("client/api.ts", 'import { a } from "../../../../tools/layers.mjs";')).toHaveLength(1);
    expect(inEngine("client/api.ts", 'import { a } from "node:fs";')).toHaveLength(1);
    expect(inEngine("utils/drawer.ts", 'import { a } from "../base/brand.ts";')).toHaveLength(1);
  });

  it("allows no index inside a room", () => {
    expect(inEngine("wal/index.ts", "")).toHaveLength(1);
    expect(inEngine("index.ts", 'export { a } from "./client/api.ts";')).toEqual([]);
  });

  it("shows other packages nothing but the doors", () => {
    const allowed = 'import { a } from "tidemark";\nimport { b } from "tidemark/testing";\nimport { c } from "idb";';
    expect(violations("apps/playground/src/main.ts", allowed)).toEqual([]);
    expect(violations("bench/run.mjs", 'import { a } from "tidemark/dist/index.js";')).toHaveLength(1);
    expect(violations("e2e/a.spec.ts", 'import { a } from "../packages/tidemark/src/index.ts";')).toHaveLength(1);
  });
});
