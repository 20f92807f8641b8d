// The menu that the page has: which dishes there are, and in which section each stands.

import { sameName } from "../../shared/names.js";

const MENU = "/static/table/menu.json";

/** The menu: [{id, names, dishes: [{id, names}]}], `names` in Korean and English; empty where it is not to be had. */
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
    // A store's own menu is elsewhere; dishes that were ordered are known all the same.
    return [];
  }
}
