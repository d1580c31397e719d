import { useEffect, useState } from 'react';
import type { TaskLog } from '../core/index.js';
import { useTaskpath } from './provider.js';
import { type JobId, idOf } from './useInstance.js';

const LOADING: TaskLog = Object.freeze({ lines: [], left: 0, isLoading: true, error: null });

/** The log of a task: the last lines of what there is, and every line that comes. */
export function useTaskLog(id: JobId, path: string): TaskLog {
  const client = useTaskpath();
  const name = idOf(id);
  const [shown, show] = useState({ of: '', log: LOADING });
  const of = JSON.stringify([name, path]);
  useEffect(() => {
    if (name === null) return undefined;
    const { log, release } = client.instance(name).followLog(path);
    const told = () => show({ of, log: log.getSnapshot() });
    const stop = log.subscribe(told);
    told();
    return () => {
      stop();
      release();
    };
  }, [client, name, path, of]);
  return shown.of === of ? shown.log : LOADING;
}
