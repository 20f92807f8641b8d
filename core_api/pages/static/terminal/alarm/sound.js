// The sounds, which Web Audio makes: there is no file to load. Each kind has its own.

/** By kind: the waveform, and the notes as [frequency in hertz, start in seconds, length in seconds]. */
const PATTERNS = {
  // Upwards: something good came in.
  new: { type: "triangle", notes: [[880, 0, 1.2], [1174.7, 0.16, 1.2], [1568, 0.32, 1.2]] },
  // Up and down, twice: look at what you are making.
  changed: { type: "square", notes: [[988, 0, 0.2], [740, 0.22, 0.2], [988, 0.44, 0.2], [740, 0.66, 0.3]] },
  // Downwards, hard: stop.
  cancelled: { type: "sawtooth", notes: [[784, 0, 0.3], [523, 0.3, 0.3], [349, 0.6, 0.7]] },
  // Two low knocks.
  offline: { type: "sine", notes: [[220, 0, 0.35], [220, 0.5, 0.35]] },
  // One high bell, twice.
  session: { type: "sine", notes: [[1319, 0, 0.9], [1319, 0.6, 0.9]] },
};

/**
 * Plays a sound.
 *
 * @param context a running AudioContext
 * @param kind a name of KINDS in when_it_sounds.js
 * @param volume from 0 to 1
 */
export function sound(context, kind, volume) {
  const { type, notes } = PATTERNS[kind];
  for (const [frequency, after, length] of notes) {
    const start = context.currentTime + after;
    const tone = new OscillatorNode(context, { type, frequency });
    const gain = new GainNode(context, { gain: 0 });
    gain.gain.setValueAtTime(0, start);
    gain.gain.linearRampToValueAtTime(volume, start + 0.015);
    gain.gain.exponentialRampToValueAtTime(0.001, start + length);
    tone.connect(gain).connect(context.destination);
    tone.start(start);
    tone.stop(start + length);
  }
}
