/** What the page shows, as its address says it: the section in the fragment, all other choices in the query. */
export class Address {
  readonly #choices: URLSearchParams;
  readonly #write: (address: string) => void;
  #section: string;

  /** `write` is called with the new address, relative to the page, whenever it has changed. */
  constructor(href: string, write: (address: string) => void) {
    const { search, hash } = new URL(href);
    this.#choices = new URLSearchParams(search);
    this.#section = hash.slice(1);
    this.#write = write;
  }

  get section(): string {
    return this.#section;
  }
  set section(id: string) {
    if (id === this.#section) return;
    this.#section = id;
    this.#tell();
  }

  /** "" where nothing was chosen. */
  get(name: string): string {
    return this.#choices.get(name) ?? "";
  }

  /** What was chosen, if it is one of these; else the first. */
  oneOf<T extends string>(name: string, allowed: readonly [T, ...T[]]): T {
    const chosen = this.get(name);
    return allowed.find((value) => value === chosen) ?? allowed[0];
  }

  /** "" takes the choice away. */
  set(name: string, value: string): void {
    if (value === this.get(name)) return;
    if (value === "") this.#choices.delete(name);
    else this.#choices.set(name, value);
    this.#tell();
  }

  #tell(): void {
    const query = this.#choices.size === 0 ? "" : `?${this.#choices.toString()}`;
    this.#write(query + (this.#section === "" ? "" : `#${this.#section}`));
  }
}
