// What the page tells, and what the receiver answers, in the console.
// Loaded by pushctl.debug(), and where the page's address has ?pushctl_debug.

// Consoles are copied into letters: who subscribes there would be us.
const SECRET = /^(keys|previous_signature)$/;
const ADDRESS = /^(endpoint|previous)$/;

const say = (...all) => console.info("pushctl:", ...all);

export async function watch(inner, page = globalThis) {
  // Once is enough.
  if (inner.watched) return true;
  inner.watched = true;
  const { fetch } = page;
  page.fetch = (...given) => `${given[0]}`.startsWith(`${inner.HOME}/v1/`)
    ? listen(() => fetch.apply(page, given), inner.HOME, ...given) : fetch.apply(page, given);
  say(await describe(inner));
  return true;
}

async function listen(ask, home, address, { body }) {
  const path = address.slice(home.length);
  const began = Date.now();
  say("to", path, readable(body));
  try {
    const answer = await ask();
    const time = `${Date.now() - began} ms`;
    const tell = (text) => say("from", path, answer.status, text, time);
    if (answer.ok) tell("taken");
    // The page must not wait for us.
    else answer.clone().text().then(tell, tell);
    return answer;
  } catch (error) {
    say("from", path, `no answer: ${error.message} (offline, an extension, or connect-src of the page's policy)`);
    throw error;
  }
}

function readable(body) {
  const told = (name, value) =>
    SECRET.test(name) ? "..." : ADDRESS.test(name) ? `${new URL(value).host}/...` : value;
  return JSON.stringify(JSON.parse(body), told);
}

// In one line: may anything be told, to whom, and what waits for it?
async function describe({ api, HOME, stored, silent }) {
  const { supported, permission, subscribed } = await api.state();
  const { events = [], tags = {}, alias, pending } = stored();
  const waiting = Object.entries({
    events: events.length, tags: Object.keys(tags).length, identify: alias, subscription: pending,
  }).filter(([, any]) => any).map(([name, any]) => (any > 0 ? `${any} ${name}` : name));
  return [
    `receiver ${HOME}`,
    supported ? `permission ${permission}` : "this page or browser has no push (https, no private window?)",
    subscribed ? "subscribed" : "not subscribed: what is told waits until somebody subscribes",
    ...(silent() ? ["nothing is tracked (Global Privacy Control, or a no to tracking)"] : []),
    `waiting: ${waiting.join(", ") || "nothing"}`,
  ].join("; ");
}
