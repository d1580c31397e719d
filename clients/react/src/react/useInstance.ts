import { useCallback, useMemo, useSyncExternalStore } from 'react';
import {
  type Instance,
  type InstanceSnapshot,
  type InstanceState,
  type Taskpath,
  type TaskSnapshot,
  unknownInstance,
  unknownTask,
} from '../core/index.js';
import { useTaskpath } from './provider.js';

/** The id of an instance; nothing is watched for null. */
export type JobId = string | number | null | undefined;

export interface WatchOptions {
  /** Patterns of the tasks that are wanted; all if it is not said, the items of large foreaches excepted. */
  paths?: readonly string[] | undefined;
}

const NONE: InstanceState = Object.freeze({ ...unknownInstance(''), isLoading: false });

export function idOf(id: JobId): string | null {
  return id === null || id === undefined || id === '' ? null : String(id);
}

/** An instance with all its tasks. Renders again when anything of it changes, at most once a frame. */
export function useInstance(id: JobId, { paths }: WatchOptions = {}): InstanceState {
  const client = useTaskpath();
  const name = idOf(id);
  const key = paths ? JSON.stringify(paths) : '';
  const subscribe = useCallback(
    (call: () => void) => watching(client, name, key, (instance) => instance.store.subscribe(call)),
    [client, name, key],
  );
  const server = useMemo(() => unknownInstance(name ?? ''), [name]);
  return useSyncExternalStore(
    subscribe,
    () => (name === null ? NONE : client.instance(name).store.getState()),
    () => server,
  );
}

/** An instance as a whole, without the states of its tasks. Renders again only when something of that changes. */
export function useInstanceSnapshot(id: JobId, { paths }: WatchOptions = {}): InstanceSnapshot {
  const client = useTaskpath();
  const name = idOf(id);
  const key = paths ? JSON.stringify(paths) : '';
  const subscribe = useCallback(
    (call: () => void) => watching(client, name, key, (instance) => instance.store.subscribeSnapshot(call)),
    [client, name, key],
  );
  const server = useMemo(() => unknownInstance(name ?? ''), [name]);
  return useSyncExternalStore(
    subscribe,
    () => (name === null ? NONE : client.instance(name).store.getSnapshot()),
    () => server,
  );
}

/** One task. Renders again only when something of that task changes, whatever else does. */
export function useTask(id: JobId, path: string): TaskSnapshot {
  const client = useTaskpath();
  const name = idOf(id);
  const subscribe = useCallback(
    (call: () => void) =>
      watching(client, name, JSON.stringify([path]), (instance) => instance.store.subscribeTask(path, call)),
    [client, name, path],
  );
  const unknown = useMemo(() => unknownTask(path), [path]);
  return useSyncExternalStore(
    subscribe,
    () => (name === null ? unknown : client.instance(name).store.getTask(path)),
    () => unknown,
  );
}

/** Several instances with their tasks, in this order. */
export function useEachInstance(ids: readonly string[]): readonly InstanceState[] {
  const client = useTaskpath();
  const key = JSON.stringify(ids);
  const group = useMemo(() => groupOf(client, JSON.parse(key) as string[]), [client, key]);
  return useSyncExternalStore(group.subscribe, group.get, group.getServer);
}

function groupOf(client: Taskpath, ids: readonly string[]) {
  const server = ids.map(unknownInstance);
  let last: readonly InstanceState[] = [];
  return {
    subscribe(call: () => void) {
      const stops = ids.map((id) => watching(client, id, '', (instance) => instance.store.subscribe(call)));
      return () => stops.forEach((stop) => stop());
    },
    get() {
      const now = ids.map((id) => client.instance(id).store.getState());
      if (now.length !== last.length || now.some((state, index) => state !== last[index])) last = now;
      return last;
    },
    getServer: () => server,
  };
}

/** Watches an instance and listens to it; returns what ends both. */
function watching(
  client: Taskpath,
  id: string | null,
  key: string,
  listen: (instance: Instance) => () => void,
): () => void {
  if (id === null) return () => {};
  const instance = client.instance(id);
  const stop = listen(instance);
  const unwatch = instance.watch(key ? (JSON.parse(key) as string[]) : undefined);
  return () => {
    stop();
    unwatch();
  };
}
