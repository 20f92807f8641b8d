// The shapes of what the SDK gives and takes, for type checkers and editors. Nothing here runs.
//
// As client_sdk/contract/order.py and client_sdk/contract/state/.

/** @typedef {null | boolean | number | string | Json[] | {[name: string]: Json}} Json what JSON can say */

/** @typedef {{[name: string]: Json}} JsonObject the whole value of a document */

/**
 * @typedef {object} Item one line of an order
 * @property {string} name
 * @property {number} quantity
 * @property {number} unit_price in the currency's minor unit
 * @property {string} note
 */

/**
 * @typedef {object} Order an order at one version, as one channel may see it
 * @property {string} id
 * @property {string} store_id
 * @property {string | null} table_id
 * @property {string} status one of STATUSES in contract_lists.js, or one that only a newer Core knows
 * @property {number} version 1 when placed, one up at each event; 0: Core does not have it yet
 * @property {string} currency as ISO 4217 names it
 * @property {Item[]} items
 * @property {number} total in the currency's minor unit
 * @property {string} note
 * @property {string | null} reference the number that the producer knows it by
 * @property {string | null} reason why it was rejected or cancelled
 * @property {string} created_at as RFC 3339 writes a time
 * @property {string} updated_at
 * @property {boolean} [open] whether it stands in snapshots still
 * @property {{name?: string, phone?: string} | null} [guest] who ordered; only the owner sees it
 * @property {string} [placed_by]
 */

/**
 * @typedef {object} NewOrder an order as Core takes it
 * @property {string} store_id
 * @property {string} currency
 * @property {{name: string, quantity: number, unit_price: number, note?: string}[]} items
 * @property {string} [table_id]
 * @property {string} [note]
 * @property {string} [reference]
 * @property {{name?: string, phone?: string}} [guest]
 */

/**
 * @typedef {object} ShownOrder an order with what is done to it here on top
 * @property {Order} order
 * @property {number} pending how many commands Core has not answered
 * @property {number} leftOut how many of them do not fit it any more; they are sent all the same
 * @property {Refusal | null} error why the last command was refused, until there is another
 * @property {number | null} after the last of this client's commands that is in it
 */

/** @typedef {{slug: string, detail: string, pointer?: string | null}} Refusal why Core refused */

/**
 * @typedef {object} Problem a refusal as Core writes it (RFC 9457)
 * @property {string} type
 * @property {string} title
 * @property {number} [status]
 * @property {string} [detail]
 */

/**
 * @typedef {object} CommandOutcome what became of a command
 * @property {"applied" | "refused"} outcome
 * @property {Order | null} [order]
 * @property {Problem | null} [problem]
 */

/**
 * @typedef {object} EditOutcome what became of an edit
 * @property {number} n the client's number of it; 0: the document never leaves the device
 * @property {string} outcome an Outcome of contract_lists.js, or one that only a newer Core knows
 * @property {number | null} [version] the version that contains it
 * @property {JsonObject | null} [value]
 * @property {string | null} [strategy]
 * @property {string[]} [aside] what of it was not taken
 * @property {Problem | null} [problem]
 */

/** @typedef {{version: number, current?: JsonObject | null, base?: JsonObject | null, own?: JsonObject | null}} Conflict */

/**
 * @typedef {object} DocumentMeta what there is to say of a document beside its value
 * @property {boolean} loading a newer value is known to be there, or nothing is known yet
 * @property {Conflict | null} conflict what waits for somebody to decide
 * @property {Refusal | null} error why the last edit was refused, until another takes effect
 * @property {number} leftOut how many pending edits do not fit Core's value any more
 */

/**
 * @typedef {object} DocumentView a document as the engine shows it
 * @property {JsonObject | null} value Core's, with the pending edits on top; null: there is none
 * @property {number} version Core's below the pending edits; 0: there is none
 * @property {number} pending how many edits Core's value does not contain yet
 * @property {boolean} loading
 * @property {number} leftOut
 * @property {{id: number, conflict: Conflict} | null} conflict
 * @property {Refusal | null} error
 */

/** @typedef {import("./contract/contract_lists.js").Mode} Mode how events are received */

/**
 * @typedef {object} Status what a page shows of the client itself
 * @property {Mode} mode
 * @property {import("./contract/contract_lists.js").Via | null} via what carries the events while it is live
 * @property {import("./contract/contract_lists.js").State} state the machine's own
 * @property {number | null} certainAt when it was last certain to know everything, in milliseconds since 1970
 * @property {string | null} lastError the newest failure
 * @property {{kind: string, detail: string} | null} cause why it failed
 * @property {{[channel: string]: number}} positions what has been taken in
 * @property {{[name: string]: number}} counters
 */

/** @typedef {{kind: import("./contract/contract_lists.js").ChangeKind, channel: string, id: string, order: Order | null}} OrderChange */

/**
 * @typedef {object} News what is new of orders and status
 * @property {any} state what to store, as Client.state
 * @property {Order[]} orders
 * @property {OrderChange[]} changes
 * @property {Status} status
 * @property {boolean} leading whether this tab is the one that follows
 */

/**
 * @typedef {object} HistoryEvent one event of a document, as Core gives it
 * @property {string} id
 * @property {number} seq
 * @property {string} type
 * @property {string} occurred_at
 * @property {string} key
 * @property {number} version
 * @property {string} operation
 * @property {string} by
 * @property {JsonObject | null} [data]
 * @property {JsonObject | null} [metadata]
 */

export {};
