// What the invitation and the preferences share: colours, words, a shadow tree of their own.

import { TEXTS } from "./pushctl-texts.js";

// The site's name, icon and colours, as far as it has them.
export const BRAND = /*pushctl*/{}/*end*/;

const RIGHT_TO_LEFT = /^(ar|ckb|dv|fa|he|ps|sd|ug|ur|yi)\b/;

const STYLE = `
  :host {
    all: initial;
    color-scheme: light dark;
    --back: var(--pushctl-background, #fff);
    --ink: var(--pushctl-text, #1d1c20);
    --accent: var(--pushctl-accent, #1a56db);
    --on-accent: var(--pushctl-on-accent, #fff);
    --danger: #b3261e;
  }
  @media (prefers-color-scheme: dark) {
    :host {
      --back: var(--pushctl-background-dark, #2a2a2e);
      --ink: var(--pushctl-text-dark, #f2f1f4);
      --accent: var(--pushctl-accent-dark, #9dbcff);
      --on-accent: var(--pushctl-on-accent-dark, #10131a);
      --danger: #ffb4ab;
    }
  }
  section, dialog {
    box-sizing: border-box;
    padding: 20px;
    font: 14px/1.55 var(--pushctl-font, system-ui, sans-serif);
    color: var(--ink);
    background: var(--back);
    border: 1px solid color-mix(in srgb, var(--ink) 10%, transparent);
    border-radius: var(--pushctl-radius, 16px);
    box-shadow: 0 1px 3px #0000001f, 0 14px 40px #0000002e;
  }
  .icon { width: 44px; height: 44px; border-radius: 12px; object-fit: cover }
  svg.icon { box-sizing: border-box; padding: 10px; color: var(--accent);
    background: color-mix(in srgb, var(--accent) 14%, transparent) }
  h2 { margin: 0 0 2px; font: inherit; font-size: 15px; font-weight: 650; overflow-wrap: anywhere }
  p { margin: 0; color: color-mix(in srgb, var(--ink) 80%, var(--back)) }
  button { font: inherit; font-weight: 600; cursor: pointer; min-height: 40px; padding: 0 18px;
    border: 0; border-radius: 999px; color: inherit; background: transparent }
  button:hover { background: color-mix(in srgb, var(--ink) 8%, transparent) }
  .allow { color: var(--on-accent); background: var(--accent) }
  .allow:hover { background: color-mix(in srgb, var(--accent) 88%, var(--ink)) }
  section:focus, dialog:focus { outline: none }
  :focus-visible { outline: 2px solid var(--accent); outline-offset: 2px }
  @media (forced-colors: active) { button { border: 1px solid ButtonBorder } }
  @keyframes come { from { opacity: 0; translate: 0 14px } }
`;

// The page's language, as far as somebody has written texts in it.
export function language({ language, texts }) {
  const wanted = language || document.documentElement.lang || navigator.language || "";
  const written = { ...TEXTS, ...texts };
  // "EN", "tr_TR": not every page writes it as it should be.
  const short = wanted.split(/[-_]/)[0].toLowerCase();
  return [wanted, short, "en"].find((one) => Object.hasOwn(written, one));
}

// Where a consent is given; without what stands behind it, which may be a secret.
export const here = () => location.href.split(/[?#]/)[0].slice(0, 512);

// Every text with the site's name in it; what `texts` lacks is said in English.
export function words(options, spoken) {
  const name = options.name || location.host;
  const said = { ...TEXTS.en, ...TEXTS[spoken], ...options.texts?.[spoken] };
  return Object.fromEntries(
    Object.entries(said).map(([key, text]) => [key, text.replaceAll("{name}", () => name)]));
}

// An element with a shadow tree in the brand's colours. A <style> would have to be allowed
// by the page's CSP; a sheet made here need not.
export function host(name, style, { color, background }) {
  const element = document.createElement(name);
  const root = element.attachShadow({ mode: "open" });
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(STYLE + style);
  root.adoptedStyleSheets = [sheet];
  paint(element.style, "accent", "on-accent", color);
  paint(element.style, "background", "text", background);
  return element;
}

// The page's own variables go first; else the brand's colour, with what can be read on it.
function paint(style, what, over, color) {
  if (!/^#([0-9a-f]{3}){1,2}$/i.test(color)) return;
  const set = getComputedStyle(document.documentElement);
  const on = light(color) > 0.18 ? "#000" : "#fff";
  for (const mode of ["", "-dark"]) {
    if (set.getPropertyValue(`--pushctl-${what}${mode}`)) continue;
    style.setProperty(`--pushctl-${what}${mode}`, color);
    style.setProperty(`--pushctl-${over}${mode}`, on);
  }
}

// Relative luminance (WCAG 2.2); black and white are equally far from 0.18.
export function light(color) {
  const digits = color.length < 5 ? color.slice(1).replace(/./g, "$&$&") : color.slice(1);
  const [red, green, blue] = [0, 2, 4].map((place) => {
    const part = parseInt(digits.slice(place, place + 2), 16) / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

export const direct = (element, spoken) => {
  element.lang = spoken;
  element.dir = RIGHT_TO_LEFT.test(spoken) ? "rtl" : "ltr";
};

export function make(tag, properties, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

export const button = (look, text, onclick) =>
  make("button", { type: "button", className: look, textContent: text, onclick });

const BELL = "M6 10a6 6 0 0 1 12 0c0 5 2 6 2 7H4c0-1 2-2 2-7M10 20.5a2.2 2.2 0 0 0 4 0";

export function picture(icon) {
  if (icon) return make("img", { className: "icon", src: icon, alt: "" });
  const drawn = (tag, attributes) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    return element;
  };
  const svg = drawn("svg", { class: "icon", viewBox: "0 0 24 24", "aria-hidden": "true" });
  svg.append(drawn("path", {
    fill: "none", stroke: "currentColor", "stroke-width": "2", "stroke-linecap": "round",
    "stroke-linejoin": "round", d: BELL,
  }));
  return svg;
}
