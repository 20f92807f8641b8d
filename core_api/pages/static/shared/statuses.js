// What the pages know of each status: its texts, and what the owner can do with an order in that status.
//
// This is the only place where the pages list the statuses by hand; rules elsewhere name single statuses. Texts are
// [Korean, English]. A status that only a newer Core knows is missing here: it is shown as it was sent, and the owner
// can do nothing with such an order.

import { isOpen } from "../yabam/contract/contract.js";
import { addTexts, hasText, t } from "./language.js";

/**
 * By status:
 *   text    its name
 *   line    the sentence that the guest reads
 *   button  the label of the button that leads to it; missing: no button does
 *   next    the statuses to which the owner can move the order, the most likely first
 *   column  its column on the terminal: in "new" and "progress" the order is still to be made, in "progress"
 *           and "ready" the kitchen has begun and the guest has not got it yet
 *   tone    the name of its colour in shared/base.css; missing: "quiet"
 *   stage   how many of the five marks of progress the guest sees filled; missing: no marks are shown
 *   reason  whether the owner is asked for a reason
 *   back    the status to which the owner takes it back if nobody knows which one it had before
 */
const STATUSES = {
  placed: {
    text: ["접수 대기", "New"],
    line: [
      "주문이 전달되었습니다. 매장 확인을 기다리고 있습니다.",
      "Sent to the kitchen, which will confirm it in a moment.",
    ],
    next: ["accepted", "rejected"],
    column: "new",
    tone: "new",
    stage: 1,
  },
  accepted: {
    text: ["수락됨", "Accepted"],
    line: ["매장에서 주문을 확인했습니다.", "The kitchen has accepted it."],
    button: ["수락", "Accept"],
    next: ["preparing", "ready", "cancelled"],
    column: "progress",
    tone: "progress",
    stage: 2,
  },
  preparing: {
    text: ["조리 중", "Preparing"],
    line: ["지금 조리하고 있습니다.", "It is being prepared now."],
    button: ["조리 시작", "Start"],
    next: ["ready", "cancelled"],
    column: "progress",
    tone: "progress",
    stage: 3,
  },
  ready: {
    text: ["준비 완료", "Ready"],
    line: ["준비되었습니다. 곧 가져다 드립니다.", "Ready. It is on its way to you."],
    button: ["준비 완료", "Ready"],
    next: ["served", "cancelled"],
    column: "ready",
    tone: "ready",
    stage: 4,
  },
  served: {
    text: ["서빙 완료", "Served"],
    line: ["맛있게 드세요!", "Enjoy your meal!"],
    button: ["서빙 완료", "Served"],
    next: ["paid"],
    column: "done",
    tone: "ready",
    stage: 5,
  },
  paid: {
    text: ["결제 완료", "Paid"],
    line: ["결제되었습니다. 감사합니다!", "Paid. Thank you!"],
    button: ["결제 완료", "Paid"],
    next: [],
    column: "done",
    stage: 5,
  },
  rejected: {
    text: ["거절됨", "Rejected"],
    line: ["죄송합니다. 주문을 받을 수 없습니다.", "Sorry, the kitchen cannot take this order."],
    button: ["거절", "Reject"],
    next: [],
    column: "done",
    tone: "refused",
    reason: true,
  },
  cancelled: {
    text: ["취소됨", "Cancelled"],
    line: ["주문이 취소되었습니다.", "This order was cancelled."],
    button: ["주문 취소", "Cancel order"],
    next: [],
    column: "done",
    tone: "refused",
    reason: true,
    back: "placed",
  },
};

/** The reasons that an owner can choose with one press. */
const REASON_TEXTS = {
  reasonSoldOut: ["재료 소진", "Sold out"],
  reasonBusy: ["주문이 많습니다", "Too busy"],
  reasonClosed: ["영업 종료", "Closed"],
};
addTexts(REASON_TEXTS);
/** The names of these texts. */
export const REASONS = Object.keys(REASON_TEXTS);

for (const [status, { text, line, button }] of Object.entries(STATUSES)) {
  addTexts({ [`status_${status}`]: text, [`line_${status}`]: line });
  if (button) addTexts({ [`step_${status}`]: button });
}

const known = (status) => (Object.hasOwn(STATUSES, status) ? STATUSES[status] : {});

/** The name of a status; an unknown status as it was sent. */
export const statusText = (status) => (hasText(`status_${status}`) ? t(`status_${status}`) : status);

/** The column of an order. With an unknown status it is "progress" while the order is open. */
export const columnOf = (order) =>
  known(order.status).column ?? (isOpen(order) ? "progress" : "done");

/** Whether the order is still to be made; false for an unknown status. */
export const isToBeMade = ({ status }) => ["new", "progress"].includes(known(status).column);

/** Whether the kitchen has begun the order and the guest has not got it yet; false for an unknown status. */
export const isUnderWay = ({ status }) => ["progress", "ready"].includes(known(status).column);

/** The statuses to which the owner can move the order, the most likely first. */
export const stepsOf = ({ status }) => known(status).next ?? [];

/**
 * The status to which the owner can take the order back.
 *
 * @param order an object with the order's `status`
 * @param before the status that it had before, if that is known: several statuses may lead to the same one
 * @returns a status, or null if there is none
 */
export function behind({ status }, before = null) {
  const ways = Object.keys(STATUSES).filter((one) => STATUSES[one].next.includes(status));
  return ways.includes(before) ? before : (known(status).back ?? ways.at(-1) ?? null);
}

/** Whether the owner is asked for a reason before an order gets this status. */
export const wantsReason = (status) => known(status).reason ?? false;

/** A reason in the current language; one that somebody wrote in their own words stays as it is. */
export function reasonText(reason) {
  const name = REASONS.find((one) => REASON_TEXTS[one].includes(reason));
  return name === undefined ? reason : t(name);
}

/** How many of the guest's five marks of progress are filled; null: no marks are shown. */
export const stageOf = ({ status }) => known(status).stage ?? null;

/** The name of the status's colour in shared/base.css. */
export const toneOf = ({ status }) => known(status).tone ?? "quiet";

/**
 * Sets the attributes by which style sheets select an order: its status, its colour, and whether it is closed.
 *
 * @param element the element to set them on
 * @param order the order that it shows
 */
export function markWith(element, order) {
  element.dataset.status = order.status;
  element.dataset.tone = toneOf(order);
  element.toggleAttribute("data-over", !isOpen(order));
}
