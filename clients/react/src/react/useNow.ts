import { useEffect, useState } from 'react';
import { useTaskpath } from './provider.js';

/**
 * The server's time, ms since epoch, again and again while it is wanted; it stands still in a tab that nobody sees.
 *
 * @param interval ms
 */
export function useNow(wanted: boolean, interval: number): number {
  const client = useTaskpath();
  const [now, setNow] = useState(() => client.api.now());
  useEffect(() => {
    if (!wanted) return undefined;
    const tick = () => {
      if (!document.hidden) setNow(client.api.now());
    };
    tick();
    const timer = setInterval(tick, interval);
    return () => clearInterval(timer);
  }, [client, wanted, interval]);
  return now;
}
