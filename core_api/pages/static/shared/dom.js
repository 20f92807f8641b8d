// Builds elements. Text becomes text nodes only: what a guest wrote is never read as markup.

/**
 * An element.
 *
 * @param tag its name
 * @param props attributes; `on…` functions are listeners; true sets an empty one; null leaves it out
 * @param children elements and texts; null leaves one out
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

/** Sets the text of an element, only where it differs: a live region speaks at each change. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Makes `wanted` the children of `parent` in this order; those already there are not rebuilt. */
export function arrange(parent, wanted) {
  const keep = new Set(wanted);
  for (const child of [...parent.children]) if (!keep.has(child)) child.remove();
  wanted.forEach((child, n) => {
    if (parent.children[n] !== child) parent.insertBefore(child, parent.children[n] ?? null);
  });
}

/** The element of this page with the id. */
export const byId = (id) => document.getElementById(id);
