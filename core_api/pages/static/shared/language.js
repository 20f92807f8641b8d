// The texts of the pages, in Korean and English. A page uses the browser's language until somebody chooses the other.

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

/** The current language: ko or en. */
export const language = () => current;

/** Adds texts: {name: [Korean, English]}. */
export function addTexts(texts) {
  for (const [name, [ko, en]] of Object.entries(texts)) {
    tables.ko[name] = ko;
    tables.en[name] = en;
  }
}

/**
 * The text with this name, in the current language.
 *
 * @param name the text's name
 * @param values what replaces each {placeholder} in the text, by name
 * @returns the text
 * @throws Error there is no text with this name
 */
export function t(name, values = {}) {
  const text = tables[current][name];
  if (text === undefined) throw new Error(`there is no text ${name}`);
  return text.replace(/\{(\w+)\}/g, (_all, key) => String(values[key]));
}

/**
 * The text with this name in one language, whichever is the current one.
 *
 * @param name the text's name
 * @param of the language: ko or en
 * @returns the text, or undefined
 */
export const textIn = (name, of) => tables[of][name];

/** Whether there is a text with this name. */
export const hasText = (name) => Object.hasOwn(tables[current], name);

/** Switches to the other language, and stores that choice. */
export function switchLanguage() {
  current = current === "ko" ? "en" : "ko";
  ofBrowser.write(KEY, current);
  document.documentElement.lang = current;
  translate();
  for (const listener of listeners) listener();
}

/** Calls `listener` whenever the language has changed. */
export const onLanguage = (listener) => listeners.add(listener);

/**
 * Fills in the texts that the HTML names: in data-text an element's content, in data-label its aria-label, in
 * data-hint its placeholder.
 */
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
