// Prints what is told of the oddest events, one JSON line each, for the receiver's rules to judge.

import { oddities } from "./odd.mjs";
import { lazy } from "./support.mjs";

console.warn = () => {};
const { fit } = await lazy("fit");
for (const [what, properties] of Object.entries(oddities())) {
  for (const name of ["purchase", "cart_updated"]) {
    const event = { id: "A".repeat(22), name, at: 1_777_363_200_000, properties: fit(properties, name) };
    console.log(JSON.stringify({ what, event }));
  }
}
