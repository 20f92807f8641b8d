// What goes into the machine and what comes out of it: inputs and commands. Pure.
//
// As client_sdk/machine/messages.py, which has Acknowledged and Fill, too; Wake is a browser's alone.

/** @import { FailureKind, Via } from "../contract/contract_lists.js" */

/** @typedef {{kind: FailureKind, detail: string, retryAfter: number | null}} Failure */
/**
 * Why a sync or a stream did not work.
 *
 * `unreachable`: no answer, or the connection broke; `busy`: 429 or 503; `unauthorized`: the token
 * was refused; `token`: the callback gave none; `ticket`: 401 from a stream; `refused`: our server
 * refuses for good; `malformed`: an answer that breaks the contract; `consumer`: a bug in the page.
 *
 * @param {FailureKind} kind one of the above
 * @param {string} detail for a person
 * @param {number | null} [retryAfter] seconds to wait at least; null: the server did not say
 * @returns {Failure}
 */
export const failure = (kind, detail, retryAfter = null) => ({ kind, detail, retryAfter });

/** @typedef {{type: "Start"}} Start */
/** @typedef {{type: "SyncDone", generation: number, response: any}} SyncDone */
/** @typedef {{type: "SyncFailed", generation: number, failure: Failure}} SyncFailed */
/** @typedef {{type: "StreamHello", generation: number, epoch: string, watermark: number}} StreamHello */
/** @typedef {{type: "StreamEvent", generation: number, event: any}} StreamEvent */
/** @typedef {{type: "StreamDocument", generation: number, event: any}} StreamDocument */
/** @typedef {{type: "StreamHeartbeat", generation: number, watermark: number}} StreamHeartbeat */
/** @typedef {{type: "StreamSyncRequired", generation: number, channel: string, reason: string}} StreamSyncRequired */
/** @typedef {{type: "StreamBye", generation: number, reason: string, reconnectAfterMs: number}} StreamBye */
/** @typedef {{type: "StreamEnded", generation: number, failure: Failure}} StreamEnded */
/** @typedef {{type: "Tick"}} Tick */
/** @typedef {{type: "Wake"}} Wake the device slept, or the network is back */
/** @typedef {{type: "Diverged", channel: string}} Diverged */
/** @typedef {{type: "GiveUp", cause: any}} GiveUp */
/** @typedef {{type: "Close"}} Close */
/**
 * @typedef {Start | SyncDone | SyncFailed | StreamHello | StreamEvent | StreamDocument | StreamHeartbeat
 *   | StreamSyncRequired | StreamBye | StreamEnded | Tick | Wake | Diverged | GiveUp | Close} Input
 */
/** @typedef {{[K in Input["type"]]: Extract<Input, {type: K}>}} Inputs each by the name of its type */

/**
 * @typedef {{type: "StartSync", generation: number, after: {[channel: string]: number | null}, epoch: string | null,
 *   wait: number, newToken: boolean}} StartSync
 */
/** @typedef {{type: "CancelSync", generation: number}} CancelSync */
/**
 * @typedef {{type: "OpenStream", generation: number, url: string, ticket: string, cursor: {[channel: string]: number},
 *   via: Via}} OpenStream
 */
/** @typedef {{type: "CloseStream", generation: number}} CloseStream */
/** @typedef {{type: "Deliver", change: any, epoch: string}} Deliver */
/** @typedef {{type: "CheckDigest", channel: string, digest: string, contentDigest: string | null}} CheckDigest */
/** @typedef {{type: "DeliverDocument", change: any, epoch: string}} DeliverDocument */
/** @typedef {{type: "CheckDocuments", channel: string, contentDigest: string}} CheckDocuments */
/** @typedef {{type: "Finished", cause: any}} Finished */
/**
 * @typedef {StartSync | CancelSync | OpenStream | CloseStream | Deliver | CheckDigest | DeliverDocument
 *   | CheckDocuments | Finished} Command
 */
