// Connects the parts of an owner's terminal: what the client reports and what the owner does come together here, and
// the board shows the result.

import { Actions } from "../shared/actions.js";
import { noticeOf } from "../shared/sign_in/credentials.js";
import { byId, setText } from "../shared/dom.js";
import { onLanguage, t } from "../shared/language.js";
import { Lamp, certainMode } from "../shared/lamp.js";
import { Outbox, unsentBeyondTab } from "../shared/outbox.js";
import { ReachLines } from "../shared/reach.js";
import { nextToken, offerPairing } from "../shared/sign_in/core_tokens.js";
import { Renewal } from "../shared/sign_in/renewal.js";
import { refusalOf } from "../shared/sign_in/session.js";
import { wantsReason } from "../shared/statuses.js";
import { losesData } from "../shared/storage.js";
import { Bell } from "./alarm/bell.js";
import { Board } from "./board/board.js";
import { Touch } from "./board/touch.js";
import { Undo } from "./board/undo.js";
import { History } from "./history/dialog.js";
import { askCore } from "./history/log.js";
import { Panel, showPaused, showStation } from "./kitchen/panel.js";
import { allDay, matches } from "./kitchen/totals.js";
import { Memory } from "./memory.js";
import { Printers } from "./printing/printers.js";
import { announce, explanation, showFault, showSound, toast } from "./notices.js";
import { tellShown } from "./reach/shown.js";
import { askReason } from "./reason.js";

const LOOK_EVERY_MS = 500;

/** The terminal of one owner, from signing in to signing out. */
export class Desk {
  // The parts that the page's keys and buttons use.
  board;
  undo;
  bell;
  panel;
  printers;
  history;
  #credentials;
  #stores;
  #kept;
  #ended;
  #name;
  #lamp = new Lamp(byId("lamp"));
  #touch;
  #memory;
  #actions;
  #reach;
  #outbox;
  #following;
  #renewal;
  #query = "";
  #status = { mode: "starting", certainAt: null, skewMs: null, lastError: null, cause: null };
  #known = false;
  #closing = new AbortController();

  /**
   * @param following the Following of the signed-in owner
   * @param kept the StoredSignIn that stores the token
   * @param ended (name of a text): called when Core refuses the token and the page has neither orders nor unsent
   *   actions
   */
  constructor(following, kept, ended) {
    const { credentials, stores, channels } = following;
    this.#following = following;
    this.#credentials = credentials;
    this.#stores = stores;
    this.#kept = kept;
    this.#ended = ended;
    this.#name = `yabam.desk.${credentials.session.subject}.${[...channels].sort().join()}`;
  }

