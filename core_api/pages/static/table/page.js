// The guest's page: what was ordered and how far it has come, the menu, and one cart for all phones of the table.

import { Actions } from "../shared/actions.js";
import { Credentials } from "../shared/sign_in/credentials.js";
import { byId, el, setText } from "../shared/dom.js";
import { money, orderNumber } from "../shared/format.js";
import { onLanguage, t } from "../shared/language.js";
import { Lamp } from "../shared/lamp.js";
import { Ledger } from "../shared/ledger.js";
import { Outbox, unsent } from "../shared/outbox.js";
import { Renewal } from "../shared/sign_in/renewal.js";
import { refusalOf } from "../shared/sign_in/session.js";
import { losesData, ofBrowser } from "../shared/storage.js";
import { ask } from "./ask.js";
import { Bell } from "./bell.js";
import { Bill } from "./cart/bill.js";
import { TableCart } from "./cart/table_cart.js";
import { followTable, partyHasLeft } from "./following.js";
import { loadMenu, Menu } from "./menu.js";
import { Orders, lineOf, summaryOf } from "./orders.js";
import { ReadyNotice } from "./ready.js";
import { shopOf } from "./shop.js";
import { refusalText } from "./texts.js";

const TOAST_MS = 10_000;
const CONFIRMED_MS = 12_000;
const LOOK_EVERY_MS = 15_000;

/** The page of one guest. */
export class TablePage {
  #credentials;
  #leave;
  #lamp = new Lamp(byId("lamp"));
  #ledger;
  #table;
  #outbox;
  #actions;
  #renewal;
  #orders;
  #bill;
  #bell;
  #cart;
  #menu = null;
  #notice = new ReadyNotice(() => this.token);
  #status = { mode: "starting", certainAt: null, skewMs: null, lastError: null };
  #name;
  #confirmed = null;

