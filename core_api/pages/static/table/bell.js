// Calls the staff to the table, and shows whether somebody has answered.

import { byId, setText } from "../shared/dom.js";
import { LANGUAGES, t, textIn } from "../shared/language.js";
import { ask } from "./ask.js";

const REASONS = ["bellHelp", "bellWater", "bellPay"];

/** The table's call bell, by the document `bell`. */
export class Bell {
  #bell;
  #answered;
  #wasRinging = false;

  /** @param answered (text): told when the staff has answered */
  constructor(bell, answered) {
    this.#bell = bell;
    this.#answered = answered;
    byId("call").addEventListener("click", () => this.#choose());
  }

  /** Rings; `about` is what it is about, after the reason. */
  ring(about = "", reason = "bellHelp") {
    // Whatever the guest reads, the staff reads both.
    const text = LANGUAGES.map((one) => textIn(reason, one)).join(" · ");
    return this.#bell.call("ring", { reason: about ? `${text} (${about})` : text });
  }

  show({ value, pending }, mode) {
    const { rung = 0, answered = 0 } = value ?? {};
    const isRinging = rung > answered;
    const state = byId("bell-state");
    state.hidden = !isRinging;
    // Until Core has it, nobody has been called.
    const calling = mode === "offline" ? "bellWaits" : "bellCalling";
    setText(state, isRinging ? t(pending > 0 ? calling : "bellRung") : "");
    setText(byId("call-text"), t("call"));
    const isAnswered = this.#wasRinging && !isRinging && Boolean(value);
    // Noted first: telling of it shows the page anew.
    this.#wasRinging = isRinging;
    if (isAnswered) this.#answered(t("bellAnswered"));
  }

  async #choose() {
    const choices = REASONS.map((value) => ({ value, text: t(value) }));
    const answer = await ask({ title: t("callTitle"), choices: [...choices, { value: "", text: t("close"), kind: "quiet" }] });
    if (answer !== null) this.ring("", answer.choice);
  }
}
