/** The instance that the page shows, shared by everything on it. It is watched once; rows listen and ask for nothing. */
import { type Taskpath, type TaskSnapshot, useTaskpath } from '@taskpath/react';
import type { InstanceSnapshot } from '@taskpath/react';
import type { Instance } from '@taskpath/react/core';
import { type ReactNode, createContext, useCallback, useContext, useEffect, useMemo, useState, useSyncExternalStore } from 'react';
import type { Shape } from './outline.js';
import { type Group, NO_GROUP, Tally } from './tally.js';

export interface Live {
  readonly id: string;
  readonly client: Taskpath;
  readonly instance: Instance;
  readonly tally: Tally;
}

const Context = createContext<Live | null>(null);

export function LiveInstance({ id, children }: { id: string; children: ReactNode }) {
  const client = useTaskpath();
  const [live] = useState<Live>(() => {
    const instance = client.instance(id);
    return { id, client, instance, tally: new Tally(() => instance.store.getSnapshot().tree) };
  });
  useEffect(() => {
    const stop = live.tally.follow(live.instance.store);
    const unwatch = live.instance.watch();
    return () => {
      unwatch();
      stop();
    };
  }, [live]);
  return <Context.Provider value={live}>{children}</Context.Provider>;
}

export function useLive(): Live {
  const live = useContext(Context);
  if (!live) throw new Error('useLive is used outside of an instance.');
  return live;
}

export function useSnapshot(): InstanceSnapshot {
  const { store } = useLive().instance;
  return useSyncExternalStore(store.subscribeSnapshot, store.getSnapshot, store.getSnapshot);
}

/** One field of the instance, for what is not to be drawn again when others change. */
export function useField<Name extends keyof InstanceSnapshot>(name: Name): InstanceSnapshot[Name] {
  const { store } = useLive().instance;
  const get = () => store.getSnapshot()[name];
  return useSyncExternalStore(store.subscribeSnapshot, get, get);
}

/** One task, without asking for it: the page has asked for all that are shown. */
export function useTaskState(path: string): TaskSnapshot {
  const { store } = useLive().instance;
  const subscribe = useCallback((call: () => void) => store.subscribeTask(path, call), [store, path]);
  const get = () => store.getTask(path);
  return useSyncExternalStore(subscribe, get, get);
}

const never = () => () => {};

/** What is known of a group; nothing if it is not wanted. */
export function useGroup(path: string, wanted = true): Group {
  const { tally } = useLive();
  const subscribe = useCallback((call: () => void) => tally.subscribe(path, call), [tally, path]);
  const get = () => (wanted ? tally.group(path) : NO_GROUP);
  return useSyncExternalStore(wanted ? subscribe : never, get, get);
}

/** The tree, and how many items its foreaches have; another object when that has changed. */
export function useShape(): Shape & { readonly version: number } {
  const { instance, tally } = useLive();
  const tree = useField('tree');
  const version = useSyncExternalStore(
    tally.subscribeShape,
    () => tally.shape,
    () => 0,
  );
  // A version is another answer of countOf.
  return useMemo(() => ({ tree, version, countOf: (path: string) => instance.store.getTask(path).count ?? 0 }), [tree, version, instance]);
}
