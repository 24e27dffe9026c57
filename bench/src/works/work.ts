import type { Fixture } from "../fixture.ts";
import type { Figures } from "../timing.ts";

/** One kind of work, timed within the page. It answers with its figures once what it did is proved. */
export type Work = (fixture: Fixture) => Promise<Figures>;
