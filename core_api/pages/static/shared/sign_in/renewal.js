// Renews the sign-in without leaving the page: warns before the token expires, takes the next token, and passes it to
// the other tabs.
//
// The board, unsent actions, the sound and the language stay as they are. A token is taken only if it is of the same
// person and Core accepts it: a wrong token never replaces a good one.

import { noticeOf } from "./credentials.js";
import { byId, el, setText } from "../dom.js";
import { language, t } from "../language.js";
import { TokenError, isSuccessor, readToken, tokenIn } from "./session.js";

const LOOK_EVERY_MS = 1_000;
/**
 * Core is asked for the next token this many milliseconds before the current one expires. Nobody is warned before
 * that.
 */
const AHEAD_MS = 15 * 60_000;
const ASK_EVERY_MS = 60_000;

/** Shows in #session when the sign-in ends, and asks for the next token in a dialog. */
export class Renewal {
  #credentials;
  #stores;
  #check;
  #clock;
  #kept;
  #tabs = null;
  #timer = null;
  #announced = null;
  #next;
  #askedAt = -Infinity;
  #dialog = new Dialog((text) => this.take(text));
  #text = el("span");
  #button = el("button", { class: "button", type: "button", onclick: () => this.#dialog.open() });
  #spoken = el("p", { class: "spoken", role: "status", "aria-live": "polite" });

  /**
   * @param credentials the Credentials to renew
   * @param stores the ids of the stores that the page follows; the next token must be good for them
   * @param check (token) → a promise of "taken", "refused" or "unreachable"
   * @param clock () → Core's time in milliseconds since 1970, or null
   * @param kept the StoredSignIn that stores the token
   * @param name the name that the tabs of this person share
   * @param next (token) → a promise of the token that follows, or of null: Core gives none
   */
  constructor({ credentials, stores, check, clock, kept, name, next = async () => null }) {
    this.#next = next;
    this.#credentials = credentials;
    this.#stores = stores;
    this.#check = check;
    this.#clock = clock;
    this.#kept = kept;
    try {
      this.#tabs = new BroadcastChannel(`${name}.token`);
    } catch {
      // Without this channel each tab asks for its own token.
    }
  }

  start() {
    byId("session").replaceChildren(this.#text, this.#button);
    document.body.append(this.#spoken, this.#dialog.element);
    this.#credentials.onChange(() => this.show());
    if (this.#tabs) this.#tabs.onmessage = ({ data }) => this.#receive(data);
    this.#post();
    this.#timer = setInterval(() => {
      this.show();
      this.#askAhead();
    }, LOOK_EVERY_MS);
    this.show();
  }

  close() {
    clearInterval(this.#timer);
    this.#tabs?.close();
  }

  /** Shows how long the sign-in lasts, and announces it to screen readers when the warning changes. */
  show() {
    const { session, refused } = this.#credentials;
    const now = this.#clock();
    const notice = noticeOf({ expiresAt: session.expiresAt, now, refused });
    const strip = byId("session");
    strip.hidden = notice === null;
    strip.dataset.mode = notice === "ended" ? "failed" : "polling";
    if (notice !== null) {
      const minutes = Math.ceil((session.expiresAt - now) / 60_000);
      setText(this.#text, t(`session_${notice}`, { minutes }));
      setText(this.#button, t("renew"));
      if (notice !== this.#announced) setText(this.#spoken, this.#text.textContent);
    }
    this.#announced = notice;
  }

  /**
   * Takes the token of a link that was opened in this tab. Returns a promise: false if the page must be reloaded with
   * the link, because the token is of another person or role.
   */
  async takeLink(text) {
    const problem = await this.take(text);
    if (problem === "renewOther" || problem === "tokenRole") return false;
    if (problem !== null) this.#dialog.open(text, problem);
    return true;
  }

  /**
   * Takes the token that a text contains, and announces it to screen readers. Returns a promise of null, or of the
   * name of a text that says why it was not taken.
   */
  async take(text) {
    const problem = await this.#take(text);
    if (problem === null) setText(this.#spoken, t("renewed"));
    return problem;
  }

  async #take(text) {
    try {
      const before = this.#credentials.session;
      const session = readToken(tokenIn(text), before.role);
      if (!isSuccessor(before, session, this.#stores)) return "renewOther";
      const result = await this.#check(session.token);
      if (result !== "taken") return result === "refused" ? "tokenRefused" : "renewUnreachable";
      this.#kept.renew(before.token, session.token);
      this.#credentials.renew(session);
    } catch (problem) {
      if (!(problem instanceof TokenError)) throw problem;
      return problem.message;
    }
    this.#post();
    return null;
  }

  /** Asks Core for the next token while this one is good, so that nobody has to sign in again. */
  async #askAhead() {
    const { session, refused } = this.#credentials;
    const now = this.#clock();
    const isTime = now !== null && session.expiresAt - now <= AHEAD_MS && session.expiresAt > now;
    if (refused || !isTime || performance.now() - this.#askedAt < ASK_EVERY_MS) return;
    this.#askedAt = performance.now();
    const token = await this.#next(session.token);
    if (token === null) return;
    const { expiresAt } = readToken(token, session.role);
    if (expiresAt > this.#credentials.session.expiresAt) await this.#take(token);
  }

  #post() {
    this.#tabs?.postMessage(this.#credentials.session.token);
  }

  /** Another tab has a token of this person: all tabs use the one that expires later. */
  #receive(token) {
    const { session, refused } = this.#credentials;
    if (token === session.token) return;
    const { expiresAt } = readToken(token, session.role);
    if (expiresAt > session.expiresAt) this.take(token);
    else if (expiresAt < session.expiresAt && !refused) this.#post();
  }
}

/** The dialog that asks for a token. */
class Dialog {
  #title = el("h2", { id: "renew-title" });
  #lead = el("p", { class: "quiet" });
  #label = el("label", { for: "renew-token" });
  #token = el("textarea", {
    id: "renew-token",
    rows: "4",
    autocomplete: "off",
    autocapitalize: "off",
    spellcheck: "false",
    "aria-describedby": "renew-error",
  });
  #error = el("p", { id: "renew-error", class: "error", role: "alert" });
  #back = el("button", { class: "button", type: "button", onclick: () => this.element.close() });
  #send = el("button", { class: "button main", type: "submit" });
  element = el(
    "dialog",
    { id: "renew", class: "sheet", "aria-labelledby": "renew-title" },
    el(
      "form",
      { novalidate: true, onsubmit: (event) => this.#submit(event) },
      this.#title,
      this.#lead,
      this.#label,
      this.#token,
      this.#error,
      el("div", { class: "row" }, this.#back, this.#send),
    ),
  );
  #take;

  /**
   * @param take (text) → a promise of null if the token was taken, otherwise of the name of a text that says why not
   */
  constructor(take) {
    this.#take = take;
  }

  open(text = "", problem = null) {
    setText(this.#title, t("renewTitle"));
    setText(this.#lead, t("renewLead"));
    setText(this.#label, t("renewToken"));
    setText(this.#back, t("renewLater"));
    setText(this.#send, t("renew"));
    setText(this.#error, problem === null ? "" : t(problem));
    this.element.lang = language();
    this.#token.value = text;
    if (!this.element.open) this.element.showModal();
    this.#token.focus();
  }

  async #submit(event) {
    event.preventDefault();
    setText(this.#error, "");
    this.#send.disabled = true;
    const problem = await this.#take(this.#token.value);
    this.#send.disabled = false;
    if (problem !== null) {
      setText(this.#error, t(problem));
      return;
    }
    this.#token.value = "";
    this.element.close();
  }
}
