// The board: each order's card is in the column of its status. A card is moved there, not rebuilt, and never moves
// while a finger may be about to press it.

import { COLUMNS } from "./steps.js";
import { Card } from "./card.js";
import { Column } from "./column.js";
import { isOneAtATime, lanesIn, needsTabs, share } from "./layout.js";
import { columnOf } from "../../shared/statuses.js";

const FRESH_MS = 6_000;
/** The approximate height of a card, from which the board estimates how many fit. */
const CARD_PX = 300;
/** A smaller distance is no move: the browser rounds. */
const MOVED_PX = 4;

/** The board, and the tabs that choose a column where not all columns fit. */
export class Board {
  #root;
  #tabs;
  #touch;
  #columns = {};
  #cards = new Map();
  #freshUntil = new Map();
  #actions;
  #current = null;
  #chosen = "new";
  #wanted = null;
  #width = 0;
  #pressed = new Set();

  /**
   * @param root the board's element
   * @param tabs the tabs' element
   * @param actions callbacks of the cards' buttons, as Card takes them
   * @param touch the Touch that says when cards may move
   */
  constructor(root, tabs, actions, touch) {
    this.#root = root;
    this.#tabs = tabs;
    this.#touch = touch;
    touch.onFree(() => this.#arrange());
    this.#actions = { ...actions };
    for (const name of ["act", "back", "acknowledge", "bump"]) {
      this.#actions[name] = (order, ...given) => this.#press(actions[name], order, ...given);
    }
    for (const name of COLUMNS) this.#columns[name] = new Column(name, () => this.choose(name));
    root.append(...COLUMNS.map((name) => this.#columns[name].section));
    tabs.append(...COLUMNS.map((name) => this.#columns[name].tab));
    root.addEventListener("focusin", (event) => this.#focused(event.target));
    new ResizeObserver(() => this.#resized()).observe(root);
    this.choose("new");
  }

  /**
   * Shows the orders.
   *
   * @param orders the oldest first
   * @param context an object with
   *   now        Core's time in milliseconds since 1970
   *   showStore  whether cards name their store
   *   known      whether the orders have arrived
   *   fresh      the ids of the orders that have just arrived, as a Set
   *   marksOf    (order) → what nobody has seen of it, as Seen.of
   *   bumpedOf   (order) → its lines that are done, as a Set of positions
   *   matches    (order) → whether the search finds it
   *   station    the Station of this screen
   *   waitsOf    (order) → when it has waited too long, as WAITS
   */
  show(orders, context) {
    for (const id of context.fresh) this.#freshUntil.set(id, context.now + FRESH_MS);
    this.#wanted = { orders, context };
    if (this.#touch.held) this.#showHeld();
    else this.#arrange();
  }

  /**
   * Brings the ages up to date, and ends the highlight of orders that arrived a while ago; `now`: Core's time in
   * milliseconds since 1970.
   */
  age(now) {
    for (const [id, until] of this.#freshUntil) {
      if (until > now) continue;
      this.#freshUntil.delete(id);
      this.#cards.get(id)?.element.classList.remove("fresh");
    }
    for (const card of this.#cards.values()) card.age(now);
  }

  /** Chooses the column that is shown where not all columns fit. */
  choose(name) {
    this.#chosen = name;
    this.#root.dataset.column = name;
    for (const column of COLUMNS) this.#columns[column].choose(column === name);
    this.#divide();
  }

  /** The card that has the focus, or undefined. */
  get focusedCard() {
    const element = document.activeElement?.closest?.(".card");
    return [...this.#cards.values()].find((card) => card.element === element);
  }

  /** Presses a button of the card that has the focus; `number` counts from 1. */
  press(number) {
    const card = this.focusedCard;
    if (card && this.#touch.key(card.order.id)) card.press(number);
  }

  /**
   * Moves the focus to another card; if no card has it, to the first one.
   *
   * @param columns how many columns to the right; negative: to the left
   * @param cards how many cards down, if not 0; negative: up
   */
  move(columns, cards) {
    const card = this.focusedCard;
    const lists = COLUMNS.map((name) => [...this.#columns[name].list.children]);
    if (!card) {
      this.#focus(lists.flat()[0]);
      return;
    }
    const column = COLUMNS.findIndex((name) => this.#columns[name].list.contains(card.element));
    const row = lists[column].indexOf(card.element);
    if (cards !== 0) {
      this.#focus(lists[column][row + cards]);
      return;
    }
    for (let n = column + columns; n >= 0 && n < lists.length; n += columns) {
      if (lists[n].length > 0) {
        this.#focus(lists[n][Math.min(row, lists[n].length - 1)]);
        return;
      }
    }
  }

  /** Moves the focus to the oldest new order. */
  moveToNew() {
    this.#focus(this.#columns.new.list.firstElementChild);
  }

  /** Scrolls the order's card into view. */
  scrollTo(id) {
    const element = this.#cards.get(id)?.element;
    const name = COLUMNS.find((one) => this.#columns[one].list.contains(element));
    if (name === undefined) return;
    if (this.#columns[name].section.dataset.lanes === "0") this.choose(name);
    element.scrollIntoView({ block: "nearest" });
  }

  // ── what is pressed ──────────────────────────────────────────────────────────────────────────

  #press(act, order, ...given) {
    this.#pressed.add(order.id);
    return act(order, ...given);
  }

  /** Shows what moves no card: orders that were pressed, in their place, and new orders at the end. */
  #showHeld() {
    const { orders, context } = this.#wanted;
    for (const order of orders) {
      const card = this.#cards.get(order.id);
      if (card === undefined && this.#columnOf(order, context) === "new") {
        this.#columns.new.append(this.#cardOf(order, context).element);
      } else if (card !== undefined && this.#pressed.has(order.id)) {
        card.hold(true);
        this.#cardOf(order, context);
      }
    }
  }

  #columnOf(order, { marksOf }) {
    const marks = marksOf(order);
    // A cancelled order stays in the kitchen's column until somebody has seen that it is cancelled.
    return columnOf(marks?.kind === "cancelled" ? { status: marks.status } : order);
  }

  #cardOf(order, { now, showStore, marksOf, bumpedOf, matches, station, waitsOf }) {
    const card = this.#cards.get(order.id) ?? new Card(this.#actions);
    const fresh = (this.#freshUntil.get(order.id) ?? 0) > now && order.status === "placed";
    const marks = order.sending ? null : marksOf(order);
    const [bumped, waits] = [bumpedOf(order), waitsOf(order)];
    card.show(order, { now, showStore, fresh, marks, bumped, matches: matches(order), station, waits });
    this.#cards.set(order.id, card);
    return card;
  }

  // ── where cards stand ────────────────────────────────────────────────────────────────────────

  #arrange() {
    if (this.#wanted === null) return;
    const { orders, context } = this.#wanted;
    const places = this.#places();
    const before = this.#place();
    this.#pressed.clear();
    const lists = Object.fromEntries(COLUMNS.map((name) => [name, []]));
    const ids = new Set(orders.map(({ id }) => id));
    for (const id of [...this.#cards.keys()]) if (!ids.has(id)) this.#cards.delete(id);
    for (const order of orders) {
      const card = this.#cardOf(order, context);
      card.hold(false);
      lists[this.#columnOf(order, context)].push(card);
    }
    lists.done.sort((a, b) => b.order.updated_at.localeCompare(a.order.updated_at));
    for (const name of COLUMNS) {
      const elements = lists[name].map((card) => card.element);
      const waiting = name === "new" && elements.length > 0;
      this.#columns[name].fill(elements, { known: context.known, waiting });
    }
    if (before) this.#keepPlace(before);
    this.#rove();
    this.#divide(places);
  }

  /** Divides the lanes among the columns, and notes which cards have moved from their places in `places`. */
  #divide(places = this.#places()) {
    const { clientWidth, clientHeight: height } = this.#root;
    const style = getComputedStyle(this.#root);
    const [lane, gap, left, right] = ["--lane", "column-gap", "padding-left", "padding-right"].map(
      (name) => parseFloat(style.getPropertyValue(name)) || 0,
    );
    const lanes = lanesIn(clientWidth - left - right, lane, gap);
    const cards = Object.fromEntries(COLUMNS.map((name) => [name, this.#columns[name].list.children.length]));
    const perLane = Math.max(1, Math.floor(height / CARD_PX));
    const given = share({ lanes, cards, chosen: this.#chosen, perLane });
    this.#root.toggleAttribute("data-one", isOneAtATime(lanes));
    this.#tabs.hidden = !needsTabs(lanes);
    for (const name of COLUMNS) this.#columns[name].widen(given[name]);
    for (const name of COLUMNS) this.#columns[name].look();
    const now = this.#places();
    const moved = [...now].filter(([element, place]) => isElsewhere(element, places, place));
    this.#touch.moved(moved.map(([element]) => element));
  }

  // A new width moves every card anyway. Waiting for the finger would leave the columns squeezed.
  #resized() {
    const { clientWidth } = this.#root;
    const isFirst = this.#width === 0;
    const isWidth = clientWidth !== this.#width;
    this.#width = clientWidth;
    if (!isWidth && this.#touch.held) return;
    this.#divide();
    // Before the first layout nobody has seen the cards in another place.
    if (isWidth && !isFirst) this.#touch.moved([...this.#cards.values()].map(({ element }) => element));
  }

  #places() {
    const elements = [...this.#cards.values()].map(({ element }) => element);
    return new Map(elements.filter((one) => one.isConnected).map((one) => [one, one.getBoundingClientRect()]));
  }

  // ── the focus ────────────────────────────────────────────────────────────────────────────────

  #focus(element) {
    if (!element) return;
    const name = COLUMNS.find((one) => this.#columns[one].list.contains(element));
    if (this.#columns[name].section.dataset.lanes === "0") this.choose(name);
    element.focus();
    element.scrollIntoView({ block: "nearest" });
  }

  #focused(target) {
    const element = target.closest(".card");
    if (!element) return;
    this.#current = element;
    this.#rove();
  }

  // The Tab key stops once in each column: at the card that was used last, followed by its buttons, or at the first
  // card.
  #rove() {
    const lists = COLUMNS.map((name) => [...this.#columns[name].list.children]);
    if (!lists.flat().includes(this.#current)) this.#current = lists.flat()[0] ?? null;
    for (const cards of lists) {
      const stop = cards.includes(this.#current) ? this.#current : cards[0];
      for (const element of cards) {
        setTab(element, element === stop ? 0 : -1);
        const index = element === this.#current ? 0 : -1;
        for (const button of element.querySelectorAll("button")) setTab(button, index);
      }
    }
  }

  #place() {
    const card = this.focusedCard;
    if (!card) return null;
    const list = card.element.parentElement;
    return { card, list, row: [...list.children].indexOf(card.element) };
  }

  // A person who has dealt with an order goes on with the next one of its column.
  #keepPlace({ card, list, row }) {
    const stays = this.#cards.has(card.order.id) && card.element.parentElement === list;
    const { children } = list;
    const next = stays ? card.element : (children[Math.min(row, children.length - 1)] ?? card.element);
    if (next.isConnected && document.activeElement !== next && !next.contains(document.activeElement)) {
      next.focus({ preventScroll: true });
    }
  }
}

/**
 * Sets the index only if it differs. Each press goes through hundreds of buttons, and each change makes the browser
 * compute styles again.
 */
function setTab(element, index) {
  if (element.tabIndex !== index || !element.hasAttribute("tabindex")) element.tabIndex = index;
}

/** Whether an element has moved; a new element, whether it covers a place where another one was. */
function isElsewhere(element, places, now) {
  const before = places.get(element);
  if (before === undefined) return [...places.values()].some((place) => overlap(place, now));
  return Math.abs(before.left - now.left) > MOVED_PX || Math.abs(before.top - now.top) > MOVED_PX;
}

const overlap = (one, other) =>
  one.left < other.right && other.left < one.right && one.top < other.bottom && other.top < one.bottom;
