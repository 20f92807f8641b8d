// The menu: what can be ordered, what is sold out, and how many of each dish are in the cart.

import { byId, el, setText } from "../shared/dom.js";
import { money } from "../shared/format.js";
import { language, t } from "../shared/language.js";
import { MAX_OF_A_DISH, countOf, nameOf } from "./cart/predictions_and_sums.js";

const AGAIN_MS = 3_000;

/**
 * Loads the menu, and retries until it is there; `failed` is called after each failed try. Returns a promise of the
 * menu.
 */
export async function loadMenu(failed) {
  for (;;) {
    try {
      const answer = await fetch("/static/table/menu.json");
      if (answer.ok) return await answer.json();
    } catch {
      // No network: retried below, as after an error.
    }
    failed();
    await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
  }
}

/** The menu, with a stepper for each dish. */
export class Menu {
  #menu;
  #step;
  #rows = new Map();
  #shown = null;

  /**
   * @param menu the content of menu.json
   * @param step (dish, by): called with 1 or -1 when a button is pressed
   */
  constructor(menu, step) {
    this.#menu = menu;
    this.#step = step;
    this.dishes = new Map(menu.sections.flatMap(({ dishes }) => dishes.map((dish) => [dish.id, dish])));
  }

  get currency() {
    return this.#menu.currency;
  }

  /** The name of a cart line's dish in the current language. */
  nameOf({ dish, name }) {
    return this.dishes.get(dish)?.name[language() === "ko" ? 0 : 1] ?? name;
  }

  /**
   * Shows the menu.
   *
   * @param lines of the cart, as linesOf returns them
   * @param phone this phone's id. The steppers count its lines; those of other phones are listed below the dish
   * @param shop as shopOf returns it
   */
  show(lines, phone, shop) {
    if (this.#shown !== language()) this.#build();
    for (const [id, row] of this.#rows) {
      const dish = this.dishes.get(id);
      const own = lines.filter((line) => line.dish === id && line.phone === phone);
      const others = lines.filter((line) => line.dish === id && line.phone !== phone);
      const soldOut = shop.isSoldOut(id, [...dish.name, nameOf(dish)]);
      const count = countOf(own);
      setText(row.many, count === 0 ? "" : String(count));
      row.element.classList.toggle("chosen", count > 0);
      row.element.classList.toggle("sold-out", soldOut);
      row.less.hidden = count === 0;
      row.more.disabled = soldOut || count >= MAX_OF_A_DISH;
      row.mark.hidden = !soldOut;
      const named = others.map(({ by, quantity }) => `${by || "–"} ${quantity}`).join(", ");
      row.others.hidden = others.length === 0;
      setText(row.others, others.length === 0 ? "" : t("others", { names: named }));
    }
  }

  #build() {
    this.#shown = language();
    this.#rows.clear();
    const n = language() === "ko" ? 0 : 1;
    byId("menu").replaceChildren(
      ...this.#menu.sections.flatMap(({ name, dishes }) => [
        el("h3", {}, name[n]),
        el("ul", { class: "dishes", role: "list" }, dishes.map((dish) => this.#row(dish, n))),
      ]),
    );
  }

  #row(dish, n) {
    const many = el("output", { "aria-live": "polite" });
    const less = this.#button("−", t("less", { dish: dish.name[n] }), () => this.#step(dish, -1));
    const more = this.#button("+", t("more", { dish: dish.name[n] }), () => this.#step(dish, 1));
    const mark = el("span", { class: "badge", "data-tone": "refused", hidden: true }, t("soldOut"));
    const others = el("p", { class: "others", hidden: true });
    const element = el(
      "li",
      { class: "dish", "data-dish": dish.id },
      el(
        "div",
        { class: "about" },
        el("p", { class: "name" }, el("strong", {}, dish.name[n]), mark),
        dish.about[n] ? el("p", { class: "quiet" }, dish.about[n]) : null,
        el("p", { class: "price" }, money(dish.price, this.currency)),
        others,
      ),
      el("div", { class: "stepper" }, less, many, more),
    );
    this.#rows.set(dish.id, { element, many, less, more, mark, others });
    return element;
  }

  #button(text, label, press) {
    return el("button", { class: "button", type: "button", "aria-label": label, onclick: press }, text);
  }
}
