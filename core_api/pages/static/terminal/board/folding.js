// How much of a long order a card shows before somebody asks for all. Pure.

/** Of an order with more lines than this, only the first FOLDED_LINES are shown. */
const MAX_LINES = 7;
const FOLDED_LINES = 5;
/** A note with more characters or more lines is cut. */
const MAX_NOTE = 90;
const MAX_NOTE_LINES = 3;

/** Whether a note is cut. */
export const isLong = (note) => note.length > MAX_NOTE || note.split("\n").length > MAX_NOTE_LINES;

/**
 * Divides an order's lines into those that are shown and those that are not. Changed lines are always shown.
 *
 * @param lines as linesOf of changes.js returns them
 * @param unfolded whether somebody has asked for all
 * @returns the lines to show, and the number of the others: {shown, hidden}
 */
export function foldedItems(lines, unfolded) {
  if (unfolded || lines.length <= MAX_LINES) return { shown: lines, hidden: 0 };
  const shown = lines.filter(({ kind }, index) => index < FOLDED_LINES || kind !== "same");
  return { shown, hidden: lines.length - shown.length };
}
