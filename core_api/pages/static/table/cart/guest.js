// How a guest is known to the others at the table: by this phone's id, and by a name that the guest can change.

import { language } from "../../shared/language.js";
import { ofBrowser } from "../../shared/storage.js";

const [PHONE, NAME] = ["yabam.guest.phone", "yabam.guest.name"];
const NAMES = [
  ["호랑이", "Tiger"],
  ["토끼", "Rabbit"],
  ["두루미", "Crane"],
  ["거북이", "Turtle"],
  ["여우", "Fox"],
  ["사슴", "Deer"],
  ["곰", "Bear"],
  ["까치", "Magpie"],
  ["고래", "Whale"],
  ["다람쥐", "Squirrel"],
];
/** The greatest length of a guest's name, in characters. */
export const MAX_NAME = 40;

/** This phone's id. It is made once and stored in the browser. */
export function phoneId() {
  if (ofBrowser.read(PHONE) === null) {
    const bytes = crypto.getRandomValues(new Uint8Array(4));
    ofBrowser.write(PHONE, [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join(""));
  }
  return ofBrowser.read(PHONE);
}

/** The guest's name. Until the guest chooses one, it is the name of an animal, which depends on the phone's id. */
export function guestName() {
  const [ko, en] = NAMES[Number.parseInt(phoneId(), 16) % NAMES.length];
  return ofBrowser.read(NAME) || (language() === "ko" ? ko : en);
}

/** Stores another name; an empty one means the animal's again. */
export const takeName = (name) => ofBrowser.write(NAME, name.trim().slice(0, MAX_NAME));
