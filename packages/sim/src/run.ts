/** A world from its beginning to its end: tabs and nature do what the plan says, and then everything is looked at. */
import { Actor } from "./actor.ts";
import { Audit } from "./audit.ts";
import type { Engine } from "./engine.ts";
import { Model } from "./model.ts";
import { Nature } from "./nature.ts";
import type { Plan } from "./plan.ts";
import { schemaOf } from "./schema.ts";
import { Stage } from "./stage.ts";

export interface Result {
  readonly faults: readonly string[];
  readonly trace: readonly string[];
  readonly counts: ReadonlyMap<string, number>;
  readonly commits: number;
  /** Virtual time that passed. */
  readonly lastedMs: number;
}

/** Worlds that take longer have come to a standstill. */
const maxVirtualMs = 3_600_000;

export async function runWorld(engine: Engine, plan: Plan): Promise<Result> {
  const model = new Model();
  model.migrates(2, (value) => ({ ...value, version: 2 }));
  const world = new engine.World({ seed: plan.seed });
  const verifier = new engine.Verifier(() => Number.MAX_SAFE_INTEGER);
  verifier.listener = model;
  world.medium.onWritten = (writes) => verifier.written(writes);
  const stage = new Stage(engine, world, model, plan, schemaOf(engine));
  if (plan.isSilent) world.hub.fate = () => [];
  if (plan.debtMaxCommits < 1000) stage.trouble("eviction", "*", Infinity);
  const actors = Array.from({ length: plan.tabs }, (_, n) => new Actor(stage, n));
  const startedMs = world.now;
  const story = async (): Promise<void> => {
    for (const actor of actors) actor.begin();
    await Promise.all([...actors.map((actor) => actor.run()), new Nature(stage, actors, verifier).run()]);
    await new Audit(stage, actors).run();
  };
  try {
    await world.time.until(story(), maxVirtualMs);
  } catch (e) {
    stage.fault("TB1", e instanceof Error ? (e.stack ?? e.message) : String(e));
  }
  const removals = verifier.violations.map(
    ({ key, seq, reason }) => `[VG1] ${JSON.stringify(key)} at ${seq}: ${reason}`,
  );
  return {
    faults: [...model.faults, ...stage.faults, ...removals],
    trace: stage.trace,
    counts: stage.counts,
    commits: model.commits,
    lastedMs: world.now - startedMs,
  };
}
