/**
 * Replays a workload in the simulated world, where every byte is counted, and prints what it cost. The first line of
 * the input declares a collection, each further one is a batch: `{"put": [records]}` or `{"delete": [keys]}`.
 *
 *     node packages/tidemark/src/replay.test-support.ts < workload.jsonl
 *
 * Time is virtual and chance comes from a seed: the same input gives the same figures, to the byte.
 */
import { stdin } from "node:process";
import { createInterface } from "node:readline";
import type { HostLink } from "./client/connectors.ts";
import { Database } from "./client/database.ts";
import type { AnyDeclaration } from "./client/types.ts";
import { Host } from "./host/host.ts";
import { simulate, type World } from "./testing/world.ts";

type Batch = { readonly put: readonly object[] } | { readonly delete: readonly string[] };

interface Cost {
  /** Everything ever written to storage, the log included. */
  readonly writtenBytes: number;
  /** The most that was stored at once, and what is stored when there is nothing left to do. */
  readonly peakBytes: number;
  readonly endBytes: number;
  /** All that is there in the end, in key order. */
  readonly records: readonly string[];
}

const name = "replayed";
const quietMs = 10_000;

async function replay(world: World, declaration: AnyDeclaration, batches: readonly string[]): Promise<Cost> {
  const tab = world.process("replayer");
  const link = (): Promise<HostLink> =>
    Promise.resolve({
      surface: new Host(() => tab.environment),
      ended: new Promise(() => undefined),
      dispose: () => undefined,
    });
  const db = await new Database({ name, collections: { rows: declaration } }, link).open();
  const rows = db.collection("rows");
  let peakBytes = 0;
  world.medium.onStep = ({ kind }) => {
    if (kind === "committed") peakBytes = Math.max(peakBytes, world.medium.usedBytes);
    return "go";
  };
  for (const line of batches) {
    const batch = JSON.parse(line) as Batch;
    if ("put" in batch) await rows.putMany(batch.put);
    else await rows.deleteMany(batch.delete as never[]);
  }
  await db.checkpoint();
  await untilQuiet(world);
  const { bytesWritten: writtenBytes } = world.medium.stats;
  const endBytes = world.medium.usedBytes;
  const records = (await rows.all()).map((row) => JSON.stringify(row));
  await db.close();
  return { writtenBytes, peakBytes, endBytes, records };
}

async function untilQuiet(world: World): Promise<void> {
  for (let before = -1; before !== world.medium.stats.bytesWritten;) {
    before = world.medium.stats.bytesWritten;
    await world.sleep(quietMs);
  }
}

// All of it first: virtual time does not wait for a pipe.
const lines: string[] = [];
for await (const line of createInterface({ input: stdin })) lines.push(line);
const [declared = "{}", ...batches] = lines;
const cost = await simulate((world) => replay(world, JSON.parse(declared) as AnyDeclaration, batches));
process.stdout.write(JSON.stringify(cost));
