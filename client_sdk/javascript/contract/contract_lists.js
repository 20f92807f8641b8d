// The lists and limits that Python and JavaScript both hold. Pure.
//
// Made by `make lists` from the Python modules named below; do not edit it by hand.

/** The statuses that this version knows: contract/order.py. */
export const STATUSES = Object.freeze([
  "placed", "accepted", "rejected", "preparing", "ready", "served", "paid", "cancelled",
]);

/** An order in one of these is over: contract/order.py. */
export const CLOSED_STATUSES = Object.freeze([
  "rejected", "paid", "cancelled",
]);

/** An order in one of these was not carried out to its end: contract/order.py. */
export const ENDED_EARLY = Object.freeze([
  "rejected", "cancelled",
]);

/** How a device receives events: contract/device.py. */
export const DEVICE_MODES = Object.freeze([
  "live", "polling", "starting", "offline",
]);

/** The problems that servers answer: contract/problem.py. */
export const PROBLEMS = Object.freeze([
  "bad-json", "bad-request", "bad-cursor", "bad-channel", "unauthorized", "party-left",
  "bad-ticket", "forbidden", "not-found", "method-not-allowed", "impossible-transition", "conflict",
  "too-many-open", "too-many-devices", "too-many-commands", "too-many-revocations",
  "too-many-webhooks", "sold-out", "not-taking-orders", "edit-conflict", "edit-gap",
  "edit-mismatch", "client-taken", "depends", "base-ahead", "too-late", "too-many-clients",
  "too-many-documents", "stale-version", "too-large", "unsupported-media-type", "misdirected",
  "invalid", "unknown-document", "forbidden-operation", "patch-failed", "call-refused",
  "edit-outdated", "schema-ahead", "idempotency-mismatch", "upgrade-required", "too-many-requests",
  "internal", "overloaded", "degraded", "unavailable",
]);

/** How a print job stands: core_api/printing/jobs.py. */
export const JOB_STATES = Object.freeze([
  "queued", "sent", "done", "failed", "doubtful",
]);

/** The kinds of channels: the ids in a name, and what the events are about: contract/channel.py. */
export const KINDS = Object.freeze({
  store: Object.freeze({ ids: ["store"], carries: "orders" }),
  table: Object.freeze({ ids: ["store", "table"], carries: "orders" }),
  public: Object.freeze({ ids: ["store"], carries: "documents" }),
  team: Object.freeze({ ids: ["store"], carries: "documents" }),
  party: Object.freeze({ ids: ["store", "table"], carries: "documents" }),
  device: Object.freeze({ ids: ["store", "device"], carries: "documents" }),
  brand: Object.freeze({ ids: ["brand"], carries: "documents" }),
  global: Object.freeze({ ids: [], carries: "documents" }),
});

/** @typedef {"idle" | "syncing" | "connecting" | "live" | "polling" | "closed" | "failed"} State machine/messages.py */
/** @typedef {"unreachable" | "busy" | "unauthorized" | "token" | "ticket" | "refused" | "malformed" | "consumer"} FailureKind machine/messages.py */
/** @typedef {"starting" | "live" | "polling" | "offline" | "closed" | "failed"} Mode machine/status.py */
/** @typedef {"sse" | "websocket"} Via machine/sse_or_websocket.py */
/** @typedef {"hello" | "heartbeat" | "sync-required" | "bye"} StreamEventName contract/stream.py */
/** @typedef {"timeout" | "drain" | "degraded" | "slow" | "expired"} ByeReason contract/stream.py */
/** @typedef {"first_sync" | "retention" | "epoch" | "ahead"} ResetReason contract/sync.py */
/** @typedef {"applied" | "settled" | "put-aside" | "refused"} Outcome contract/state/edit.py */
/** @typedef {"place" | "transition" | "change"} CommandKind state/orders/commands.py */
/** @typedef {"added" | "updated" | "removed"} ChangeKind client/order_book.py */

/** The most orders that one report says are shown: contract/device.py. */
export const MAX_SEEN_ORDERS = 100;

/** How long a device collects receipts for one report, in seconds: contract/device.py. */
export const RECEIPTS_EVERY_S = 1;

/** The most orders of one page of a snapshot: contract/sync.py. */
export const MAX_ORDERS = 1_000;

