/**
 * What a database should hold, as plain arrays: every version of every record, in the order of commits. It learns that
 * order from the log, and nothing else: what a commit should have written is what the program said that made it, told by
 * the token in each value or by the transaction's tag.
 */
import type { CommitListener, SeenCommit } from "tidemark/testing";

export type Value = Readonly<Record<string, unknown>>;
/** The records of one collection, by key as text; ordered by whoever asks. */
export type Records = ReadonlyMap<string, Value>;
/** By collection. `undefined` where there is no such collection at that seq. */
export type State = (collection: string) => Records;

/** By collection and key: what is there afterwards; `undefined` where it is gone. `clears`: emptied first. */
export interface Effects {
  readonly clears: readonly string[];
  readonly writes: ReadonlyMap<string, ReadonlyMap<string, Value | undefined>>;
}

/** What somebody set out to do, in one commit. */
export interface Intent {
  readonly what: string;
  /** Of the program that does it. */
  readonly version: number;
  /** What it does to the state that it finds. */
  effects(before: State): Effects;
  /** Of its commit. */
  seq?: number;
  /** It was told that nothing comes of it. */
  isRefused?: true;
}

interface Version {
  readonly seq: number;
  readonly value: Value | undefined;
}

type Tables = Readonly<Record<string, number>>;

export class Model implements CommitListener {
  readonly faults: string[] = [];
  readonly #versions = new Map<number, Map<string, Version[]>>();
  readonly #schemas: { readonly seq: number; readonly version: number; readonly tables: Tables }[] = [];
  /** By token or tag. */
  readonly #intents = new Map<string, Intent>();
  /** Commits that name nobody: only deletions, or only a clear. Whoever did that claims them. */
  readonly #unclaimed = new Map<number, Effects>();
  /** How a migration to this version changes a record. */
  readonly #migrations = new Map<number, (value: Value) => Value>();
  head = 0;
  /** The last commit that changed a record. */
  lastChange = 0;
  commits = 0;

  /** From now on a commit with this token or tag is that. */
  intend(mark: string, intent: Intent): void {
    this.#intents.set(mark, intent);
  }

  /** From now on there must be no commit with this mark. */
  refuse(mark: string): void {
    this.#intents.get(mark)!.isRefused = true;
  }

  migrates(version: number, change: (value: Value) => Value): void {
    this.#migrations.set(version, change);
  }

  seqOf(mark: string): number | undefined {
    return this.#intents.get(mark)?.seq;
  }

  committed(commit: SeenCommit): void {
    const { seq, writes, schema } = commit;
    if (seq !== this.head + 1) this.#fault("MV1", `commit ${seq} comes after ${this.head}`);
    const before = this.at(this.head);
    const clears = schema ? this.#clearedBy(schema.tables) : [];
    const wasVersion = this.#schemas.at(-1)?.version ?? 0;
    if (schema) this.#schemas.push({ seq, ...schema });
    for (const { table, key, value } of writes) this.#put(table, text(key), { seq, value: value as Value | undefined });
    this.head = seq;
    this.commits++;
    if (writes.length > 0) this.lastChange = seq;
    const migration = schema && schema.version > wasVersion ? this.#migrations.get(schema.version) : undefined;
    if (migration) this.#checkMigration(seq, before, migration);
    else this.#attribute(commit, before, clears);
  }

