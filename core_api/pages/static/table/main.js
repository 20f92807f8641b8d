// The guest's table: its orders as they come along, and a menu to order from.

import { Actions } from "../shared/actions.js";
import { Credentials } from "../shared/credentials.js";
import { byId, el, setText } from "../shared/dom.js";
import { follow } from "../shared/follow.js";
import { money, orderNumber } from "../shared/format.js";
import { onLanguage, switchLanguage, t, translate } from "../shared/language.js";
import { Lamp } from "../shared/lamp.js";
import { Ledger } from "../shared/ledger.js";
import { Outbox, newKey, unsent } from "../shared/outbox.js";
import { Renewal } from "../shared/renewal.js";
import {
  Kept, TokenError, onLink, readToken, refusalOf, reloadWith, takeFragment, takeProblem,
} from "../shared/session.js";
import { keepsNothing, ofBrowser } from "../shared/storage.js";
import "./texts.js";
import { Menu, loadMenu } from "./menu.js";
import { Orders, lineOf } from "./orders.js";

const TOAST_MS = 10_000;
const kept = new Kept("table");
let page = null;

class TablePage {
  #credentials;
  #table;
  #lamp = new Lamp(byId("lamp"));
  #ledger;
  #following;
  #outbox;
  #actions;
  #renewal;
  #orders = new Orders(byId("orders"), (order) => this.#actions.add(order, "cancelled"));
  #menu = null;
  #placing = null;
  #status = { mode: "starting", certainAt: null, skewMs: null, lastError: null };
  #name;
  #placed;

  constructor(session) {
    this.#credentials = new Credentials(session);
    this.#table = session.table;
    this.#name = `yabam.guest.${session.subject}.${session.table}`;
    this.#placed = unsent(`${this.#name}.placing`);
    this.#ledger = new Ledger(ofBrowser.readJson(`${this.#name}.closed`) ?? []);
  }

