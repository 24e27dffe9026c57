import type { Item } from "../items.ts";
import { type IndexedField, type Opened, type Peer, relaxed, type Table } from "./peer.ts";
import type { SqliteAnswer, SqliteRequest } from "./sqlite-worker.ts";

type Value = string | number | null;

const columns = ["id", "listId", "title", "amount", "done", "createdAt", "note"] as const;
const rowOf = (item: Item): Value[] => [
  item.id,
  item.listId,
  item.title,
  item.amount,
  item.done ? 1 : 0,
  item.createdAt.getTime(),
  item.note ?? null,
];
const itemOf = ([id, listId, title, amount, done, createdAt, note]: readonly unknown[]): Item => ({
  id: id as string,
  listId: listId as number,
  title: title as string,
  amount: amount as number,
  done: done === 1,
  createdAt: new Date(createdAt as number),
  ...(note !== null && { note: note as string }),
});

/** With its defaults: each commit is flushed to the disk before it is answered. */
export const sqlite: Peer = {
  title: "SQLite, OPFS",
  answer: "flushed to the disk (synchronous = full, the default)",
  isStored: true,
  keepsUndefined: false,
  // The pool holds its files exclusively: a second tab cannot open them.
  sharesTabs: false,
  open: (name, indexes) => open(name, indexes, "full"),
};

/** The same with the durability of all others here. */
export const sqliteRelaxed: Peer = {
  ...sqlite,
  title: "SQLite, OPFS, relaxed",
  answer: relaxed,
  open: (name, indexes) => open(name, indexes, "off"),
};

async function open(name: string, indexes: readonly IndexedField[], synchronous: "full" | "off"): Promise<Opened> {
  const worker = new Worker(new URL("./sqlite-worker.ts", import.meta.url), { type: "module" });
  const waiting = new Map<number, (answer: SqliteAnswer) => void>();
  worker.onmessage = ({ data }: MessageEvent<SqliteAnswer>) => {
    waiting.get(data.id)?.(data);
    waiting.delete(data.id);
  };
  let lastId = 0;
  const ask = async (request: SqliteRequest): Promise<readonly unknown[][]> => {
    const id = ++lastId;
    const answer = await new Promise<SqliteAnswer>((resolve) => {
      waiting.set(id, resolve);
      worker.postMessage({ id, request });
    });
    if (answer.error !== undefined) throw new Error(answer.error);
    return answer.rows ?? [];
  };
  const script = [`PRAGMA synchronous = ${synchronous};`, ...["items", "warmup"].map((of) => schemaOf(of, indexes))];
  await ask({ do: "open", file: `/${name}.sqlite3`, script: script.join("\n") });
  return {
    name,
    items: table("items", ask),
    warmup: table("warmup", ask),
    close: async () => {
      await ask({ do: "close" });
      worker.terminate();
    },
  };
}

/** Without a rowid, as SQLite advises for small rows whose key is no integer. */
const schemaOf = (of: string, indexes: readonly IndexedField[]): string =>
  [
    `CREATE TABLE IF NOT EXISTS ${of} (id TEXT PRIMARY KEY, listId INTEGER NOT NULL, title TEXT NOT NULL,
       amount INTEGER NOT NULL, done INTEGER NOT NULL, createdAt INTEGER NOT NULL, note TEXT) WITHOUT ROWID;`,
    ...indexes.map((field) => `CREATE INDEX IF NOT EXISTS ${of}_${field} ON ${of} (${field});`),
  ].join("\n");

function table(of: string, ask: (request: SqliteRequest) => Promise<readonly unknown[][]>): Table {
  const holes = columns.map(() => "?").join(", ");
  const insert = `INSERT INTO ${of} VALUES (${holes})`;
  const rest = columns.filter((column) => column !== "id").map((column) => `${column} = excluded.${column}`);
  const replace = `${insert} ON CONFLICT (id) DO UPDATE SET ${rest.join(", ")}`;
  const write = (sql: string, rows: Value[][]) => ask({ do: "write", sql, rows });
  const read = async (sql: string, ...rows: Value[][]): Promise<Item[]> =>
    (await ask({ do: "read", sql: `SELECT * FROM ${of} ${sql}`, rows })).map(itemOf);
  const number = async (sql: string, row: Value[]): Promise<number> => {
    const [found] = await ask({ do: "read", sql: `SELECT count(*) FROM ${of} ${sql}`, rows: [row] });
    return found?.[0] as number;
  };
  return {
    insertMany: (items) => write(insert, items.map(rowOf)),
    insert: (item) => write(insert, [rowOf(item)]),
    replaceMany: (items) => write(replace, items.map(rowOf)),
    replace: (item) => write(replace, [rowOf(item)]),
    deleteMany: (ids) =>
      write(
        `DELETE FROM ${of} WHERE id = ?`,
        ids.map((id) => [id]),
      ),
    get: async (id) => (await read("WHERE id = ?", [id]))[0],
    getMany: async (ids) => {
      const found = new Map((await read("WHERE id = ?", ...ids.map((id) => [id]))).map((item) => [item.id, item]));
      return ids.map((id) => found.get(id));
    },
    all: () => read("", []),
    from: (id, limit) => read("WHERE id >= ? ORDER BY id LIMIT ?", [id, limit]),
    count: () => number("", []),
    countOfList: (listId) => number("WHERE listId = ?", [listId]),
    amountBetween: (from, to) => read("WHERE amount >= ? AND amount < ? ORDER BY amount", [from, to]),
  };
}
