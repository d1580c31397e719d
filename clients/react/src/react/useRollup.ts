import { useCallback, useRef, useSyncExternalStore } from 'react';
import { type InstanceState, type RollupView, type Span, rollupOf, spanOf } from '../core/index.js';
import { sameJson } from '../core/state.js';
import { useTaskpath } from './provider.js';
import { type JobId, idOf } from './useInstance.js';

/** How many of the tasks right below a group have which status; null for a task that is none, and if it is not known. */
export function useRollup(id: JobId, path: string, wanted = true): RollupView | null {
  return useBelow(id, path, wanted, rollupOf);
}

/** When a group began and ended; null if it is not wanted. */
export function useSpan(id: JobId, path: string, wanted = true): Span | null {
  return useBelow(id, path, wanted, spanOf);
}

/** What is read from a task and those below it, once for each change among them. */
function useBelow<Read extends object>(
  id: JobId,
  path: string,
  wanted: boolean,
  read: (state: InstanceState, path: string) => Read | null,
): Read | null {
  const client = useTaskpath();
  const name = wanted ? idOf(id) : null;
  const last = useRef<{ of: object | null; read: Read | null }>({ of: null, read: null });
  const subscribe = useCallback(
    (call: () => void) => (name === null ? () => {} : client.instance(name).store.subscribeBelow(path, call)),
    [client, name, path],
  );
  const get = () => {
    if (name === null) return null;
    const state = client.instance(name).store.getState();
    if (last.current.of !== state) {
      const now = read(state, path);
      last.current = { of: state, read: sameJson(now, last.current.read) ? last.current.read : now };
    }
    return last.current.read;
  };
  return useSyncExternalStore(subscribe, get, () => null);
}
