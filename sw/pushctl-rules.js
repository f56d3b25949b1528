// pushctl's tag rules ([[tag_rules]] of pushctl.toml): what people do here sets tags.
// Loaded after the page's own script, and only where there are rules (docs/embedding.md).

import { matches, scrolled } from "./pushctl-watch.js";

const RULES = /*pushctl*/[]/*end*/;
const DAY = 86_400_000;

// { tag, page, scroll, dwell, link, click, form, event, expires, remove }; seconds, 0 to 1.
export function watch(inner, rules = RULES) {
  const here = rules.filter(({ page, click, form }) => matches(page, location) && sound(click ?? form));
  const meet = (rule) => act(inner, rule);
  for (const rule of here) {
    if (rule.scroll) scrolled(rule.scroll).then(() => meet(rule));
    else if (rule.dwell) stayed(rule.dwell).then(() => meet(rule));
    else if (rule.form) reached(rule.form).then(() => meet(rule));
    else if (!rule.link && !rule.click && !rule.event) meet(rule);
  }
  clicks(here.filter(({ link, click }) => link || click), meet);
  events(inner.heard, here.filter(({ event }) => event), meet);
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

// Says the same of a tag once a day at most: a page that is opened often asks little.
function act({ label, stored, store, now }, { tag, expires, remove = false }) {
  const said = stored().ruled ?? {};
  const [last, at] = said[tag] ?? [];
  if (last === !remove && Date.now() - at < DAY) return;
  store({ ruled: { ...said, [tag]: [!remove, Date.now()] } });
  label([tag], remove ? false : expires ? now() + expires * 1000 : true, true);
}

// Seconds on this page while it is in sight.
function stayed(seconds) {
  return new Promise((done) => {
    let left = seconds;
    const timer = setInterval(() => {
      if (document.visibilityState === "hidden") return;
      left -= 1;
      if (left <= 0) done(clearInterval(timer));
    }, 1000);
  });
}

// A form is reached when somebody has half of it on the screen, or writes into it.
function reached(selector) {
  return new Promise((done) => {
    const found = document.querySelector(selector);
    const seen = found && new IntersectionObserver(
      (entries) => entries.some(({ isIntersecting }) => isIntersecting) && end(), { threshold: 0.5 });
    const entered = ({ target }) => target.closest?.(selector) && end();
    const end = () => {
      seen?.disconnect();
      removeEventListener("focusin", entered);
      done();
    };
    seen?.observe(found);
    addEventListener("focusin", entered);
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
    for (const rule of rules) {
      const fits = rule.click ? target.closest?.(rule.click) : link && matches(rule.link, link);
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
