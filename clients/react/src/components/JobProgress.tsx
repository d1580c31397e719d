import { type ReactNode, useEffect, useState } from 'react';
import { type InstanceState, fractionOf } from '../core/index.js';
import { Bar, UNSEEN } from './Bar.js';
import { percent } from './format.js';
import { announcement, counts, headline, trouble } from './words.js';

export interface JobProgressProps {
  state: InstanceState;
  /** What the job is called. */
  label?: string | undefined;
  /** From 0 to 1, if it is to be another than the state's. */
  fraction?: number | undefined;
  /** What stands beside the counts. */
  note?: ReactNode;
}

/** How one job stands: what it does, a bar, the counts, what went wrong. */
export function JobProgress({ state, label = 'Progress', fraction = fractionOf(state), note }: JobProgressProps) {
  const { status, error, isLoading, isLive, isDeleted } = state;
  const patient = useAfter(600, isLoading);
  if (error && status === null) {
    return (
      <div className="taskpath-progress" role="group" aria-label={label} data-status="unknown">
        <p className="taskpath-trouble" role="alert">
          {error.message}
        </p>
      </div>
    );
  }
  if (isLoading) {
    // Most answers come at once; a bar that flashes says less than none.
    return (
      <div className="taskpath-progress" role="group" aria-label={label} aria-busy="true" data-status="loading">
        {patient ? <Bar fraction={null} label={label} text="Waiting for news" /> : null}
      </div>
    );
  }
  const wrong = trouble(state);
  return (
    <div className="taskpath-progress" role="group" aria-label={label} data-status={status ?? 'unknown'} data-live={isLive}>
      <div className="taskpath-headline">
        <span className="taskpath-doing">{isDeleted && !state.isEnded ? 'Deleted' : headline(state)}</span>{' '}
        <span className="taskpath-percent">{percent(fraction)}</span>
      </div>
      <Bar fraction={fraction} label={label} text={`${percent(fraction)}, ${counts(state)}`} status={status ?? undefined} />
      <div className="taskpath-counts">
        <span>{counts(state)}</span>
        {note ? <span className="taskpath-note"> {note}</span> : null}
        {!isLive && !isDeleted ? <span className="taskpath-offline"> Reconnecting…</span> : null}
      </div>
      {wrong ? (
        <p className="taskpath-trouble" role="alert">
          {wrong}
        </p>
      ) : null}
      <span role="status" style={UNSEEN}>
        {announcement(state, label)}
      </span>
    </div>
  );
}

/** Whether something has lasted so long, in ms. */
function useAfter(delay: number, lasts: boolean): boolean {
  const [after, setAfter] = useState(false);
  useEffect(() => {
    if (!lasts) return undefined;
    const timer = setTimeout(() => setAfter(true), delay);
    return () => {
      clearTimeout(timer);
      setAfter(false);
    };
  }, [delay, lasts]);
  return after;
}
