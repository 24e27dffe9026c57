import { expose, transfer } from "comlink";
import { Host } from "./host/host.ts";
import { indexedDbEnvironment } from "./host/indexeddb-environment.ts";
import { transferable } from "./host/transfer.ts";

const host = new Host(indexedDbEnvironment);
const { locks } = indexedDbEnvironment();

expose({
  holdForLife: async (lock: string) => locks.areShared && (await locks.request(lock)) !== undefined,
  hello: host.hello.bind(host),
  open: host.open.bind(host),
  close: host.close.bind(host),
  deleteDatabase: host.deleteDatabase.bind(host),
  listDatabases: host.listDatabases.bind(host),
  grant: host.grant.bind(host),
  submit: async (requests: Parameters<Host["submit"]>[0]) => {
    const responses = await host.submit(requests);
    return transfer(responses, transferable(responses));
  },
});
