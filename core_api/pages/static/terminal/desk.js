// The desk: what the client tells and what the owner does, put together for the board.

import { Actions } from "../shared/actions.js";
import { byId, el, setText } from "../shared/dom.js";
import { follow, store, stored } from "../shared/follow.js";
import { clockTime, itemsLine, money, orderNumber } from "../shared/format.js";
import { onLanguage, statusText, t } from "../shared/language.js";
import { Lamp } from "../shared/lamp.js";
import { Ledger } from "../shared/ledger.js";
import { Outbox, unsent } from "../shared/outbox.js";
import { Bell } from "./bell.js";
import { Board } from "./board.js";
import { placeOf } from "./card.js";
import { askReason } from "./reason.js";
import { urgency, wantsReason } from "./steps.js";

const AGE_EVERY_MS = 1_000;
const REMIND_EVERY_MS = 20_000;
const TOAST_MS = 12_000;
const MOST_TOASTS = 4;

/** One owner's terminal, from signing in to signing out. */
export class Desk {
  #session;
  #stores;
  #ended;
  #lamp = new Lamp(byId("lamp"));
  #board;
  #ledger;
  #bell;
  #actions;
  #outbox;
  #following;
  #status = { mode: "starting", certainAt: null, skewMs: 0, lastError: null, cause: null };
  #known = false;
  #remindedAt = 0;
  #closing = new AbortController();

  /** @param ended (name of a text or null) called once the token is refused */
  constructor({ session, stores }, ended) {
    this.#session = session;
    this.#stores = stores;
    this.#ended = ended;
  }

