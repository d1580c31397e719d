/** Time, timers and frames as the core sees them, so that tests can move them by hand. */

export interface Clock {
  /** ms since epoch. */
  now(): number;
  setTimeout(call: () => void, delay: number): unknown;
  clearTimeout(timer: unknown): void;
  /** Calls once before the next frame is drawn; returns what calls it off. */
  onFrame(call: () => void): () => void;
}

/** A tab in the background draws no frames; what waits for one is done by then all the same. */
const LONGEST_FRAME = 250;

export const systemClock: Clock = {
  now: () => Date.now(),
  setTimeout: (call, delay) => setTimeout(call, delay),
  clearTimeout: (timer) => clearTimeout(timer as ReturnType<typeof setTimeout>),
  onFrame(call) {
    if (typeof requestAnimationFrame !== 'function') {
      const timer = setTimeout(call, 16);
      return () => clearTimeout(timer);
    }
    const cancel = () => {
      cancelAnimationFrame(frame);
      clearTimeout(timer);
    };
    const once = () => {
      cancel();
      call();
    };
    const frame = requestAnimationFrame(once);
    const timer = setTimeout(once, LONGEST_FRAME);
    return cancel;
  },
};
