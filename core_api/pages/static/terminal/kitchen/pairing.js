// Shows a code in the kitchen's panel, with which a new tablet signs in.

import { el } from "../../shared/dom.js";
import { t } from "../../shared/language.js";

/** The part of the panel for one store. */
export class PairingPart {
  #store;
  #offer;
  #show;
  #code = null;
  #failed = false;
  #timer = null;

  /**
   * @param store the store's id
   * @param offer () → a promise of {code, expires_in_s}, or of null
   * @param show draws the panel again
   */
  constructor(store, offer, show) {
    this.#store = store;
    this.#offer = offer;
    this.#show = show;
  }

  part() {
    const code = this.#code;
    const shown = code === null ? null : `${code.slice(0, 3)} ${code.slice(3)}`;
    return el("section", { class: "panel-part", "data-part": "pairing" }, el("h3", {}, t("pairTitle")),
      el("p", { class: "quiet" }, t(code === null ? "pairLead" : "pairHow", { store: this.#store })),
      shown === null ? null : el("output", { class: "code" }, shown),
      this.#failed ? el("p", { class: "error", role: "alert" }, t("pairNoCode")) : null,
      el("button", { id: `pair-${this.#store}`, class: "button wide", type: "button", onclick: () => this.#ask() },
        t(code === null ? "pairShow" : "pairAnother")));
  }

  async #ask() {
    clearTimeout(this.#timer);
    const offered = await this.#offer();
    this.#code = offered?.code ?? null;
    this.#failed = offered === null;
    if (offered !== null) this.#timer = setTimeout(() => this.#forget(), offered.expires_in_s * 1000);
    this.#show();
  }

  #forget() {
    this.#code = null;
    this.#show();
  }
}
