// The keyboard: each button of a card has a digit, and the arrow keys go from card to card.

import { byId, el } from "../shared/dom.js";
import { t } from "../shared/language.js";

const ARROWS = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};

/** By the place of the key on the keyboard: with a Korean layout, the key N types ㅜ. */
const KEYS = {
  KeyN: (desk) => desk.board.moveToNew(),
  KeyS: (desk) => desk.bell.toggle(),
  KeyH: (desk) => desk.history.open(),
  KeyU: (desk) => desk.undo.undoLast(),
};

/**
 * Listens for keys.
 *
 * @param desk the Desk that they control
 */
export function listenForKeys(desk) {
  addEventListener("keydown", (event) => {
    const typing = event.target.closest?.("input, textarea, dialog");
    if (typing || event.ctrlKey || event.metaKey || event.altKey || byId("terminal").hidden) return;
    if (handled(event, desk)) event.preventDefault();
  });
}

function handled(event, desk) {
  const { board } = desk;
  if (event.key in ARROWS) {
    board.move(...ARROWS[event.key]);
    return true;
  }
  const digit = /^(?:Digit|Numpad)([1-9])$/.exec(event.code)?.[1];
  if (digit && !event.repeat) {
    board.press(Number(digit));
    return true;
  }
  if (event.key === "?") return showHelp();
  if (event.code in KEYS && !event.repeat) {
    KEYS[event.code](desk);
    return true;
  }
  if (event.key === "/") {
    byId("search").focus();
    return true;
  }
  return false;
}

/** Shows what the keys do. */
export function showHelp() {
  const rows = [
    ["← → ↑ ↓", "keyArrows"],
    ["1 2 3", "keyNumbers"],
    ["N", "keyNew"],
    ["U", "keyUndo"],
    ["/", "keySearch"],
    ["H", "keyHistory"],
    ["S", "keySound"],
    ["?", "keyHelp"],
  ];
  byId("help-keys").replaceChildren(
    ...rows.flatMap(([keys, text]) => [
      el("dt", {}, keys.split(" ").map((key) => el("kbd", {}, key))),
      el("dd", {}, t(text)),
    ]),
  );
  byId("help").showModal();
  return true;
}
