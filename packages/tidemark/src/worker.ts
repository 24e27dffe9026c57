import { Host } from "./host/host.ts";
import { indexedDbEnvironment } from "./host/indexeddb-environment.ts";
import { hostCalls } from "./host/serving.ts";
import { answerCalls, type Port } from "./protocol/calls.ts";
import type { WorkerSurface } from "./protocol/messages.ts";

const page = globalThis as unknown as Port;
const { locks } = indexedDbEnvironment();

answerCalls(page, {
  ...hostCalls(new Host(indexedDbEnvironment), page),
  holdForLife: async (lock: string) => locks.areShared && (await locks.request(lock)) !== undefined,
} satisfies Record<keyof WorkerSurface, unknown>);

// What cannot be read may be a call, and nobody would answer it: the page hears of it as of a crash.
addEventListener("messageerror", () => {
  throw new Error("a message to it could not be read");
});
