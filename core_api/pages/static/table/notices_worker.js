// The service worker of the guest's page. It shows notifications, also those that are pushed to a locked phone, and
// brings the page to the front when one is pressed. It caches nothing.

addEventListener("push", (event) => event.waitUntil(tell(event.data.json())));

addEventListener("notificationclick", (event) => {
  event.notification.close();
  event.waitUntil(
    pages().then((all) => {
      const page = all.find(({ url }) => new URL(url).pathname === "/table");
      return page ? page.focus() : clients.openWindow("/table");
    }),
  );
});

// Core takes a new subscription only with a token, which only a page has.
addEventListener("pushsubscriptionchange", (event) => {
  event.waitUntil(pages().then((all) => all.forEach((page) => page.postMessage({ type: "push-replaced" }))));
});

const pages = () => clients.matchAll({ type: "window", includeUncontrolled: true });

/** Notifies that orders are ready. The open page uses the same tag, so that one notification replaces the other. */
function tell({ ready, language }) {
  const numbers = ready.map((number) => `#${number}`).join(", ");
  const title = language === "ko" ? `주문 ${numbers} 준비 완료!` : `Order ${numbers} is ready!`;
  const body = language === "ko" ? "준비되었습니다. 곧 가져다 드립니다." : "Ready. It is on its way to you.";
  return registration.showNotification(title, { body, tag: `ready-${ready[0]}`, icon: "/static/shared/icon.svg" });
}
