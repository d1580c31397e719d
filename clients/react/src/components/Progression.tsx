import type { ReactNode } from 'react';
import type { InstanceState } from '../core/index.js';
import { useEachInstance } from '../react/useInstance.js';
import { type JobEvents, useJobEvents } from '../react/useJobEvents.js';
import { JobProgress } from './JobProgress.js';

export interface ProgressionProps extends JobEvents {
  /** The instances, in the order in which they are shown. */
  workflowIds: readonly (string | number)[];
  /** Shows them in another way. */
  render?: ((states: readonly InstanceState[]) => ReactNode) | undefined;
  /** What each is called: its id and its place are given. */
  label?: ((id: string, index: number) => string) | undefined;
}

/** How several jobs stand, a bar for each. */
export function Progression({ workflowIds, render, label = numbered, ...events }: ProgressionProps) {
  const ids = workflowIds.map(String);
  const states = useEachInstance(ids);
  useJobEvents(ids, states, events);
  if (render) return <>{render(states)}</>;
  return (
    <div className="taskpath-progression">
      {states.map((state, index) => (
        <JobProgress key={`${state.id} ${index}`} state={state} label={ids.length > 1 ? label(state.id, index) : undefined} />
      ))}
    </div>
  );
}

export function numbered(_id: string, index: number): string {
  return `Job ${index + 1}`;
}
