// pushctl's invitation: a small question of ours before the browser's own.
// Loaded by pushctl.prompt() for those who are asked, and by nobody else.

export const TEXTS = {
  en: {
    title: "Notifications from {name}",
    body: "Offers, news and a reminder of your basket, even when this page is closed. Turn them off at any time.",
    allow: "Turn on",
    later: "Not now",
  },
  ar: {
    title: "إشعارات من {name}",
    body: "عروض وأخبار وتذكير بسلّة مشترياتك، حتى بعد إغلاق هذه الصفحة. يمكنك إيقافها في أي وقت.",
    allow: "تفعيل الإشعارات",
    later: "ليس الآن",
  },
  tr: {
    title: "{name} bildirimleri",
    body: "Bu sayfa kapalıyken de fırsatlar, haberler ve sepet hatırlatmaları. İstediğiniz zaman kapatabilirsiniz.",
    allow: "Bildirimleri aç",
    later: "Şimdi değil",
  },
};

const RIGHT_TO_LEFT = /^(ar|ckb|dv|fa|he|ps|sd|ug|ur|yi)\b/;

const STYLE = `
  :host {
    all: initial;
    color-scheme: light dark;
    --back: var(--pushctl-background, #fff);
    --ink: var(--pushctl-text, #1d1c20);
    --accent: var(--pushctl-accent, #1a56db);
    --on-accent: var(--pushctl-on-accent, #fff);
  }
  @media (prefers-color-scheme: dark) {
    :host {
      --back: var(--pushctl-background-dark, #2a2a2e);
      --ink: var(--pushctl-text-dark, #f2f1f4);
      --accent: var(--pushctl-accent-dark, #9dbcff);
      --on-accent: var(--pushctl-on-accent-dark, #10131a);
    }
  }
  section {
    position: fixed;
    z-index: 2147483647;
    inset-block-start: 14px;
    inset-inline-start: 14px;
    box-sizing: border-box;
    width: 400px;
    max-width: calc(100vw - 28px);
    padding: 20px;
    display: grid;
    grid-template-columns: auto 1fr;
    column-gap: 16px;
    font: 14px/1.55 var(--pushctl-font, system-ui, sans-serif);
    color: var(--ink);
    background: var(--back);
    border: 1px solid color-mix(in srgb, var(--ink) 10%, transparent);
    border-radius: var(--pushctl-radius, 16px);
    box-shadow: 0 1px 3px #0000001f, 0 14px 40px #0000002e;
  }
  .icon { grid-row: span 2; width: 44px; height: 44px; border-radius: 12px; object-fit: cover }
  svg.icon { box-sizing: border-box; padding: 10px; color: var(--accent);
    background: color-mix(in srgb, var(--accent) 14%, transparent) }
  h2 { margin: 0 0 2px; font: inherit; font-size: 15px; font-weight: 650; overflow-wrap: anywhere }
  p { margin: 0; color: color-mix(in srgb, var(--ink) 78%, transparent) }
  div { grid-column: 1 / -1; display: flex; justify-content: flex-end; gap: 8px; margin-block-start: 16px }
  button { font: inherit; font-weight: 600; cursor: pointer; min-height: 40px; padding: 0 18px;
    border: 0; border-radius: 999px; color: inherit; background: transparent }
  .later:hover { background: color-mix(in srgb, var(--ink) 8%, transparent) }
  .allow { color: var(--on-accent); background: var(--accent) }
  .allow:hover { background: color-mix(in srgb, var(--accent) 88%, var(--ink)) }
  section:focus { outline: none }
  :focus-visible { outline: 2px solid var(--accent); outline-offset: 2px }
  .bar { inset: auto 0 0; width: auto; max-width: none; border-radius: 0; border-width: 1px 0 0;
    grid-template-columns: auto 1fr auto; align-items: center; padding: 16px max(20px, 50vw - 560px) }
  .bar div { grid-area: 1 / 3 / 3; margin: 0 }
  @media (max-width: 600px) {
    .card, .bar { inset: auto 14px max(14px, env(safe-area-inset-bottom)); width: auto; padding: 18px;
      grid-template-columns: auto 1fr; align-items: start; border-width: 1px;
      border-radius: var(--pushctl-radius, 16px) }
    div, .bar div { grid-area: auto / 1 / auto / -1; margin-block-start: 16px }
    button { flex: 1; min-height: 44px }
  }
  @media (prefers-reduced-motion: no-preference) { section { animation: come .3s cubic-bezier(.2, .8, .2, 1) } }
  @keyframes come { from { opacity: 0; translate: 0 14px } }
`;

