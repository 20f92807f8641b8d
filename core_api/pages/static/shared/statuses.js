// What the pages know of each status: what they say of it, and what its owner can do in it.
//
// The only place where the pages list statuses by hand; elsewhere a rule names the one that it is about.
// Texts are [Korean, English]. A status that only a newer Core knows is missing here: it is shown as it
// was sent, and nothing can be done in it.

import { isOpen } from "../yabam/contract/contract.js";
import { addTexts, hasText, t } from "./language.js";

/**
 * By status:
 *   text    what it is called
 *   line    what the guest reads
 *   button  what the button says that leads to it; none: no button does
 *   next    where its owner can take it, the most likely first
 *   column  where it stands on the terminal: in "new" and "progress" it is still to be made, in "progress"
 *           and "ready" the kitchen has begun and the guest has not got it yet
 *   tone    its colour in shared/base.css; none: a quiet one
 *   stage   how many of the guest's five marks are filled; none: they are not shown
 *   reason  whether the owner is asked why
 *   back    where its owner takes it back to, if it is not known how far it had come
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

/** The reasons that an owner gives by one press. */
const REASON_TEXTS = {
  reasonSoldOut: ["재료 소진", "Sold out"],
  reasonBusy: ["주문이 많습니다", "Too busy"],
  reasonClosed: ["영업 종료", "Closed"],
};
addTexts(REASON_TEXTS);
/** The names of their texts. */
export const REASONS = Object.keys(REASON_TEXTS);

for (const [status, { text, line, button }] of Object.entries(STATUSES)) {
  addTexts({ [`status_${status}`]: text, [`line_${status}`]: line });
  if (button) addTexts({ [`step_${status}`]: button });
}

const known = (status) => (Object.hasOwn(STATUSES, status) ? STATUSES[status] : {});

/** A status in words; an unknown one as it is. */
export const statusText = (status) => (hasText(`status_${status}`) ? t(`status_${status}`) : status);

/** Its column; in an unknown status the order is in progress for as long as it is open. */
export const columnOf = (order) =>
  known(order.status).column ?? (isOpen(order) ? "progress" : "done");

/** Whether the kitchen is still to make it; of an unknown status nobody knows. */
export const isToBeMade = ({ status }) => ["new", "progress"].includes(known(status).column);

/** Whether the kitchen has begun with it, and has not brought it yet; of an unknown status nobody knows. */
export const isUnderWay = ({ status }) => ["progress", "ready"].includes(known(status).column);

/** The statuses to which the owner can take it, the most likely first. */
export const stepsOf = ({ status }) => known(status).next ?? [];

/**
 * The status to which its owner can take it back, or null.
 *
 * @param before how far it had come, if that is known: from some statuses more than one way leads back
 */
export function behind({ status }, before = null) {
  const ways = Object.keys(STATUSES).filter((one) => STATUSES[one].next.includes(status));
  return ways.includes(before) ? before : (known(status).back ?? ways.at(-1) ?? null);
}

/** Whether the owner is asked why, before an order gets this status. */
export const wantsReason = (status) => known(status).reason ?? false;

/** A reason as this reader understands it; what somebody wrote in their own words stays as it is. */
export function reasonText(reason) {
  const name = REASONS.find((one) => REASON_TEXTS[one].includes(reason));
  return name === undefined ? reason : t(name);
}

/** How many of the guest's marks are filled, or null. */
export const stageOf = ({ status }) => known(status).stage ?? null;

/** The colour of its status, as shared/base.css names it. */
export const toneOf = ({ status }) => known(status).tone ?? "quiet";

/** Notes on an element what style sheets ask about its order: status, tone, whether it is over. */
export function markWith(element, order) {
  element.dataset.status = order.status;
  element.dataset.tone = toneOf(order);
  element.toggleAttribute("data-over", !isOpen(order));
}