  cut(last: number): void {
    if (last >= this.head) return;
    for (const table of this.#versions.values()) {
      for (const [key, versions] of table) {
        while ((versions.at(-1)?.seq ?? 0) > last) versions.pop();
        if (versions.length === 0) table.delete(key);
      }
    }
    while ((this.#schemas.at(-1)?.seq ?? 0) > last) this.#schemas.pop();
    for (const seq of this.#unclaimed.keys()) if (seq > last) this.#unclaimed.delete(seq);
    for (const intent of this.#intents.values()) if ((intent.seq ?? 0) > last) delete intent.seq;
    this.head = last;
    this.lastChange = Math.min(this.lastChange, last);
  }

  /** The data version of the schema in force at `r`. */
  versionAt(r: number): number {
    return this.#schemaAt(r)?.version ?? 0;
  }

  /** The last seq that a program of this version may read at. */
  lastFor(version: number): number {
    const beyond = this.#schemas.find((schema) => schema.version > version);
    return beyond && version > 0 ? beyond.seq - 1 : this.head;
  }

  /** What a read at `r` finds. */
  at(r: number): State {
    const known = new Map<string, Records>();
    return (collection) => {
      const found = known.get(collection) ?? this.#records(collection, r);
      known.set(collection, found);
      return found;
    };
  }

  /** All versions of a record, newest first, up to `r`. */
  history(collection: string, key: string, r: number): readonly Version[] {
    const table = this.#schemaAt(r)?.tables[collection];
    const versions = table === undefined ? [] : (this.#versions.get(table)?.get(key) ?? []);
    // Where an index is built a record is written again as it is: that is no version of its own.
    const isOwn = ({ value }: Version, i: number): boolean =>
      i === 0 || value === undefined || !isSame(value, versions[i - 1]!.value);
    return versions
      .filter(isOwn)
      .filter(({ seq }) => seq <= r)
      .toReversed();
  }

  /** How many records were deleted at `from` or later, and did not come back. */
  deletedFrom(collection: string, from: number): number {
    const table = this.#schemaAt(this.head)?.tables[collection];
    const all = table === undefined ? [] : [...(this.#versions.get(table)?.values() ?? [])];
    return all.filter((versions) => versions.at(-1)?.value === undefined && versions.at(-1)!.seq >= from).length;
  }

  /** Keys that commits in (after, upTo] wrote, as `collection/key`; a clear as `collection/*`. */
  writtenIn(after: number, upTo: number): ReadonlySet<string> {
    const keys = new Set<string>();
    const tables = this.#schemaAt(upTo)?.tables ?? {};
    for (const [name, table] of Object.entries(tables)) {
      for (const [key, versions] of this.#versions.get(table) ?? []) {
        if (versions.some(({ seq }) => after < seq && seq <= upTo)) keys.add(`${name}/${key}`);
      }
    }
    return keys;
  }

  /** Whether a commit in (after, upTo] that nobody claimed did exactly this; it is claimed by that. */
  claim(after: number, upTo: number, did: (before: State) => Effects): number | undefined {
    for (const [seq, effects] of this.#unclaimed) {
      if (seq <= after || seq > upTo) continue;
      if (shown(did(this.at(seq - 1))) !== shown(effects)) continue;
      this.#unclaimed.delete(seq);
      return seq;
    }
    return undefined;
  }

  /** What is left once all that can claim has. */
  get unclaimed(): readonly string[] {
    return [...this.#unclaimed].map(([seq, effects]) => `${seq}: ${shown(effects)}`);
  }

  #schemaAt(r: number): { readonly version: number; readonly tables: Tables } | undefined {
    return this.#schemas.findLast(({ seq }) => seq <= r);
  }

  #records(collection: string, r: number): Records {
    const table = this.#schemaAt(r)?.tables[collection];
    const records = new Map<string, Value>();
    for (const [key, versions] of (table !== undefined && this.#versions.get(table)) || []) {
      const value = versions.findLast(({ seq }) => seq <= r)?.value;
      if (value !== undefined) records.set(key, value);
    }
    return records;
  }

  #put(table: number, key: string, version: Version): void {
    const records = this.#versions.get(table) ?? new Map<string, Version[]>();
    this.#versions.set(table, records);
    const versions = records.get(key) ?? [];
    records.set(key, versions);
    if (versions.at(-1)?.seq === version.seq) versions[versions.length - 1] = version;
    else versions.push(version);
  }

  #clearedBy(tables: Tables): string[] {
    const former = this.#schemas.at(-1)?.tables ?? {};
    return Object.keys(former).filter((name) => tables[name] !== undefined && tables[name] !== former[name]);
  }

  /** Who made it, and did it do what he said? */
  #attribute({ seq, tag, writes, isSystem }: SeenCommit, before: State, clears: readonly string[]): void {
    const after = this.at(seq);
    const named = this.#effects(seq, writes, clears);
    const marks = [tag, ...writes.flatMap(({ value }) => tokenIn(value))].filter((mark) => mark !== "");
    const intents = new Set(marks.flatMap((mark) => this.#intents.get(mark) ?? []));
    const own = [...intents].find((intent) => intent.seq === undefined);
    if (!own) {
      if (isNothing(before, after, named)) {
        // An index was built, or the floor advanced. Anything else did something twice.
        if (!isSystem) this.#fault("MV9", `commit ${seq} does again what is done: ${shown(named)}`);
        return;
      }
      const isNamed = [...named.writes.values()].some((of) => [...of.values()].some((value) => value !== undefined));
      if (isNamed) this.#fault("MV1", `commit ${seq} writes what nobody wrote: ${shown(named)}`);
      else this.#unclaimed.set(seq, named);
      return;
    }
    own.seq = seq;
    if (own.isRefused) this.#fault("MV1", `commit ${seq} is ${own.what}, which was refused`);
    if (own.version < this.versionAt(seq - 1))
      this.#fault("MV10", `commit ${seq} is ${own.what}, of a program of version ${own.version}`);
    const meant = own.effects(before);
    if (!hasHappened(before, after, meant, named)) {
      this.#fault("MV1", `commit ${seq} is ${own.what}, which means ${shown(meant)}, and did ${shown(named)}`);
    }
  }

  #effects(seq: number, writes: SeenCommit["writes"], clears: readonly string[]): Effects {
    const names = new Map(Object.entries(this.#schemaAt(seq)?.tables ?? {}).map(([name, table]) => [table, name]));
    const by = new Map<string, Map<string, Value | undefined>>();
    for (const { table, key, value } of writes) {
      const name = names.get(table);
      if (name === undefined) continue; // a collection that is being migrated aside
      const of = by.get(name) ?? new Map<string, Value | undefined>();
      by.set(name, of.set(text(key), value as Value | undefined));
    }
    return { clears, writes: by };
  }

  #checkMigration(seq: number, before: State, change: (value: Value) => Value): void {
    const after = this.at(seq);
    for (const name of Object.keys(this.#schemaAt(seq)?.tables ?? {})) {
      const meant = new Map([...before(name)].map(([key, value]) => [key, name === "items" ? change(value) : value]));
      if (canonical(meant) !== canonical(after(name)))
        this.#fault("MV10", `the migration at ${seq} changed ${name} otherwise`);
    }
  }

  #fault(rule: string, what: string): void {
    this.faults.push(`[${rule}] ${what}`);
  }
}

/** Before and after, with what is meant between. */
function hasHappened(before: State, after: State, meant: Effects, named: Effects): boolean {
  const names = new Set([...meant.writes.keys(), ...named.writes.keys(), ...meant.clears, ...named.clears]);
  return [...names].every((name) => canonical(applied(before, meant)(name)) === canonical(after(name)));
}

/** The state with these effects. */
export function applied(before: State, { clears, writes }: Effects): State {
  return (name) => {
    const of = writes.get(name);
    if (!of && !clears.includes(name)) return before(name);
    const records = new Map(clears.includes(name) ? [] : before(name));
    for (const [key, value] of of ?? []) {
      if (value === undefined) records.delete(key);
      else records.set(key, value);
    }
    return records;
  };
}

const isNothing = (before: State, after: State, { writes, clears }: Effects): boolean =>
  clears.length === 0 && [...writes.keys()].every((name) => canonical(before(name)) === canonical(after(name)));

const tokenIn = (value: unknown): string[] => {
  const token = (value as Value | undefined)?.["token"];
  return typeof token === "string" ? [token] : [];
};

/** A key as text that tells keys of different kinds apart. */
export const text = (key: unknown): string => JSON.stringify(key);

const canonical = (records: Records): string =>
  [...records.values()]
    .map((value) => brief(value))
    .toSorted()
    .join();

const isSame = (a: Value, b: Value | undefined): boolean => b !== undefined && brief(a) === brief(b);

const known = new WeakMap<Value, string>();

/** A record as text. Each is made once: the same records are compared again and again. */
export function brief(value: Value): string {
  const found =
    known.get(value) ??
    JSON.stringify(
      Object.entries(value)
        .map(shortened)
        .toSorted(([a], [b]) => (a < b ? -1 : 1)),
    );
  known.set(value, found);
  return found;
}

/** Long texts by their length and a sum over them, so that messages can be read. */
function shortened([field, value]: readonly [string, unknown]): readonly [string, unknown] {
  if (typeof value !== "string" || value.length < 60) return [field, value];
  let sum = 0;
  for (let i = 0; i < value.length; i++) sum = (Math.imul(sum, 31) + value.charCodeAt(i)) >>> 0;
  return [field, `${value.length}/${sum}`];
}

/** Short, for messages. */
export function shown({ clears, writes }: Effects): string {
  const all = [...writes]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([name, of]) =>
      [...of]
        .toSorted(([a], [b]) => (a < b ? -1 : 1))
        .map(([key, value]) => `${name}/${key} = ${value === undefined ? "gone" : String(value["token"])}`),
    );
  return [...clears.map((name) => `clear ${name}`), ...all].join(", ") || "nothing";
}
