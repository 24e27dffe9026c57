/**
 * The formats in which this build stores things, and the oldest of each that it still reads. docs/formats/README.md has
 * what changed from one to the next, and what there is to do when one is raised.
 */
export interface Format {
  /** What is written. */
  readonly format: number;
  readonly oldest: number;
}

/** Of the whole. Older ones are upgraded as the database is opened; no older build may touch a newer one. */
export const wholeFormat: Format = { format: 4, oldest: 1 };

export const entryFormat: Format = { format: 3, oldest: 1 };
/** Of rows that say their key, and of the fence, which does not. */
export const rowFormat: Format = { format: 2, oldest: 1 };
export const fenceFormat: Format = { format: 1, oldest: 1 };
export const chunkFormat: Format = { format: 2, oldest: 1 };
export const blockFormat: Format = { format: 1, oldest: 1 };
/** The manifest's root, and its pages. */
export const rootFormat: Format = { format: 3, oldest: 2 };
export const pageFormat: Format = { format: 2, oldest: 1 };
