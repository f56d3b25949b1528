// pushctl's tag rules ([[tag_rules]] of pushctl.toml): what people do here sets tags.
// Loaded after the page's own script, and only where there are rules (docs/embedding.md).

import { inSight, matches, scrolled } from "./pushctl-watch.js";

const RULES = /*pushctl*/[]/*end*/;
const DAY = 86_400_000;

// { tag, page, scroll, dwell, link, click, form, event, expires, remove }; seconds, 0 to 1.
export function watch(inner, given = RULES) {
  const rules = given.filter(({ click, form }) => sound(click ?? form));
  const meet = (rule) => matches(rule.page, location) && act(inner, rule);
  clicks(rules.filter(({ link, click }) => link || click), meet);
  events(inner.heard, rules.filter(({ event }) => event), meet);
  let page = open(rules, meet);
  moved(() => {
    page.abort();
    page = open(rules, meet);
  });
}

// What is met by being on a page, until somebody leaves it.
function open(rules, meet) {
  const controller = new AbortController();
  const { signal } = controller;
  const begin = (rule) => {
    if (signal.aborted) return;
    if (rule.scroll) scrolled(rule.scroll, signal).then(() => meet(rule));
    else if (rule.dwell) stayed(rule.dwell, signal).then(() => meet(rule));
    else if (rule.form) reached(rule.form, signal).then(() => meet(rule));
    else if (!rule.link && !rule.click && !rule.event) meet(rule);
  };
  const here = rules.filter(({ page }) => matches(page, location));
  if (document.visibilityState === "hidden") inSight().then(() => here.forEach(begin));
  else here.forEach(begin);
  return controller;
}

// Some sites change the address without loading a page. Where no browser tells (Firefox),
// we look.
function moved(call) {
  const where = () => location.href.split("#")[0];
  let last = where();
  const look = () => last !== where() && ((last = where()), call());
  const { navigation } = globalThis;
  if (navigation) navigation.addEventListener("currententrychange", look);
  else setInterval(look, 1000);
}

// One selector that no browser reads must not stop the other rules.
function sound(selector) {
  try {
    if (selector) document.querySelector(selector);
    return true;
  } catch (error) {
    console.warn(`pushctl: ${error.message}`);
    return false;
  }
}

// Says the same of a tag once a day at most, or twice in its life: a page that is opened
// often asks little.
function act({ label, stored, store, now }, { tag, expires, remove = false }) {
  const said = stored().ruled ?? {};
  const [last, at] = said[tag] ?? [];
  const pause = expires ? Math.min(DAY, expires * 500) : DAY;
  if (last === !remove && Date.now() - at < pause) return;
  store({ ruled: { ...said, [tag]: [!remove, Date.now()] } });
  const value = remove ? false : expires ? now() + expires * 1000 : true;
  // What takes too long is told later.
  Promise.resolve(label([tag], value, true)).catch(() => {});
}

// Seconds on this page while it is in sight.
function stayed(seconds, signal) {
  return new Promise((done) => {
    let left = seconds;
    const timer = setInterval(() => {
      if (signal.aborted) return clearInterval(timer);
      if (document.visibilityState === "hidden") return;
      left -= 1;
      if (left <= 0) done(clearInterval(timer));
    }, 1000);
  });
}

// A form is reached when somebody has half of it on the screen, or writes into it.
function reached(selector, signal) {
  return new Promise((done) => {
    const seen = new IntersectionObserver(
      (entries) => entries.some(({ isIntersecting }) => isIntersecting) && end(), { threshold: 0.5 });
    const entered = ({ target }) => target.closest?.(selector) && end();
    const end = () => {
      seen.disconnect();
      removeEventListener("focusin", entered);
      done();
    };
    const look = () => {
      const found = !signal.aborted && document.querySelector(selector);
      if (found) seen.observe(found);
      return found;
    };
    // What a script draws comes a little later than the address.
    if (!look()) setTimeout(look, 1000);
    signal.addEventListener("abort", () => seen.disconnect());
    addEventListener("focusin", entered, { signal });
  });
}

// Not every link leads somewhere, and one in a drawing has no text for an address.
function address(link) {
  try {
    return link && new URL(link.href);
  } catch {
    return undefined;
  }
}

function clicks(rules, meet) {
  if (!rules.length) return;
  const follow = ({ target }) => {
    const link = address(target.closest?.("a[href]"));
    const leads = (to) => link && matches(to, link) &&
      (link.origin === location.origin || !to.startsWith("/")); // a path is one of ours
    for (const rule of rules) {
      const fits = rule.click ? target.closest?.(rule.click) : leads(rule.link);
      if (fits) meet(rule);
    }
  };
  // In the first phase: a page may stop a click before it comes up here.
  addEventListener("click", follow, true);
  addEventListener("auxclick", follow, true);
}

// What was told before we came, and what will be.
function events(heard, rules, meet) {
  const hear = (name) => rules.filter(({ event }) => event === name).forEach(meet);
  heard.splice(0).forEach(hear);
  heard.push = hear;
}