// Resolves to "later", or to what subscribe() gives after a click on yes.
export function ask(options, subscribe) {
  const spoken = language(options);
  const words = { ...TEXTS.en, ...TEXTS[spoken], ...options.texts?.[spoken] };
  const { host, box, later, allow } = build(options, spoken, words);
  const before = document.activeElement;
  // Somebody opened it: focus may follow.
  const clicked = navigator.userActivation?.isActive;
  // First in the order of Tab, for whoever comes by keyboard.
  document.body.prepend(host);
  if (clicked) box.focus();

  return new Promise((done) => {
    const close = (answer) => {
      const inside = document.activeElement === host;
      host.remove();
      if (inside) before?.focus?.();
      done(answer);
    };
    later.onclick = () => close("later");
    allow.onclick = () => close(subscribe(options.language ? { language: options.language } : {}));
    box.onkeydown = ({ key }) => key === "Escape" && close("later");
  });
}

// The page's language, as far as somebody has written texts in it.
export function language({ language, texts }) {
  const wanted = language || document.documentElement.lang || navigator.language;
  const written = { ...TEXTS, ...texts };
  return [wanted, wanted.split("-")[0], "en"].find((one) => one in written);
}

function build({ kind = "card", name, icon, color }, spoken, words) {
  const host = document.createElement("pushctl-prompt");
  const root = host.attachShadow({ mode: "open" });
  // A <style> would have to be allowed by the page's CSP.
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(STYLE);
  root.adoptedStyleSheets = [sheet];
  if (color) host.style.setProperty("--pushctl-accent", color);
  if (color) host.style.setProperty("--pushctl-accent-dark", color);

  const fill = (text) => text.replace("{name}", () => name || location.host);
  const title = make("h2", { id: "title", textContent: fill(words.title) });
  const body = make("p", { id: "body", textContent: fill(words.body) });
  const later = make("button", { type: "button", className: "later", textContent: words.later });
  const allow = make("button", { type: "button", className: "allow", textContent: words.allow });
  const buttons = make("div", {});
  buttons.append(later, allow);

  const box = make("section", { className: kind, lang: spoken, tabIndex: -1 });
  box.dir = RIGHT_TO_LEFT.test(spoken) ? "rtl" : "ltr";
  box.setAttribute("role", "dialog");
  box.setAttribute("aria-labelledby", "title");
  box.setAttribute("aria-describedby", "body");
  box.append(icon ? make("img", { className: "icon", src: icon, alt: "" }) : bell(), title, body, buttons);
  root.append(box);
  return { host, box, later, allow };
}

const make = (tag, properties) => Object.assign(document.createElement(tag), properties);

function bell() {
  const drawn = (tag, attributes) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    return element;
  };
  const picture = drawn("svg", { class: "icon", viewBox: "0 0 24 24", "aria-hidden": "true" });
  picture.append(drawn("path", {
    fill: "none", stroke: "currentColor", "stroke-width": "2", "stroke-linecap": "round",
    "stroke-linejoin": "round",
    d: "M6 10a6 6 0 0 1 12 0c0 5 2 6 2 7H4c0-1 2-2 2-7M10 20.5a2.2 2.2 0 0 0 4 0",
  }));
  return picture;
}
