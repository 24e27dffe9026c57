/** Fetches the data files that ship with this page and turns them into records. */
import type { Airport, Flight } from "./databases.ts";

export type TextPatch = readonly [position: number, deleted: number, inserted: string];

export interface TypingSession {
  readonly startContent: string;
  readonly endContent: string;
  readonly txns: readonly { readonly patches: readonly TextPatch[] }[];
}

interface RawFlight {
  readonly date: string;
  readonly delay: number;
  readonly distance: number;
  readonly origin: string;
  readonly destination: string;
}

async function load(file: string): Promise<Response> {
  const response = await fetch(`${import.meta.env.BASE_URL}data/${file}`);
  // Servers of single-page apps answer with the page where a file is missing.
  const isPage = response.headers.get("Content-Type")?.startsWith("text/html");
  if (!response.ok || isPage) throw new Error(`data/${file} could not be loaded (HTTP ${response.status}).`);
  return response;
}

export async function loadAirports(): Promise<Airport[]> {
  const [, ...rows] = parseCsv(await (await load("airports.csv")).text());
  return rows.map(([iata = "", name = "", city = "", state = "", country = "", latitude, longitude]) => ({
    iata,
    ...named(name, city),
    state,
    country,
    latitude: Number(latitude),
    longitude: Number(longitude),
  }));
}

/** The fields of an airport that hang together. */
export function named(name: string, city: string): Pick<Airport, "name" | "city" | "nameLower" | "cityLower"> {
  return { name, city, nameLower: name.toLowerCase(), cityLower: city.toLowerCase() };
}

export async function loadFlights(): Promise<Flight[]> {
  const rows = (await (await load("flights-20k.json")).json()) as RawFlight[];
  return rows.map((row, position) => ({ id: position + 1, ...row, date: row.date.replaceAll("/", "-") }));
}

export async function loadTypingSession(): Promise<TypingSession> {
  const { body } = await load("typing-session.json.gzip");
  if (!body) throw new Error("The typing session came without content.");
  return (await new Response(body.pipeThrough(new DecompressionStream("gzip"))).json()) as TypingSession;
}

/** Rows of fields; a field in quotes may hold commas, and a doubled quote stands for one. */
function parseCsv(text: string): string[][] {
  return text
    .split(/\r?\n/)
    .filter((line) => line !== "")
    .map((line) =>
      Array.from(line.matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^",]*))/g), ([, quoted, plain]) =>
        quoted === undefined ? (plain ?? "") : quoted.replaceAll('""', '"'),
      ),
    );
}
