// The events of a stream or a socket as the machine's inputs. Pure.
//
// As client_sdk/transport/stream_events.py.

import { ContractError, checkEvent, instant, isEpoch, isWait, parsed } from "../contract/contract.js";
import { checkDocumentEvent } from "../contract/state/document.js";

/**
 * What an event of the stream means; null for one that we do not know.
 *
 * @param {number} generation of the stream
 * @param {{type: string, data: string}} event `data` is JSON, not decoded yet
 * @returns {import("../machine/messages.js").Input | null}
 * @throws {ContractError} its data is not what its type demands
 */
export function inputOf(generation, { type, data }) {
  if (type.startsWith("order.")) {
    return { type: "StreamEvent", generation, event: checkEvent(parsed(data)) };
  }
  if (type.startsWith("document.")) {
    return { type: "StreamDocument", generation, event: checkDocumentEvent(parsed(data)) };
  }
  switch (/** @type {import("../contract/contract_lists.js").StreamEventName} */ (type)) {
    case "hello": {
      const { epoch, watermark } = parsed(data);
      check(isEpoch(epoch), type);
      return { type: "StreamHello", generation, epoch, watermark: instant(watermark) };
    }
    case "heartbeat":
      return { type: "StreamHeartbeat", generation, watermark: instant(parsed(data).watermark) };
    case "sync-required": {
      const { channel, reason } = parsed(data);
      check(typeof channel === "string" && typeof reason === "string", type);
      return { type: "StreamSyncRequired", generation, channel, reason };
    }
    case "bye": {
      const { reason, reconnect_after_ms: reconnectAfterMs } = parsed(data);
      check(typeof reason === "string" && isWait(reconnectAfterMs), type);
      return { type: "StreamBye", generation, reason, reconnectAfterMs };
    }
    default:
      return null;
  }
}

function check(condition, type) {
  if (!condition) throw new ContractError(`the stream's ${type} is not as the protocol says`);
}