  /**
   * @param session the guest's, as readToken returns it
   * @param kept the StoredSignIn that stores the token
   * @param leave (name of a text): ends the session on this page and says why
   */
  constructor(session, kept, leave) {
    this.#credentials = new Credentials(session);
    this.#leave = leave;
    this.#name = `yabam.guest.${session.subject}.${session.table}`;
    this.#ledger = new Ledger(ofBrowser.readJson(`${this.#name}.closed`) ?? []);
    const credentials = this.#credentials;
    this.#table = followTable({ credentials, seen: (news) => this.#see(news) });
    const { transport, channels } = this.#table;
    this.#outbox = new Outbox((...command) => transport.command(...command), credentials);
    this.#actions = new Actions({
      outbox: this.#outbox,
      callbacks: {
        changed: () => this.show(),
        answered: (order) => this.#answered(order),
        refused: () => this.#toast(t("cancelRefused")),
      },
      storage: unsent(`${this.#name}.unsent`),
    });
    this.#renewal = new Renewal({
      ...{ credentials, stores: [], kept, name: this.#name },
      check: (token) => transport.check(token, channels),
      clock: () => this.#coreTime,
    });
    this.#bell = new Bell(this.#table.bell, (text) => this.#toast(text, "good"));
    this.#bill = new Bill((ways) => this.#table.bill.merge({ ways }));
    this.#orders = new Orders({
      cancel: (order) => this.#takeBack(order),
      call: (order) => this.#bell.ring(`#${orderNumber(order)}`),
    });
    this.#cart = new TableCart({
      table: this.#table,
      session,
      outbox: this.#outbox,
      callbacks: {
        changed: () => this.show(),
        placed: (order) => this.#placed(order),
        refused: (answer) => this.#toast(answer ? refusalText(answer) : t("cartChanged")),
      },
    });
  }

  start() {
    const { party, cart, bell, bill, soldOut, waitingTime, takingOrders } = this.#table;
    this.#table.state.subscribe([cart, bell, bill, soldOut, waitingTime, takingOrders], () => this.show());
    party.subscribe(() => this.#checkParty(), "/number");
    this.#credentials.onChange(() => {
      this.#refused();
      if (!this.#credentials.refused) this.#notice.again();
    });
    onLanguage(() => this.#notice.again());
    this.#renewal.start();
    this.#actions.start();
    this.#notice.start();
    byId("notices").addEventListener("click", () => this.#notice.toggle().then(() => this.show()));
    byId("storage").hidden = !losesData;
    setInterval(() => this.show(), LOOK_EVERY_MS);
    this.#openMenu();
    this.show();
    // `start` shows at once what the browser has stored, so all that shows it must exist by now.
    this.#table.start();
  }

  /** The guest's bearer token. */
  get token() {
    return this.#credentials.session.token;
  }

  /** Stops following, and stores nothing. Returns a promise of the client's end. */
  stop() {
    return this.#table.stop();
  }

  /**
   * Takes the token of a link that was opened in this tab. Returns a promise: false if the page must be reloaded with
   * it.
   */
  takeLink(token) {
    return this.#renewal.takeLink(token);
  }

  show() {
    const [, table] = this.#credentials.session.table.split("/");
    const { bell, bill, soldOut, waitingTime, takingOrders } = this.#table;
    const shop = shopOf({
      soldOut: soldOut.value,
      takingOrders: takingOrders.value,
      waitingTime: waitingTime.value,
    });
    this.#renewal.show();
    setText(byId("storage"), t("losesData"));
    setText(byId("table-name"), t("table", { table }));
    document.title = t("title", { table });
    this.#lamp.show(this.#status);
    const orders = this.#ledger.all().map((order) => this.#actions.shown(order));
    this.#orders.show(orders, this.#coreTime ?? Date.now(), shop.minutes);
    byId("no-orders").hidden = orders.length > 0 || this.#status.certainAt === null;
    setText(byId("no-orders"), t("noOrders"));
    this.#showShop(shop);
    this.#bell.show(bell, this.#status.mode);
    byId("notices").hidden = !this.#notice.isPossible || orders.length === 0;
    byId("notices").setAttribute("aria-pressed", String(this.#notice.isOn));
    if (this.#menu === null) return;
    this.#bill.show(orders, bill.value, this.#menu.currency);
    this.#cart.show(this.#menu, shop, { refused: this.#credentials.refused, mode: this.#status.mode });
  }

  #showShop({ isTaking, reason, minutes }) {
    const closed = byId("closed");
    closed.hidden = isTaking;
    setText(closed, isTaking ? "" : t(reason ? "notTakingBecause" : "notTaking", { reason }));
    byId("takes").hidden = minutes === null || !isTaking;
    setText(byId("takes"), minutes === null ? "" : t("takes", { minutes }));
  }

  async #openMenu() {
    const menu = await loadMenu(() => setText(byId("menu-fault"), t("menuFault")));
    setText(byId("menu-fault"), "");
    this.#menu = new Menu(menu, (dish, by) => this.#cart.step(dish, by));
    this.#cart.currency = this.#menu.currency;
    this.show();
  }

  #see({ orders, changes, status }) {
    const back = status.mode !== this.#status.mode && ["live", "polling"].includes(status.mode);
    this.#status = status;
    const before = new Map(this.#ledger.all().map((order) => [order.id, order.status]));
    this.#ledger.take({ orders, changes }, Date.now());
    if (changes.length > 0) ofBrowser.writeJson(`${this.#name}.closed`, this.#ledger.closed);
    if (back) this.#outbox.wake();
    const refused = ["unauthorized", "refused"].includes(status.cause?.kind);
    if (status.mode === "failed" && refused) this.#leave("tokenRefused");
    const changed = changes.filter(({ order, kind }) => order && kind !== "added").map(({ order }) => order);
    const newest = changed.at(-1);
    if (newest) {
      const line = lineOf(newest);
      byId("announcer").textContent = t("announce", { number: orderNumber(newest), line });
    }
    const ready = changed.filter(({ id, status: now }) => now === "ready" && before.get(id) !== "ready");
    if (ready.length > 0) this.#ready(ready);
    this.show();
  }

  #ready(orders) {
    const numbers = orders.map((order) => `#${orderNumber(order)}`).join(", ");
    const title = t("readyTitle", { numbers });
    this.#toast(title, "good");
    this.#notice.tell({ title, body: t("line_ready"), tag: `ready-${orderNumber(orders.at(-1))}` });
  }

  /** Core's time in milliseconds since 1970; null while it is not known. */
  get #coreTime() {
    return this.#status.skewMs == null ? null : Date.now() + this.#status.skewMs;
  }

  /**
   * Reacts to a change of the token. If Core refuses it before the page has shown anything, the guest is asked for a
   * code.
   */
  async #refused() {
    const { refused, session } = this.#credentials;
    const nothing = this.#status.certainAt === null && this.#ledger.all().length === 0;
    const idle = !this.#cart.isBusy && !this.#actions.pending;
    this.show();
    if (!refused) return;
    if (await partyHasLeft(session)) this.#leave("visitEnded");
    else if (nothing && idle) this.#leave(refusalOf(session, this.#coreTime ?? Date.now()));
  }

  /** Once the party has left, the page shows nothing of it and sends nothing more. */
  async #checkParty() {
    if (await partyHasLeft(this.#credentials.session)) this.#leave("visitEnded");
  }

  async #takeBack(order) {
    const choices = [
      { value: "keep", text: t("keepOrder") },
      { value: "cancel", text: t("takeBack"), kind: "danger" },
    ];
    const answer = await ask({ title: t("takeBackTitle"), lead: summaryOf(order), choices });
    if (answer?.choice === "cancel") this.#actions.add(order, "cancelled");
  }

  #answered(order) {
    this.#ledger.put(order, Date.now());
    this.show();
  }

  #placed(order) {
    this.#answered(order);
    const total = money(order.total, order.currency);
    const confirmation = byId("confirmation");
    clearTimeout(this.#confirmed);
    confirmation.hidden = false;
    confirmation.textContent = t("orderSent", { number: orderNumber(order), total });
    this.#confirmed = setTimeout(() => (confirmation.hidden = true), CONFIRMED_MS);
    this.#orders.reveal(order.id);
  }

  #toast(text, kind = "") {
    const toast = el("div", { class: `toast ${kind}` }, el("p", {}, text));
    byId("toasts").append(toast);
    setTimeout(() => toast.remove(), TOAST_MS);
    this.show();
  }
}
