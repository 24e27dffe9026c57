import { type BlockId, byteKey } from "../base/brand.ts";
import { isTidemarkError, TidemarkError } from "../base/errors.ts";
import { type Database } from "../collections/database.ts";
import type {
  Answers,
  CommitAnswer,
  DamageReport,
  Request,
  ScanAnswer,
  ScanRequest,
  SnapshotReport,
  VerifyReport,
} from "../protocol/messages.ts";
import type { HistoryAnswer } from "../protocol/gc.ts";
import { packValues } from "../codec/values.ts";
import { type Definition, writableFrom } from "../codec/schema.ts";
import { outdated } from "../collections/catalog.ts";
import { defineIn } from "../collections/define.ts";
import { beginMove, cancelMove, readSlice, writeSlice } from "../collections/moving.ts";
import { salvageRecords } from "../collections/salvage.ts";
import { countRecords } from "../collections/scan.ts";
import type { StoredVersion } from "../mvcc/handles.ts";
import type { Snapshot } from "../mvcc/snapshots.ts";
import { type Damage, verify } from "../mvcc/verify.ts";
import type { Building } from "./building.ts";
import type { Feeds } from "./feeds.ts";
import type { GcDesk } from "./gc-requests.ts";
import { metrics } from "./metrics.ts";
import type { Tabs } from "./tabs.ts";
import type { Upkeep } from "./upkeep.ts";

type Answer = Answers[Request["op"]];

export interface Answering {
  readonly database: Database;
  readonly upkeep: Upkeep;
  readonly gc: GcDesk;
  readonly building: Building;
  readonly definition: Definition;
  readonly tabs: Pick<Tabs, "keepForMs">;
  readonly feeds: Feeds;
  /** What of the log was kept for a consumer may go. */
  readonly consumed: () => void;
}

/** Carries out one request. The protocol is a closed union, so every kind is here. */
export async function answer(answering: Answering, request: Request): Promise<Answer> {
  const { database, upkeep, gc, building, definition, tabs, feeds } = answering;
  if (changes.has(request.op)) refuseOutdated(database, definition);
  switch (request.op) {
    case "begin": {
      const { kind, isolation, fresh, attempt, snapshot } = request;
      const options = { tracked: kind !== "view", isolation, fresh, attempt, snapshot };
      const handle = await database.begin(request.handle, options);
      return { seq: handle.seq };
    }
    case "end":
      return database.end(request.handle);
    case "get":
      return database.reading(request.handle, request.epoch, (h) => database.get(h, request.keys));
    case "has":
      return database.reading(request.handle, request.epoch, (h) => database.has(h, request.keys));
    case "scan":
      return request.isSalvaging === true
        ? salvaged(database, request)
        : database.scan(request.handle, request.epoch, request);
    case "history":
      return database.reading(request.handle, request.epoch, async (h) => historyAnswer(await h.history(request.key)));
    case "count":
      return database.reading(request.handle, request.epoch, (h) => countRecords(h, request));
    case "part":
      return database.uploads.take(request.part);
    case "part-drop":
      return database.uploads.drop(request.upload);
    case "write": {
      const { epoch, durability, tag } = request;
      return commitAnswer(await database.write(request, epoch, durability, tag));
    }
    case "stage":
      return database.stage(await database.handle(request.handle), request.epoch, request);
    case "commit": {
      const { durability, tag } = request;
      return commitAnswer(await database.commit(await database.handle(request.handle), durability, tag));
    }
    case "clear":
      return database.clear(await database.handle(request.handle), request.epoch, request.collection);
    case "define":
      return defineIn(await database.handle(request.handle), definition, request.version, request.drops, () =>
        tabs.keepForMs(),
      );
    case "move-begin":
      return beginMove(database, definition, request.version, request.collection);
    case "move-read":
      return readSlice(database, request.version);
    case "move-write":
      return writeSlice(database, request);
    case "move-cancel":
      return cancelMove(database, request.version);
    case "watch":
      return database.watch(request.handle);
    case "catalog":
      return database.catalogOf(request.handle);
    case "snapshot-create":
      return snapshotReport(await database.createSnapshot(request.name));
    case "snapshot-list":
      return (await database.snapshots.list()).map(snapshotReport);
    case "snapshot-delete":
      return database.deleteSnapshot(request.name);
    case "ready":
      return building.ready(request.collection, request.index);
    case "changes-open":
      return feeds.open(request);
    case "changes":
      return feeds.read(request);
    case "changes-ack":
      if (await feeds.acknowledge(request)) answering.consumed();
      return;
    case "changes-end":
      return feeds.end(request.feed);
    case "checkpoint":
      return upkeep.checkpoint();
    case "verify":
      return verifyReport(database);
    case "metrics":
      return metrics(database, upkeep);
    default:
      return gc.answer(request) as Promise<Answer>;
  }
}

