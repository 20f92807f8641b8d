// The terminal's service worker. It keeps a copy of the page with all its files, and opens that where there is no
// network.
//
// At each start the page is asked for first, so that a new release is used at the next start at the latest. The copy
// is the page that was loaded last, without any order or token. The worker also shows what is pushed to a locked
// phone.

const PAGE = "/terminal";
/** Files that the page loads later, from addresses that stay the same. */
const MORE_FILES = ["/static/table/menu.json"];
const CACHE = "yabam-terminal";
/** How long the network may take if there is a copy, in milliseconds. */
const NETWORK_WAIT_MS = 4_000;
/** Addresses that contain a hash of the content. */
const HASHED = /"(\/static\/=[0-9a-f]+\/[^"]+)"/g;
/** Only the page itself contains this: it marks its last script. */
const SCRIPT = "//! terminal/main.js";
/**
 * Statuses that are shown although they are not the page: a proxy or Core wants a sign-in, or the page was removed.
 */
const PASSED_ON = [401, 403, 410];

addEventListener("install", (event) => {
  skipWaiting();
  event.waitUntil(fetch(PAGE).then(keep));
});

addEventListener("activate", (event) => event.waitUntil(clients.claim()));

addEventListener("push", (event) => event.waitUntil(notify(event.data.json())));

addEventListener("pushsubscriptionchange", (event) => event.waitUntil(askToRenew()));

addEventListener("notificationclick", (event) => {
  event.notification.close();
  event.waitUntil(showPage());
});

addEventListener("fetch", (event) => {
  const { request } = event;
  const { origin, pathname } = new URL(request.url);
  if (request.method !== "GET" || origin !== location.origin) return;
  if (request.mode === "navigate") {
    if (pathname === PAGE) event.respondWith(open(event));
  } else if (pathname.startsWith("/static/=")) event.respondWith(kept(pathname).then((copy) => copy ?? fetch(request)));
  else if (MORE_FILES.includes(pathname)) event.respondWith(kept(pathname).then((copy) => newest(fetch(request), copy)));
});

/** Notifies how many orders of a store are new; this replaces the earlier notification of that store. */
function notify({ store, count, language }) {
  const isKorean = language === "ko";
  const title = isKorean ? `새 주문 ${count}건` : count === 1 ? "1 new order" : `${count} new orders`;
  const body = isKorean ? `매장 ${store}` : `Store ${store}`;
  return registration.showNotification(title, { body, tag: `orders-${store}`, renotify: true, icon: "/static/shared/icon.svg" });
}

/**
 * Reacts when the browser has replaced its subscription. Core takes the new one only with a token, which only pages
 * have. So the open terminals are asked to tell Core; if none is open, the owner is asked to open one.
 */
async function askToRenew() {
  const pages = await clients.matchAll({ type: "window", includeUncontrolled: true });
  const terminals = pages.filter(({ url }) => new URL(url).pathname === PAGE);
  for (const page of terminals) page.postMessage({ type: "push-replaced" });
  if (terminals.length > 0) return;
  const isKorean = navigator.language.startsWith("ko");
  const title = isKorean ? "터미널을 한 번 열어 주세요" : "Open the terminal once";
  const body = isKorean ? "그래야 이 기기에 새 주문이 계속 알려집니다." : "So that this device is still notified of new orders.";
  await registration.showNotification(title, { body, tag: "renew", icon: "/static/shared/icon.svg" });
}

/** Brings the terminal to the front, or opens it. */
async function showPage() {
  const pages = await clients.matchAll({ type: "window", includeUncontrolled: true });
  const page = pages.find(({ url }) => new URL(url).pathname === PAGE);
  return page ? page.focus() : clients.openWindow(PAGE);
}

/** The page from the network, or its copy if the network fails. */
async function open(event) {
  const copy = await kept(PAGE);
  const coming = fetch(event.request);
  // A page that arrives too late becomes the copy for the next start.
  event.waitUntil(coming.then((page) => keep(page.clone())).catch(() => {}));
  return newest(coming, copy);
}

/** The answer from the network. If that fails or takes too long, the copy, if there is one. */
async function newest(coming, copy) {
  if (copy === undefined) return coming;
  const late = new Promise((resolve) => setTimeout(resolve, NETWORK_WAIT_MS, copy));
  const isPassedOn = ({ ok, type, status }) => ok || type === "opaqueredirect" || PASSED_ON.includes(status);
  const inTime = coming.then((answer) => (isPassedOn(answer) ? answer : copy), () => copy);
  return Promise.race([inTime, late]);
}

/** Stores the page and its files once all of them are there, and deletes what was stored before. */
async function keep(page) {
  if (!page.ok) throw new Error(`the page has status ${page.status}`);
  const text = await page.text();
  // A proxy in front of Core may send a page of its own.
  if (!text.includes(SCRIPT)) throw new Error("the answer is not the page");
  const files = [...new Set([...text.matchAll(HASHED)].map(([, address]) => address))];
  const cache = await caches.open(CACHE);
  const keepAll = () => Promise.all(files.map((address) => keepFile(cache, address)));
  await keepAll();
  await cache.addAll(MORE_FILES);
  // Pages of two releases may be stored at the same time, and a newer worker may run beside this one.
  await navigator.locks.request(CACHE, async () => {
    // Another page may have been stored meanwhile: files that it does not need have been deleted.
    await keepAll();
    // Browsers do not open a page from a response that was redirected. A new Response does not carry that mark.
    await cache.put(PAGE, new Response(text, page));
    const wanted = new Set([PAGE, ...MORE_FILES, ...files]);
    for (const { url } of await cache.keys()) if (!wanted.has(new URL(url).pathname)) await cache.delete(url);
  });
}

async function keepFile(cache, address) {
  if (await cache.match(address)) return;
  const file = await fetch(address);
  // A Core of another release sends its own file from this address, and does not let it be cached for good.
  const isCacheable = file.ok && file.headers.get("cache-control")?.includes("immutable");
  if (!isCacheable) throw new Error(`${address} cannot be cached`);
  await cache.put(address, file);
}

const kept = (address) => caches.open(CACHE).then((cache) => cache.match(address));
