/** One timer for everything on the page that ticks; it stands still in a tab that nobody sees. */
import { useTaskpath } from '@taskpath/react';
import { useSyncExternalStore } from 'react';

class Ticker {
  #calls = new Set<() => void>();
  #timer: ReturnType<typeof setInterval> | undefined;
  #at = 0;

  constructor(private readonly interval: number) {}

  readonly get = (): number => this.#at || (this.#at = Date.now());

  readonly subscribe = (call: () => void): (() => void) => {
    this.#calls.add(call);
    this.#timer ??= setInterval(() => {
      if (document.hidden) return;
      this.#at = Date.now();
      for (const each of [...this.#calls]) each();
    }, this.interval);
    return () => {
      this.#calls.delete(call);
      if (this.#calls.size > 0) return;
      clearInterval(this.#timer);
      this.#timer = undefined;
      this.#at = 0;
    };
  };
}

const tickers = new Map<number, Ticker>();
const never = () => () => {};

/**
 * The server's time, ms since epoch, again and again while it is wanted.
 *
 * @param interval ms
 */
export function useNow(wanted: boolean, interval = 1_000): number {
  const client = useTaskpath();
  let ticker = tickers.get(interval);
  if (!ticker) tickers.set(interval, (ticker = new Ticker(interval)));
  useSyncExternalStore(wanted ? ticker.subscribe : never, wanted ? ticker.get : () => 0);
  return client.api.now();
}
