/** Fetches the data files that ship with this page and turns them into records. */
import { loadDataFile } from "../data-file.ts";
import type { Airport, Flight } from "../databases.ts";

interface RawFlight {
  readonly date: string;
  readonly delay: number;
  readonly distance: number;
  readonly origin: string;
  readonly destination: string;
}

export async function loadAirports(): Promise<Airport[]> {
  const [, ...rows] = parseCsv(await (await loadDataFile("airports.csv")).text());
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
  const rows = (await (await loadDataFile("flights-20k.json")).json()) as RawFlight[];
  return rows.map((row, position) => ({ id: position + 1, ...row, date: row.date.replaceAll("/", "-") }));
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
