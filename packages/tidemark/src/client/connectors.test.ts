import { afterEach, describe, expect, test, vi } from "vitest";
import { answerCalls } from "../protocol/calls.ts";
import { protocolVersion } from "../protocol/messages.ts";
import { type HostLink, linkToWorker, makeWorker } from "./connectors.ts";

const url = (): string => "https://example.test/worker.js";

/** A worker whose script does nothing, or what `run` does at the other end. */
function fakeWorker(run?: (port: MessagePort) => void): Worker {
  const { port1, port2 } = new MessageChannel();
  port1.start();
  port2.start();
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
      answerCalls(port, {
        hello: async () => protocolVersion,
        listDatabases: async () => ({ ok: true, databases: [] }),
      }),
    );
    const link = linkToWorker(worker, url, 500);
    await new Promise((resolve) => setTimeout(resolve, 600));
    expect(await link.surface.listDatabases("memory")).toEqual({ ok: true, databases: [] });
    link.dispose();
  });

  test("ends with ENVIRONMENT when the worker is of another build", async () => {
    for (const other of [{ hello: async () => 99 }, {}]) {
      const link = linkToWorker(
        fakeWorker((port) => answerCalls(port, other)),
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

  describe("[MV12] to a worker that holds a lock for life", () => {
    interface Life {
      readonly link: HostLink;
      /** How the link ended; `undefined` if it did not. */
      readonly ending: () => unknown;
      /** What the browser does with the lock of a worker that dies. */
      readonly free: () => void;
    }
    const silentMs = 250;
    const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
    const waitedFor = async (): Promise<unknown[]> => (await navigator.locks.query()).pending!;

    async function linked(holdForLife: ((lock: string) => Promise<boolean>) | undefined): Promise<Life> {
      let free: () => void = () => undefined;
      const life = new Promise<void>((resolve) => (free = resolve));
      const holding = (lock: string): Promise<boolean> =>
        new Promise((resolve) => {
          void navigator.locks.request(lock, () => {
            resolve(true);
            return life;
          });
        });
      const host = {
        hello: async () => protocolVersion,
        holdForLife: holdForLife ?? holding,
        listDatabases: () => new Promise(() => undefined),
      };
      const worker = fakeWorker((port) => answerCalls(port, host));
      const link = linkToWorker(worker, url, silentMs);
      let ended: unknown;
      void link.ended.then((e) => (ended = e));
      if (!holdForLife) await vi.waitFor(async () => expect(await waitedFor()).toHaveLength(1));
      return { link, ending: () => ended, free };
    }

    test("ends when that becomes free, and with it what was asked", async () => {
      const { link, ending, free } = await linked(undefined);
      const asked = link.surface.listDatabases("memory");
      expect(ending()).toBeUndefined();
      free();
      await expect(asked).rejects.toMatchObject({ code: "STORAGE_LOST", details: { lost: "worker" } });
      expect(ending()).toMatchObject({ code: "STORAGE_LOST" });
      link.dispose();
    });

    test("does not take its own disposal for a death", async () => {
      const { link, ending, free } = await linked(undefined);
      link.dispose();
      free();
      await vi.waitFor(async () => expect(await waitedFor()).toEqual([]));
      await sleep(10);
      expect(ending()).toBeUndefined();
    });

    test("stays where there are no such locks in the worker, or not in the page", async () => {
      const { link, ending } = await linked(async () => false);
      vi.stubGlobal("navigator", {});
      const without = await linked(async () => true);
      await sleep(silentMs + 20);
      expect([ending(), without.ending()]).toEqual([undefined, undefined]);
      link.dispose();
      without.link.dispose();
      vi.unstubAllGlobals();
    });

    test("counts an error of a worker that was there as its death", async () => {
      const host = { hello: async () => protocolVersion, listDatabases: async () => ({ ok: true, databases: [] }) };
      const worker = fakeWorker((port) => answerCalls(port, host));
      const link = linkToWorker(worker, url);
      await link.surface.listDatabases("memory"); // it has spoken
      worker.dispatchEvent(Object.assign(new Event("error"), { message: "boom" }));
      expect(await link.ended).toMatchObject({ code: "STORAGE_LOST", message: expect.stringContaining("boom") });
      link.dispose();
    });
  });

  describe("[TB1] of a page that is put aside", () => {
    const safari = "Mozilla/5.0 (Macintosh) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Safari/605.1.15";
    const chrome = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0 Safari/537.36";
    afterEach(() => void vi.unstubAllGlobals());

    /** How a worker fares as its page is left, and how its link ends once the page is back. */
    async function fate(userAgent: string, persisted: boolean) {
      const page = new EventTarget();
      vi.stubGlobal("navigator", { userAgent });
      vi.stubGlobal("document", {});
      vi.stubGlobal("addEventListener", page.addEventListener.bind(page));
      const worker = fakeWorker((port) => answerCalls(port, { hello: async () => protocolVersion }));
      const terminate = vi.spyOn(worker, "terminate");
      const link = linkToWorker(worker, url);
      page.dispatchEvent(Object.assign(new Event("pagehide"), { persisted }));
      const isTerminated = terminate.mock.calls.length > 0;
      page.dispatchEvent(Object.assign(new Event("pageshow"), { persisted }));
      const ended = await Promise.race([link.ended, new Promise((resolve) => setTimeout(resolve, 10))]);
      link.dispose();
      return { isTerminated, ended };
    }

    test("the worker ends in WebKit, and is known to have ended when the page is back", async () => {
      expect(await fate(safari, true)).toMatchObject({
        isTerminated: true,
        ended: { code: "STORAGE_LOST", details: { lost: "worker", putAside: true } },
      });
    });

    test("it goes on elsewhere, and where the page is not kept it ends with that", async () => {
      expect(await fate(chrome, true)).toEqual({ isTerminated: false, ended: undefined });
      expect(await fate(safari, false)).toEqual({ isTerminated: false, ended: undefined });
    });
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
