// Asks for the reason before an order is rejected or cancelled.

import { byId, el } from "../shared/dom.js";
import { itemsLine, orderNumber } from "../shared/format.js";
import { t } from "../shared/language.js";
import { REASONS } from "../shared/statuses.js";
import { placeOf } from "./board/card.js";

/**
 * Asks the owner for a reason.
 *
 * @param order the order
 * @param to the status that it is to get: rejected or cancelled
 * @returns a promise of the reason; of null if none was given; of undefined if the order is to stay as it is
 */
export function askReason(order, to) {
  const dialog = byId("reason");
  const rejects = to === "rejected";
  const confirm = dialog.querySelector("button[value=ok]");
  const own = byId("reason-text");
  byId("reason-title").textContent = t(rejects ? "rejectTitle" : "cancelTitle");
  byId("reason-order").textContent = `${placeOf(order)} · #${orderNumber(order)} · ${itemsLine(order)}`;
  confirm.textContent = t(rejects ? "rejectConfirm" : "cancelConfirm");
  own.value = "";
  const choices = byId("reason-choices");
  choices.replaceChildren(
    choices.querySelector("legend"),
    ...REASONS.map((name, n) =>
      el(
        "label",
        { class: "chip" },
        el("input", { type: "radio", name: "reason", value: t(name), ...(n === 0 ? { autofocus: true } : {}) }),
        el("span", {}, t(name)),
      ),
    ),
  );
  own.oninput = () => {
    for (const radio of dialog.querySelectorAll("input[type=radio]")) radio.checked = false;
  };
  for (const radio of dialog.querySelectorAll("input[type=radio]")) {
    radio.onchange = () => (own.value = "");
  }
  dialog.querySelector("button[value='']").onclick = () => dialog.close("");
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.onclose = () => {
      if (dialog.returnValue !== "ok") return resolve(undefined);
      const chosen = dialog.querySelector("input[type=radio]:checked")?.value ?? own.value.trim();
      return resolve(chosen === "" ? null : chosen);
    };
  });
}
