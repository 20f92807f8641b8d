// How much of a long order a card shows at first. Pure.

/** An order with more lines than this is folded, to so many. */
const MAX_LINES = 7;
const FOLDED_LINES = 5;
/** A note that is longer, or has more lines, is folded. */
const MAX_NOTE = 90;
const MAX_NOTE_LINES = 3;

/** Whether a note is folded. */
export const isLong = (note) => note.length > MAX_NOTE || note.split("\n").length > MAX_NOTE_LINES;

/**
 * The lines that are shown, and how many are not; what has changed is never hidden.
 *
 * @param lines as changes.js has them: {kind, …}
 * @param unfolded whether somebody asked for all
 */
export function foldedItems(lines, unfolded) {
  if (unfolded || lines.length <= MAX_LINES) return { shown: lines, hidden: 0 };
  const shown = lines.filter(({ kind }, index) => index < FOLDED_LINES || kind !== "same");
  return { shown, hidden: lines.length - shown.length };
}
