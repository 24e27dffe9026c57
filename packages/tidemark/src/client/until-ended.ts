/**
 * Answers, or why there will be none. Not by `Promise.race`: a promise that lasts as long as a worker keeps whatever
 * was ever raced with it, and the page asks for its whole life.
 */
export type UntilEnded = <T>(answer: PromiseLike<T>) => Promise<T>;

/** What it answers ends as the given answer does, or fails with what `ended` resolves to, should that come first. */
export function untilEnded(ended: Promise<Error>): UntilEnded {
  const waiting = new Set<(why: Error) => void>();
  let end: Error | undefined;
  void ended.then((why) => {
    end = why;
    for (const reject of waiting) reject(why);
    waiting.clear();
  });
  return async <T>(answer: PromiseLike<T>): Promise<T> => {
    if (end) throw end;
    return new Promise<T>((resolve, reject) => {
      waiting.add(reject);
      const answered = (): void => void waiting.delete(reject);
      answer.then(
        (value) => {
          answered();
          resolve(value);
        },
        (e: unknown) => {
          answered();
          reject(e);
        },
      );
    });
  };
}
