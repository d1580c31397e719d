import { useEffect, useState } from 'react';
import { type TaskDocument, TaskpathError } from '../core/index.js';
import { useTaskpath } from './provider.js';
import { type JobId, idOf, useTask } from './useInstance.js';

export interface RecordOfTask {
  /** Its result, argument, context and attempts; the last that was read, until a newer one has been. */
  readonly record: TaskDocument | null;
  readonly isLoading: boolean;
  readonly error: TaskpathError | null;
}

const RETRY = 3_000;
const NOTHING: RecordOfTask = Object.freeze({ record: null, isLoading: true, error: null });

/** The record of a task, read again whenever its state says that there is news. */
export function useTaskRecord(id: JobId, path: string): RecordOfTask {
  const client = useTaskpath();
  const name = idOf(id);
  const { status, attempt, stale, executionTime, isKnown } = useTask(id, path);
  const [read, setRead] = useState({ of: '', ...NOTHING });
  const of = JSON.stringify([name, path]);
  const news = [status, attempt, stale, executionTime, isKnown].join();
  useEffect(() => {
    if (name === null) return undefined;
    const abort = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const again = async () => {
      try {
        const record = await client.task(name, path, { signal: abort.signal });
        if (!abort.signal.aborted) setRead({ of, record, isLoading: false, error: null });
      } catch (thrown) {
        if (abort.signal.aborted || !(thrown instanceof TaskpathError)) return;
        setRead((before) => ({ of, record: before.of === of ? before.record : null, isLoading: false, error: thrown }));
        if (thrown.isTemporary) timer = setTimeout(() => void again(), RETRY);
      }
    };
    void again();
    return () => {
      abort.abort();
      clearTimeout(timer);
    };
  }, [client, name, path, of, news]);
  return read.of === of ? read : NOTHING;
}
