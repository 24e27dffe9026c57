/** The versions of one record, newest first, each with what becomes of it and why. */
import { css, type CSSResult, html, type PropertyDeclarations, type PropertyValues, type TemplateResult } from "lit";
import type { GcProof, RecordVersion } from "tidemark";
import type { InspectedDatabase } from "./database.ts";
import { counted, formatBytes, formatCount, formatTime } from "./format.ts";
import { proofText } from "./gc.ts";
import { nameOf } from "./holders.ts";
import type { Sample } from "./inspection.ts";
import { define, failure, LightElement, skeleton } from "./panel.ts";
import { changedFields, preview } from "./tree.ts";
import { isSameKey, keyText, statesOf, type VersionState } from "./versions.ts";

export interface ChainOf {
  readonly collection: string;
  readonly key: unknown;
}

class Chain extends LightElement {
  static override properties: PropertyDeclarations = {
    database: { attribute: false },
    of: { attribute: false },
    sample: { attribute: false },
    versions: { state: true },
    proofs: { state: true },
    isProving: { state: true },
    error: { state: true },
  };
  declare database: InspectedDatabase | undefined;
  declare of: ChainOf | undefined;
  declare sample: Sample | undefined;
  declare versions: readonly RecordVersion<unknown>[] | undefined;
  /** Of this record, and the head that they were asked at. */
  declare proofs: { readonly list: readonly GcProof[]; readonly head: number } | undefined;
  declare isProving: boolean;
  declare error: unknown;
  /** Ends what was asked for another record. */
  #left = new AbortController();
  #readAt = -1;
  /** What of the database the versions were read at. */
  #state = "";

  constructor() {
    super();
    this.isProving = false;
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.#left.abort();
  }

  protected override willUpdate(changed: PropertyValues<this>): void {
    if (changed.has("of") || changed.has("database")) {
      this.#left.abort();
      this.#left = new AbortController();
      this.versions = undefined;
      this.proofs = undefined;
      this.isProving = false;
      this.#readAt = -1;
      this.#state = "";
    }
    const { sample } = this;
    if (!this.of || !this.database || !sample) return;
    // A commit may add a version; a fold or a run may take one away.
    const { head, checkpoint, versions } = sample.metrics;
    const state = `${head} ${checkpoint} ${versions}`;
    if (state !== this.#state) void this.#read(head);
    this.#state = state;
  }

  async #read(head: number): Promise<void> {
    const { database, of } = this;
    const { signal } = this.#left;
    if (!database || !of) return;
    try {
      const versions = await database.collection(of.collection).history(of.key, { signal });
      if (signal.aborted) return;
      this.versions = versions;
      this.error = undefined;
      if (head !== this.#readAt) this.proofs = undefined; // they were of another state
      this.#readAt = head;
    } catch (e) {
      if (!signal.aborted) this.error = e;
    }
  }

  /** A dry run over everything, of which only what is of this record is kept. */
  async #prove(): Promise<void> {
    const { database, of, sample } = this;
    const { signal } = this.#left;
    if (!database || !of) return;
    this.isProving = true;
    try {
      const list: GcProof[] = [];
      for await (const proof of database.gc.proofs({ signal })) {
        const isOurs = proof.collection === of.collection && proof.index === undefined;
        if (isOurs && isSameKey(proof.key, of.key)) list.push(proof);
      }
      this.proofs = { list, head: sample?.metrics.head ?? 0 };
      this.#readAt = this.proofs.head;
    } catch (e) {
      if (!signal.aborted) this.error = e;
    }
    if (!signal.aborted) this.isProving = false;
  }

  protected override render(): TemplateResult {
    const { versions, sample, of, proofs } = this;
    if (this.error !== undefined) return failure("The versions could not be read.", this.error);
    if (!versions || !sample || !of) return skeleton(4);
    const states = statesOf(versions, {
      explanation: sample.explanation,
      checkpoint: sample.metrics.checkpoint,
      ...(proofs && { proofs: proofs.list }),
    });
    return html`<div class="part">
      <div class="across">
        <h3>${counted(versions.length, "version")}</h3>
        <button type="button" data-test="prove" ?disabled=${this.isProving} @click=${() => this.#prove()}>
          ${this.isProving ? "Asking…" : "Ask for proofs"}
        </button>
      </div>
      <p class="note" role="status">
        ${proofs ? proofNote(proofs.list.length) : "States follow from the floor and its holders."}
      </p>
      <ol class="chain" aria-label="Versions of ${keyText(of.key)}, newest first">
        ${versions.map((version, i) => versionItem(version, states[i]!, versions[i + 1]))}
      </ol>
      ${versions.length === 0 ? html`<p class="note">None is left: the record was deleted and collected.</p>` : ""}
    </div>`;
  }
}

