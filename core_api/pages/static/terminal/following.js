// Follows the stores of who is signed in, from the moment that this is known: the desk may come later.

import { deviceName, follow } from "../shared/follow.js";
import { Credentials } from "../shared/sign_in/credentials.js";
import { documentChannels, heardStores } from "./kitchen/store.js";
import { printerChannels } from "./printing/store_printers.js";

/** What one owner's terminal follows; what is told before somebody listens waits for them. */
export class Following {
  /** This device's name at Core. */
  device = deviceName("terminal");
  #follow;
  #seen = null;
  #untold = [];

  /** @param who has {session, stores}, as signing in gives them */
  constructor({ session, stores }) {
    this.credentials = new Credentials(session);
    this.stores = stores;
    /** The names of its channels of orders. */
    this.channels = stores.map((id) => `store:${id}`);
    /** Those of its stores whose documents one client can follow, too. */
    this.heard = heardStores(stores);
    /** The names of its channels of documents. */
    this.documents = documentChannels(this.heard);
    this.documents.push(...printerChannels(this.heard, this.channels.length + this.documents.length));
    const { credentials, channels, documents, device } = this;
    const name = `yabam.terminal.${session.subject}.${[...channels].sort().join()}`;
    const seen = (news) => (this.#seen === null ? this.#untold.push(news) : this.#seen(news));
    this.#follow = follow({ name, credentials, channels: [...channels, ...documents], device, seen });
    this.#follow.start();
  }

  get transport() {
    return this.#follow.transport;
  }

  /** As YabamClient has it. */
  get state() {
    return this.#follow.state;
  }

  /** From now on `seen` is told ({orders, changes, status, leading}) of all that is new, what waited first. */
  listen(seen) {
    this.#seen = seen;
    for (const news of this.#untold.splice(0)) seen(news);
  }

  close() {
    this.#follow.close();
  }
}
