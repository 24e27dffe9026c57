/** Work that is only worth doing while somebody can see what it is for. */

/** Calls `start` when the element comes into sight, and what that returned when it goes out of it. */
export function whileInSight(element: Element, start: () => () => void): void {
  let stop: (() => void) | undefined;
  new IntersectionObserver((entries) => {
    const isInSight = entries.at(-1)?.isIntersecting ?? false;
    if (isInSight) stop ??= start();
    else {
      stop?.();
      stop = undefined;
    }
  }).observe(element);
}

/** Calls `then` once, when the element is in sight or less than a screen away from it. */
export function onceNear(element: Element, then: () => void): void {
  const observer = new IntersectionObserver(
    (entries) => {
      if (!entries.some(({ isIntersecting }) => isIntersecting)) return;
      observer.disconnect();
      then();
    },
    { rootMargin: "100%" },
  );
  observer.observe(element);
}
