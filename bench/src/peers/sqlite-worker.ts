/**
 * SQLite in its worker, on the VFS for OPFS that its documentation recommends for speed (`opfs-sahpool`). Statements are
 * prepared once; what is many is one transaction.
 */
import sqlite3InitModule, {
  type BindingSpec,
  type Database,
  type PreparedStatement,
  type SqlValue,
} from "@sqlite.org/sqlite-wasm";

export type SqliteRequest =
  | { readonly do: "open"; readonly file: string; readonly script: string }
  /** Runs a statement once for each row, all in one transaction. */
  | { readonly do: "write"; readonly sql: string; readonly rows: readonly SqlValue[][] }
  /** Runs a query once for each row of values. */
  | { readonly do: "read"; readonly sql: string; readonly rows: readonly SqlValue[][] }
  | { readonly do: "close" };
export interface SqliteAnswer {
  readonly id: number;
  readonly rows?: readonly SqlValue[][];
  readonly error?: string;
}

let db: Database | undefined;
const prepared = new Map<string, PreparedStatement>();

function statement(sql: string): PreparedStatement {
  if (!db) throw new Error("No database is open");
  const known = prepared.get(sql);
  if (known) return known;
  const made = db.prepare(sql);
  prepared.set(sql, made);
  return made;
}

async function open(file: string, script: string): Promise<void> {
  const sqlite3 = await sqlite3InitModule();
  const pool = await sqlite3.installOpfsSAHPoolVfs({});
  db = new pool.OpfsSAHPoolDb(file);
  db.exec(script);
}

function close(): void {
  for (const each of prepared.values()) each.finalize();
  prepared.clear();
  db?.close();
  db = undefined;
}

function write(sql: string, rows: readonly SqlValue[][]): void {
  const each = statement(sql);
  const run = (): void => {
    for (const row of rows) each.bind(row as BindingSpec).stepReset();
  };
  if (rows.length === 1) run();
  else db?.transaction(run);
}

function read(sql: string, rows: readonly SqlValue[][]): SqlValue[][] {
  const each = statement(sql);
  const found: SqlValue[][] = [];
  for (const row of rows) {
    if (row.length > 0) each.bind(row as BindingSpec);
    while (each.step()) found.push(each.get([]));
    each.reset();
  }
  return found;
}

async function answer(request: SqliteRequest): Promise<SqlValue[][] | undefined> {
  switch (request.do) {
    case "open":
      await open(request.file, request.script);
      return undefined;
    case "write":
      write(request.sql, request.rows);
      return undefined;
    case "read":
      return read(request.sql, request.rows);
    case "close":
      close();
      return undefined;
    default:
      throw new Error(`There is no request ${JSON.stringify(request)}`);
  }
}

self.onmessage = async ({ data: { id, request } }: MessageEvent<{ id: number; request: SqliteRequest }>) => {
  try {
    const rows = await answer(request);
    self.postMessage({ id, ...(rows && { rows }) } satisfies SqliteAnswer);
  } catch (error) {
    self.postMessage({ id, error: String(error) } satisfies SqliteAnswer);
  }
};
