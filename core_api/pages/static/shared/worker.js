// Registers a page's service worker. Browsers with trusted types need a policy for that, which allows this one
// address.

/** The policy's name, which the pages' Content-Security-Policy allows. */
const POLICY = "yabam-worker";

/**
 * Registers a service worker.
 *
 * @param address the address of its script
 * @param options as `navigator.serviceWorker.register` takes them
 * @returns a promise of the registration; of null if the browser forbids workers or, as over plain HTTP, has none
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
