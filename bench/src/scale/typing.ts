/** The recorded typing session: each of its transactions is a commit of the document's whole text. */
import { collection, createDatabase } from "tidemark";
import { bytesInIndexedDb, storedBytes, untilQuiet } from "./stores.ts";

interface Session {
  readonly startContent: string;
  readonly endContent: string;
  readonly txns: readonly { readonly patches: readonly (readonly [at: number, deleted: number, inserted: string])[] }[];
}
interface Document {
  readonly id: string;
  readonly text: string;
}

/** With the defaults, as an application that knows nothing has them. */
const name = "typing";
const db = createDatabase({ name, collections: { documents: collection<Document>()({ key: "id" }) } });
const documents = db.collection("documents");

export interface Sample {
  readonly commits: number;
  readonly storedBytes: number;
  readonly liveBytes: number;
  readonly estimateBytes: number;
}
export interface Typed {
  readonly commits: number;
  readonly ms: number;
  readonly writtenBytes: number;
  readonly samples: readonly Sample[];
  /** What the stores really hold, right at the end and once it is quiet. */
  readonly endBytes: number;
  readonly quietBytes: number;
  readonly quietEstimateBytes: number;
  readonly quietMs: number;
}

const sampleMs = 1000;
const encoder = new TextEncoder();

/** Opens the database and is idle from then on. */
export const idle = (): Promise<unknown> => documents.get("replay");

/** What is stored now, by the log's own word. */
export async function textNow(): Promise<string> {
  const view = await db.readView({ fresh: true });
  const found = await view.collection("documents").get("replay");
  view.release();
  return found?.text ?? "";
}

export async function type(limit: number, inFlight: number): Promise<Typed> {
  const session = await loadSession();
  const txns = session.txns.slice(0, limit);
  let text = session.startContent;
  let [commits, writtenBytes] = [0, 0];
  const end = new AbortController();
  const samples: Sample[] = [];
  const sample = async (): Promise<void> => {
    const [metrics, { usage = 0 }] = await Promise.all([db.storage.metrics(), navigator.storage.estimate()]);
    const liveBytes = encoder.encode(text).length;
    samples.push({ commits, storedBytes: storedBytes(metrics), liveBytes, estimateBytes: usage });
  };
  const sampling = (async () => {
    while (!end.signal.aborted) {
      await sample();
      await new Promise((resolve) => setTimeout(resolve, sampleMs));
    }
  })();
  const since = performance.now();
  const onTheirWay: Promise<unknown>[] = [];
  for (const { patches } of txns) {
    for (const [at, deleted, inserted] of patches) text = text.slice(0, at) + inserted + text.slice(at + deleted);
    writtenBytes += text.length;
    onTheirWay.push(documents.put({ id: "replay", text }).then(() => commits++));
    if (onTheirWay.length >= inFlight) await onTheirWay.shift();
  }
  await Promise.all(onTheirWay);
  const ms = performance.now() - since;
  end.abort();
  await sampling;
  await sample();
  const endBytes = await bytesInIndexedDb(name);
  const { busyMs: quietMs } = await untilQuiet(db);
  if (txns.length === session.txns.length && text !== session.endContent)
    throw new Error("The session does not add up");
  if ((await textNow()) !== text) throw new Error("What is stored is not the text that was typed");
  const { usage = 0 } = await navigator.storage.estimate();
  const quietBytes = await bytesInIndexedDb(name);
  return { commits, ms, writtenBytes, samples, endBytes, quietBytes, quietEstimateBytes: usage, quietMs };
}

/** The text after so many transactions, by the session alone. */
export async function expectedText(limit: number): Promise<string> {
  const session = await loadSession();
  if (limit >= session.txns.length) return session.endContent;
  let text = session.startContent;
  for (const [at, deleted, inserted] of session.txns.slice(0, limit).flatMap(({ patches }) => patches)) {
    text = text.slice(0, at) + inserted + text.slice(at + deleted);
  }
  return text;
}

async function loadSession(): Promise<Session> {
  const { body } = await fetch("/data/typing-session.json.gzip");
  if (!body) throw new Error("The typing session came without content.");
  return (await new Response(body.pipeThrough(new DecompressionStream("gzip"))).json()) as Session;
}
