import { expect, test } from "vitest";
import { Replay } from "./replay.ts";

const session = {
  startContent: "tide",
  endContent: "Tidemark – é",
  txns: [
    { patches: [[0, 1, "T"]] },
    { patches: [[4, 0, "mar"]] },
    { patches: [[7, 0, "k"]] },
    { patches: [[8, 0, " – é"]] },
  ],
} as const;

const utf8 = (text: string): number => new TextEncoder().encode(text).length;

const replayed = async (limit: number, inFlight: number, from = 0): Promise<{ replay: Replay; texts: string[] }> => {
  const texts: string[] = [];
  const replay = new Replay(session, limit, { inFlight }, (text) => Promise.resolve(texts.push(text)));
  await replay.skipTo(from);
  await replay.run();
  return { replay, texts };
};

test.each([1, 3, 16])("commits the text after each transaction, in order, with %i on their way", async (inFlight) => {
  const { replay, texts } = await replayed(4, inFlight);
  expect(texts).toEqual(["Tide", "Tidemar", "Tidemark", "Tidemark – é"]);
  expect(replay.state).toBe("done");
  expect(replay.committed).toBe(4);
  expect(replay.naiveBytes).toBe(texts.map(utf8).reduce((a, b) => a + b));
});

test("stops at its limit", async () => {
  const { replay, texts } = await replayed(2, 1);
  expect(texts).toEqual(["Tide", "Tidemar"]);
  expect(replay.text).toBe("Tidemar");
});

test("begins later, with the text as it was then", async () => {
  const { replay, texts } = await replayed(4, 1, 3);
  expect(texts).toEqual(["Tidemark – é"]);
  expect(replay.naiveBytes).toBe(utf8("Tidemark – é"));
});

test("a commit that fails ends it", async () => {
  const replay = new Replay(session, 4, { inFlight: 1 }, () => Promise.reject(new Error("the disk is full")));
  await expect(replay.run()).rejects.toThrow("the disk is full");
  expect(replay.state).toBe("stopped");
  expect(replay.committed).toBe(0);
});
