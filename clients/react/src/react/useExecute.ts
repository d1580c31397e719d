import { useCallback, useEffect, useMemo, useRef, useState } from 'react';
import {
  type Accepted,
  type CancelOptions,
  type CommandOptions,
  type CreateInstanceBody,
  type ExecuteOptions,
  type InstanceDocument,
  TaskpathError,
} from '../core/index.js';
import { idOf } from './useInstance.js';
import { useTaskpath } from './provider.js';

type Id = string | number;

export interface Execute {
  /** Runs an instance, or a part of it. */
  execute(id: Id, options?: ExecuteOptions): Promise<Accepted>;
  /** Cancels what runs of an instance, or of a part of it. */
  cancel(id: Id, options?: CancelOptions): Promise<Accepted>;
  /** Replaces what a task's `update_context` left. */
  setContextUpdaters(id: Id, path: string, updaters: readonly unknown[], options?: CommandOptions): Promise<Accepted>;
  /** Creates an instance; with `execute: true` it runs at once. */
  create(body: CreateInstanceBody, options?: CommandOptions): Promise<InstanceDocument>;
  /** Whether something has not been answered. */
  readonly isPending: boolean;
  /** Why the last one failed; null after one that did not. */
  readonly error: TaskpathError | null;
}

/** What can be done. Each call is carried out once, also when the connection breaks meanwhile; it rejects if it fails. */
export function useExecute(): Execute {
  const client = useTaskpath();
  const [pending, setPending] = useState(0);
  const [error, setError] = useState<TaskpathError | null>(null);
  const mounted = useRef(true);
  useEffect(() => {
    mounted.current = true;
    return () => {
      mounted.current = false;
    };
  }, []);
  const track = useCallback(async <Answer>(call: () => Promise<Answer>): Promise<Answer> => {
    setPending((count) => count + 1);
    try {
      const answer = await call();
      if (mounted.current) setError(null);
      return answer;
    } catch (thrown) {
      if (mounted.current && thrown instanceof TaskpathError) setError(thrown);
      throw thrown;
    } finally {
      if (mounted.current) setPending((count) => count - 1);
    }
  }, []);
  const calls = useMemo(
    () => ({
      execute: (id: Id, options?: ExecuteOptions) => track(() => client.execute(nameOf(id), options)),
      cancel: (id: Id, options?: CancelOptions) => track(() => client.cancel(nameOf(id), options)),
      setContextUpdaters: (id: Id, path: string, updaters: readonly unknown[], options?: CommandOptions) =>
        track(() => client.setContextUpdaters(nameOf(id), path, updaters, options)),
      create: (body: CreateInstanceBody, options?: CommandOptions) => track(() => client.create(body, options)),
    }),
    [client, track],
  );
  return useMemo(() => ({ ...calls, isPending: pending > 0, error }), [calls, pending, error]);
}

function nameOf(id: Id): string {
  const name = idOf(id);
  if (name === null) throw new TypeError('The id of an instance is expected.');
  return name;
}
