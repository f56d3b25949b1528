// What pages may give to track() and cart() that no receiver takes as it is.

export function oddities() {
  const circle = { total: 5 };
  circle.self = [circle];
  const deep = { total: 5, a: { b: { c: { d: { e: { f: 1 } } } } } };
  const wide = Object.fromEntries(Array.from({ length: 500 }, (_, number) => [`key ${number}`, number]));
  const broken = { total: 5, get size() { throw new Error("theirs"); } };
  const items = Array.from({ length: 1000 }, (_, number) => ({
    id: BigInt(number), name: `Lamp ${number}`, price: 10, quantity: 2, url: `https://shop.example/${"x".repeat(300)}`,
    image: `data:image/png;base64,${"A".repeat(3000)}`, vendor: circle,
  }));
  const endless = {};
  Object.defineProperty(endless, "next", { enumerable: true, get: () => Array(64).fill(endless) });
  return {
    "a circle": circle,
    "too deep": deep,
    "too wide": { total: 5, wide },
    "a BigInt": { total: 5, order: 2n ** 70n, many: [1n, 2n] },
    "a number beyond all": { total: 5, order: 2 ** 60, none: NaN, never: Infinity },
    "a getter that throws": broken,
    "a huge text": { total: 5, text: "x".repeat(100_000) },
    "half a letter": { total: 5, text: `${"x".repeat(1023)}😀` },
    "a thousand items": { total: 5, items },
    "amounts as text": { items: Array(100).fill({ id: "a", price: "10,00", quantity: "2" }) },
    "frozen": Object.freeze({ total: 5, list: Object.freeze([1, 2]) }),
    "all of a page": { total: 5, endless },
    "dates and amounts of a library": { total: 5, at: new Date(0), sum: { toJSON: () => "49.90" } },
    "turning back to itself": { total: 5, one: { toJSON() { return this; } } },
    "what JSON leaves out": { total: 5, call() {}, mark: Symbol("x"), none: undefined },
    "a text": "1007",
    "a number": 7,
    "nothing": null,
    "a list": [1, 2, 3],
  };
}
