import { useMemo, useSyncExternalStore } from 'react';
import type { ConnectionState } from '../core/index.js';
import { useTaskpath } from './provider.js';

export interface ConnectionView extends ConnectionState {
  /** Does not wait any longer for the next try. */
  retryNow(): void;
}

const IDLE: ConnectionState = Object.freeze({ name: 'idle', since: 0 });

/** How the connection to the gateway is. */
export function useConnection(): ConnectionView {
  const client = useTaskpath();
  const state = useSyncExternalStore(client.subscribeConnection, client.getConnection, () => IDLE);
  return useMemo(() => ({ ...state, retryNow: () => client.retryNow() }), [client, state]);
}
