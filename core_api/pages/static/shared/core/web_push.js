// A browser's subscription to Web Push, and the requests to Core about it.

import { fetchCore } from "./fetch_core.js";

/** Whether this browser can receive pushes: over HTTPS only, and on an iPhone once the page is on its home screen. */
export const canBePushed = () => "PushManager" in globalThis && "Notification" in globalThis && "serviceWorker" in navigator;

/**
 * Sends a request to Core that is completed even if the page is closed.
 *
 * @param token the bearer token
 * @param method such as PUT
 * @param path the request's path
 * @param [body] a value for JSON
 * @returns a promise of the response
 * @throws Error Core does not answer, or refuses; then the error has the answer's `status`
 */
export async function askCore(token, method, path, body) {
  const answer = await fetchCore(path, token, { method, keepalive: true, json: body });
  if (!answer.ok) throw Object.assign(new Error(`Core answers ${answer.status}`), { status: answer.status });
  return answer;
}

/**
 * Subscribes this browser with Core's key. A subscription that was made with the same key is kept.
 *
 * @param registration the registration of the worker that shows the notifications
 * @param token the bearer token
 * @param language of the notifications: ko or en
 * @returns a promise of the subscription as Core takes it: {endpoint, p256dh, auth, language}
 * @throws Error the browser or Core refuses, or Core does not answer
 */
export async function subscribe({ pushManager }, token, language) {
  const { key } = await (await askCore(token, "GET", "/v1/push")).json();
  const before = await pushManager.getSubscription();
  // A subscription that was made with another key is of no use any more.
  if (before !== null && textOf(before.options.applicationServerKey) !== key) await before.unsubscribe();
  const made = await pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: key });
  const { endpoint, keys } = made.toJSON();
  return { endpoint, p256dh: keys.p256dh, auth: keys.auth, language };
}

/** Ends a worker's subscription: the push service accepts nothing more for it. */
export async function unsubscribe(registration) {
  const subscription = await registration?.pushManager.getSubscription();
  await subscription?.unsubscribe();
}

/**
 * Calls `again` when the browser has replaced its subscription. The worker notices that, but has no token for Core,
 * so it tells the open pages. Where none is open, the next page that opens subscribes again.
 */
export function onReplaced(again) {
  navigator.serviceWorker.addEventListener("message", ({ data }) => data?.type === "push-replaced" && again());
}

/** Bytes as base64url text. */
function textOf(buffer) {
  const text = btoa(String.fromCharCode(...new Uint8Array(buffer)));
  return text.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}
