// How the columns share the screen. A lane is a vertical strip of cards; a column has one or more, side by side.
// Pure.

import { COLUMNS } from "./steps.js";

/** With fewer lanes than this, one column is shown at a time. */
const LEAST_SIDE_BY_SIDE = 3;

/**
 * How many lanes of cards fit side by side.
 *
 * @param width of the board, in pixels
 * @param lane the width of a lane, in pixels
 * @param gap between two lanes, in pixels
 * @returns a number, 1 at least
 */
export const lanesIn = (width, lane, gap) => Math.max(1, Math.floor((width + gap) / (lane + gap)));

/**
 * Divides the lanes among the columns.
 *
 * One lane each goes to the chosen column, to that of new orders, and to those with orders, while there are lanes.
 * Each lane that is left goes to the column with the most cards for each lane, if they do not fit. Otherwise an empty
 * column gets it, so that nothing moves when its first order arrives; otherwise the column with the fewest lanes.
 *
 * @param lanes how many there are in all
 * @param cards how many cards each column has, by its name
 * @param chosen the name of the column that somebody has chosen
 * @param perLane how many cards a lane shows without scrolling
 * @returns the number of lanes by the column's name; 0: the column is not shown, and its tab leads to it
 */
export function share({ lanes, cards, chosen, perLane }) {
  const given = Object.fromEntries(COLUMNS.map((name) => [name, 0]));
  if (lanes < LEAST_SIDE_BY_SIDE) return { ...given, [chosen]: lanes };
  const ranked = [...new Set([chosen, ...COLUMNS])];
  let left = lanes;
  const give = (name) => {
    given[name] += 1;
    left -= 1;
  };
  for (const name of ranked) if (left > 0 && (cards[name] > 0 || name === "new" || name === chosen)) give(name);
  while (left > 0) {
    const shown = ranked.filter((name) => given[name] > 0);
    const full = (name) => cards[name] / given[name];
    const fullest = shown.reduce((one, other) => (full(other) > full(one) ? other : one));
    const empty = ranked.find((name) => given[name] === 0);
    if (full(fullest) > perLane) give(fullest);
    else give(empty ?? ranked.reduce((one, other) => (given[other] < given[one] ? other : one)));
  }
  return given;
}

/** Whether only one column is shown at a time. */
export const isOneAtATime = (lanes) => lanes < LEAST_SIDE_BY_SIDE;

/** Whether a column may be hidden although it has orders, so that tabs are needed. */
export const needsTabs = (lanes) => lanes < COLUMNS.length;