  start() {
    const { signal } = this.#closing;
    const name = this.#name;
    this.#openBoard();
    this.#memory = new Memory(name, () => this.#show());
    this.#memory.start(signal);
    this.bell = new Bell(name, () => showSound(this.bell));
    this.#createParts();
    const ageing = setInterval(() => this.#update(), LOOK_EVERY_MS);
    signal.addEventListener("abort", () => clearInterval(ageing));
    addEventListener("beforeunload", (event) => this.#actions.pending && event.preventDefault(), { signal });
    byId("search").addEventListener("input", ({ target }) => this.#search(target.value), { signal });
    onLanguage(() => this.#translate());
    byId("storage").hidden = !losesData;
    this.bell.start();
    this.#renewal.start();
    this.#actions.start();
    this.#show();
    // What has arrived by now is shown at once, so all that shows it must exist.
    this.#following.listen((news) => this.#receive(news));
    if (this.#credentials.refused) this.#leaveIfNew();
  }

  /** The bearer token of the signed-in owner. */
  get token() {
    return this.#credentials.session.token;
  }

  /** Whether any action of the owner is not answered yet. */
  get pending() {
    return this.#actions.pending;
  }

  /**
   * Takes the token of a link that was opened in this tab. Returns a promise: false if the page must be reloaded with
   * it.
   */
  takeLink(token) {
    return this.#renewal.takeLink(token);
  }

  close() {
    this.#closing.abort();
    this.#reach.keep(new Set());
    this.printers.close();
    this.undo.close();
    this.history.close();
    this.bell.close();
    this.#outbox.close();
    this.#renewal.close();
    this.#following.close();
  }

  #openBoard() {
    const { signal } = this.#closing;
    this.#touch = new Touch(byId("board"), signal);
    const actions = {
      act: (order, to) => this.#act(order, to),
      back: (order, to) => this.#takeBack(order.id, to),
      before: (order) => this.#memory.startedOf(order.id),
      acknowledge: (order) => this.#acknowledge(order),
      bump: (order, line) => this.#bump(order, line),
      where: (order) => this.#reach.of(order.id),
    };
    this.board = new Board(byId("board"), byId("tabs"), actions, this.#touch);
    const moved = (elements) => this.#touch.moved(elements);
    this.undo = new Undo(byId("undo"), (id, to, from) => this.#undoStep(id, to, from), moved);
    // A person who touches an order has heard its alarm.
    const touched = ({ target }) => {
      const id = target.closest?.(".card")?.dataset.press;
      if (id !== undefined) this.bell.touch(id);
    };
    for (const kind of ["pointerdown", "focusin"]) byId("board").addEventListener(kind, touched, { signal });
  }

  /** Makes the parts around the board, from what the terminal follows. */
  #createParts() {
    const credentials = this.#credentials;
    const name = this.#name;
    const { transport, state, device, channels, documentStores, documents } = this.#following;
    tellShown(byId("board"), transport, this.#closing.signal);
    this.#reach = new ReachLines(() => this.token, device);
    this.#outbox = new Outbox((...command) => transport.command(...command), credentials);
    this.#actions = new Actions({
      outbox: this.#outbox,
      callbacks: {
        changed: () => this.#show(),
        answered: (order) => this.#answered(order),
        refused: (action, answer) => this.#refused(action, answer),
      },
      storage: unsentBeyondTab(`${name}.unsent`),
    });
    this.#renewal = new Renewal({
      credentials,
      stores: this.#stores,
      check: (token) => transport.check(token, channels),
      clock: () => this.#coreTime,
      kept: this.#kept,
      name,
      next: nextToken,
    });
    credentials.onChange(() => {
      this.#leaveIfNew();
      if (!credentials.refused) this.panel.renewPushes();
    });
    this.panel = new Panel({
      state,
      stores: documentStores,
      bell: this.bell,
      failed: (detail) => toast(null, t("notSaid", { detail })),
      changed: () => this.#showPanelState(),
      pair: (store) => offerPairing(this.token, store),
      owner: credentials.session.subject,
      device,
      token: () => this.token,
    });
    this.history = new History({
      stores: this.#stores,
      ask: askCore(() => credentials.give()),
      headOf: (store) => this.#status.positions?.[`store:${store}`] ?? null,
      known: (order) => this.#knownOf(order),
      recall: (order, to) => this.#recall(order, to),
    });
    this.printers = new Printers({
      state,
      stores: documentStores,
      followed: documents,
      token: () => this.token,
      failed: (text) => toast(null, text),
    });
  }

  // ── what comes in ────────────────────────────────────────────────────────────────────────────

  #receive({ orders, changes, status }) {
    const wasAway = this.#status.mode !== "live" && this.#status.mode !== "polling";
    this.#status = status;
    const wasKnown = this.#known;
    this.#known ||= status.certainAt !== null || orders.length > 0;
    this.#memory.take({ orders, changes }, (id) => this.#actions.isUnderWay(id, "cancelled"));
    if (wasAway && (status.mode === "live" || status.mode === "polling")) this.#outbox.wake();
    if (status.mode === "failed") {
      this.#failed(status.cause);
      return;
    }
    const arrived = changes.filter((c) => c.kind === "added" && c.order.status === "placed").map((c) => c.order);
    const marksOf = (order) => this.#memory.marksOf(order);
    const changed = changes.filter((c) => c.order && marksOf(c.order) !== null).map((c) => c.order);
    announce(arrived, changed, marksOf);
    // After a reload the stored orders are there at once, without a change that reports them.
    this.#show(new Set(arrived.map(({ id }) => id)), changes.length > 0 || !wasKnown);
    this.#ring();
  }

  #failed(cause) {
    if (["unauthorized", "refused"].includes(cause?.kind)) this.#ended("tokenRefused");
    else this.#show();
  }

  /** If Core refuses the token before the page has shown anything, the sign-in form asks for another. */
  #leaveIfNew() {
    const { refused, session } = this.#credentials;
    if (refused && !this.#known && !this.pending) this.#ended(refusalOf(session, this.#now));
    else this.#show();
  }

  // ── what the owner does ──────────────────────────────────────────────────────────────────────

