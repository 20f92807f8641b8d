// Calls the staff to the table, and shows whether somebody has answered.

import { byId, setText } from "../shared/dom.js";
import { LANGUAGES, t, textIn } from "../shared/language.js";
import { ask } from "./ask.js";

const REASONS = ["bellHelp", "bellWater", "bellPay"];

/** The table's call bell, which is kept in the document `bell`. */
export class Bell {
  #bell;
  #answered;
  #wasRinging = false;

  /**
   * @param bell the document
   * @param answered (text): called when the staff has answered
   */
  constructor(bell, answered) {
    this.#bell = bell;
    this.#answered = answered;
    byId("call").addEventListener("click", () => this.#choose());
  }

  /**
   * Calls the staff to the table.
   *
   * @param about what the call is about, after the reason; empty: nothing more
   * @param reason the name of a text
   * @returns a promise of the edit
   */
  ring(about = "", reason = "bellHelp") {
    // The staff reads the reason in both languages, whichever the guest reads.
    const text = LANGUAGES.map((one) => textIn(reason, one)).join(" · ");
    return this.#bell.call("ring", { reason: about ? `${text} (${about})` : text });
  }

  /**
   * Shows whether the staff was called, and reports an answer.
   *
   * @param bell the document: its `value`, and how many edits are `pending`
   * @param mode how the page receives events, as the client's status has it
   */
  show({ value, pending }, mode) {
    const { rung = 0, answered = 0 } = value ?? {};
    const isRinging = rung > answered;
    const state = byId("bell-state");
    state.hidden = !isRinging;
    // Until Core has the edit, nobody has been called.
    const calling = mode === "offline" ? "bellWaits" : "bellCalling";
    setText(state, isRinging ? t(pending > 0 ? calling : "bellRung") : "");
    setText(byId("call-text"), t("call"));
    const isAnswered = this.#wasRinging && !isRinging && Boolean(value);
    // Set before the callback, because that shows the page again.
    this.#wasRinging = isRinging;
    if (isAnswered) this.#answered(t("bellAnswered"));
  }

  async #choose() {
    const choices = REASONS.map((value) => ({ value, text: t(value) }));
    const answer = await ask({ title: t("callTitle"), choices: [...choices, { value: "", text: t("close"), kind: "quiet" }] });
    if (answer !== null) this.ring("", answer.choice);
  }
}
