// The reasons that an owner gives by one press, in both languages: each reader sees their own.

import { addTexts, t } from "./language.js";

const TEXTS = {
  reasonSoldOut: ["재료 소진", "Sold out"],
  reasonBusy: ["주문이 많습니다", "Too busy"],
  reasonClosed: ["영업 종료", "Closed"],
};
addTexts(TEXTS);

/** The names of their texts. */
export const REASONS = Object.keys(TEXTS);

/** A reason as this reader understands it; what somebody wrote in their own words stays as it is. */
export function reasonText(reason) {
  const known = REASONS.find((name) => TEXTS[name].includes(reason));
  return known === undefined ? reason : t(known);
}
