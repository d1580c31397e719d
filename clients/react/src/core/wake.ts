/**
 * Calls when the page may have been away: it is shown again, it comes out of the browser's cache, its network is
 * back. Returns what ends it. Where there is no page, nothing is ever called.
 */
export function onWake(call: () => void): () => void {
  if (typeof window === 'undefined' || typeof document === 'undefined') return () => {};
  const shown = () => {
    if (document.visibilityState === 'visible') call();
  };
  window.addEventListener('online', call);
  window.addEventListener('pageshow', call);
  document.addEventListener('visibilitychange', shown);
  return () => {
    window.removeEventListener('online', call);
    window.removeEventListener('pageshow', call);
    document.removeEventListener('visibilitychange', shown);
  };
}
