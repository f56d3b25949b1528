// For `import pushctl from ".../pushctl.mjs"`: the same file, as a module.
import "./pushctl.js";

export default globalThis.pushctl;
