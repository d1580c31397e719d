import { format, useConnection } from '@taskpath/react';
import { useEffect, useState, useSyncExternalStore } from 'react';
import { Button } from '../ui/Button.js';
import { useNow } from '../ui/clock.js';

/** Shorter breaks than this are not worth a banner, ms. */
const PATIENCE = 1_500;

function subscribe(call: () => void): () => void {
  addEventListener('online', call);
  addEventListener('offline', call);
  return () => {
    removeEventListener('online', call);
    removeEventListener('offline', call);
  };
}

function useOnline(): boolean {
  return useSyncExternalStore(subscribe, () => navigator.onLine, () => true);
}

const WORDS = { idle: 'Idle', connecting: 'Connecting', open: 'Live', waiting: 'Reconnecting', denied: 'Signed out' } as const;

/** How the connection is, in a word. */
export function Connection() {
  const { name } = useConnection();
  const online = useOnline();
  const state = !online && name !== 'open' ? 'offline' : name;
  return (
    <p className="connection" data-state={state} role="status">
      <span className="dot" aria-hidden="true" />
      {state === 'offline' ? 'Offline' : WORDS[name]}
    </p>
  );
}

/** What is said while the gateway is away: since when, and when it is tried again. */
export function Away() {
  const { name, since, retryAt, error, retryNow } = useConnection();
  const online = useOnline();
  // A try that fails does not begin a new absence.
  const [lostAt, setLostAt] = useState<number | null>(null);
  const isAway = name === 'waiting' || (name === 'connecting' && lostAt !== null);
  useEffect(() => {
    if (name === 'waiting') setLostAt((before) => before ?? since);
    else if (name !== 'connecting') setLostAt(null);
  }, [name, since]);
  const now = useNow(isAway);
  if (!isAway || lostAt === null || now - lostAt < PATIENCE) return null;
  const left = retryAt === undefined ? 0 : Math.max(0, Math.ceil((retryAt - now) / 1_000));
  return (
    <div className="away" role="status">
      <p>
        <strong>{online ? 'The gateway cannot be reached.' : 'This machine is offline.'}</strong> What you see is as of {format.timeOfDay(lostAt)}, and goes on from there.{' '}
        <span className="when" aria-live="off">
          {name === 'connecting' ? 'Trying now…' : left > 0 ? `Next try in ${left} s.` : 'Trying…'}
        </span>
        <span className="unseen">{error?.message}</span>
      </p>
      <Button onClick={retryNow} disabled={name === 'connecting'}>
        Try now
      </Button>
    </div>
  );
}
