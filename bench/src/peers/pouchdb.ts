import IndexedDbAdapter from "pouchdb-adapter-indexeddb";
import PouchDb from "pouchdb-browser";
import Find from "pouchdb-find";
import { fromPlain, type Item, type PlainItem, toPlain } from "../items.ts";
import { type IndexedField, type Peer, relaxed, type Table } from "./peer.ts";

PouchDb.plugin(IndexedDbAdapter).plugin(Find);

type Content = Omit<PlainItem, "id">;
type Database = PouchDB.Database<Content>;

/**
 * On its newer adapter, `indexeddb`, whose `find` uses IndexedDB's own indexes. Auto-compaction is what its documentation
 * advises where nobody reads old revisions. To change a document one has to say its revision: whoever replaces or
 * deletes reads the revisions first.
 */
export const pouchdb: Peer = {
  title: "PouchDB",
  answer: relaxed,
  isStored: true,
  keepsUndefined: false,
  sharesTabs: true,
  async open(name, indexes) {
    const [items, warmup] = [await opened(`${name}-items`, indexes), await opened(`${name}-warmup`, indexes)];
    return {
      name,
      items: table(items, indexes.length),
      warmup: table(warmup, indexes.length),
      close: async () => {
        await items.close();
        await warmup.close();
      },
    };
  },
};

async function opened(name: string, indexes: readonly IndexedField[]): Promise<Database> {
  const db = new PouchDb<Content>(name, { adapter: "indexeddb", auto_compaction: true });
  for (const field of indexes) await db.createIndex({ index: { fields: [field], ddoc: field, name: field } });
  return db;
}

const toDocument = (item: Item): Content & { _id: string } => {
  const { id, ...content } = toPlain(item);
  return { _id: id, ...content };
};
const fromDocument = ({ _id, _rev, ...content }: Content & { _id: string; _rev: string }): Item =>
  fromPlain({ id: _id, ...content });

function table(db: Database, designs: number): Table {
  const everything = 1e9; // `find` gives 25 records unless told
  /** Its indexes are documents too, which come along. */
  const firstFrom = async (startkey: string, limit: number): Promise<Item[]> => {
    const found = await db.allDocs({ startkey, endkey: "\ufff0", limit: limit + designs, include_docs: true });
    const items = found.rows.flatMap(({ id, doc }) => (doc && !id.startsWith("_design/") ? [fromDocument(doc)] : []));
    return items.slice(0, limit);
  };
  const revisions = async (ids: readonly string[]): Promise<Map<string, string>> => {
    const found = await db.allDocs({ keys: [...ids] });
    return new Map(found.rows.flatMap((row) => ("error" in row ? [] : [[row.id, row.value.rev]])));
  };
  return {
    insertMany: async (items) => done(await db.bulkDocs(items.map(toDocument))),
    insert: (item) => db.put(toDocument(item)),
    replaceMany: async (items) => {
      const revs = await revisions(items.map(({ id }) => id));
      return done(await db.bulkDocs(items.map((item) => ({ ...toDocument(item), _rev: revs.get(item.id) ?? "" }))));
    },
    replace: async (item) => {
      const { _rev } = await db.get(item.id);
      return db.put({ ...toDocument(item), _rev });
    },
    deleteMany: async (ids) => {
      const found = await db.allDocs({ keys: [...ids], include_docs: true });
      const documents = found.rows.flatMap((row) => ("doc" in row && row.doc ? [{ ...row.doc, _deleted: true }] : []));
      return done(await db.bulkDocs(documents));
    },
    get: async (id) => {
      try {
        return fromDocument(await db.get(id));
      } catch (error) {
        if ((error as PouchDB.Core.Error).status === 404) return undefined;
        throw error;
      }
    },
    getMany: async (ids) => {
      const found = await db.allDocs({ keys: [...ids], include_docs: true });
      return found.rows.map((row) => ("doc" in row && row.doc ? fromDocument(row.doc) : undefined));
    },
    all: () => firstFrom("", everything),
    from: firstFrom,
    count: async () => (await db.info()).doc_count - designs,
    countOfList: async (listId) => {
      const found = await db.find({ selector: { listId }, fields: ["_id"], use_index: "listId", limit: everything });
      return found.docs.length;
    },
    amountBetween: async (from, to) => {
      const selector = { amount: { $gte: from, $lt: to } };
      const found = await db.find({ selector, sort: ["amount"], use_index: "amount", limit: everything });
      return found.docs.map(fromDocument);
    },
  };
}

/** `bulkDocs` answers with what failed instead of throwing. */
function done(answers: readonly (PouchDB.Core.Response | PouchDB.Core.Error)[]): void {
  const failed = answers.find((answer) => !("ok" in answer));
  if (failed) throw new Error(`PouchDB did not write: ${JSON.stringify(failed)}`);
}
