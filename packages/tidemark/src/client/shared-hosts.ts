/**
 * Handles of one name and one definition in a realm share a worker: modules are evaluated anew while one develops, and
 * components are mounted twice, and neither is to start an engine each time. Whoever opens first has it started; the
 * last to close lets go of it. To the engine they are one page, so numbers of handles and jobs are given out here.
 */
import type { TidemarkError } from "../base/errors.ts";
import type { Catalog } from "../codec/schema.ts";
import type { OpenRequest } from "../protocol/messages.ts";
import type { Connection } from "./connection.ts";
import { HostKeeper, type Keeping } from "./host-keeper.ts";

/** What is told to each handle. */
export type Member = Pick<Keeping, "opened" | "receive" | "died" | "ended">;

export interface Joining {
  readonly request: OpenRequest;
  readonly link: Keeping["link"];
  /** What else tells one host from another: in which place it runs. */
  readonly place: string;
  /** What starts it. Until it has, only those wait together who would start it in the same way. */
  readonly starter: unknown;
}

export class SharedHosts {
  readonly #hosts = new Map<string, SharedHost>();
  #lastNumber = 0;

  /** For a view, a transaction or a job: no other has it. */
  newNumber(): number {
    return ++this.#lastNumber;
  }

  join(joining: Joining, member: Member): Seat {
    const key = JSON.stringify([joining.place, joining.request]);
    let host = this.#hosts.get(key);
    if (!host?.takes(joining)) {
      const made = new SharedHost(joining, () => {
        if (this.#hosts.get(key) === made) this.#hosts.delete(key);
      });
      this.#hosts.set(key, made);
      host = made;
    }
    return new Seat(host, member);
  }
}

class SharedHost {
  readonly keeper: HostKeeper;
  readonly members: Set<Member> = new Set();
  readonly #starter: unknown;
  readonly #forget: () => void;
  #catalog: Catalog | undefined;
  #opening: Promise<void> | undefined;

  #isOpen = false;

  constructor({ request, link, starter }: Joining, forget: () => void) {
    this.#starter = starter;
    this.#forget = forget;
    this.keeper = new HostKeeper({
      request,
      link,
      opened: (catalog) => {
        this.#hear(catalog);
        this.#each((member) => member.opened(catalog));
      },
      receive: (event) => {
        if (event.type === "catalog") this.#hear(event.catalog);
        if (event.type === "outdated") this.#forget(); // whoever comes now is told as he opens
        this.#each((member) => member.receive(event));
      },
      died: (error) => this.#each((member) => member.died(error)),
      ended: (error) => {
        this.#forget();
        this.#each((member) => member.ended(error));
      },
    });
  }

  takes({ starter }: Joining): boolean {
    return this.#isOpen || starter === this.#starter;
  }

  /** The first to come opens it, and does what is pending then; the others wait, and find it done. */
  async open(member: Member, upgrade: (connection: Connection) => Promise<void>): Promise<void> {
    this.members.add(member);
    const isFirst = this.#opening === undefined;
    this.#opening ??= this.#openFirst(upgrade);
    try {
      await this.#opening;
      if (!isFirst && this.#catalog) member.opened(this.#catalog);
    } catch (e) {
      this.members.delete(member);
      throw e;
    }
  }

  async #openFirst(upgrade: (connection: Connection) => Promise<void>): Promise<void> {
    try {
      if (await this.keeper.open()) await this.#upgradeBy(upgrade);
      this.#isOpen = true;
    } catch (e) {
      this.#forget(); // who tries again begins anew
      throw e;
    }
  }

  async #upgradeBy(upgrade: (connection: Connection) => Promise<void>): Promise<void> {
    try {
      await upgrade(this.keeper.connection);
    } catch (e) {
      await this.keeper.abandon();
      throw e;
    }
  }

  /** Whether others stay. Where none does it is let go of, and then every call fails with `refusal`. */
  async leave(member: Member, refusal: TidemarkError): Promise<boolean> {
    this.members.delete(member);
    if (this.members.size > 0) return true;
    this.#forget();
    await this.keeper.close(refusal);
    return false;
  }

  /** Messages about it may overtake one another. */
  #hear(catalog: Catalog): void {
    if (!this.#catalog || catalog.epoch > this.#catalog.epoch) this.#catalog = catalog;
  }

  #each(tell: (member: Member) => void): void {
    for (const member of Array.from(this.members)) tell(member);
  }
}

/** One handle's place at a host. */
export class Seat {
  readonly #host: SharedHost;
  readonly #member: Member;

  constructor(host: SharedHost, member: Member) {
    this.#host = host;
    this.#member = member;
  }

  /** To the present worker or, while there is none, to the next one. */
  get connection(): Connection {
    return this.#host.keeper.connection;
  }

  /** Opens the database, or waits until it is. `upgrade` does what is pending. Where it fails, a new seat is taken. */
  open(upgrade: (connection: Connection) => Promise<void>): Promise<void> {
    return this.#host.open(this.#member, upgrade);
  }

  /** Lets go. Whether others stay. */
  leave(refusal: TidemarkError): Promise<boolean> {
    return this.#host.leave(this.#member, refusal);
  }
}
