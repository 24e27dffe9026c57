/** Which section is being looked at: the address and the list of sections follow. */
import { address } from "./page-address.ts";

/** `links` point at the sections by their ids. */
export function followSections(links: readonly HTMLAnchorElement[]): void {
  const sections = links.flatMap((link) => document.querySelector(link.hash) ?? []);
  const show = (id: string): void => {
    for (const link of links) {
      const isHere = link.hash === `#${id}`;
      if (isHere === link.hasAttribute("aria-current")) continue;
      link.toggleAttribute("aria-current", isHere);
      if (isHere) link.parentElement?.scrollTo({ left: link.offsetLeft - 40, behavior: "smooth" });
    }
  };

  // The section that lies across a line a third down the screen.
  const observer = new IntersectionObserver(
    (entries) => {
      const id = entries.find(({ isIntersecting }) => isIntersecting)?.target.id;
      if (id === undefined) return;
      // The first one needs no mention.
      address.section = id === sections[0]?.id ? "" : id;
      show(id);
    },
    { rootMargin: "-33% 0px -66% 0px" },
  );
  for (const section of sections) observer.observe(section);
}
