/** What a file holds, by its name and how it begins. */
export type OwnFormat = "json" | "ndjson" | "csv";

const byEnding: Readonly<Record<string, OwnFormat>> = {
  json: "json",
  geojson: "json",
  ndjson: "ndjson",
  jsonl: "ndjson",
  csv: "csv",
};

/** `head`: its first few thousand characters. `undefined` where it is none of these. */
export function formatOf(name: string, head: string): OwnFormat | undefined {
  const start = head.trimStart();
  if (start.startsWith("[")) return "json";
  if (start.startsWith("{")) {
    // A line that is whole, with more behind it, is one of many; else it is the beginning of a document.
    const end = start.indexOf("\n");
    return end > 0 && isJson(start.slice(0, end)) && start.slice(end).trim() !== "" ? "ndjson" : "json";
  }
  const ending = byEnding[name.toLowerCase().split(".").at(-1) ?? ""];
  if (ending === "csv") return "csv";
  const [firstLine = ""] = start.split("\n", 1);
  return firstLine.includes(",") ? "csv" : undefined;
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
