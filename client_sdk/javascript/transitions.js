// The transition table: for each input and state the rule of machine.js that answers. Pure.
//
// As client_sdk/machine/transitions.py, less Acknowledged and with Wake. It is total: a dash ignores the input,
// which is of something that is over or cannot come.

export const IGNORE = "-";

const ROWS = `
                   idle    syncing       connecting    live          polling       closed  failed
Start              start   -             -             -             -             -       -
SyncDone           -       syncDone      -             -             syncDone      -       -
SyncFailed         -       syncFailed    -             -             syncFailed    -       -
StreamHello        -       -             hello         -             hello         -       -
StreamEvent        -       -             -             event         event         -       -
StreamHeartbeat    -       -             -             heartbeat     heartbeat     -       -
StreamSyncRequired -       -             syncRequired  syncRequired  syncRequired  -       -
StreamBye          -       -             bye           bye           bye           -       -
StreamEnded        -       -             ended         ended         ended         -       -
Tick               -       tick          tick          tick          tick          -       -
Wake               -       wake          wake          wake          wake          -       -
Diverged           -       diverge       diverge       diverge       diverge       -       -
GiveUp             giveUp  giveUp        giveUp        giveUp        giveUp        -       -
Close              close   close         close         close         close         -       close
`;

const [STATES, ...LINES] = ROWS.trim()
  .split("\n")
  .map((line) => line.trim().split(/\s+/));

/** The rule by input and state: TABLE.Tick.live is "tick". */
export const TABLE = Object.fromEntries(
  LINES.map(([input, ...rules]) => [
    input,
    Object.fromEntries(STATES.map((state, n) => [state, rules[n]])),
  ]),
);
