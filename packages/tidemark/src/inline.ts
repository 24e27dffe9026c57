import type { HostLink } from "./client/connectors.ts";
import { browserEnvironment } from "./host/browser.ts";
import { Host } from "./host/host.ts";

/** A host in this realm, for `worker: false`. */
export function linkInline(): HostLink {
  const surface = new Host(browserEnvironment);
  return { surface, ended: new Promise(() => undefined), dispose: () => undefined };
}
