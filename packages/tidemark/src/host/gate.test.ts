import { describe, expect, test } from "vitest";
import { Gate } from "./gate.ts";

/** Whether it settles without anybody doing anything more. */
async function passes(gate: Gate): Promise<boolean> {
  let passed = false;
  void gate.pass().then(() => (passed = true));
  for (let i = 0; i < 10; i++) await Promise.resolve();
  return passed;
}

describe("a gate", () => {
  test("[VG10] is open, is closed by pause and opened by resume", async () => {
    const gate = new Gate();
    expect(await passes(gate)).toBe(true);
    gate.pause();
    gate.pause();
    expect(await passes(gate)).toBe(false);
    const waiting = gate.pass();
    gate.resume();
    await waiting;
    expect([gate.isPaused, gate.isCancelled]).toEqual([false, false]);
  });

  test("[VG10] who waits at a gate that is opened and closed at once goes on waiting", async () => {
    const gate = new Gate();
    gate.pause();
    let passed = false;
    const waiting = gate.pass().then(() => (passed = true));
    gate.resume();
    gate.pause();
    for (let i = 0; i < 10; i++) await Promise.resolve();
    expect(passed).toBe(false);
    gate.resume();
    await waiting;
  });

  test("[VG10] cancel ends whoever waits and whoever comes, with the first reason", async () => {
    const gate = new Gate();
    gate.pause();
    const waiting = gate.pass();
    const reason = new Error("enough");
    gate.cancel(reason);
    gate.cancel(new Error("another"));
    gate.pause();
    expect([gate.isPaused, gate.isCancelled]).toEqual([false, true]);
    await expect(waiting).rejects.toBe(reason);
    await expect(gate.pass()).rejects.toBe(reason);
    const plain = new Gate();
    plain.cancel();
    await expect(plain.pass()).rejects.toMatchObject({ name: "AbortError" });
  });

  test("[VG10] an abort signal cancels, also one aborted before, and not after the job is over", async () => {
    const controller = new AbortController();
    const gate = new Gate(controller.signal);
    const over = new Gate(controller.signal);
    over.dispose();
    const reason = new Error("left");
    expect(await passes(gate)).toBe(true);
    controller.abort(reason);
    await expect(gate.pass()).rejects.toBe(reason);
    await expect(new Gate(controller.signal).pass()).rejects.toBe(reason);
    expect(await passes(over)).toBe(true);
  });
});
