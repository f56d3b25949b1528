// Where somebody is and how far they have read: for the invitation and for the tag rules.

// "/lamps/*" is a path, "https://shop.example/*" a whole address; "*" stands for anything.
export function matches(patterns, { href, pathname }) {
  if (!patterns?.length) return true;
  return [].concat(patterns).some((pattern) => {
    const text = pattern.replace(/[.+?^${}()|[\]\\]/g, "\\$&").replaceAll("*", ".*");
    return new RegExp(`^${text}$`).test(pattern.startsWith("/") ? pathname : href.split("#")[0]);
  });
}

// Settles when so much (0 to 1) of the page has been on the screen.
export function scrolled(share) {
  const { scrollingElement: page } = document;
  const there = () => (page.scrollTop + page.clientHeight) / page.scrollHeight >= share;
  return new Promise((done) => {
    const look = () => {
      if (!there()) return;
      removeEventListener("scroll", look);
      done();
    };
    addEventListener("scroll", look, { passive: true });
    look();
  });
}