  start() {
    const { signal } = this.#closing;
    const channels = this.#stores.map((id) => `store:${id}`);
    const name = `yabam.desk.${this.#session.subject}.${[...channels].sort().join()}`;
    this.#board = new Board(byId("board"), byId("tabs"), (order, to) => this.#act(order, to));
    this.#ledger = new Ledger(stored(`${name}.closed`) ?? []);
    this.#bell = new Bell(name, () => this.#showSound());
    this.#following = follow({
      kind: "terminal",
      session: this.#session,
      channels,
      seen: (news) => this.#see(news, name),
    });
    this.#outbox = new Outbox((...command) => this.#following.transport.command(...command));
    this.#actions = new Actions({
      outbox: this.#outbox,
      told: {
        changed: () => this.#show(),
        answered: (order) => this.#answered(order),
        refused: (action, answer) => this.#refused(action, answer),
      },
      storage: unsent(`${name}.unsent`),
    });
    this.#bell.start();
    this.#actions.start();
    const ageing = setInterval(() => this.#age(), AGE_EVERY_MS);
    signal.addEventListener("abort", () => clearInterval(ageing));
    addEventListener("beforeunload", (event) => this.#actions.pending && event.preventDefault(), { signal });
    onLanguage(() => this.#show());
    this.#show();
  }

  get board() {
    return this.#board;
  }

  /** Whether something that was pressed is not sent yet. */
  get pending() {
    return this.#actions.pending;
  }

  toggleSound() {
    this.#bell.toggle();
  }

  close() {
    this.#closing.abort();
    this.#outbox.close();
    this.#following.close();
  }

  // ── what comes in ────────────────────────────────────────────────────────────────────────────

  #see({ orders, changes, status }, name) {
    const wasAway = this.#status.mode !== "live" && this.#status.mode !== "polling";
    this.#status = status;
    const wasKnown = this.#known;
    this.#known ||= status.certainAt !== null || orders.length > 0;
    this.#ledger.take({ orders, changes }, Date.now());
    if (changes.length > 0) store(`${name}.closed`, this.#ledger.closed);
    if (wasAway && (status.mode === "live" || status.mode === "polling")) this.#outbox.wake();
    if (status.mode === "failed") {
      this.#failed(status.cause);
      return;
    }
    const arrived = changes.filter((c) => c.kind === "added" && c.order.status === "placed");
    if (arrived.length > 0) this.#announce(arrived.map((change) => change.order));
    // After a reload the orders are there from the start, with no change to tell of.
    const ordersChanged = changes.length > 0 || !wasKnown;
    this.#show(new Set(arrived.map((change) => change.id)), ordersChanged);
  }

  #failed(cause) {
    if (cause?.kind === "unauthorized") this.#ended("tokenRefused");
    else if (cause?.kind === "refused") this.#ended("tokenRefused");
    else this.#show();
  }

  #announce(orders) {
    this.#bell.ring();
    this.#remindedAt = Date.now();
    const [order] = orders;
    const text =
      orders.length > 1
        ? t("announceMany", { count: orders.length })
        : t("announceNew", {
            place: placeOf(order),
            items: itemsLine(order),
            total: money(order.total, order.currency),
          });
    byId("announcer").textContent = text;
  }

  // ── what the owner does ──────────────────────────────────────────────────────────────────────

  async #act(order, to) {
    const reason = wantsReason(to) ? await askReason(order, to) : null;
    if (reason === undefined) return;
    this.#actions.add(this.#ledger.get(order.id) ?? order, to, reason);
    this.#show();
  }

  #answered(order) {
    this.#ledger.put(order, Date.now());
    this.#show();
  }

  #refused(action, answer) {
    if (answer.status === 401) {
      this.#ended("tokenRefused");
      return;
    }
    const order = answer.order ?? this.#ledger.get(action.id);
    this.#toast(order, explanation(action, answer, this.#ledger.get(action.id)));
    this.#show();
  }

  #toast(order, text) {
    const toasts = byId("toasts");
    const remove = () => toast.remove();
    const toast = el(
      "div",
      { class: "toast" },
      el(
        "div",
        {},
        order ? el("strong", {}, t("takenBack", { place: placeOf(order), number: orderNumber(order) })) : null,
        el("p", {}, text),
      ),
      el("button", { class: "button tool", type: "button", "aria-label": t("close"), onclick: remove }, "×"),
    );
    toasts.append(toast);
    while (toasts.children.length > MOST_TOASTS) toasts.firstElementChild.remove();
    setTimeout(remove, TOAST_MS);
  }

  // ── what is shown ────────────────────────────────────────────────────────────────────────────

  get #now() {
    return Date.now() + (this.#status.skewMs ?? 0);
  }

  #orders() {
    return this.#ledger.all().map((order) => this.#actions.shown(order));
  }

  #show(fresh = new Set(), ordersChanged = true) {
    this.#lamp.show(this.#status);
    this.#showFault();
    if (!ordersChanged && this.#known) return;
    const orders = this.#orders();
    const showStore = this.#stores.length > 1;
    this.#board.show(orders, { now: this.#now, showStore, fresh, known: this.#known });
    const count = orders.filter((order) => order.status === "placed").length;
    document.title = count > 0 ? t("titleNew", { count }) : t("title");
    setText(byId("store-name"), this.#stores.map((id) => t("store", { store: id })).join(", "));
    this.#showSound();
  }

  #showFault() {
    const { mode, certainAt, lastError } = this.#status;
    const time = certainAt === null ? null : clockTime(certainAt);
    const text = {
      polling: () => t("faultPolling"),
      offline: () => (time === null ? t("faultOfflineNever") : t("faultOffline", { time })),
      failed: () => t("faultFailed", { detail: lastError ?? "" }),
    }[mode]?.();
    byId("fault").hidden = text === undefined;
    byId("fault").dataset.mode = mode;
    setText(byId("fault"), text ?? "");
  }

  #showSound() {
    const { wanted, blocked } = this.#bell;
    const button = byId("sound");
    setText(button, t(!wanted ? "soundOff" : blocked ? "soundBlocked" : "soundOn"));
    button.setAttribute("aria-pressed", String(wanted && !blocked));
    byId("sound-hint").hidden = !blocked;
    setText(byId("sound-hint"), t("soundHint"));
  }

  #age() {
    this.#board.age(this.#now);
    this.#lamp.show(this.#status);
    const late = this.#orders().some(
      (order) =>
        order.status === "placed" && urgency(order, this.#now - Date.parse(order.created_at)) !== "calm",
    );
    if (late && Date.now() - this.#remindedAt > REMIND_EVERY_MS) {
      this.#remindedAt = Date.now();
      this.#bell.ring();
    }
  }
}

/** Why Core refused, for the owner. `order` is as it stands now, if known. */
function explanation(action, { problem, detail }, order) {
  if (problem === "stale-version" || problem === "impossible-transition") {
    const moved = problem === "impossible-transition" || (order && order.status !== action.seen);
    return moved && order
      ? t("refusedFirst", { status: statusText(order.status) })
      : t("refusedChanged");
  }
  if (problem === "not-found") return t("refusedGone");
  if (problem === "forbidden") return t("refusedForbidden");
  return t("refusedOther", { detail: detail ?? problem ?? "" });
}
