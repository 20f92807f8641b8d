// Starts a page's worker, as a browser with trusted types wants it: a policy that knows this one address.

/** The name that the pages' policy lets through. */
const POLICY = "yabam-worker";

/**
 * The registration of the worker, or null: the browser has none, as over plain HTTP, or forbids it.
 *
 * @param address where its script is @param options as the browser takes them
 */
export async function startWorker(address, options = {}) {
  try {
    const make = { createScriptURL: () => address };
    const trusted = globalThis.trustedTypes?.createPolicy(POLICY, make).createScriptURL("") ?? address;
    return await navigator.serviceWorker.register(trusted, options);
  } catch {
    return null;
  }
}