  async #act(order, to) {
    const reason = wantsReason(to) ? await askReason(order, to) : null;
    if (reason === undefined) return;
    const current = this.#memory.get(order.id) ?? order;
    this.#actions.add(current, to, reason);
    this.undo.add(current, to);
    this.#show();
  }

  #takeBack(id, to) {
    const order = this.#memory.get(id);
    if (order) this.#recall(order, to);
  }

  #recall(order, to) {
    this.#actions.back(order, to);
    this.#show();
  }

  /** An order of the history, in its newest version here, with how far it had come: {order, started}. */
  #knownOf(order) {
    const here = this.#memory.get(order.id);
    const newest = here !== undefined && here.version >= order.version ? here : order;
    return { order: this.#actions.shown(newest), started: this.#memory.startedOf(order.id) };
  }

  /** Undoes the owner's own step, unless somebody else has changed the order since. */
  #undoStep(id, to, from) {
    const order = this.#memory.get(id);
    const isOwn = order?.status === from || this.#actions.isUnderWay(id, from);
    if (isOwn) this.#takeBack(id, to);
    else if (order) toast(order, t("undoneByOthers"));
  }

  #acknowledge(order) {
    this.#memory.acknowledge(order);
    this.#show();
  }

  #bump(order, line) {
    this.#memory.bump(order, line);
    this.#show();
  }

  #search(query) {
    this.#query = query;
    this.#show();
    const found = query.trim() === "" ? undefined : this.#orders().find((order) => matches(order, query));
    if (found) this.board.scrollTo(found.id);
  }

  #answered(order) {
    this.#memory.put(order);
    this.#show();
  }

  #refused(action, answer) {
    const known = this.#memory.get(action.id);
    toast(answer.order ?? known, explanation(action, answer, known));
    this.#show();
  }

  // ── what is shown ────────────────────────────────────────────────────────────────────────────

  /** Core's time in milliseconds since 1970; null while it is not known. */
  get #coreTime() {
    return this.#status.skewMs === null ? null : Date.now() + this.#status.skewMs;
  }

  get #now() {
    return this.#coreTime ?? Date.now();
  }

  /** The orders that this screen shows, each as it will be after its action. */
  #orders() {
    const { station } = this.panel;
    const here = this.#memory.orders.filter((order) => station.shows(order, this.#memory.marksOf(order)));
    return here.map((order) => this.#actions.shown(order));
  }

  #show(fresh = new Set(), ordersChanged = true) {
    this.#showState();
    if (!ordersChanged && this.#known) return;
    const orders = this.#orders();
    this.#reach.keep(new Set(orders.map(({ id }) => id)));
    const { station } = this.panel;
    this.board.show(orders, {
      now: this.#now,
      showStore: this.#stores.length > 1,
      fresh,
      known: this.#known,
      marksOf: (order) => this.#memory.marksOf(order),
      bumpedOf: (order) => this.#memory.bumpedOf(order),
      matches: (order) => matches(order, this.#query),
      station,
      waitsOf: (order) => this.panel.waitsOf(order.store_id),
    });
    this.history.show();
    const makes = (item) => station.makes(item);
    this.panel.count(orders, allDay(orders, (order) => this.#memory.bumpedOf(order), makes));
    const count = orders.filter((order) => order.status === "placed").length;
    document.title = count > 0 ? t("titleNew", { count }) : t("title");
    setText(byId("store-name"), this.#stores.map((id) => t("store", { store: id })).join(", "));
  }

  #showState() {
    this.#lamp.show(this.#status);
    showFault(this.#status, this.#credentials.refused);
    showSound(this.bell);
  }

  #showPanelState() {
    showPaused(this.panel.paused, () => this.panel.resume());
    showStation(this.panel.chosenNames, () => this.panel.choose([]));
    this.#show();
  }

  #translate() {
    this.#renewal.show();
    this.undo.translate();
    this.panel.show();
    this.#showPanelState();
  }

  #update() {
    this.board.age(this.#now);
    this.printers.look();
    this.#showState();
    this.#ring();
  }

  /** Sounds the alarm if there is a reason for it and it is due. */
  #ring() {
    const kinds = new Set(this.#orders().map((order) => this.#memory.marksOf(order)?.kind));
    const placed = this.#orders().filter(({ status, sending }) => status === "placed" && !sending);
    const { expiresAt } = this.#credentials.session;
    const { refused } = this.#credentials;
    this.bell.ring(placed.map(({ id }) => id), {
      changed: kinds.has("changed"),
      cancelled: kinds.has("cancelled"),
      offline: ["offline", "unsure", "failed"].includes(certainMode(this.#status, Date.now())),
      session: noticeOf({ expiresAt, now: this.#coreTime, refused }) !== null,
    });
  }
}
