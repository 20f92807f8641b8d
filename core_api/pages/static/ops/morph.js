// Makes an element look like another that was built anew, and leaves alone what is the same.
//
// Figures come every two seconds: what has the focus, or a finger on it, must stay the same element.

/**
 * Changes `element` into what `wanted` is. Children whose `data-key` differs are never the same. What stands in an
 * element with `data-slot` is left alone: somebody else puts it there.
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
