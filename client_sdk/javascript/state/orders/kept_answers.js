// Core's answers to commands, stored until they arrive through the log: which ones are still needed. Pure.
//
// A page that restarts without a network, and a tab that takes the lead, show the orders as stored from the
// log. Without these answers, an order would be shown as it was before a step that Core has already done, and
// the next step would be based on an outdated version. Python shows no orders after a restart until it has
// synced.
//
// An answer is stored as {order, epoch, positions}: the order after the command, the log that its version
// belongs to, and the positions of the order's channels when the answer came. The order's event is after those
// positions. If the client does not follow that log yet, it has received nothing of it.

/**
 * What is stored of an order until it arrives through the log.
 *
 * @param {import("../../types.js").Order} order as Core's answer has it
 * @param {{epoch: string | null, positions: {[channel: string]: number | null}}} log where the orders are
 * @param {string[]} channels the channels that carry the order
 */
export function keptAnswer(order, { epoch, positions }, channels) {
  const all = channels.map((name) => [name, positions[name] ?? null]);
  return { order, epoch, positions: Object.fromEntries(all.filter(([, seq]) => seq !== null)) };
}

/**
 * The orders of answers that have not arrived through the log, by their ids, as CommandQueue takes them:
 * {known, ahead, aheadLog}. The other answers are not needed any more.
 *
 * @param {any[]} answers as keptAnswer made them
 * @param {{epoch: string | null, positions: {[channel: string]: number | null}} | null} log where the orders
 *   are now; null: there are none
 * @param {import("../../client/order_book.js").OrderBook | null} book Core's orders at those positions
 */
export function stillAhead(answers, log, book) {
  const here = log?.epoch ?? null;
  if (here === null || book === null) return { known: {}, ahead: {}, aheadLog: "" };
  const later = answers.map(({ epoch }) => epoch).filter((epoch) => epoch > here);
  const aheadLog = later.sort().at(-1) ?? "";
  return {
    known: ordersOf(answers.filter((answer) => isAhead(answer, log, book))),
    ahead: ordersOf(answers.filter(({ epoch }) => epoch === aheadLog)),
    aheadLog,
  };
}

const ordersOf = (answers) => Object.fromEntries(answers.map(({ order }) => [order.id, order]));

function isAhead({ order, epoch, positions }, log, book) {
  if (epoch !== log.epoch) return false;
  if (book.hasTaken(order.id, order.version)) return false;
  if (book.get(order.id) !== undefined) return true;
  // An order that the log has closed is not in the book either: it would never be removed.
  return Object.entries(positions).some(([channel, seq]) => {
    const now = log.positions[channel] ?? null;
    return now !== null && now <= seq;
  });
}
