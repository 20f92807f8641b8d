// The menu, and what the guest has chosen from it.

import { byId, el, setText } from "../shared/dom.js";
import { money } from "../shared/format.js";
import { language, t } from "../shared/language.js";

const MOST = 20;
const AGAIN_MS = 3_000;

/** Loads the menu, trying until it is there; `failed` is called after each try without it. */
export async function loadMenu(failed) {
  for (;;) {
    try {
      const answer = await fetch("/static/table/menu.json");
      if (answer.ok) return await answer.json();
    } catch {
      // No network: as below.
    }
    failed();
    await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
  }
}

/** The menu with a stepper for each dish; `changed` is called when the choice does. */
export class Menu {
  #menu;
  #chosen;
  #changed;
  #dishes;

  /** @param chosen {dish id: how many}, of before a reload */
  constructor(menu, chosen, changed) {
    this.#menu = menu;
    this.#dishes = menu.sections.flatMap((section) => section.dishes);
    const known = new Set(this.#dishes.map((dish) => dish.id));
    this.#chosen = new Map(Object.entries(chosen).filter(([id]) => known.has(id)));
    this.#changed = changed;
  }

  get chosen() {
    return Object.fromEntries(this.#chosen);
  }

  get currency() {
    return this.#menu.currency;
  }

  /** How many dishes are chosen. */
  get count() {
    return [...this.#chosen.values()].reduce((sum, many) => sum + many, 0);
  }

  get total() {
    return this.#dishes.reduce((sum, { id, price }) => sum + price * (this.#chosen.get(id) ?? 0), 0);
  }

  /** The items of an order. */
  get items() {
    return this.#dishes
      .filter(({ id }) => this.#chosen.has(id))
      .map(({ id, name, price }) => ({
        name: name.join(" "),
        quantity: this.#chosen.get(id),
        unit_price: price,
      }));
  }

  choose(chosen) {
    this.#chosen = new Map(Object.entries(chosen));
    this.show();
  }

  show() {
    const n = language() === "ko" ? 0 : 1;
    byId("menu").replaceChildren(
      ...this.#menu.sections.flatMap(({ name, dishes }) => [
        el("h3", {}, name[n]),
        el("ul", { class: "dishes" }, dishes.map((dish) => this.#row(dish, n))),
      ]),
    );
  }

  #row(dish, n) {
    const many = el("output", { "aria-live": "polite" });
    const less = this.#button("−", t("less", { dish: dish.name[n] }), () => step(-1));
    const more = this.#button("+", t("more", { dish: dish.name[n] }), () => step(1));
    const row = el(
      "li",
      { class: "dish", "data-dish": dish.id },
      el(
        "div",
        {},
        el("strong", {}, dish.name[n]),
        dish.about[n] ? el("p", { class: "quiet" }, dish.about[n]) : null,
        el("p", { class: "price" }, money(dish.price, this.currency)),
      ),
      el("div", { class: "stepper" }, less, many, more),
    );
    const show = () => {
      const count = this.#chosen.get(dish.id) ?? 0;
      setText(many, count === 0 ? "" : String(count));
      row.classList.toggle("chosen", count > 0);
      less.hidden = count === 0;
      more.disabled = count >= MOST;
    };
    const step = (by) => {
      const count = (this.#chosen.get(dish.id) ?? 0) + by;
      if (count > 0) this.#chosen.set(dish.id, count);
      else this.#chosen.delete(dish.id);
      show();
      this.#changed();
    };
    show();
    return row;
  }

  #button(text, label, press) {
    return el("button", { class: "button", type: "button", "aria-label": label, onclick: press }, text);
  }
}
