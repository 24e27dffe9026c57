import fc from "fast-check";
import { expect, test } from "vitest";
import { ByteWriter } from "../base/bytes.ts";
import { encodeValue } from "./value.ts";
import { packValues, unpackValues } from "./values.ts";

const encoded = (value: unknown): Uint8Array => {
  const out = new ByteWriter();
  encodeValue(value, out, "value");
  return out.finish();
};

const value = fc.oneof(
  fc.record({ id: fc.integer(), text: fc.string() }),
  fc.record({ at: fc.date({ noInvalidDate: true }), note: fc.constant(undefined), n: fc.constantFrom(-0, NaN, 3) }),
  fc.record({ list: fc.array(fc.oneof(fc.bigInt(), fc.string(), fc.constant(null))) }),
);
const withBytes = fc.record({ bytes: fc.uint8Array({ maxLength: 20 }) });
const absent = fc.constant(undefined);

test("[MV6] many values arrive as they were sent, in one text", () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(value, absent)), (values) => {
      const packed = packValues(values.map((v) => v && encoded(v)));
      expect(packed.form).toBe("json");
      expect(unpackValues(packed)).toEqual(values);
    }),
  );
});

test("[MV6] values with attached bytes arrive too, whatever stands beside them", () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(value, withBytes, absent)), (values) => {
      expect(unpackValues(packValues(values.map((v) => v && encoded(v))))).toEqual(values);
    }),
  );
});
