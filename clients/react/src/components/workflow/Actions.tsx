import { useState } from 'react';
import { type ExecuteOptions, type Mode, TaskpathError, type Upstream } from '../../core/index.js';
import { useExecute } from '../../react/useExecute.js';

export interface ActionsProps {
  id: string;
  path: string;
  /** Whether anything at or under the path runs. */
  isBusy: boolean;
  hasFailed: boolean;
  hasStale: boolean;
}

interface Refusal {
  error: TaskpathError;
  mode: Mode;
}

/** Buttons that run a path or cancel it, and what the server has to say to that. */
export function Actions({ id, path, isBusy, hasFailed, hasStale }: ActionsProps) {
  const { execute, cancel, isPending } = useExecute();
  const [refusal, setRefusal] = useState<Refusal | null>(null);
  const attempt = async (mode: Mode, call: () => Promise<unknown>) => {
    setRefusal(null);
    try {
      await call();
    } catch (error) {
      if (!(error instanceof TaskpathError)) throw error;
      setRefusal({ error, mode });
    }
  };
  const run = (mode: Mode, upstream: Upstream = 'require') => {
    const options: ExecuteOptions = { path, mode, upstream };
    return () => void attempt(mode, () => execute(id, options));
  };
  const button = (text: string, onClick: () => void) => (
    <button type="button" disabled={isPending} onClick={onClick}>
      {text}
    </button>
  );
  return (
    <div className="taskpath-actions">
      {isBusy ? button('Cancel', () => void attempt('all', () => cancel(id, { path }))) : button('Run', run('all'))}{' '}
      {hasFailed && !isBusy ? button('Re-run failed', run('failed')) : null}{' '}
      {hasStale && !isBusy ? button('Re-run stale', run('stale')) : null}
      {refusal ? (
        <div className="taskpath-trouble" role="alert">
          <p>{refusal.error.message}</p>
          {refusal.error.code === 'CANNOT_START_TASK' ? (
            <p>
              {button('Run what is missing first', run(refusal.mode, 'run'))} {button('Run anyway', run(refusal.mode, 'ignore'))}
            </p>
          ) : null}
          <button type="button" onClick={() => setRefusal(null)}>
            Close
          </button>
        </div>
      ) : null}
    </div>
  );
}
