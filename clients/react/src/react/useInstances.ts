import { useCallback, useMemo, useSyncExternalStore } from 'react';
import { type InstanceList, LOADING_LIST, type ListFilter } from '../core/index.js';
import { useTaskpath } from './provider.js';

export interface Instances extends InstanceList {
  /** Loads the next page. */
  loadMore(): Promise<void>;
}

/** The instances that a filter stands for, newest first, kept up to date. */
export function useInstances(filter: ListFilter = {}): Instances {
  const client = useTaskpath();
  const key = JSON.stringify(filter);
  const list = useCallback(() => client.list(JSON.parse(key) as ListFilter), [client, key]);
  const subscribe = useCallback((call: () => void) => list().subscribe(call), [list]);
  const snapshot = useSyncExternalStore(
    subscribe,
    () => list().getSnapshot(),
    () => LOADING_LIST,
  );
  return useMemo(() => ({ ...snapshot, loadMore: () => list().loadMore() }), [snapshot, list]);
}
