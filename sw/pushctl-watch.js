// Where somebody is and how far they have read: for the invitation and for the tag rules.

// "/lamps/*" is a path, "https://shop.example/*" a whole address; "*" stands for anything.
export function matches(patterns, { href, pathname }) {
  if (!patterns?.length) return true;
  return [].concat(patterns).some((pattern) => {
    const text = pattern.startsWith("/") ? pathname : href.split("#")[0];
    return fits(pattern, text) || fits(pattern, readable(text));
  });
}

// "/лампы/*" is what people write; in an address it is "/%D0%BB%D0%B0...".
function readable(text) {
  try {
    return decodeURI(text);
  } catch {
    return text;
  }
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

// Settles when somebody has the page before them: not while it waits in another tab, or was
// made ready in case that they come (prerendered).
export async function inSight() {
  while (document.visibilityState === "hidden") {
    await new Promise((done) => document.addEventListener("visibilitychange", done, { once: true }));
  }
}

// Settles when so much (0 to 1) of the page has been on the screen; never once `signal` is
// aborted. Not before all of it is there: half a page would seem to be read to its end.
export function scrolled(share, signal) {
  const there = () => {
    const { scrollTop, clientHeight, scrollHeight } = document.scrollingElement;
    return (scrollTop + clientHeight) / scrollHeight >= share;
  };
  return new Promise((done) => {
    const look = () => {
      if (signal?.aborted || document.readyState !== "complete" || !there()) return;
      removeEventListener("scroll", look);
      done();
    };
    // A short page is never scrolled.
    const wait = () => (document.readyState === "complete" ? look() : setTimeout(wait, 1000));
    addEventListener("scroll", look, { passive: true, signal });
    // What a script draws comes a little later than the address.
    setTimeout(wait, 1000);
  });
}
