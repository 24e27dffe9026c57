import { describe, expect, test } from "vitest";
import { expose } from "comlink";
import { linkToWorker, makeWorker } from "./connectors.ts";

const url = (): string => "https://example.test/worker.js";

/** A worker whose script does nothing, or what `run` does at the other end. */
function fakeWorker(run?: (port: MessagePort) => void): Worker {
  const { port1, port2 } = new MessageChannel();
  port1.start();
  run?.(port2);
  const terminate = (): void => [port1, port2].forEach((p) => p.close());
  return Object.assign(port1, { terminate }) as unknown as Worker;
}

describe("a link to a worker", () => {
  test("ends with ENVIRONMENT when the worker never answers", async () => {
    const link = linkToWorker(fakeWorker(), url, 20);
    const silent = { code: "ENVIRONMENT", details: { url: url() }, message: expect.stringContaining("did not answer") };
    await expect(link.surface.listDatabases("memory")).rejects.toMatchObject(silent);
    expect(await link.ended).toMatchObject(silent);
    link.dispose();
  });

  test("stays when the worker answers late, but answers", async () => {
    const worker = fakeWorker((port) =>
      expose({ hello: async () => 1, listDatabases: async () => ({ ok: true, databases: [] }) }, port),
    );
    const link = linkToWorker(worker, url, 50);
    await new Promise((resolve) => setTimeout(resolve, 80));
    expect(await link.surface.listDatabases("memory")).toEqual({ ok: true, databases: [] });
    link.dispose();
  });

  test("ends with ENVIRONMENT when the worker is of another build", async () => {
    for (const other of [{ hello: async () => 99 }, {}]) {
      const link = linkToWorker(
        fakeWorker((port) => expose(other, port)),
        url,
      );
      expect(await link.ended).toMatchObject({ code: "ENVIRONMENT", message: expect.stringContaining("build") });
      link.dispose();
    }
  });

  test("ends with ENVIRONMENT when the script does not load", async () => {
    const worker = fakeWorker();
    const link = linkToWorker(worker, url);
    worker.dispatchEvent(new Event("error"));
    await expect(link.surface.close()).rejects.toMatchObject({ code: "ENVIRONMENT", details: { url: url() } });
    link.dispose();
  });

  test("needs a worker", () => {
    const given = (): string => "given by the worker option";
    const refused = expect.objectContaining({ code: "ENVIRONMENT" });
    const throws = (): never => {
      throw new Error("no");
    };
    expect(() => makeWorker(throws, given)).toThrowError(refused);
    for (const made of [undefined, null, {}, "worker.js"] as unknown[]) {
      expect(() => makeWorker(() => made as Worker, given)).toThrowError(refused);
    }
  });
});
