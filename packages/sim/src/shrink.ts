/** Makes a plan that fails as short as it gets: leaves out steps, halves of them first, as long as it still fails. */
import type { Plan, Step } from "./plan.ts";

/** So many runs at most. */
const maxRuns = 400;

/** Delta debugging (Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing Input", 2002). */
export async function shrink(plan: Plan, fails: (plan: Plan) => Promise<boolean>): Promise<Plan> {
  let { steps } = plan;
  let runs = 0;
  for (let size = Math.ceil(steps.length / 2); size >= 1;) {
    let isShorter = false;
    for (let at = 0; at < steps.length && runs < maxRuns; runs++) {
      const without: readonly Step[] = [...steps.slice(0, at), ...steps.slice(at + size)];
      if (await fails({ ...plan, steps: without })) {
        steps = without;
        isShorter = true;
      } else at += size;
    }
    if (!isShorter || size > steps.length) size = size === 1 ? 0 : Math.ceil(size / 2);
  }
  return { ...plan, steps };
}
