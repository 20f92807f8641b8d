// The desk: what the client tells and what the owner does, put together for the board.

import { Actions } from "../shared/actions.js";
import { Credentials } from "../shared/credentials.js";
import { byId, el, setText } from "../shared/dom.js";
import { follow } from "../shared/follow.js";
import { clockTime, itemsLine, money, orderNumber } from "../shared/format.js";
import { onLanguage, t } from "../shared/language.js";
import { Lamp } from "../shared/lamp.js";
import { Ledger } from "../shared/ledger.js";
import { Outbox, unsent } from "../shared/outbox.js";
import { Renewal } from "../shared/renewal.js";
import { refusalOf } from "../shared/session.js";
import { statusText, wantsReason } from "../shared/statuses.js";
import { keepsNothing, ofBrowser } from "../shared/storage.js";
import { Bell } from "./bell.js";
import { Board } from "./board.js";
import { placeOf } from "./card.js";
import { askReason } from "./reason.js";
import { urgency } from "./steps.js";

const AGE_EVERY_MS = 1_000;
const REMIND_EVERY_MS = 20_000;
const TOAST_MS = 12_000;
const MOST_TOASTS = 4;

/** One owner's terminal, from signing in to signing out. */
export class Desk {
  #credentials;
  #stores;
  #kept;
  #ended;
  #lamp = new Lamp(byId("lamp"));
  #board;
  #ledger;
  #bell;
  #actions;
  #outbox;
  #following;
  #renewal;
  #status = { mode: "starting", certainAt: null, skewMs: null, lastError: null, cause: null };
  #known = false;
  #remindedAt = 0;
  #closing = new AbortController();

  /**
   * @param who {session, stores}, as signing in gives them
   * @param kept the Kept that holds the token
   * @param ended (name of a text) called when Core refuses the token and there is nothing to keep
   */
  constructor({ session, stores }, kept, ended) {
    this.#credentials = new Credentials(session);
    this.#stores = stores;
    this.#kept = kept;
    this.#ended = ended;
  }

  start() {
    const { signal } = this.#closing;
    const channels = this.#stores.map((id) => `store:${id}`);
    const credentials = this.#credentials;
    const name = `yabam.desk.${credentials.session.subject}.${[...channels].sort().join()}`;
    this.#board = new Board(byId("board"), byId("tabs"), (order, to) => this.#act(order, to));
    this.#ledger = new Ledger(ofBrowser.readJson(`${name}.closed`) ?? []);
    this.#bell = new Bell(name, () => this.#showSound());
    this.#following = follow({
      kind: "terminal",
      credentials,
      channels,
      seen: (news) => this.#see(news, name),
    });
    const { transport } = this.#following;
    this.#outbox = new Outbox((...command) => transport.command(...command), credentials);
    this.#actions = new Actions({
      outbox: this.#outbox,
      told: {
        changed: () => this.#show(),
        answered: (order) => this.#answered(order),
        refused: (action, answer) => this.#refused(action, answer),
      },
      storage: unsent(`${name}.unsent`),
    });
    this.#renewal = new Renewal({
      credentials,
      stores: this.#stores,
      check: (token) => transport.check(token, channels),
      clock: () => this.#coreTime,
      kept: this.#kept,
      name,
    });
    credentials.onChange(() => this.#leaveIfNew());
    this.#bell.start();
    this.#renewal.start();
    this.#actions.start();
    const ageing = setInterval(() => this.#age(), AGE_EVERY_MS);
    signal.addEventListener("abort", () => clearInterval(ageing));
    addEventListener("beforeunload", (event) => this.#actions.pending && event.preventDefault(), { signal });
    onLanguage(() => {
      this.#renewal.show();
      this.#show();
    });
    byId("storage").hidden = !keepsNothing;
    this.#show();
    // What the browser kept is shown at once, so all that shows it must be there.
    this.#following.start();
  }

  get board() {
    return this.#board;
  }

  /** Whether something that was pressed is not sent yet. */
  get pending() {
    return this.#actions.pending;
  }

  /** A link was opened in this tab: whether it goes on here, or the page must be loaded anew. */
  takeLink(token) {
    return this.#renewal.takeLink(token);
  }

  toggleSound() {
    this.#bell.toggle();
  }

  close() {
    this.#closing.abort();
    this.#outbox.close();
    this.#renewal.close();
    this.#following.close();
  }

  // ── what comes in ────────────────────────────────────────────────────────────────────────────

  #see({ orders, changes, status }, name) {
    const wasAway = this.#status.mode !== "live" && this.#status.mode !== "polling";
    this.#status = status;
    const wasKnown = this.#known;
    this.#known ||= status.certainAt !== null || orders.length > 0;
    this.#ledger.take({ orders, changes }, Date.now());
    if (changes.length > 0) ofBrowser.writeJson(`${name}.closed`, this.#ledger.closed);
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
    if (["unauthorized", "refused"].includes(cause?.kind)) this.#ended("tokenRefused");
    else this.#show();
  }

  /** A token that Core refuses from the start is asked for where one signs in. */
  #leaveIfNew() {
    const { refused, session } = this.#credentials;
    if (refused && !this.#known && !this.pending) this.#ended(refusalOf(session, this.#now));
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

  /** Core's time in milliseconds since 1970; null while it is not known. */
  get #coreTime() {
    return this.#status.skewMs === null ? null : Date.now() + this.#status.skewMs;
  }

  get #now() {
    return this.#coreTime ?? Date.now();
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
    const signedOut = this.#credentials.refused;
    const time = certainAt === null ? null : clockTime(certainAt);
    const text = {
      polling: () => t("faultPolling"),
      offline: () => (time === null ? t("faultOfflineNever") : t("faultOffline", { time })),
      failed: () => t("faultFailed", { detail: lastError ?? "" }),
    }[mode]?.();
    // That one has to sign in again is said by the strip that offers it.
    byId("fault").hidden = text === undefined || signedOut;
    byId("fault").dataset.mode = mode;
    setText(byId("fault"), text ?? "");
    setText(byId("storage"), t("keepsNothing"));
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
