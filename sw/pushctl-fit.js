// What pages give to track() and cart(), made so that the receiver takes it.
// Loaded for what is no JSON or too large, and for nothing else.

// As in pushctl/rules/limits.py; with an event's id, name and time it stays below 6,000 bytes.
const [TEXT, NAME, ENTRIES, LEVELS, BYTES] = [1024, 255, 64, 4, 5800];
// What is read of a basket's items, and of how many.
const [USED, ITEMS] = ["id name price currency quantity url image line".split(" "), 20];
// An object may lead through half the page: no more than that is looked at.
const ROOM = 2000;

// A copy without what can't be read or told: a circle ends at the last level. Where it is too
// large the items go first, which a purchase does without; then what was named last.
export function fit(properties, name) {
  const levels = name === "subscribe" ? LEVELS + 1 : LEVELS;
  const copy = { ...read(Object(properties), levels, { left: ROOM }) };
  if (name === "cart_updated") copy.items = Object.values(Object(copy.items)).slice(0, ITEMS).map(used);
  const names = Object.keys(copy);
  const items = Array.isArray(copy.items) ? copy.items : [];
  while (bytes(copy) > BYTES && names.length) {
    if (items.length > 1) items.pop();
    else delete copy[names.pop()];
  }
  // Nobody must take the rest for all of them, where the page could not count them.
  if (items.length && items.length < count(properties) && typeof copy.count !== "number")
    items[items.length - 1] = { ...items[items.length - 1], quantity: "?" };
  console.warn(`pushctl: not all of ${name} is told (at most 6,000 bytes of JSON)`);
  return copy;
}

const used = (item) => Object.fromEntries(USED.map((name) => [name, Object(item)[name]]));

function count({ items }) {
  try {
    return Object.keys(items).length;
  } catch {
    return 0;
  }
}

const bytes = (value) => new TextEncoder().encode(JSON.stringify(value)).length;

function read(value, levels, room) {
  if (typeof value === "string") return text(value);
  if (typeof value === "bigint" || (typeof value === "number" && Math.abs(value) >= 2 ** 53))
    return `${value}`;
  if (typeof value !== "object" || value === null) return value;
  // A date, an amount of some library.
  if (typeof value.toJSON === "function" && levels >= 0) return read(value.toJSON(), levels - 1, room);
  if (levels < 1) return undefined;
  const copy = Array.isArray(value) ? [] : {};
  for (const name of Object.keys(value).slice(0, ENTRIES)) {
    if ((room.left -= 1) < 0) break;
    try {
      if (name) copy[text(name, NAME)] = read(value[name], levels - 1, room);
    } catch {
      // a getter that throws
    }
  }
  return copy;
}

// A letter that is cut in two is none; NUL ends a text for some programs.
function text(value, most = TEXT) {
  return value.slice(0, most).replace(/[\0\ud800-\udfff]/gu, "\ufffd");
}
