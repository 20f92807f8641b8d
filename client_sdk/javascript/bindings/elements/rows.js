// The rows of <yabam-orders>: one for each order, touched only when the order has changed.

/** @typedef {import("../../types.js").ShownOrder} ShownOrder */

const TAG = { list: "ul", row: "li" };

/** The rows of one element. */
export class Rows {
  #element;
  #list;
  /** @type {Map<string, {row: HTMLElement, shown: ShownOrder}>} */
  #rows = new Map();

  /** @param {HTMLElement} element where the rows are shown; a <template> within says how a row looks */
  constructor(element) {
    this.#element = element;
    this.#list = document.createElement(TAG.list);
    element.append(this.#list);
  }

  /**
   * Shows exactly these orders, in this sequence.
   *
   * @param {ShownOrder[]} orders one that has not changed must be the same object as before
   */
  draw(orders) {
    const ids = new Set(orders.map(({ order }) => order.id));
    for (const [id, { row }] of this.#rows) {
      if (ids.has(id)) continue;
      row.remove();
      this.#rows.delete(id);
    }
    orders.forEach((shown, index) => {
      const row = this.#rowOf(shown);
      // Moving a row removes its focus, so rows in the right place are not moved.
      if (this.#list.children[index] !== row) this.#list.insertBefore(row, this.#list.children[index] ?? null);
    });
  }

  /** @param {ShownOrder} shown */
  #rowOf(shown) {
    const { id } = shown.order;
    const known = this.#rows.get(id);
    if (known?.shown === shown) return known.row;
    const row = known?.row ?? this.#made(id);
    fill(row, shown);
    this.#rows.set(id, { row, shown });
    return row;
  }

  /** @param {string} id */
  #made(id) {
    const row = document.createElement(TAG.row);
    row.dataset.order = id;
    // Looked up now: the element may exist before the parser has reached its template.
    const template = this.#element.querySelector("template");
    if (template) row.append(template.content.cloneNode(true));
    return row;
  }
}

/**
 * @param {HTMLElement} row
 * @param {ShownOrder} shown
 */
function fill(row, shown) {
  row.dataset.status = shown.order.status;
  row.toggleAttribute("data-pending", shown.pending > 0);
  const places = row.querySelectorAll("[data-text]");
  if (row.childElementCount === 0) setText(row, summary(shown));
  for (const place of places) setText(place, textAt(shown, place.getAttribute("data-text") ?? ""));
}

/**
 * Writes a text only if it differs, so that observers of the page see only changes.
 *
 * @param {Element} place whose whole content it becomes
 * @param {string} text shown as it is, never as markup
 */
export function setText(place, text) {
  if (place.textContent !== text) place.textContent = text;
}

/** @param {ShownOrder} shown */
function summary({ order }) {
  const items = order.items.map(({ quantity, name }) => `${quantity} ${name}`).join(", ");
  return [order.table_id ?? "–", order.status, items, order.note].filter(Boolean).join(" · ");
}

/**
 * The value at a path of names separated by dots; the empty text if there is none.
 *
 * @param {ShownOrder} shown
 * @param {string} path
 */
function textAt(shown, path) {
  let found = /** @type {any} */ (shown);
  for (const name of path.split(".")) {
    found = typeof found === "object" && found !== null && Object.hasOwn(found, name) ? found[name] : undefined;
  }
  return typeof found === "object" && found !== null ? JSON.stringify(found) : `${found ?? ""}`;
}
