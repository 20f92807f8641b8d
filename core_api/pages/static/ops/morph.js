// Changes an element until it equals one that was newly built, and leaves equal parts alone.
//
// Figures arrive every two seconds: an element that has the focus, or that a finger is on, must not be replaced.

/**
 * Changes an element until it equals another. Children are compared by their position; one of another tag or
 * `data-key` is replaced. The content of an element with `data-slot` is left alone, because other code fills it.
 *
 * @param element the element on the page
 * @param wanted the newly built element
 */
export function morph(element, wanted) {
  for (const { name } of [...element.attributes]) {
    if (!wanted.hasAttribute(name)) element.removeAttribute(name);
  }
  for (const { name, value } of wanted.attributes) {
    if (element.getAttribute(name) !== value) element.setAttribute(name, value);
  }
  if (wanted.hasAttribute("data-slot")) return;
  const [are, be] = [[...element.childNodes], [...wanted.childNodes]];
  be.forEach((child, n) => {
    if (n >= are.length) element.append(child);
    else if (!isSame(are[n], child)) are[n].replaceWith(child);
    else if (child.nodeType === Node.ELEMENT_NODE) morph(are[n], child);
    else if (are[n].data !== child.data) are[n].data = child.data;
  });
  for (const child of are.slice(be.length)) child.remove();
}

const isSame = (one, other) => one.nodeName === other.nodeName && one.dataset?.key === other.dataset?.key;
