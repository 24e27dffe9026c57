/** The records of a collection: all of them in a list, and one with its value and its versions. */
import { css, type CSSResult, html, type PropertyDeclarations, type PropertyValues, type TemplateResult } from "lit";
import { isTidemarkError } from "tidemark";
import type { ChainOf } from "./chain.ts";
import { counted, formatCount, messageOf } from "./format.ts";
import type { Inspection, Sample } from "./inspection.ts";
import { define, empty, failure, Panel } from "./panel.ts";
import { Records, type Row } from "./records.ts";
import { isSameKey, keyText, typedKey } from "./versions.ts";
import { liveCount } from "./usage.ts";

class RecordBrowser extends Panel {
  static override properties: PropertyDeclarations = {
    collection: { state: true },
    records: { state: true },
    revision: { state: true },
    position: { state: true },
    chosen: { state: true },
    problem: { state: true },
  };
  declare collection: string | undefined;
  declare records: Records | undefined;
  declare revision: number;
  declare position: number;
  declare chosen: ChainOf | undefined;
  declare problem: string | undefined;
  /** The head that rows in sight were read at. */
  #head = -1;
  /** The head at which the chosen record was looked for again. */
  #followed = -1;

  constructor() {
    super();
    this.revision = 0;
    this.position = -1;
  }

  protected override willUpdate(changed: PropertyValues<this>): void {
    if (changed.has("inspection")) this.#choose(undefined);
    const { sample } = this;
    if (!sample || !this.isActive) return;
    const names = Object.keys(sample.metrics.collections);
    if (this.collection === undefined || !names.includes(this.collection)) this.#choose(names[0]);
    const usage = this.collection === undefined ? undefined : sample.metrics.collections[this.collection];
    if (!this.records || !usage || sample.metrics.head === this.#head) return;
    this.#head = sample.metrics.head;
    this.records.refresh(liveCount(usage.records));
  }

  protected override updated(): void {
    this.#follow();
  }

  #choose(name: string | undefined): void {
    this.records?.leave();
    this.collection = name;
    this.records = undefined;
    this.position = -1;
    this.chosen = undefined;
    this.problem = undefined;
    this.#head = -1;
    if (name === undefined || !this.database) return;
    try {
      this.records = new Records(this.database.collection(name), 0, () => this.revision++);
    } catch (e) {
      if (!isTidemarkError(e, "UNKNOWN_NAME")) throw e;
      this.problem = `This page does not declare the collection “${name}”, so it cannot read its records.`;
    }
  }

  protected override show(sample: Sample, _: Inspection): TemplateResult {
    const { metrics } = sample;
    const names = Object.keys(metrics.collections);
    if (names.length === 0) return empty("No collections yet", "There is nothing to look through.");
    return html`<div class="part">
      <form class="controls" @submit=${this.#goTo}>
        <label class="grow"
          >Collection
          <select
            data-test="collection"
            .value=${this.collection ?? ""}
            @change=${(e: Event) => this.#choose((e.target as HTMLSelectElement).value)}
          >
            ${names.map((name) => html`<option value=${name} ?selected=${name === this.collection}>${name}</option>`)}
          </select></label
        >
        <label class="grow"
          >Key, or what it begins with <input name="key" data-test="key" autocomplete="off" spellcheck="false"
        /></label>
        <button type="submit">Go to it</button>
      </form>
      ${this.#contents(sample)}
    </div>`;
  }

