// A browser's subscription to Web Push, and Core's word on it.

import { fetchCore } from "./fetch_core.js";

/** Whether this browser can be told at all: over HTTPS, on an iPhone once the page is on its home screen. */
export const canBePushed = () => "PushManager" in globalThis && "Notification" in globalThis && "serviceWorker" in navigator;

/** Core's answer; an error with its `status` where it is no success. */
export async function askCore(token, method, path, body) {
  const answer = await fetchCore(path, token, { method, keepalive: true, json: body });
  if (!answer.ok) throw Object.assign(new Error(`Core answers ${answer.status}`), { status: answer.status });
  return answer;
}

/**
 * Subscribes this browser with Core's key, or goes on: the subscription as Core takes it.
 *
 * @param registration of the worker that shows what comes @param token the page's @param language ko or en
 */
export async function subscribe({ pushManager }, token, language) {
  const { key } = await (await askCore(token, "GET", "/v1/push")).json();
  const before = await pushManager.getSubscription();
  // One that was made with another key is of no use any more.
  if (before !== null && textOf(before.options.applicationServerKey) !== key) await before.unsubscribe();
  const made = await pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: key });
  const { endpoint, keys } = made.toJSON();
  return { endpoint, p256dh: keys.p256dh, auth: keys.auth, language };
}

/** Ends the subscription of a worker: its push service takes nothing more for it. */
export async function unsubscribe(registration) {
  const subscription = await registration?.pushManager.getSubscription();
  await subscription?.unsubscribe();
}

/**
 * Calls `again` when the browser has replaced its subscription: the worker hears of it, and has no token to
 * tell Core. Where no page is open, the next one that opens tells it.
 */
export function onReplaced(again) {
  navigator.serviceWorker.addEventListener("message", ({ data }) => data?.type === "push-replaced" && again());
}

/** Bytes in base64url. */
function textOf(buffer) {
  const text = btoa(String.fromCharCode(...new Uint8Array(buffer)));
  return text.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}
