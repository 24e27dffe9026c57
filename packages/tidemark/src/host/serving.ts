import { Moved, type Port, tell } from "../protocol/calls.ts";
import type { HostSurface, OpenRequest, Request } from "../protocol/messages.ts";
import type { Host } from "./host.ts";
import { transferable } from "./transfer.ts";

type Calls = Readonly<Record<keyof HostSurface, (...args: never[]) => Promise<unknown>>>;

/** The calls of a page that a host answers, as they come through a port. */
export const hostCalls = (host: Host, page: Port): Calls => ({
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
});
