/** Everything a read view sees, or all of it that is intact, as a stream of bytes that is made as it is read. */
import { TidemarkError } from "../../base/errors.ts";
import type { Catalog } from "../../codec/schema.ts";
import type { DamageReport } from "../../protocol/messages.ts";
import { checkOptions, invalid, type OptionChecks, signalCheck } from "../../protocol/options.ts";
import { type PartsOptions, streamed } from "../parts.ts";
import { partsOn } from "../reading.ts";
import { everything } from "../shape.ts";
import type { ByteStreamSource } from "../byte-stream.ts";
import type { Declarations } from "../types.ts";
import type { View } from "../view.ts";
import { areNames, collectionCheck, collectionsCheck, formatCheck } from "./checks.ts";
import { CsvWriter } from "./csv.ts";
import type { RecordWriter, TransferFormat } from "./formats.ts";
import type { Header } from "./frames.ts";
import { LinesWriter } from "./lines.ts";
import { NativeWriter } from "./native.ts";
import { taggedText } from "./tagged.ts";
import type { ExportOptions } from "./options.ts";

const checks: OptionChecks<ExportOptions> = {
  format: formatCheck,
  collection: collectionCheck,
  collections: collectionsCheck,
  columns: [areNames, "a list of names of fields"],
  signal: signalCheck,
};

type AnyView = View<Declarations>;

/** What `view`, which is released at the end, holds. */
export async function exportOf(view: AnyView, name: string, options: ExportOptions): Promise<ByteStreamSource> {
  checkExport(options);
  return byteSource(view, () => exported(view, name, options));
}

/** What of it is intact. */
export async function salvageOf(
  view: AnyView,
  name: string,
  signal: AbortSignal | undefined,
): Promise<ByteStreamSource> {
  checkOptions("salvage()", { signal }, { signal: signalCheck });
  return byteSource(view, () => salvaged(view, name, signal));
}

function checkExport(options: ExportOptions): void {
  checkOptions("export()", options, checks);
  const { format = "tidemark", collection, collections, columns } = options;
  if (collection !== undefined && collections !== undefined) throw invalid("collections", collections, "left out");
  if (format === "csv" && collection === undefined) throw invalid("collection", collection, "named for format csv");
  if (format !== "csv" && columns !== undefined) throw invalid("columns", columns, "left out but for format csv");
}

function byteSource(view: AnyView, make: () => AsyncGenerator<Uint8Array, void>): ByteStreamSource {
  const chunks = make();
  return {
    next: async () => {
      let chunk: Uint8Array | undefined;
      try {
        chunk = (await chunks.next()).value ?? undefined;
        return chunk;
      } finally {
        if (!chunk) view.release(); // the end, or a failure
      }
    },
    // What was never asked for anything has nothing to end but the view.
    close: () => {
      view.release();
      chunks.return().catch(() => undefined);
    },
  };
}

async function* exported(view: AnyView, name: string, options: ExportOptions): AsyncGenerator<Uint8Array, void> {
  const { format = "tidemark", collection, collections, columns, signal } = options;
  signal?.throwIfAborted();
  const names = collection === undefined ? collections : [collection];
  const header = headerOf(name, view.seq, "export", await catalogOf(view), names);
  const writer = writerOf(format, header, collection !== undefined, columns);
  yield* writer.begin();
  for (const [i, { name: one }] of header.collections.entries()) {
    for await (const { values } of streamed(await scanOf(view, one, false, signal))) yield* writer.write(i, values);
  }
  yield* writer.end(undefined);
}

function writerOf(format: TransferFormat, header: Header, isBare: boolean, columns?: readonly string[]): RecordWriter {
  if (format === "tidemark") return new NativeWriter(header);
  return format === "ndjson" ? new LinesWriter(header, isBare) : new CsvWriter(header, columns);
}

async function* salvaged(
  view: AnyView,
  name: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array, void> {
  signal?.throwIfAborted();
  const header = headerOf(name, view.seq, "salvage", await catalogOf(view), undefined);
  const writer = new NativeWriter(header);
  const damage = new Map<string, DamageReport>();
  yield* writer.begin();
  for (const [i, { name: one }] of header.collections.entries()) {
    for await (const part of streamed(await scanOf(view, one, true, signal))) {
      // Parts that meet in a damaged block both tell of it.
      for (const found of part.damage ?? []) damage.set(await taggedText(found, "damage"), found);
      yield* writer.write(i, part.values);
    }
  }
  yield* writer.end([...damage.values()]);
}

function scanOf(
  { source }: AnyView,
  collection: string,
  isSalvaging: boolean,
  signal: AbortSignal | undefined,
): Promise<PartsOptions> {
  return source.enter(async (connection) => {
    const target = { source, collection, index: undefined };
    const options = partsOn(connection, target, { shape: everything, wants: "values", signal });
    return isSalvaging ? { ...options, request: (schema) => ({ ...options.request(schema), isSalvaging }) } : options;
  });
}

const catalogOf = ({ source }: AnyView): Promise<Catalog> =>
  source.enter((connection) => connection.call<"catalog">({ op: "catalog", handle: source.handle }));

function headerOf(
  name: string,
  seq: number,
  kind: Header["kind"],
  { version, collections }: Catalog,
  names: readonly string[] = Object.keys(collections).toSorted(),
): Header {
  const described = [...new Set(names)].map((collection) => {
    if (!Object.hasOwn(collections, collection)) {
      throw new TidemarkError("UNKNOWN_NAME", `There is no collection '${collection}'`, { collection });
    }
    const { key, indexes } = collections[collection]!;
    const plain = Object.entries(indexes).map(
      ([index, { path, unique, multi }]) => [index, { path, unique, multi }] as const,
    );
    return { name: collection, key, indexes: Object.fromEntries(plain) };
  });
  return { name, version, seq, kind, collections: described };
}
