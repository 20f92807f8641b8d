// When two names mean the same dish. As `same_name` of core_api/store_rules/sold_out_or_closed.py. Pure.

/** White space as Core defines it: JavaScript's `\s` lacks some control characters, and includes U+FEFF. */
const WHITE_SPACE = /[\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+/u;
const CHEROKEE = /\p{Script=Cherokee}/u;
/** The dotless i: its capital is also that of "i", but it is another letter. */
const DOTLESS_I = "\u0131";

/** A normal form of a dish's name, as Core makes it: two names mean the same dish if their forms are equal. */
export function sameName(name) {
  // Letter by letter, because the small form of a Greek sigma depends on its position in the word.
  const folded = Array.from(name.normalize("NFKC"), foldLetter).join("");
  // Folding splits some letters, such as "ΐ", that are one letter in another spelling.
  return folded.normalize("NFKC").split(WHITE_SPACE).filter(Boolean).join(" ");
}

/** A letter in the form that Unicode's full case folding gives it: "ß" becomes "ss". */
function foldLetter(letter) {
  if (letter === DOTLESS_I) return letter;
  // Cherokee is the only script that is folded to capitals.
  if (CHEROKEE.test(letter)) return letter.toUpperCase();
  // To capitals, because only that turns "ß" into two letters. To small letters before that, because the capital "ẞ"
  // would stay as it is.
  return letter.toLowerCase().toUpperCase().toLowerCase();
}