  start() {
    const credentials = this.#credentials;
    const channels = [`table:${this.#table}`];
    const seen = (news) => this.#see(news);
    this.#following = follow({ kind: "table", credentials, channels, seen });
    const { transport } = this.#following;
    this.#outbox = new Outbox((...command) => transport.command(...command), credentials);
    this.#actions = new Actions({
      outbox: this.#outbox,
      told: {
        changed: () => this.show(),
        answered: (order) => this.#answered(order),
        refused: () => this.#refused(t("cancelRefused")),
      },
      storage: unsent(`${this.#name}.unsent`),
    });
    this.#renewal = new Renewal({
      credentials,
      stores: [],
      check: (token) => transport.check(token, channels),
      clock: () => this.#coreTime,
      kept,
      name: this.#name,
    });
    credentials.onChange(() => this.#leaveIfNew());
    this.#renewal.start();
    this.#actions.start();
    byId("cart").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#order();
    });
    const [left] = this.#placed.load();
    if (left) this.#place(left);
    this.#openMenu();
    byId("storage").hidden = !keepsNothing;
    this.show();
    // What the browser kept is shown at once, so all that shows it must be there.
    this.#following.start();
  }

  /** A link was opened in this tab: whether it goes on here, or the page must be loaded anew. */
  takeLink(token) {
    return this.#renewal.takeLink(token);
  }

  show() {
    const [, table] = this.#table.split("/");
    this.#renewal.show();
    setText(byId("storage"), t("keepsNothing"));
    setText(byId("table-name"), t("table", { table }));
    document.title = t("title", { table });
    this.#lamp.show(this.#status);
    const orders = this.#ledger.all().map((order) => this.#actions.shown(order));
    this.#orders.show(orders);
    byId("no-orders").hidden = orders.length > 0 || this.#status.certainAt === null;
    setText(byId("no-orders"), t("noOrders"));
    this.#showCart();
  }

  showMenu() {
    this.#menu?.show();
    this.show();
  }

  #see({ orders, changes, status }) {
    const back = status.mode !== this.#status.mode && ["live", "polling"].includes(status.mode);
    this.#status = status;
    this.#ledger.take({ orders, changes }, Date.now());
    if (changes.length > 0) ofBrowser.writeJson(`${this.#name}.closed`, this.#ledger.closed);
    if (back) this.#outbox.wake();
    const refused = ["unauthorized", "refused"].includes(status.cause?.kind);
    if (status.mode === "failed" && refused) leave("tokenRefused");
    const { order } = changes.findLast((change) => change.order && change.kind !== "added") ?? {};
    if (order) {
      const line = lineOf(order);
      byId("announcer").textContent = t("announce", { number: orderNumber(order), line });
    }
    this.show();
  }

  async #openMenu() {
    const menu = await loadMenu(() => setText(byId("menu-fault"), t("menuFault")));
    setText(byId("menu-fault"), "");
    const [chosen] = unsent(`${this.#name}.cart`).load();
    this.#menu = new Menu(menu, chosen ?? {}, () => this.#showCart());
    this.showMenu();
  }

  #showCart() {
    if (this.#menu === null) return;
    const { count, total, currency, chosen } = this.#menu;
    unsent(`${this.#name}.cart`).save([chosen]);
    const placing = this.#placing;
    byId("cart").hidden = count === 0 && placing === null;
    byId("note").hidden = placing !== null;
    byId("order").disabled = placing !== null;
    const waits = { network: "orderRetrying", token: "orderWaitsForToken" };
    const busy = waits[placing?.waits] ?? "orderSending";
    setText(byId("order"), placing ? t(busy) : t("order", { count, total: money(total, currency) }));
  }

  #order() {
    if (this.#placing !== null || this.#menu.count === 0) return;
    const [store_id, table_id] = this.#table.split("/");
    const { items, currency, chosen } = this.#menu;
    const note = byId("note").value.trim();
    const body = { store_id, table_id, currency, items, note };
    const placing = { key: newKey(), body, chosen };
    this.#placed.save([placing]);
    this.#menu.choose({});
    byId("note").value = "";
    this.#place(placing);
  }

  async #place(placing) {
    this.#placing = { ...placing, waits: null };
    this.#showCart();
    const answer = await this.#outbox.deliver("/v1/orders", placing.body, { key: placing.key }, (waits) => {
      this.#placing.waits = waits;
      this.#showCart();
    });
    if (answer === null) return;
    this.#placing = null;
    this.#placed.save([]);
    if (answer.ok) {
      this.#answered(answer.order);
      byId("orders").scrollIntoView({ block: "nearest" });
    } else {
      this.#menu?.choose(placing.chosen);
      byId("note").value = placing.body.note;
      this.#refused(t("orderRefused", { detail: answer.detail ?? "" }));
    }
    this.show();
  }

  /** Core's time in milliseconds since 1970; null while it is not known. */
  get #coreTime() {
    return this.#status.skewMs === null ? null : Date.now() + this.#status.skewMs;
  }

  /** A token that Core refuses from the start is asked for as if there were none. */
  #leaveIfNew() {
    const { refused, session } = this.#credentials;
    const nothing = this.#status.certainAt === null && this.#ledger.all().length === 0;
    const idle = this.#placing === null && !this.#actions.pending;
    if (refused && nothing && idle) leave(refusalOf(session, this.#coreTime ?? Date.now()));
    else this.show();
  }

  #answered(order) {
    this.#ledger.put(order, Date.now());
    this.show();
  }

  #refused(text) {
    const toast = el("div", { class: "toast" }, el("p", {}, text));
    byId("toasts").append(toast);
    setTimeout(() => toast.remove(), TOAST_MS);
    this.show();
  }
}

function leave(problem) {
  kept.clear();
  reloadWith(problem);
}

function ask(problem) {
  byId("table").hidden = true;
  byId("sign-in").hidden = false;
  byId("sign-in-error").textContent = problem === null ? "" : t(problem);
}

function open() {
  onLink(async (token) => page !== null && page.takeLink(token));
  const told = takeProblem();
  const found = takeFragment() ?? kept.load();
  if (found === null) return ask(told);
  try {
    const session = readToken(found.token, "table");
    if (session.table === null) throw new TokenError("tokenRole");
    kept.save({ token: session.token }, false);
    byId("table").hidden = false;
    page = new TablePage(session);
    onLanguage(() => page.showMenu());
    return page.start();
  } catch (problem) {
    if (!(problem instanceof TokenError)) throw problem;
    return ask(problem.message);
  }
}

document.addEventListener("click", (event) => {
  if (event.target.closest("[data-action=language]")) switchLanguage();
});
translate();
open();
