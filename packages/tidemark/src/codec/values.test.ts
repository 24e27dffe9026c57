import fc from "fast-check";
import { expect, test } from "vitest";
import { ByteWriter } from "../base/bytes.ts";
import { Texts } from "./texts.ts";
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
const withMany = fc.oneof(
  value,
  fc.record({ map: fc.dictionary(fc.string(), fc.nat()).map((of) => new Map(Object.entries(of))) }),
  fc.record({ set: fc.array(fc.array(fc.nat())).map((of) => new Set(of)) }),
  fc.record({ holes: fc.nat(40).map((length) => Object.assign(Array.from({ length: 0 }), { length, [length]: 1 })) }),
);
const withBytes = fc.record({ bytes: fc.uint8Array({ maxLength: 20 }) });
const absent = fc.constant(undefined);

test("[MV6] many values arrive as they were sent, in one text", () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(withMany, absent)), (values) => {
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

test("[MV6] values encoded together are the same bytes as one by one, or are left to that", () => {
  const any = fc.oneof(
    value,
    withBytes,
    fc.record({ text: fc.constantFrom("é", "\ud800", 'a"b', "") }),
    fc.dictionary(fc.string(), fc.integer()),
  );
  let together = 0;
  fc.assert(
    fc.property(fc.array(fc.oneof({ weight: 20, arbitrary: value }, any), { maxLength: 12 }), (values) => {
      const texts = Texts.of(values);
      if (!texts) return;
      together++;
      for (const [i, v] of values.entries()) {
        const out = new ByteWriter();
        texts.write(i, out);
        expect(out.finish()).toEqual(encoded(v));
      }
    }),
  );
  expect(together).toBeGreaterThan(10);
});
