// What the table has to pay, and how its guests split it: the same on all their phones.

import { byId, el, setText } from "../../shared/dom.js";
import { money } from "../../shared/format.js";
import { t } from "../../shared/language.js";
import { billOf, partsOf } from "./predictions_and_sums.js";

const MAX_WAYS = 20;

/** The bill; `split` (ways) is called when a guest changes how many parts it is split into. */
export class Bill {
  #ways = 1;
  #split;

  constructor(split) {
    this.#split = split;
    byId("fewer-ways").addEventListener("click", () => this.#change(-1));
    byId("more-ways").addEventListener("click", () => this.#change(1));
  }

  /**
   * Shows the bill.
   *
   * @param orders of the table
   * @param value the value of the document `bill`; null: there is none
   * @param currency its ISO 4217 code
   */
  show(orders, value, currency) {
    const { open, paid, people, together } = billOf(orders, value?.shares);
    const amount = (sum) => money(sum, currency);
    this.#ways = value?.ways ?? 1;
    byId("bill").hidden = open + paid === 0;
    setText(byId("bill-title"), t("bill", { total: amount(open) }));
    byId("bill-paid").hidden = paid === 0;
    setText(byId("bill-paid"), t("billPaid", { total: amount(paid) }));
    setText(byId("ways"), t("ways", { count: this.#ways }));
    byId("fewer-ways").disabled = this.#ways <= 1;
    byId("more-ways").disabled = this.#ways >= MAX_WAYS;
    setText(byId("bill-parts"), this.#ways === 1 ? "" : this.#parts(open, amount));
    const rows = together > 0 && people.length > 0 ? [...people, [t("billTogether"), together]] : people;
    byId("bill-people-title").hidden = rows.length === 0;
    byId("bill-people").replaceChildren(
      ...rows.map(([name, sum]) => el("div", {}, el("dt", { dir: "auto" }, name), el("dd", {}, amount(sum)))),
    );
  }

  #parts(open, amount) {
    const counts = new Map();
    for (const part of partsOf(open, this.#ways)) counts.set(part, (counts.get(part) ?? 0) + 1);
    return [...counts].map(([part, many]) => `${many} × ${amount(part)}`).join(" + ");
  }

  #change(by) {
    this.#split(Math.min(Math.max(this.#ways + by, 1), MAX_WAYS));
  }
}
