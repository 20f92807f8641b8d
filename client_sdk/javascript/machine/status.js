// How the client receives events, for a lamp. Pure.
//
// As client_sdk/machine/status.py; what else a page shows of the client, client.js says.

/**
 * The mode of the machine.
 *
 * @param {import("./machine.js").Machine} machine the client's
 * @param {import("../contract/contract_lists.js").Mode} before its last mode, which stays between two streams
 * @returns {import("../contract/contract_lists.js").Mode}
 */
export function modeOf(machine, before) {
  const { state } = machine;
  if (state === "idle") return "starting";
  if (state === "closed" || state === "failed" || state === "live") return state;
  if (machine.failing) return "offline";
  if (machine.freshness.certainAt === null) return "starting";
  if (state === "polling") return "polling";
  // Between two streams, as planned: the lamp does not flicker.
  return before === "offline" ? "polling" : before;
}