/** The longest answer of Fetch Sync: contract/limits.py. */
export const MAX_SYNC_BYTES = 67_108_864;

/** The longest ticket: contract/limits.py. */
export const MAX_TICKET_CHARS = 114_688;

/** The longest address of a stream: contract/limits.py. */
export const MAX_URL_CHARS = 2_048;

/** The longest `next` of a snapshot: contract/limits.py. */
export const MAX_NEXT_CHARS = 1_024;

/** The largest value of a document: contract/limits.py. */
export const MAX_VALUE_BYTES = 262_144;

/** How deep a document may be nested: contract/limits.py. */
export const MAX_VALUE_DEPTH = 32;

/** The largest edit: contract/limits.py. */
export const MAX_EDIT_BYTES = 65_536;

/** The largest metadata: contract/limits.py. */
export const MAX_METADATA_BYTES = 4_096;

/** The most edits of one request: contract/limits.py. */
export const MAX_EDITS = 100;

/** The longest request of edits: contract/limits.py. */
export const MAX_EDITS_BODY_BYTES = 1_048_576;

/** The longest answer to edits, and the longest document: contract/limits.py. */
export const MAX_EDITS_ANSWER_BYTES = 33_554_432;

/** The most pages of one sync: contract/limits.py. */
export const MAX_PAGES = 10_000;

/** How often the pages of a sync may start anew: contract/limits.py. */
export const MAX_ANEW = 3;

/** How many pages of a sync in a row may be empty: contract/limits.py. */
export const MAX_EMPTY_PAGES = 20;

/** The most bytes of one sync over all its pages: contract/limits.py. */
export const MAX_PAGED_SYNC_BYTES = 134_217_728;

/** The longest body of a command: state/orders/commands.py. */
export const MAX_COMMAND_BYTES = 65_536;

/** The most commands that wait: state/orders/commands.py. */
export const MAX_COMMANDS = 1_000;

/** How old a command may be when it is first sent, in seconds: state/orders/commands.py. */
export const MAX_COMMAND_AGE_S = 86_400;

/** How long a command that was sent is sent again, in seconds: state/orders/commands.py. */
export const MAX_SENT_AGE_S = 518_400;

/** How often in a row channels may begin anew: machine/backoff.py. */
export const MAX_RESTARTS = 5;

/** The longest time between a long poll with news and the next (s): machine/actions.py. */
export const LONG_POLL_GAP_S = 0.2;

/** Failed syncs in a row, after which a good one resets the stream's back-off: machine/actions.py. */
export const LONG_FAULT = 3;

/** The shortest wait between polls, whatever Core says: machine/sync_connect_or_poll.py. */
export const LEAST_POLL_AFTER_MS = 100;

/** The longest wait between polls, whatever Core says: machine/sync_connect_or_poll.py. */
export const MAX_POLL_AFTER_MS = 300_000;

/** The longest that a `bye` can keep a client away: machine/sync_connect_or_poll.py. */
export const MAX_RECONNECT_MS = 60_000;

/** The drift assumed between two clocks, as a share of time: machine/freshness.py. */
export const DRIFT = 0.0001;

/** The most seconds between healing snapshots: machine/healing_backoff.py. */
export const MAX_HEALING_S = 3600;

/** After so many streams that end at once, the next is a WebSocket: machine/sse_or_websocket.py. */
export const AT_ONCE_AGAIN = 2;

/** The longest Retry-After in seconds: transport/http_failures.py. */
export const MAX_RETRY_AFTER_S = 3600;

/** The longest text of a failure: transport/http_failures.py. */
export const MAX_DETAIL_CHARS = 500;

/** How many closed orders a channel remembers: client/order_book.py. */
export const MAX_CLOSED = 1_000;

/** The longest event or line: contract/sse.py. */
export const MAX_EVENT_LENGTH = 1_048_576;

/** The machine's numbers, times in seconds: client_sdk/settings.py. */
export const SETTINGS = Object.freeze({
  streamFailures: 3,
  watermarkTimeout: 15,
  connectTimeout: 5,
  syncTimeout: 30,
  shortStream: 1,
  healthyAfter: 60,
  backoffFirst: 0.5,
  backoffMost: 30,
  pollJitter: 0.2,
  longPoll: 0,
});

/** @typedef {{[name in keyof typeof SETTINGS]: number}} Settings */
