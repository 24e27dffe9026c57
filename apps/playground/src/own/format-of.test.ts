import { expect, test } from "vitest";
import { formatOf } from "./format-of.ts";

test.each([
  ["list.json", '[\n  {"a": 1}', "json"],
  ["points.geojson", '{"type":"FeatureCollection","features":[', "json"],
  ["one.json", '{\n  "a": 1\n}\n', "json"],
  ["small.json", '{"a":1}\n', "json"],
  ["lines.ndjson", '{"a":1}\n{"a":2}\n', "ndjson"],
  ["lines.txt", '{"a":1}\r\n{"a":', "ndjson"],
  ["table.csv", "name\nAda\n", "csv"],
  ["table.txt", "name,born\nAda,1815\n", "csv"],
  ["picture.png", "\u0089PNG\r\n", undefined],
  ["empty", "", undefined],
])("%s is %s: %s", (name, head, format) => expect(formatOf(name, head)).toBe(format));
