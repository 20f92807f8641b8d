// Shows the guest's notifications, and brings the page back when one is pressed. It caches nothing.

addEventListener("notificationclick", (event) => {
  event.notification.close();
  event.waitUntil(
    clients.matchAll({ type: "window", includeUncontrolled: true }).then((pages) => {
      const page = pages.find(({ url }) => new URL(url).pathname === "/table");
      return page ? page.focus() : clients.openWindow("/table");
    }),
  );
});
