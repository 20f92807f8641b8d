// The menu that comes with the page: its sections, and the dishes of each.

import { sameName } from "../../shared/names.js";

const MENU = "/static/table/menu.json";

/**
 * Loads the menu. Returns a promise of [{id, names, dishes: [{id, names}]}], `names` in Korean and English; of an
 * empty array if it cannot be loaded.
 */
export async function loadMenu() {
  try {
    const response = await fetch(MENU);
    const { sections } = await response.json();
    return sections.map(({ name, dishes }) => ({
      id: sameName(name.at(-1)),
      names: name,
      dishes: dishes.map(({ id, name: names }) => ({ id, names })),
    }));
  } catch {
    // A store may have its menu elsewhere; dishes that were ordered are known anyway.
    return [];
  }
}
