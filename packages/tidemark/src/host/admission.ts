/** Who may open a database, and which. */
import { TidemarkError } from "../base/errors.ts";
import { finite, oneOf, optional, text, whole } from "../codec/form.ts";
import { definitionForm } from "../codec/schema.ts";
import { checkedGcSettings } from "../protocol/gc-settings.ts";
import { type OpenRequest, protocolVersion } from "../protocol/messages.ts";
import type { OptionChecks } from "../protocol/options.ts";
import { type Storage, valueOf } from "../storage/contract.ts";
import { decodeFence, readFence } from "../wal/log.ts";
import type { Environment } from "./environment.ts";
import { invalidOption } from "./failure.ts";
import { checkPage } from "./grants.ts";
import type { TabMessage } from "./tab-messages.ts";

/** How long the only tab allowed without shared locks waits for another to speak up. */
const pingMs = 150;

export const closed = (reason: string): TidemarkError =>
  new TidemarkError("CLOSED", `This database handle is closed (${reason})`, { reason });

/** @throws ENVIRONMENT where the page speaks another protocol than this worker */
function refuseOtherBuild(page: number): void {
  if (page === protocolVersion) return;
  throw new TidemarkError("ENVIRONMENT", "Page and worker come from different builds of Tidemark; reload the page", {
    page,
    worker: protocolVersion,
  });
}

const isSize = (value: unknown): boolean => finite(value) && value > 0;
const openings: Partial<OptionChecks<OpenRequest>> = {
  name: [(v) => text(v) && v !== "", "a name"],
  storage: [oneOf("indexeddb", "memory"), `"indexeddb" or "memory"`],
  definition: [definitionForm, "a definition"],
  cacheMaxBytes: [isSize, "a number of bytes"],
  memtableMaxBytes: [isSize, "a number of bytes"],
  database: [optional(whole), "the number of a database"],
};

/** What is stored is made by it, and must be what any page can read. @throws ENVIRONMENT, OPTIONS_INVALID */
export function checkOpening(request: OpenRequest): void {
  refuseOtherBuild(request.protocol);
  checkPage(request);
  checkedGcSettings(request.gc);
  for (const [option, [is, expected]] of Object.entries(openings))
    if (!is(request[option as keyof OpenRequest])) throw invalidOption(option, expected);
}

/** A host has one database. */
export const alreadyOpen = (): TidemarkError =>
  new TidemarkError("BUSY", "This worker has a database open, or opens one; make another worker for another database");

/**
 * A page is told of its database's end when no transaction is under way, or after so long: it ends its worker then, and
 * WebKit (seen in 2.50) leaves a transaction open that was under way, for which all other tabs wait.
 */
export const maxEndingMs = 500;

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
