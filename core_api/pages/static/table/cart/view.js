// The view of the table's cart: a bar with the button that orders, and a sheet with the lines and who added each.

import { arrange, byId, el, setText } from "../../shared/dom.js";
import { money } from "../../shared/format.js";
import { language, t } from "../../shared/language.js";
import { MAX_OF_A_DISH, countOf, totalOf } from "./predictions_and_sums.js";
import { guestName, takeName } from "./guest.js";

/** The view. `step` (line, by), `note` (line, dish) and `order` () are called when the guest presses. */
export class Cart {
  #root = byId("cart");
  #sheet = byId("cart-sheet");
  #rows = new Map();
  #callbacks;

  constructor(callbacks) {
    this.#callbacks = callbacks;
    byId("cart-open").addEventListener("click", () => this.#open(this.#sheet.hidden));
    byId("cart-close").addEventListener("click", () => this.#open(false));
    byId("order").addEventListener("click", () => callbacks.order());
    byId("guest-name").addEventListener("change", ({ target }) => {
      takeName(target.value);
      target.value = guestName();
    });
    this.#root.addEventListener("keydown", ({ key }) => key === "Escape" && this.#open(false));
  }

  /** The guest's note for the whole order. */
  get note() {
    return byId("note").value.trim();
  }

  set note(text) {
    byId("note").value = text;
  }

  /**
   * Shows the lines.
   *
   * @param lines as linesOf returns them
   * @param currency its ISO 4217 code
   * @param nameOf (line) → its dish in the guest's language
   * @param isSoldOut (line) → whether the dish is sold out
   * @param busy the button's text while an order is being placed; null: none is
   * @param refused the text that says why nothing can be ordered now; null: orders are taken
   */
  show({ lines, currency, nameOf, isSoldOut, busy, refused }) {
    const count = countOf(lines);
    const isEmpty = lines.length === 0;
    this.#root.hidden = isEmpty && busy === null;
    document.body.classList.toggle("with-cart", !this.#root.hidden);
    if (isEmpty) this.#open(false);
    if (document.activeElement !== byId("guest-name")) byId("guest-name").value = guestName();
    const gone = lines.filter(isSoldOut);
    const people = [...new Set(lines.map(({ by }) => by).filter(Boolean))];
    byId("cart-open").hidden = isEmpty;
    setText(byId("cart-open-text"), t("cart", { count }));
    setText(byId("cart-people"), people.join(", "));
    const why = refused ?? (gone.length > 0 ? t("soldOutInCart", { names: gone.map(nameOf).join(", ") }) : "");
    setText(byId("cart-why"), why);
    byId("order").disabled = busy !== null || isEmpty || why !== "";
    setText(byId("order"), busy ?? t("order", { count, total: money(totalOf(lines), currency) }));
    const rows = new Map(lines.map((line) => [line.id, this.#row(line, currency, nameOf(line), isSoldOut(line))]));
    this.#rows = rows;
    arrange(byId("cart-lines"), [...rows.values()].map(({ element }) => element));
  }

  #open(open) {
    this.#sheet.hidden = !open;
    byId("cart-open").setAttribute("aria-expanded", String(open));
  }

  #row(line, currency, name, soldOut) {
    const shown = JSON.stringify([language(), line, name, soldOut]);
    const known = this.#rows.get(line.id);
    if (known?.shown === shown) return known;
    const button = (text, label, press, more = {}) =>
      el("button", { class: "button", type: "button", "aria-label": label, onclick: press, ...more }, text);
    const element = known?.element ?? el("li", { "data-line": line.id });
    const focused = [...element.querySelectorAll("button")].indexOf(document.activeElement);
    element.classList.toggle("sold-out", soldOut);
    element.replaceChildren(
      el(
        "div",
        { class: "about" },
        el("p", { class: "name" }, el("strong", {}, name),
          soldOut ? el("span", { class: "badge", "data-tone": "refused" }, t("soldOut")) : null),
        el("p", { class: "quiet", dir: "auto" },
          `${line.by ? `${line.by} · ` : ""}${money(totalOf([line]), currency)}`),
        el("button", {
          class: "note-button",
          type: "button",
          "aria-label": t("noteFor", { dish: name, note: line.note }),
          onclick: () => this.#callbacks.note(line, name),
        }, line.note ? `✎ ${line.note}` : t("addNote")),
      ),
      el(
        "div",
        { class: "stepper" },
        button("−", t("less", { dish: name }), () => this.#callbacks.step(line, -1)),
        el("output", {}, String(line.quantity)),
        button("+", t("more", { dish: name }), () => this.#callbacks.step(line, 1), {
          disabled: soldOut || line.quantity >= MAX_OF_A_DISH,
        }),
      ),
    );
    // The row was drawn anew: the button that had the keyboard focus gets it back.
    element.querySelectorAll("button")[focused]?.focus();
    return { element, shown };
  }
}
