// Korean and English: one table of texts per page, the browser's language unless another was chosen.

import { ofBrowser } from "./storage.js";

const KEY = "yabam.language";
/** All languages of the pages. */
export const LANGUAGES = ["ko", "en"];
const tables = { ko: {}, en: {} };
const listeners = new Set();
let current = LANGUAGES.includes(ofBrowser.read(KEY))
  ? ofBrowser.read(KEY)
  : navigator.languages.some((tag) => tag.startsWith("ko")) ? "ko" : "en";
document.documentElement.lang = current;

/** The language now: ko or en. */
export const language = () => current;

/** Adds texts: {name: [Korean, English]}. */
export function addTexts(texts) {
  for (const [name, [ko, en]] of Object.entries(texts)) {
    tables.ko[name] = ko;
    tables.en[name] = en;
  }
}

/** The text of that name, with {values} filled in. */
export function t(name, values = {}) {
  const text = tables[current][name];
  if (text === undefined) throw new Error(`there is no text ${name}`);
  return text.replace(/\{(\w+)\}/g, (_all, key) => String(values[key]));
}

/** The text of that name in a language, whichever is shown now. */
export const textIn = (name, of) => tables[of][name];

/** Whether there is a text of that name. */
export const hasText = (name) => Object.hasOwn(tables[current], name);

/** Changes to the other language, and remembers it. */
export function switchLanguage() {
  current = current === "ko" ? "en" : "ko";
  ofBrowser.write(KEY, current);
  document.documentElement.lang = current;
  translate();
  for (const listener of listeners) listener();
}

/** Calls `listener` whenever the language has changed. */
export const onLanguage = (listener) => listeners.add(listener);

/** Fills in what the page names by data-text, and data-label for what is only spoken. */
export function translate(root = document) {
  for (const element of root.querySelectorAll("[data-text]")) {
    element.textContent = t(element.dataset.text);
  }
  for (const element of root.querySelectorAll("[data-label]")) {
    element.setAttribute("aria-label", t(element.dataset.label));
  }
  for (const element of root.querySelectorAll("[data-hint]")) {
    element.setAttribute("placeholder", t(element.dataset.hint));
  }
}
