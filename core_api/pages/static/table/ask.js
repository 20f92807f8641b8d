// Asks the guest a question in a dialog.

import { el } from "../shared/dom.js";

let asked = 0;

/**
 * Asks the guest a question.
 *
 * @param title the question
 * @param lead a text below it; null: there is none
 * @param choices the buttons: [{value, text, kind}], with `kind` as a class of the button. The empty value means that
 *   the guest chose nothing. The Enter key in the field presses the first button
 * @param field a text field: {label, value, limit}, with `limit` in characters; null: there is none
 * @returns a promise of {choice, text}, which are the value of the button and the text of the field; of null: nothing
 *   was chosen
 */
export function ask({ title, lead = null, choices, field = null }) {
  asked += 1;
  const titleId = `ask-${asked}`;
  const input =
    field === null
      ? null
      : el("input", { id: `${titleId}-text`, value: field.value, maxlength: field.limit, autocomplete: "off" });
  const dialog = el(
    "dialog",
    { class: "sheet ask", "aria-labelledby": titleId },
    el(
      "form",
      { method: "dialog" },
      el("h2", { id: titleId }, title),
      lead === null ? null : el("p", { class: "quiet", dir: "auto" }, lead),
      field === null ? null : el("label", { for: `${titleId}-text` }, field.label),
      input,
      el(
        "div",
        { class: "choices" },
        choices.map(({ value, text, kind = "" }) => el("button", { class: `button ${kind}`, value }, text)),
      ),
    ),
  );
  document.body.append(dialog);
  dialog.returnValue = "";
  dialog.showModal();
  input?.select();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      const { returnValue } = dialog;
      dialog.remove();
      resolve(returnValue === "" ? null : { choice: returnValue, text: input?.value.trim() ?? "" });
    });
  });
}
