// The guest's table: its orders as they come along, and a menu to order from.

import { Actions } from "../shared/actions.js";
import { byId, el, setText } from "../shared/dom.js";
import { follow, store, stored } from "../shared/follow.js";
import { money, orderNumber } from "../shared/format.js";
import { onLanguage, switchLanguage, t, textOr, translate } from "../shared/language.js";
import { Lamp } from "../shared/lamp.js";
import { Ledger } from "../shared/ledger.js";
import { Outbox, newKey, unsent } from "../shared/outbox.js";
import { Kept, TokenError, readToken, takeFragment } from "../shared/session.js";
import "./texts.js";
import { Menu, loadMenu } from "./menu.js";
import { Orders } from "./orders.js";

const TOAST_MS = 10_000;
const kept = new Kept("table");

class TablePage {
  #session;
  #lamp = new Lamp(byId("lamp"));
  #ledger;
  #following;
  #outbox;
  #actions;
  #orders = new Orders(byId("orders"), (order) => this.#actions.add(order, "cancelled"));
  #menu = null;
  #placing = null;
  #status = { mode: "starting", certainAt: null, lastError: null };
  #name;
  #placed;

  constructor(session) {
    this.#session = session;
    this.#name = `yabam.guest.${session.table}`;
    this.#placed = unsent(`${this.#name}.placing`);
    this.#ledger = new Ledger(stored(`${this.#name}.closed`) ?? []);
  }

  start() {
    this.#following = follow({
      kind: "table",
      session: this.#session,
      channels: [`table:${this.#session.table}`],
      seen: (news) => this.#see(news),
    });
    this.#outbox = new Outbox((...command) => this.#following.transport.command(...command));
    this.#actions = new Actions({
      outbox: this.#outbox,
      told: {
        changed: () => this.show(),
        answered: (order) => this.#answered(order),
        refused: (_action, answer) => this.#refused(answer, t("cancelRefused")),
      },
      storage: unsent(`${this.#name}.unsent`),
    });
    this.#actions.start();
    byId("cart").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#order();
    });
    const [left] = this.#placed.load();
    if (left) this.#place(left);
    this.#openMenu();
    this.show();
  }

  show() {
    const [, table] = this.#session.table.split("/");
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
    if (changes.length > 0) store(`${this.#name}.closed`, this.#ledger.closed);
    if (back) this.#outbox.wake();
    const refused = ["unauthorized", "refused"].includes(status.cause?.kind);
    if (status.mode === "failed" && refused) leave("tokenRefused");
    const { order } = changes.findLast((change) => change.order && change.kind !== "added") ?? {};
    if (order) {
      const line = textOr(`line_${order.status}`, order.status);
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
    const busy = placing?.retrying ? "orderRetrying" : "orderSending";
    setText(byId("order"), placing ? t(busy) : t("order", { count, total: money(total, currency) }));
  }

  #order() {
    if (this.#placing !== null || this.#menu.count === 0) return;
    const [store_id, table_id] = this.#session.table.split("/");
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
    this.#placing = placing;
    this.#showCart();
    const answer = await this.#outbox.deliver("/v1/orders", placing.body, { key: placing.key }, () => {
      placing.retrying = true;
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
      this.#refused(answer, t("orderRefused", { detail: answer.detail ?? "" }));
    }
    this.show();
  }

  #answered(order) {
    this.#ledger.put(order, Date.now());
    this.show();
  }

  #refused(answer, text) {
    if (answer.status === 401) leave("tokenRefused");
    const toast = el("div", { class: "toast" }, el("p", {}, text));
    byId("toasts").append(toast);
    setTimeout(() => toast.remove(), TOAST_MS);
    this.show();
  }
}

function leave(problem) {
  kept.clear();
  ask(problem);
}

function ask(problem) {
  byId("table").hidden = true;
  byId("sign-in").hidden = false;
  byId("sign-in-error").textContent = problem === null ? "" : t(problem);
}

function open() {
  const found = takeFragment() ?? kept.load();
  if (found === null) return ask(null);
  try {
    const session = readToken(found.token, "table", Date.now());
    if (session.table === null) throw new TokenError("tokenRole");
    kept.save({ token: session.token }, false);
    byId("table").hidden = false;
    const page = new TablePage(session);
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
