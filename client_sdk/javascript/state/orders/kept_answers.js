// Core's answers to commands that are kept until its log brings them: which still hold when they are read. Pure.
//
// A page that begins again without a network, and a tab that takes the lead, show the orders as the log left
// them. Without these, an order would be shown as before a step that Core has answered, and the next step
// would be made on a version that is gone. Python shows no orders after a restart until Core has told them.
//
// An answer is kept as {order, epoch, positions}: the order as Core left it, the log that its version is of,
// and how far the order's channels had been taken in when it came. Its event lies behind that. Where that log
// has not begun here yet, nothing of it has been taken in.

/**
 * What is kept of an order until the log brings it.
 *
 * @param {import("../../types.js").Order} order
 * @param {{epoch: string | null, positions: {[channel: string]: number | null}}} log where the orders are
 * @param {string[]} channels those that bring the order
 */
export function keptAnswer(order, { epoch, positions }, channels) {
  const all = channels.map((name) => [name, positions[name] ?? null]);
  return { order, epoch, positions: Object.fromEntries(all.filter(([, seq]) => seq !== null)) };
}

/**
 * The orders of those answers that the log has still to bring, by their ids; the other answers are of no use any
 * more: {known, ahead, aheadLog}, as CommandQueue takes them.
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
  // An order that the log has ended is not in the book either: it would be shown for ever.
  return Object.entries(positions).some(([channel, seq]) => {
    const now = log.positions[channel] ?? null;
    return now !== null && now <= seq;
  });
}
