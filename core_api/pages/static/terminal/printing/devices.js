// The registered devices of a store, and the commands that each was sent, with their results. Loaded when the sheet
// opens.

import { el } from "../../shared/dom.js";
import { fetchCore } from "../../shared/core/fetch_core.js";
import { clockTime } from "../../shared/format.js";
import { t } from "../../shared/language.js";

/** How many of a device's commands are shown, the newest first. */
const MAX_COMMANDS = 20;

/** The devices of one store. */
export class StoreDevices {
  element = el("section", { class: "store-devices" });
  #store;
  #token;

  /**
   * @param store the store's id
   * @param token () → the owner's bearer token
   */
  constructor(store, token) {
    this.#store = store;
    this.#token = token;
  }

  /** Loads the list of devices again. */
  async load() {
    const head = el("h3", {}, t("devices"));
    try {
      const { registered } = await this.#ask("");
      const rows = registered.map(({ device }) => this.#row(device));
      const none = el("p", { class: "quiet" }, t("devicesNone"));
      this.element.replaceChildren(head, rows.length === 0 ? none : el("ul", { class: "tickets", role: "list" }, rows));
    } catch {
      this.element.replaceChildren(head, el("p", { class: "error" }, t("whereUnknown")));
    }
  }

  #row(device) {
    const commands = el("ol", { class: "reach-list" });
    const details = el("details", { ontoggle: () => details.open && this.#fill(device, commands) },
      el("summary", {}, el("span", { dir: "auto" }, device)), commands);
    return el("li", { "data-device": device }, details);
  }

  async #fill(device, list) {
    try {
      const { commands } = await this.#ask(`/${encodeURIComponent(device)}/commands`);
      const rows = commands.slice(0, MAX_COMMANDS).map(commandRow);
      list.replaceChildren(...(rows.length > 0 ? rows : [el("li", {}, t("commandsNone"))]));
    } catch {
      list.replaceChildren(el("li", { class: "error" }, t("whereUnknown")));
    }
  }

  async #ask(path) {
    const answer = await fetchCore(`/v1/stores/${this.#store}/devices${path}`, this.#token());
    if (!answer.ok) throw new Error(String(answer.status));
    return answer.json();
  }
}

function commandRow({ name, state, detail, created_at: at }) {
  return el("li", { "data-state": state },
    el("span", { class: "reach-name", dir: "auto" }, name),
    el("span", {}, `${clockTime(Date.parse(at))} ${t(`command_${state}`)}`),
    detail ? el("span", { class: "quiet", dir: "auto" }, detail) : null);
}
