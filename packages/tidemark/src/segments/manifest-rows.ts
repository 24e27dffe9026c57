/** The manifest as rows of store `meta`: its root, and its pages under their ids. */
import {
  type Found,
  get,
  type Read,
  type Storage,
  type StoredValue,
  under,
  valueOf,
  type Write,
} from "../storage/contract.ts";
import { Manifest, pageChanges, pageSummaries, type Root } from "./manifest.ts";
import { damaged } from "../wal/envelope.ts";
import { Page } from "./page.ts";

const prefix = "manifest/";

export const readRoot: Read = get("meta", "manifest");
/** All pages at once, for whoever knows none. */
export const readPages: Read = { kind: "range", store: "meta", range: under(prefix) };

export const putRoot = (m: Manifest): Write => ({ kind: "put", store: "meta", key: "manifest", value: m.encodeRoot() });

/** Makes `next` out of `before`: as many rows as pages changed, and the root. */
export function putManifest(before: Manifest, next: Manifest): readonly Write[] {
  const { added, removed } = pageChanges(before, next);
  return [
    putRoot(next),
    ...added.map((page): Write => ({ kind: "put", store: "meta", key: prefix + page.id, value: page.encode() })),
    ...removed.map(({ id }): Write => ({ kind: "delete", store: "meta", key: prefix + id })),
  ];
}

/**
 * The manifest of `root`, with what `known` and `rows` have of its pages and the rest from storage. `undefined`: a page
 * is gone, since an edit replaced it meanwhile.
 */
export async function manifestOf(
  storage: Storage,
  root: Root,
  known: Manifest,
  rows: Found = [],
): Promise<Manifest | undefined> {
  const pages = new Map(known.pages().map((page) => [page.id, page]));
  const bytes = new Map(rows.map(({ key, value }) => [key as string, value]));
  const missing = pageSummaries(root).filter(({ id }) => !pages.has(id) && !bytes.has(prefix + id));
  const found = missing.length === 0 ? [] : await storage.read(missing.map(({ id }) => get("meta", prefix + id)));
  for (const [i, { id }] of missing.entries()) {
    const value: StoredValue | undefined = valueOf(found[i]);
    if (value === undefined) return undefined;
    bytes.set(prefix + id, value);
  }
  return Manifest.of(root, (summary) => pages.get(summary.id) ?? Page.stored(summary, bytes.get(prefix + summary.id)!));
}

/** The manifest of `root`, all of whose pages are among `rows`. @throws CORRUPT where one is not */
export function rowsManifest(root: Root, rows: Found): Manifest {
  const bytes = new Map(rows.map(({ key, value }) => [key as string, value]));
  return Manifest.of(root, (summary) => {
    const value = bytes.get(prefix + summary.id);
    if (value === undefined) throw damaged({ what: "manifest page" }, "is lost");
    return Page.stored(summary, value);
  });
}
