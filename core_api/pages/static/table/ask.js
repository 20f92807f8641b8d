// Asks the guest one thing at a time, in a dialog.

import { el } from "../shared/dom.js";

let asked = 0;

/**
 * What the guest chose: the value of a choice, with `text` if there is a field; null: nothing.
 *
 * @param title, lead what is asked; lead null: the title says all
 * @param choices [{value, text, kind}], kind as a class of the button; the first that is "main" sends the form
 * @param field has {label, value, limit} of a text; null: there is none
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
