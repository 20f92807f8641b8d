// When two names mean the same dish: as `same_name` of core_api/store_rules/rules.py. Pure.

/** White space as Core knows it: JavaScript's `\s` lacks some control characters, and has U+FEFF. */
const WHITE_SPACE = /[\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+/u;
const CHEROKEE = /\p{Script=Cherokee}/u;
/** It has the same capital as "i", but is a letter of its own. */
const DOTLESS_I = "\u0131";

/** The form in which two writings of one dish's name are equal, as Core compares them. */
export function sameName(name) {
  // Each letter by itself: the small form of a Greek sigma depends on where it stands in a word.
  const folded = Array.from(name.normalize("NFKC"), foldLetter).join("");
  // Folding takes some letters apart, as "ΐ", that are one letter in another writing.
  return folded.normalize("NFKC").split(WHITE_SPACE).filter(Boolean).join(" ");
}

/** A letter in the form that Unicode's full case folding gives it: "ß" becomes "ss". */
function foldLetter(letter) {
  if (letter === DOTLESS_I) return letter;
  // The only script that is folded to capitals.
  if (CHEROKEE.test(letter)) return letter.toUpperCase();
  // Capitals, because only they make "ß" two letters; small ones before, because the capital "ẞ" stays as it is.
  return letter.toLowerCase().toUpperCase().toLowerCase();
}