  #contents(sample: Sample): TemplateResult {
    const { records, problem } = this;
    if (!records) return empty("Not declared here", problem);
    if (records.error !== undefined)
      return failure("The records could not be read.", records.error, () => records.retry());
    return html`<p class="note" role="status">
        ${problem ?? `${counted(records.total, "record")}, in the order of ${pathText(this.#keyPath)}, as of commit ${formatCount(sample.metrics.head)}.`}
      </p>
      <div class="browse">
        ${records.total === 0 ? empty("No records", `“${this.collection}” is empty.`) : this.#list(records)}
        ${this.#detail(sample)}
      </div>`;
  }

  #list(records: Records): TemplateResult {
    return html`<tidemark-inspector-list
      .records=${records}
      .name=${this.collection ?? ""}
      .revision=${this.revision}
      .chosen=${this.position}
      @choose=${(e: CustomEvent<number>) => void this.#open(e.detail)}
    ></tidemark-inspector-list>`;
  }

  get #keyPath(): string | readonly string[] {
    return this.collection === undefined || !this.database ? "" : this.database.collection(this.collection).keyPath;
  }

  #detail(sample: Sample): TemplateResult {
    const { chosen } = this;
    if (!chosen)
      return html`<div class="detail">
        ${empty("No record chosen", "Choose one to see its value and its versions.")}
      </div>`;
    const row = this.#rowOf(chosen);
    return html`<section class="detail part" aria-label="The chosen record">
      <h2><code>${keyText(chosen.key)}</code></h2>
      ${row ? html`<tidemark-inspector-tree .name=${"value"} .value=${row.record} .isOpen=${true}></tidemark-inspector-tree>` : ""}
      <tidemark-inspector-chain .database=${this.database} .of=${chosen} .sample=${sample}></tidemark-inspector-chain>
    </section>`;
  }

  /** While its row moves or is being read, the chain alone tells of it. */
  #rowOf({ key }: ChainOf): Row | undefined {
    const row = this.position < 0 ? undefined : this.records?.at(this.position);
    return row && isSameKey(row.key, key) ? row : undefined;
  }

  /** Records before the chosen one come and go: it is looked for again, once for each state. */
  #follow(): void {
    const { chosen, records, position } = this;
    const row = chosen && position >= 0 ? records?.at(position) : undefined;
    if (!chosen || !row || this.#followed === this.#head || isSameKey(row.key, chosen.key)) return;
    this.#followed = this.#head;
    records?.positionOf(chosen.key).then(
      (found) => {
        if (this.chosen === chosen && this.position === position) this.position = found;
      },
      () => undefined, // the list tells what fails
    );
  }

  async #open(position: number): Promise<void> {
    const { records, collection } = this;
    this.position = position;
    this.problem = undefined;
    if (!records || collection === undefined) return;
    const row = records.at(position) ?? (await records.whenRead(position));
    if (!row || this.position !== position || this.records !== records) return;
    this.chosen = { collection, key: row.key };
  }

  readonly #goTo = (e: SubmitEvent): void => {
    e.preventDefault();
    const text = (e.target as HTMLFormElement).querySelector("input")?.value ?? "";
    if (text !== "") this.#find(typedKey(text)).catch((error: unknown) => (this.problem = messageOf(error)));
  };

  /** The record of a key, or the first whose key begins with it; else the versions that a deleted one may have left. */
  async #find(key: unknown): Promise<void> {
    const { records, collection } = this;
    if (!records || collection === undefined) return;
    const position = await records.positionOf(key);
    const found = position < records.total ? await records.whenRead(position) : undefined;
    if (this.records !== records) return;
    const isMeant = typeof key === "string" && typeof found?.key === "string" && found.key.startsWith(key);
    if (found && (isMeant || isSameKey(found.key, key))) return this.#open(position);
    this.position = -1;
    this.chosen = { collection, key };
    this.problem = `No record has the key ${keyText(key)}, or one that begins with it.`;
  }
}

const pathText = (path: string | readonly string[]): string => (typeof path === "string" ? path : path.join(", "));

export const browserStyles: CSSResult = css`
  .browse {
    display: grid;
    grid-template-columns: minmax(0, 1fr) minmax(0, 1fr);
    gap: 20px;
    align-items: start;
  }

  .detail {
    min-width: 0;
  }

  tidemark-inspector-list,
  tidemark-inspector-chain {
    display: block;
    min-width: 0;
  }

  @container inspector (width < 760px) {
    .browse {
      grid-template-columns: minmax(0, 1fr);
    }

    .records {
      height: 270px;
    }
  }
`;

define("tidemark-inspector-records", RecordBrowser);
