// What the terminal says beside the board: to screen readers, in strips below the board, and in toasts.

import { byId, el, setText } from "../shared/dom.js";
import { clockTime, itemsLine, money, orderNumber } from "../shared/format.js";
import { t } from "../shared/language.js";
import { certainMode } from "../shared/lamp.js";
import { statusText } from "../shared/statuses.js";
import { placeOf } from "./board/card.js";

const TOAST_MS = 12_000;
const MAX_TOASTS = 4;

/**
 * Tells screen readers of new orders, and of those that have changed while they are made.
 *
 * @param arrived the new orders
 * @param changed the orders with a change that nobody has seen
 * @param marksOf (order) → that change, as Seen.of returns it
 */
export function announce(arrived, changed, marksOf) {
  const texts = changed.map((order) =>
    t(`announce_${marksOf(order).kind}`, { place: placeOf(order), number: orderNumber(order), items: itemsLine(order) }));
  if (texts.length > 0) byId("shouter").textContent = texts.join(" ");
  if (arrived.length === 0) return;
  const [order] = arrived;
  byId("announcer").textContent =
    arrived.length > 1
      ? t("announceMany", { count: arrived.length })
      : t("announceNew", {
          place: placeOf(order),
          items: itemsLine(order),
          total: money(order.total, order.currency),
        });
}

/**
 * Shows a text for a while.
 *
 * @param order the order that it is about, or null
 * @param text what is shown
 */
export function toast(order, text) {
  const toasts = byId("toasts");
  const remove = () => shown.remove();
  const shown = el(
    "div",
    { class: "toast" },
    el(
      "div",
      {},
      order ? el("strong", {}, t("takenBack", { place: placeOf(order), number: orderNumber(order) })) : null,
      el("p", {}, text),
    ),
    el("button", { class: "button tool", type: "button", "aria-label": t("close"), onclick: remove }, "×"),
  );
  toasts.append(shown);
  while (toasts.children.length > MAX_TOASTS) toasts.firstElementChild.remove();
  setTimeout(remove, TOAST_MS);
}

/**
 * Shows in a strip what is wrong with the connection.
 *
 * @param status the client's status
 * @param isSignedOut whether Core refuses the token; another strip says that, so this one is hidden
 */
export function showFault(status, isSignedOut) {
  const { certainAt, lastError } = status;
  const mode = certainMode(status, Date.now());
  const time = certainAt === null ? null : clockTime(certainAt);
  const text = {
    polling: () => t("faultPolling"),
    unsure: () => t("faultUnsure", { time }),
    offline: () => (time === null ? t("faultOfflineNever") : t("faultOffline", { time })),
    failed: () => t("faultFailed", { detail: lastError ?? "" }),
  }[mode]?.();
  byId("fault").hidden = text === undefined || isSignedOut;
  byId("fault").dataset.mode = mode;
  setText(byId("fault"), text ?? "");
  setText(byId("storage"), t("losesData"));
}

/** Shows whether the alarm can be heard; `bell` is the terminal's Bell. */
export function showSound(bell) {
  const { wanted, blocked, quietFor } = bell;
  const button = byId("sound");
  setText(button, t(!wanted ? "soundOff" : blocked ? "soundBlocked" : "soundOn"));
  button.setAttribute("aria-pressed", String(wanted && !blocked));
  const seconds = Math.ceil(quietFor / 1000);
  setText(byId("hush"), seconds > 0 ? t("quietFor", { seconds }) : t("quiet"));
  byId("hush").setAttribute("aria-pressed", String(seconds > 0));
  byId("sound-hint").hidden = !blocked;
  setText(byId("sound-hint"), t("soundHint"));
}

/**
 * Why Core has refused an action, in words for the owner.
 *
 * @param action as Actions keeps it
 * @param answer Core's, with `problem` and `detail`
 * @param order the order as it is now, or undefined
 * @returns the text
 */
export function explanation(action, { problem, detail }, order) {
  if (problem === "stale-version" || problem === "impossible-transition") {
    const moved = problem === "impossible-transition" || (order && order.status !== action.seen);
    return moved && order
      ? t("refusedFirst", { status: statusText(order.status) })
      : t("refusedChanged");
  }
  if (problem === "too-late") return t("refusedLate");
  if (problem === "not-found") return t("refusedGone");
  if (problem === "forbidden") return t("refusedForbidden");
  return t("refusedOther", { detail: detail ?? problem ?? "" });
}
