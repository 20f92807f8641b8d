// The screen: it stays awake while orders are awaited, and may be filled.

/** Keeps the screen awake for as long as the page is shown, where the browser can. */
export function keepAwake() {
  const ask = async () => {
    if (document.hidden || !navigator.wakeLock) return;
    try {
      await navigator.wakeLock.request("screen");
    } catch {
      // A battery that is low, or a policy, forbids it: the owner's own settings hold then.
    }
  };
  // The browser takes the lock away whenever the page is hidden.
  document.addEventListener("visibilitychange", ask);
  ask();
}

/** Fills the screen, or no longer. */
export async function toggleFullScreen() {
  try {
    if (document.fullscreenElement) await document.exitFullscreen();
    else await document.documentElement.requestFullscreen();
  } catch {
    // A frame or a policy forbids it.
  }
}
