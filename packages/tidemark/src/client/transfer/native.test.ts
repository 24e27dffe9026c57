import { describe, expect, test } from "vitest";
import { blob, expectSame } from "../../codec/blobs.test-support.ts";
import { ByteWriter } from "../../base/bytes.ts";
import { encodeValue } from "../../codec/value.ts";
import { ByteSource } from "./byte-source.ts";
import { frameType, type FrameType, FrameWriter, type Header } from "./frames.ts";
import { readNative } from "./native.ts";

const header: Header = {
  name: "shop",
  version: 1,
  seq: 7,
  kind: "export",
  collections: ["notes", "clips"].map((name) => ({ name, key: "id", indexes: {} })),
};

async function encoded(value: unknown): Promise<Uint8Array> {
  const out = new ByteWriter();
  const blobs = encodeValue(value, out, "notes") as readonly Blob[];
  const contents = blobs.map(async (b) => [b, new Uint8Array(await b.arrayBuffer())] as const);
  if (blobs.length > 0) encodeValue(value, out, "notes", new Map(await Promise.all(contents)));
  return out.finish();
}

type Payload = readonly [type: FrameType, ...numbers: number[], bytes: Uint8Array];

/** An export of these frames, each with the checksum that it is to have. */
async function exported(frames: readonly Payload[], records: readonly number[]): Promise<ReadableStream<Uint8Array>> {
  const writer = new FrameWriter();
  const all = [writer.preamble(), writer.frame(frameType.header, await encoded(header))];
  for (const [type, ...rest] of frames) {
    const payload = new ByteWriter();
    for (const one of rest) {
      if (typeof one === "number") payload.varint(one);
      else payload.bytes(one);
    }
    all.push(writer.frame(type, payload.written()));
  }
  all.push(writer.frame(frameType.trailer, await encoded({ records })));
  return new Blob(all).stream();
}

async function read(stream: ReadableStream<Uint8Array>): Promise<[string, unknown][]> {
  const found: [string, unknown][] = [];
  const listener = { begun: () => undefined, ended: () => undefined };
  for await (const some of readNative(new ByteSource(stream, undefined), listener)) {
    for (const one of some) found.push([one.collection, one.value()]);
  }
  return found;
}

const { piece, records } = frameType;
const clip = { id: "a", movie: blob(100_000), at: new Date(3) };
const bytes = await encoded(clip);
const first = [piece, 1, bytes.length, bytes.subarray(0, 40_000)] as const;
const second = [piece, 1, bytes.length - 40_000, bytes.subarray(40_000)] as const;
const note = { id: "n" };
const noteBytes = await encoded(note);
const whole = [records, 0, 1, noteBytes.length, noteBytes] as const;

describe("records in pieces", () => {
  test("[MV6] are read among others, also where one piece is all of it", async () => {
    const alone = [piece, 0, noteBytes.length, noteBytes] as const;
    const found = await read(await exported([whole, first, second, alone], [2, 1]));
    const expected = [
      ["notes", note],
      ["clips", clip],
      ["notes", note],
    ];
    await expectSame(found, expected);
  });

  test.each<[string, readonly Payload[]]>([
    ["of which one is missing", [first]],
    ["of which the first is missing and no record is left", [[piece, 1, 0, new Uint8Array()]]],
    ["that come twice", [first, first]],
    ["with a gap", [first, [piece, 1, bytes.length - 50_000, bytes.subarray(50_000)]]],
    ["with another record between them", [first, whole, second]],
    ["of two collections", [first, [piece, 0, bytes.length - 40_000, bytes.subarray(40_000)]]],
    ["of none that there is", [[piece, 2, noteBytes.length, noteBytes]]],
    ["that are longer than they say", [[piece, 1, bytes.length - 1, bytes]]],
    ["one of which is empty", [first, [piece, 1, bytes.length - 40_000, new Uint8Array()], second]],
    ["that are no value", [[piece, 1, 4, Uint8Array.of(2, 2, 0x5b, 0x5b)]]],
    ["that are fewer than the trailer says", []],
  ])("[MV8] are refused %s", async (_, frames) => {
    await expect(exported(frames, [0, 1]).then(read)).rejects.toMatchObject({
      code: "CORRUPT",
      details: { offset: expect.any(Number) },
    });
  });
});
