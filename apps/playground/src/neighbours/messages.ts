/** What the page and the tabs that it opens tell each other. */

export interface NeighbourRequest {
  readonly op: "freeze" | "wake";
}

export interface NeighbourStatus {
  /** By what name the database knows this tab. */
  readonly owner: string | undefined;
  readonly commits: number;
}

export type NeighbourEvent =
  | ({ readonly event: "status" } & NeighbourStatus)
  | { readonly event: "failed"; readonly message: string };
