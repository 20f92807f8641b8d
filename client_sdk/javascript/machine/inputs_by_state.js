// Which inputs count in which states: the transition table of the machine. Pure.
//
// As client_sdk/machine/inputs_by_state.py, less Acknowledged and with Wake. What an input leads to stands in
// sync_connect_or_poll.js. The table is total: a dash ignores the input, which is of something that is over or
// cannot come.

const ROWS = `
                   idle  syncing  connecting  live  polling  closed  failed
Start              x     -        -           -     -        -       -
SyncDone           -     x        -           -     x        -       -
SyncFailed         -     x        -           -     x        -       -
StreamHello        -     -        x           -     x        -       -
StreamEvent        -     -        -           x     x        -       -
StreamDocument     -     -        -           x     x        -       -
StreamHeartbeat    -     -        -           x     x        -       -
StreamSyncRequired -     -        x           x     x        -       -
StreamBye          -     -        x           x     x        -       -
StreamEnded        -     -        x           x     x        -       -
Tick               -     x        x           x     x        -       -
Wake               -     x        x           x     x        -       -
Diverged           -     x        x           x     x        -       -
GiveUp             x     x        x           x     x        -       -
Close              x     x        x           x     x        -       x
`;

const [STATES, ...LINES] = ROWS.trim()
  .split("\n")
  .map((line) => line.trim().split(/\s+/));

/** The states in which each input counts; in all others it is ignored. */
export const COUNTS = /** @type {{[K in import("./messages.js").Input["type"]]: Set<string>}} */ (
  Object.fromEntries(
    LINES.map(([input, ...marks]) => [input, new Set(STATES.filter((_, n) => marks[n] === "x"))]),
  )
);
