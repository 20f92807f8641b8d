// Shows on which devices and printers an order is, as far as Core knows. A person opens the list with a button.

import { el, setText } from "./dom.js";
import { fetchCore } from "./core/fetch_core.js";
import { clockTime } from "./format.js";
import { addTexts, t } from "./language.js";

const AGAIN_MS = 3_000;

addTexts({
  where: ["어디에 있나요?", "Where is it?"],
  whereNowhere: ["아직 어느 기기에도 없습니다.", "On no device yet."],
  whereUnknown: ["서버에 물어보지 못했습니다.", "The server could not be asked."],
  whereHere: ["이 기기", "This device"],
  reach_seen: ["봄 {time}", "seen at {time}"],
  reach_received: ["받음", "received"],
  reach_sent: ["보냄", "sent"],
  reach_waiting: ["연결 안 됨", "not connected"],
  reach_printed: ["인쇄됨 {time}", "printed at {time}"],
  reach_queued: ["인쇄 대기", "waits to be printed"],
  reach_sentToPrinter: ["프린터로 보냄", "sent to the printer"],
  reach_doubtful: ["인쇄됐는지 모름", "perhaps printed"],
  reach_failed: ["인쇄 안 됨", "not printed"],
});

/**
 * Asks Core on which devices an order is: `GET /v1/orders/{id}/devices`.
 *
 * @param id the order's id
 * @param token the bearer token
 * @returns a promise of the answer's body
 * @throws Error Core does not answer, or answers with an error
 */
async function reachOf(id, token) {
  const answer = await fetchCore(`/v1/orders/${encodeURIComponent(id)}/devices`, token);
  if (!answer.ok) throw new Error(`Core answers ${answer.status}`);
  return answer.json();
}

/** The buttons and lists of many orders. Each order keeps its elements, so that an open list stays open. */
export class ReachLines {
  #lines = new Map();
  #token;
  #own;

  /**
   * @param token () → the bearer token
   * @param own this device's name, or null
   */
  constructor(token, own = null) {
    this.#token = token;
    this.#own = own;
  }

  /** The order's {button, list}, in the current language. */
  of(id) {
    const line = this.#lines.get(id) ?? new ReachLine(id, this.#token, this.#own);
    this.#lines.set(id, line);
    line.translate();
    return line;
  }

  /** Removes the buttons and lists of all other orders; `ids` is a Set. */
  keep(ids) {
    for (const [id, line] of this.#lines) {
      if (ids.has(id)) continue;
      line.close();
      this.#lines.delete(id);
    }
  }
}

/** A button and a list that show where an order is. While the list is open, it is kept up to date. */
class ReachLine {
  /** Opens and closes the list. */
  button;
  list = el("ul", { class: "reach-list", role: "list", "aria-live": "polite", hidden: true });
  #id;
  #token;
  #own;
  /** Ends the requests of the open list; null: it is closed. */
  #opened = null;

  constructor(id, token, own) {
    this.#id = id;
    this.#token = token;
    this.#own = own;
    this.button = el("button", {
      class: "reach", type: "button", "aria-expanded": "false", onclick: () => this.#toggle(),
    }, el("span", {}));
  }

  /** Shows the button in the current language. */
  translate() {
    setText(this.button.firstChild, t("where"));
  }

  /** Closes the list, and stops asking. */
  close() {
    this.#opened?.abort();
    this.#opened = null;
    this.list.hidden = true;
    this.list.replaceChildren();
    this.button.setAttribute("aria-expanded", "false");
  }

  #toggle() {
    if (this.#opened !== null) {
      this.close();
      return;
    }
    this.button.setAttribute("aria-expanded", "true");
    this.list.hidden = false;
    this.#opened = new AbortController();
    this.#ask(this.#opened.signal);
  }

  async #ask(signal) {
    while (!signal.aborted) {
      const rows = await this.#rows();
      if (signal.aborted) return;
      // Screen readers speak each change of a live region, so an equal list is not replaced.
      if (textOf(rows) !== textOf([...this.list.children])) this.list.replaceChildren(...rows);
      await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
    }
  }

  async #rows() {
    try {
      const { devices, printers } = await reachOf(this.#id, this.#token());
      const rows = [...devices.map((one) => this.#deviceRow(one)), ...printers.map((one) => printerRow(one))];
      return rows.length > 0 ? rows : [el("li", {}, t("whereNowhere"))];
    } catch {
      return [el("li", {}, t("whereUnknown"))];
    }
  }

  #deviceRow({ device, state, seen_at: seenAt }) {
    const name = device === this.#own ? t("whereHere") : device;
    return row(name, state, t(`reach_${state}`, { time: timeOf(seenAt) }));
  }
}

const textOf = (rows) => rows.map((one) => one.textContent).join("\n");

function printerRow({ device, state, printed_at: printedAt }) {
  const name = state === "sent" ? "reach_sentToPrinter" : `reach_${state}`;
  return row(device, state, t(name, { time: timeOf(printedAt) }));
}

const timeOf = (at) => (at === null ? "" : clockTime(Date.parse(at)));

const row = (name, state, text) =>
  el("li", { "data-state": state }, el("span", { class: "reach-name", dir: "auto" }, name), el("span", {}, text));
