// Prints what a browser sends, one JSON line a request, for Python to judge.

import { encode, page, pushManager, subscription } from "./support.mjs";

const first = page({ manager: pushManager(subscription(1)) });
await first.pushctl.subscribe({ language: "ar", tags: ["lamps"], attributes: { plan: "gold" } });
await first.pushctl.cart({ items: [{ id: "lamp", name: "مصباح", price: 49 }], total: 49, currency: "EUR" });
await first.pushctl.tag("Abandoned basket 1");
await first.pushctl.cartKey();
while (first.asked.at(-1).path !== "/v1/subscribe") await new Promise((done) => setImmediate(done));
await first.pushctl.identify({ alias: "customer-7", signature: "A".repeat(43), emailHash: "0f".repeat(32) });

const { database, localStorage } = first;
const next = page({
  permission: "granted", registered: true, database, localStorage, manager: pushManager(subscription(2)),
});
await next.pushctl.ready;
await next.pushctl.unsubscribe();

for (const [browser, number] of [[first, 1], [next, 2]]) {
  for (const { path, body, headers } of browser.asked) {
    const auth = encode(subscription(number).getKey("auth"));
    console.log(JSON.stringify({ path, body, auth, signature: headers["X-Pushctl-Signature"] }));
  }
}
