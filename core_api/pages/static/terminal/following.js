// Follows the stores of the signed-in owner from the first moment. The desk, which shows the orders, may be loaded
// later.

import { deviceName, follow } from "../shared/follow.js";
import { Credentials } from "../shared/sign_in/credentials.js";
import { documentChannels, storesWithDocuments } from "./kitchen/store.js";
import { printerChannels } from "./printing/store_printers.js";

/** Follows what one owner's terminal needs. News that arrives before somebody listens is kept until then. */
export class Following {
  /** This device's name at Core. */
  device = deviceName("terminal");
  #follow;
  #seen = null;
  #waiting = [];

  /** @param who the signed-in owner and the ids of the stores: {session, stores} */
  constructor({ session, stores }) {
    this.credentials = new Credentials(session);
    this.stores = stores;
    /** The names of the channels of orders. */
    this.channels = stores.map((id) => `store:${id}`);
    /** The ids of those stores whose documents are followed, too: the channels of one client are limited. */
    this.documentStores = storesWithDocuments(stores);
    /** The names of the channels of documents. */
    this.documents = documentChannels(this.documentStores);
    this.documents.push(...printerChannels(this.documentStores, this.channels.length + this.documents.length));
    const { credentials, channels, documents, device } = this;
    const name = `yabam.terminal.${session.subject}.${[...channels].sort().join()}`;
    const seen = (news) => (this.#seen === null ? this.#waiting.push(news) : this.#seen(news));
    this.#follow = follow({ name, credentials, channels: [...channels, ...documents], device, seen });
    this.#follow.start();
  }

  get transport() {
    return this.#follow.transport;
  }

  /** The documents, as YabamClient.state. */
  get state() {
    return this.#follow.state;
  }

  /**
   * From now on calls `seen` with all news, {orders, changes, status, leading}. The news that was kept comes first.
   */
  listen(seen) {
    this.#seen = seen;
    for (const news of this.#waiting.splice(0)) seen(news);
  }

  close() {
    this.#follow.close();
  }
}
