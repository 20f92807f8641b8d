// The terminal's service worker. It keeps a copy of the page with all its files, and opens that where there is no
// network.
//
// At each start the page is asked for first, so that a new release is used at the next start at the latest. The copy
// is the page that was loaded last, without any order or token. The worker also shows what is pushed to a locked
// phone.

const PAGE = "/terminal";
/** What the page loads later, from an address that stays the same. */
const BESIDE = ["/static/table/menu.json"];
const CACHE = "yabam-terminal";
/** How long the network may take if there is a copy, in milliseconds. */
const PATIENCE_MS = 4_000;
/** Addresses that contain a hash of the content. */
const HASHED = /"(\/static\/=[0-9a-f]+\/[^"]+)"/g;
/** Only the page itself contains this: it marks its last script. */
const SCRIPT = "//! terminal/main.js";
/**
 * Statuses that are passed on although the page did not come: a sign-in is wanted, as by a proxy, or the page is
 * gone.
 */
const MEANT = [401, 403, 410];

addEventListener("install", (event) => {
  skipWaiting();
  event.waitUntil(fetch(PAGE).then(keep));
});

addEventListener("activate", (event) => event.waitUntil(clients.claim()));

addEventListener("push", (event) => event.waitUntil(tell(event.data.json())));

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
  else if (BESIDE.includes(pathname)) event.respondWith(kept(pathname).then((copy) => newest(fetch(request), copy)));
});

/** Notifies how many orders of a store are new; this replaces the earlier notification of that store. */
function tell({ store, count, language }) {
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

/** The page as it is now, or its copy if the page does not come. */
async function open(event) {
  const copy = await kept(PAGE);
  const coming = fetch(event.request);
  // A page that comes too late is the copy for the next start.
  event.waitUntil(coming.then((page) => keep(page.clone())).catch(() => {}));
  return newest(coming, copy);
}

/** What comes from the network. If that fails or takes too long, the copy, if there is one. */
async function newest(coming, copy) {
  if (copy === undefined) return coming;
  const late = new Promise((resolve) => setTimeout(resolve, PATIENCE_MS, copy));
  const isMeant = ({ ok, type, status }) => ok || type === "opaqueredirect" || MEANT.includes(status);
  const inTime = coming.then((answer) => (isMeant(answer) ? answer : copy), () => copy);
  return Promise.race([inTime, late]);
}

/** Stores the page and its files once all of them are there, and deletes what was stored before. */
async function keep(page) {
  if (!page.ok) throw new Error(`the page came with status ${page.status}`);
  const text = await page.text();
  // A proxy in front of Core may send a page of its own.
  if (!text.includes(SCRIPT)) throw new Error("what came is not the page");
  const files = [...new Set([...text.matchAll(HASHED)].map(([, address]) => address))];
  const cache = await caches.open(CACHE);
  const keepAll = () => Promise.all(files.map((address) => keepFile(cache, address)));
  await keepAll();
  await cache.addAll(BESIDE);
  // Pages of two releases may come at the same time, and a newer worker may be at work beside this one.
  await navigator.locks.request(CACHE, async () => {
    // Another page may have been stored meanwhile: files that it does not need have been deleted.
    await keepAll();
    // Browsers do not open a page from a response that was redirected. A new Response does not carry that mark.
    await cache.put(PAGE, new Response(text, page));
    const wanted = new Set([PAGE, ...BESIDE, ...files]);
    for (const { url } of await cache.keys()) if (!wanted.has(new URL(url).pathname)) await cache.delete(url);
  });
}

async function keepFile(cache, address) {
  if (await cache.match(address)) return;
  const file = await fetch(address);
  // A Core of another release sends its own file from this address, and does not let it be cached for good.
  const isIt = file.ok && file.headers.get("cache-control")?.includes("immutable");
  if (!isIt) throw new Error(`${address} is not to be had`);
  await cache.put(address, file);
}

const kept = (address) => caches.open(CACHE).then((cache) => cache.match(address));
