// Where somebody is and how far they have read: for the invitation and for the tag rules.

// "/lamps/*" is a path, "https://shop.example/*" a whole address; "*" stands for anything.
export function matches(patterns, { href, pathname }) {
  if (!patterns?.length) return true;
  return [].concat(patterns).some((pattern) =>
    fits(pattern, pattern.startsWith("/") ? pathname : href.split("#")[0]));
}

// Part by part and never back: with a regular expression, a long address made for it could
// keep the page busy for minutes.
function fits(pattern, text) {
  const [first, ...rest] = pattern.split("*");
  if (!rest.length) return text === first;
  const last = rest.pop();
  let at = first.length;
  const end = text.length - last.length;
  return text.startsWith(first) && text.endsWith(last) && at <= end && rest.every((part) => {
    const found = text.indexOf(part, at);
    at = found + part.length;
    return found >= 0 && at <= end;
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
