// How the columns share the screen: who gets how many lanes of cards. Pure.

import { COLUMNS } from "./steps.js";

/** Below so many lanes one column is shown at a time. */
const LEAST_SIDE_BY_SIDE = 3;

/** How many lanes of cards fit side by side. */
export const lanesIn = (width, lane, gap) => Math.max(1, Math.floor((width + gap) / (lane + gap)));

/**
 * The lanes of each column; 0: it is not shown, and its tab leads to it.
 *
 * Who has orders has a lane first, the chosen one and new orders before others. What is left goes to
 * whose cards do not fit; else to empty columns, so that nothing moves when they get their first; else
 * to who has fewest.
 *
 * @param lanes how many there are in all
 * @param cards how many cards each column has, by name
 * @param chosen the column that somebody chose
 * @param perLane how many cards a lane shows without scrolling
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

/** Whether a column may be hidden though it has orders, so that tabs are needed. */
export const needsTabs = (lanes) => lanes < COLUMNS.length;
