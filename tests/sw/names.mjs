// Prints the names that the page's script and its texts have, for Python to compare.

import { lazy, page } from "./support.mjs";

const { TEXTS } = await lazy("texts");
console.log(JSON.stringify({ api: Object.keys(page().pushctl), texts: Object.keys(TEXTS.en) }));
