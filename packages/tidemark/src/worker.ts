import { Host } from "./host/host.ts";
import { indexedDbEnvironment } from "./host/indexeddb-environment.ts";
import { transferable } from "./host/transfer.ts";
import { answerCalls, Moved, type Port, tell } from "./protocol/calls.ts";
import type { OpenRequest, Request, WorkerSurface } from "./protocol/messages.ts";

const page = globalThis as unknown as Port;
const host = new Host(indexedDbEnvironment);
const { locks } = indexedDbEnvironment();

answerCalls(page, {
  holdForLife: async (lock: string) => locks.areShared && (await locks.request(lock)) !== undefined,
  hello: () => host.hello(),
  open: (request: OpenRequest) => host.open(request, (event) => tell(page, event)),
  close: () => host.close(),
  deleteDatabase: (...args: Parameters<Host["deleteDatabase"]>) => host.deleteDatabase(...args),
  listDatabases: (...args: Parameters<Host["listDatabases"]>) => host.listDatabases(...args),
  grant: (...args: Parameters<Host["grant"]>) => host.grant(...args),
  submit: async (requests: readonly Request[]) => {
    const responses = await host.submit(requests);
    return new Moved(responses, transferable(responses));
  },
} satisfies Record<keyof WorkerSurface, unknown>);

// What cannot be read may be a call, and nobody would answer it: the page hears of it as of a crash.
addEventListener("messageerror", () => {
  throw new Error("a message to it could not be read");
});
