/** A table of records of any shape: which columns, and what stands in a cell. */
const mostColumns = 8;
const mostCharacters = 120;

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** The fields that most of these have, in the order in which they were met; of what is no record, one column "value". */
export function columnsOf(values: readonly unknown[]): readonly string[] {
  const met = new Map<string, number>();
  for (const field of values.flatMap((value) => (isRecord(value) ? Object.keys(value) : ["value"]))) {
    met.set(field, (met.get(field) ?? 0) + 1);
  }
  const order = [...met.keys()];
  const chosen = new Set(order.toSorted((a, b) => met.get(b)! - met.get(a)!).slice(0, mostColumns));
  return order.filter((field) => chosen.has(field));
}

export function cellOf(value: unknown, column: string): string {
  const cell = isRecord(value) ? value[column] : column === "value" ? value : undefined;
  if (cell === undefined) return "";
  const text = typeof cell === "string" ? cell : JSON.stringify(cell);
  return text.length > mostCharacters ? `${text.slice(0, mostCharacters)}…` : text;
}
