/** Who may open a database, and which. */
import { TidemarkError } from "../base/errors.ts";
import { protocolVersion } from "../protocol/messages.ts";
import { type Storage, valueOf } from "../storage/contract.ts";
import { decodeFence, readFence } from "../wal/log.ts";
import type { Environment } from "./environment.ts";
import type { TabMessage } from "./tab-messages.ts";

/** How long the only tab allowed without shared locks waits for another to speak up. */
const pingMs = 150;

export const closed = (reason: string): TidemarkError =>
  new TidemarkError("CLOSED", `This database handle is closed (${reason})`, { reason });

/** @throws ENVIRONMENT where the page speaks another protocol than this worker */
export function refuseOtherBuild(page: number): void {
  if (page === protocolVersion) return;
  throw new TidemarkError("ENVIRONMENT", "Page and worker come from different builds of Tidemark; reload the page", {
    page,
    worker: protocolVersion,
  });
}

export const reasonOf = ({ details }: TidemarkError): string =>
  typeof details["reason"] === "string" ? details["reason"] : "closed";

/** What was deleted while its page was without a worker is not made anew for it. @throws CLOSED */
export async function refuseAnother(storage: Storage, database: number): Promise<void> {
  const [row] = await storage.read([readFence]);
  const bytes = valueOf(row);
  if (!bytes || decodeFence(bytes).database !== database) throw closed("deleted");
}

/** Without Web Locks tabs cannot tell a dead tab from a frozen one: one tab works, a second is refused (TB6). */
export async function refuseSecondTab(name: string, environment: Environment): Promise<void> {
  let answered = false;
  const channel = environment.channel(`tidemark/${name}`, (raw) => {
    if ((raw as { type?: unknown } | null)?.type === "pong") answered = true;
  });
  channel.post({ type: "ping" } satisfies TabMessage);
  await environment.clock.sleep(pingMs);
  channel.close();
  if (!answered) return;
  throw new TidemarkError(
    "ENVIRONMENT",
    "This browser has no Web Locks here (they need HTTPS or localhost), so only one tab can have the database open, and another has",
    { missing: "navigator.locks" },
  );
}
