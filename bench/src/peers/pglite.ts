import { live } from "@electric-sql/pglite/live";
import { PGliteWorker } from "@electric-sql/pglite/worker";
import type { Item } from "../items.ts";
import { type IndexedField, type Opened, type Peer, relaxed, type Table } from "./peer.ts";

type Database = Awaited<ReturnType<typeof connect>>;
type Row = Omit<Item, "note"> & { readonly note: string | null };

const connect = (worker: Worker, name: string, relaxedDurability: boolean) =>
  PGliteWorker.create(worker, { dataDir: `idb://${name}`, id: name, relaxedDurability, extensions: { live } });

/**
 * In its worker, on IndexedDB, with relaxed durability, which its documentation names for this file system: otherwise all
 * that changed is stored after every query, reads included. Many records come by COPY, which Postgres advises for that,
 * through PGlite's `/dev/blob`.
 */
export const pglite: Peer = {
  title: "PGlite, relaxed",
  answer: "in the worker's memory; stored in IndexedDB some time later",
  isStored: false,
  keepsUndefined: false,
  sharesTabs: true,
  open: (name, indexes) => open(name, indexes, true),
};

/** With its defaults. */
export const pgliteStrict: Peer = {
  ...pglite,
  title: "PGlite",
  answer: relaxed,
  isStored: true,
  open: (name, indexes) => open(name, indexes, false),
};

async function open(name: string, indexes: readonly IndexedField[], relaxedDurability: boolean): Promise<Opened> {
  const worker = new Worker(new URL("./pglite-worker.ts", import.meta.url), { type: "module" });
  const db = await connect(worker, name, relaxedDurability);
  await db.exec(["items", "warmup"].map((of) => schemaOf(of, indexes)).join("\n"));
  return {
    name,
    items: table(db, "items"),
    warmup: table(db, "warmup"),
    close: async () => {
      if (db.isLeader) await stored(worker);
      await db.close();
    },
  };
}

const stored = (worker: Worker): Promise<void> =>
  new Promise((resolve) => {
    worker.addEventListener("message", ({ data }: MessageEvent<unknown>) => {
      if (data === "stored") resolve();
    });
    worker.postMessage("store");
  });

const schemaOf = (of: string, indexes: readonly IndexedField[]): string =>
  [
    `CREATE TABLE IF NOT EXISTS ${of} (id text PRIMARY KEY, "listId" integer NOT NULL, title text NOT NULL,
       amount integer NOT NULL, done boolean NOT NULL, "createdAt" timestamptz NOT NULL, note text);`,
    ...indexes.map((field) => `CREATE INDEX IF NOT EXISTS "${of}_${field}" ON ${of} ("${field}");`),
  ].join("\n");

const itemOf = ({ note, ...row }: Row): Item => (note === null ? row : { ...row, note });
const valuesOf = (item: Item): unknown[] => [
  item.id,
  item.listId,
  item.title,
  item.amount,
  item.done,
  item.createdAt,
  item.note ?? null,
];
const csvOf = (items: readonly Item[]): Blob => {
  const quoted = (text: string): string => `"${text.replaceAll('"', '""')}"`;
  const lines = items.map(({ id, listId, title, amount, done, createdAt, note }) =>
    [quoted(id), listId, quoted(title), amount, done, createdAt.toISOString(), note && quoted(note)].join(","),
  );
  return new Blob([`${lines.join("\n")}\n`]);
};

function table(db: Database, of: string): Table {
  const holes = "$1, $2, $3, $4, $5, $6, $7";
  const set = (from: string): string =>
    ["listId", "title", "amount", "done", "createdAt", "note"]
      .map((name) => `"${name}" = ${from}."${name}"`)
      .join(", ");
  const read = async (sql: string, values: unknown[] = []): Promise<Item[]> =>
    (await db.query<Row>(`SELECT * FROM ${of} ${sql}`, values)).rows.map(itemOf);
  const number = async (sql: string, values: unknown[] = []): Promise<number> => {
    const { rows } = await db.query<{ n: number }>(`SELECT count(*)::int AS n FROM ${of} ${sql}`, values);
    return rows[0]?.n ?? 0;
  };
  return {
    insertMany: (items) => db.query(`COPY ${of} FROM '/dev/blob' WITH (FORMAT csv)`, [], { blob: csvOf(items) }),
    insert: (item) => db.query(`INSERT INTO ${of} VALUES (${holes})`, valuesOf(item)),
    replaceMany: (items) => {
      const values = `SELECT * FROM json_populate_recordset(null::${of}, $1)`;
      return db.query(`INSERT INTO ${of} ${values} ON CONFLICT (id) DO UPDATE SET ${set("excluded")}`, [items]);
    },
    replace: (item) =>
      db.query(`INSERT INTO ${of} VALUES (${holes}) ON CONFLICT (id) DO UPDATE SET ${set("excluded")}`, valuesOf(item)),
    deleteMany: (ids) => db.query(`DELETE FROM ${of} WHERE id = ANY($1)`, [ids]),
    get: async (id) => (await read("WHERE id = $1", [id]))[0],
    getMany: async (ids) => {
      const found = new Map((await read("WHERE id = ANY($1)", [ids])).map((item) => [item.id, item]));
      return ids.map((id) => found.get(id));
    },
    all: () => read(""),
    from: (id, limit) => read("WHERE id >= $1 ORDER BY id LIMIT $2", [id, limit]),
    count: () => number(""),
    countOfList: (listId) => number(`WHERE "listId" = $1`, [listId]),
    amountBetween: (from, to) => read("WHERE amount >= $1 AND amount < $2 ORDER BY amount", [from, to]),
    watchList: async (listId, told) => {
      const sql = `SELECT * FROM ${of} WHERE "listId" = $1`;
      const { unsubscribe } = await db.live.query<Row>(sql, [listId], ({ rows }) => told(rows.map(itemOf)));
      return () => void unsubscribe();
    },
  };
}
