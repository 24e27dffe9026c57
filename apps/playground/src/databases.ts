/** The two databases of this page: one to look things up in, one to write in. */
import { collection, createDatabase, type View } from "tidemark";
import type { Stamp } from "./stamp.ts";

export interface Airport {
  readonly iata: string;
  readonly name: string;
  readonly city: string;
  readonly state: string;
  readonly country: string;
  readonly latitude: number;
  readonly longitude: number;
  /** Prefix search takes letters as they are, so it looks at these. */
  readonly nameLower: string;
  readonly cityLower: string;
  readonly edited?: Stamp;
}

export interface Flight {
  /** Numbered on import. */
  readonly id: number;
  /** "2001-01-31 23:59": sorts as text. */
  readonly date: string;
  readonly origin: string;
  readonly destination: string;
  readonly delay: number;
  readonly distance: number;
  readonly edited?: Stamp;
}

/** The last edit of a section, committed in one transaction with it. */
export interface Pulse {
  readonly section: "airports" | "flights";
  readonly edited: Stamp;
  readonly what: string;
}

export interface ImportNote {
  readonly dataset: string;
  readonly records: number;
  readonly importMs: number;
}

export interface TypedDocument {
  readonly id: "draft" | "replay";
  readonly text: string;
  readonly edited: Stamp;
}

const atlasCollections = {
  airports: collection<Airport>()({
    key: "iata",
    indexes: {
      state: "state",
      nameLower: "nameLower",
      cityLower: "cityLower",
      byStateName: ["state", "nameLower"],
      byStateCity: ["state", "cityLower"],
    },
  }),
  flights: collection<Flight>()({
    key: "id",
    indexes: {
      date: "date",
      delay: "delay",
      byOriginDate: ["origin", "date"],
      byOriginDelay: ["origin", "delay"],
      byDestinationDate: ["destination", "date"],
      byDestinationDelay: ["destination", "delay"],
    },
  }),
  pulse: collection<Pulse>()({ key: "section" }),
  imports: collection<ImportNote>()({ key: "dataset" }),
};

export const atlasName = "tidemark-demo-atlas";
export const typingName = "tidemark-demo-typing";

export const atlas = createDatabase({ name: atlasName, collections: atlasCollections });
export const typing = createDatabase({
  name: typingName,
  // One record that changes all the time: its old versions are folded away a megabyte at a time.
  memtableMaxBytes: 1024 * 1024,
  collections: { documents: collection<TypedDocument>()({ key: "id" }) },
});

export type AtlasView = View<typeof atlasCollections>;