const changes: ReadonlySet<Request["op"]> = new Set<Request["op"]>(["write", "stage", "clear", "define", "move-begin"]);
const otherChanges: ReadonlySet<Request["op"]> = new Set<Request["op"]>([
  ...(["move-read", "move-write", "move-cancel", "ready", "snapshot-create", "snapshot-delete"] as const),
  ...(["changes-ack", "checkpoint", "gc-run", "gc-evict"] as const),
]);

/** Whether it writes, by whatever schema, or has upkeep do so. */
export const isChange = ({ op }: Request): boolean => changes.has(op) || otherChanges.has(op);

/** Whether it adds to what waits to be folded. */
export const isWrite: OpTest = isAnyOf("write", "commit", "move-write");

/** Whoever waits for upkeep wants it to go on. */
export const isUpkeep: OpTest = isAnyOf("checkpoint", "gc-run", "ready", "verify");

type OpTest = (request: Request | undefined) => boolean;

/** What may be no request at all is told so as it is answered. */
function isAnyOf(...ops: readonly (Request["op"] | undefined)[]): OpTest {
  return (request) => ops.includes(request?.op);
}

/** Whoever commits by an older schema than the newest is refused, so what is looked at now is what counts. */
function refuseOutdated({ catalog }: Database, { version }: Definition): void {
  const from = writableFrom(catalog);
  if (from > version) throw outdated(version, from);
}

const historyAnswer = (versions: readonly StoredVersion[]): HistoryAnswer => ({
  versions: versions.map(({ seq, stamp }) => ({ seq, stamp })),
  values: packValues(versions.map(({ value }) => value)),
});

const snapshotReport = ({ name, seq }: Snapshot): SnapshotReport => ({ name, seq });

async function verifyReport(database: Database): Promise<VerifyReport> {
  const { blocks, entries, damage } = await verify(database.store);
  return { blocks, entries, damage: damageReports(database, damage) };
}

const damageReports = (database: Database, damage: readonly Damage[]): readonly DamageReport[] =>
  damage.map(({ what, why, from, to }) => ({
    what,
    why,
    ...(from === undefined ? {} : { from: database.describe(from) }),
    ...(to === undefined ? {} : { to: database.describe(to) }),
  }));

async function salvaged(database: Database, request: ScanRequest): Promise<ScanAnswer> {
  const { handle, epoch } = request;
  const { values, keys, rest, damage } = await database.reading(handle, epoch, (h) => salvageRecords(h, request));
  return { values, keys, rest, handle, damage: damageReports(database, damage) };
}

/** Damage in the user's terms: whose value, or which keys a block may have held. Everything else stays readable. */
export function explained(database: Database, error: unknown): unknown {
  const { retirement } = database;
  if (isTidemarkError(error, "READ_VIEW_EVICTED") && retirement.reads) {
    return outdated(retirement.version, database.catalog.version); // there is nothing else that it could read
  }
  if (!isTidemarkError(error, "CORRUPT")) return error;
  const { key } = error.details;
  if (error.details["what"] === "value" && typeof key === "string") {
    const record = database.describe(byteKey(key));
    return new TidemarkError(
      "CORRUPT",
      `${error.message}; it belongs to '${record.collection}'`,
      { ...error.details, ...record },
      error,
    );
  }
  if (error.details["what"] !== "block") return error;
  const info = database.store.manifest.info(error.details["id"] as BlockId);
  if (!info) return error;
  const [from, to] = [database.describe(info.first.key), database.describe(info.last.key)];
  const message = `${error.message}; it covers keys of '${from.collection}'${from.collection === to.collection ? "" : ` to '${to.collection}'`}`;
  return new TidemarkError("CORRUPT", message, { ...error.details, from, to }, error);
}

const commitAnswer = (done: { seq: number; existed: readonly boolean[] }): CommitAnswer => ({
  seq: done.seq,
  existed: done.existed,
});
