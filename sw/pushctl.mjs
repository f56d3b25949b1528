// For `import pushctl from ".../pushctl.mjs"`: the same file, as a module, which is told
// where it comes from: that a script without an address in it takes for the receiver's.
(globalThis.pushctl ??= []).source = import.meta.url;
await import("./pushctl.js");

export default globalThis.pushctl;
