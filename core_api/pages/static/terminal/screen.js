// The screen: it is kept awake while the page is visible, and can be filled by the page.

/** Keeps the screen awake while the page is visible, if the browser can do that. */
export function keepAwake() {
  const ask = async () => {
    if (document.hidden || !navigator.wakeLock) return;
    try {
      await navigator.wakeLock.request("screen");
    } catch {
      // A low battery or a policy forbids it: then the device's own settings apply.
    }
  };
  // The browser takes the lock away whenever the page is hidden.
  document.addEventListener("visibilitychange", ask);
  ask();
}

/** Turns the full screen on or off. */
export async function toggleFullScreen() {
  try {
    if (document.fullscreenElement) await document.exitFullscreen();
    else await document.documentElement.requestFullscreen();
  } catch {
    // A frame or a policy forbids it.
  }
}