const proofNote = (n: number): string =>
  n === 0 ? "A dry run lists none of these versions." : `A dry run lists ${counted(n, "version")} of this record.`;

function versionItem(
  { seq, stamp, value, deleted }: RecordVersion<unknown>,
  state: VersionState,
  older: RecordVersion<unknown> | undefined,
): TemplateResult {
  const fields = older && changedFields(value, older.value);
  const changed = fields && (fields.length === 0 ? "Nothing changed." : `Changed: ${fields.join(", ")}.`);
  const [label, tone, why] = told(state);
  return html`<li class="version ${state.is === "live" ? "is-live" : ""}" data-state=${state.is} data-seq=${seq}>
    <p class="version-head">
      <b>${formatCount(seq)}</b> <span class="tag ${tone}">${label}</span>
      <span class="muted">${formatTime(stamp / 1024)}</span>
    </p>
    <p class="muted" data-test="why">${why}</p>
    ${changed ? html`<p class="muted" data-test="changed">${changed}</p>` : ""}
    ${deleted ? "" : html`<tidemark-inspector-tree .value=${value} title=${preview(value, 200)}></tidemark-inspector-tree>`}
  </li>`;
}

function told(state: VersionState): readonly [label: string, tone: string, why: string] {
  switch (state.is) {
    case "live":
      return ["live", "good", "What readers at the head see."];
    case "deleted":
      return [
        "deleted",
        "warm",
        state.proof ? proved(state.proof) : "The record is gone; this goes when nothing older is left to hide.",
      ];
    case "held":
      return ["obsolete, kept", "warm", heldText(state)];
    case "waiting":
      return ["obsolete, in the log", "", `Superseded by ${state.by}. It can go once the log is folded up to there.`];
    case "reclaimable":
      return [
        "reclaimable",
        "bad",
        state.proof ? proved(state.proof) : `Superseded by ${state.by}; the floor is past that, and nobody sees it.`,
      ];
    default:
      return [
        "obsolete, retained",
        "",
        `Superseded by ${state.by}. Nobody sees it, but the dry run does not list it: a retention policy keeps it, or what is above it is not settled yet.`,
      ];
  }
}

const proved = (proof: GcProof): string =>
  `Proof by ${proof.clause}: ${proofText(proof)}; ${formatBytes(proof.bytes)}.`;

function heldText({ by, readers, holdsFloor }: Extract<VersionState, { is: "held" }>): string {
  const superseded = `Superseded by ${by}.`;
  if (readers.length > 0) return `${superseded} Kept by ${readers.map(nameOf).join(", ")}.`;
  if (holdsFloor) return `${superseded} Nobody reads it, but the floor is held below that by ${nameOf(holdsFloor)}.`;
  return `${superseded} Nobody holds the floor: it rises past that with the next fold or run.`;
}

export const chainStyles: CSSResult = css`
  .chain {
    display: grid;
  }

  .version {
    position: relative;
    display: grid;
    gap: 2px;
    padding: 0 0 14px 20px;
    font-size: 13px;
    overflow-wrap: anywhere;
  }

  .version::before {
    position: absolute;
    inset: 6px auto auto 0;
    width: 9px;
    height: 9px;
    border: 2px solid var(--line-strong);
    border-radius: 50%;
    background: var(--surface);
    content: "";
  }

  .is-live::before {
    border-color: var(--accent);
    background: var(--accent);
  }

  .version:not(:last-child)::after {
    position: absolute;
    inset: 18px auto -4px 4px;
    border-inline-start: 1px solid var(--line-strong);
    content: "";
  }

  .version-head {
    display: flex;
    flex-wrap: wrap;
    gap: 2px 8px;
    align-items: center;
  }

  .version > tidemark-inspector-tree {
    margin-inline-start: -18px;
    padding-inline-start: 14px;
  }
`;

define("tidemark-inspector-chain", Chain);
