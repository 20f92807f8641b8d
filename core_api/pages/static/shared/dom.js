// Builds elements. All text is added as text nodes: what a guest wrote is never parsed as HTML.

/**
 * Builds an element.
 *
 * @param tag the element's tag name
 * @param props the attributes by name. A function named `on…` becomes an event listener; true sets an empty
 *   attribute; false, null and undefined are left out
 * @param children elements and texts, also in an array; null and undefined are left out
 * @returns the element
 */
export function el(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

/**
 * Sets an element's text, but only if it differs: screen readers speak each change of a live region.
 *
 * @param element the element
 * @param text its new text
 */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/**
 * Makes `wanted` the children of `parent`, in this order. Those that are children already are moved, not rebuilt; all
 * other children are removed.
 *
 * @param parent the element to fill
 * @param wanted the elements, as an array
 */
export function arrange(parent, wanted) {
  const keep = new Set(wanted);
  for (const child of [...parent.children]) if (!keep.has(child)) child.remove();
  wanted.forEach((child, n) => {
    if (parent.children[n] !== child) parent.insertBefore(child, parent.children[n] ?? null);
  });
}

/** The page's element with this id. */
export const byId = (id) => document.getElementById(id);
