import { type ReactNode, useRef } from 'react';
import { type Estimations, type InstanceState, estimate, fractionOf } from '../core/index.js';
import { useEachInstance } from '../react/useInstance.js';
import { useJobEvents } from '../react/useJobEvents.js';
import { useNow } from '../react/useNow.js';
import { useReducedMotion } from '../react/useReducedMotion.js';
import { timeLeft } from './format.js';
import { JobProgress } from './JobProgress.js';
import { type ProgressionProps, numbered } from './Progression.js';

export interface ContinuousState {
  readonly state: InstanceState;
  /** From 0 to 1; it never goes back while the job runs. */
  readonly fraction: number;
  /** How long it may still take, ms; null if that is not known. */
  readonly remaining: number | null;
  /** Something takes notably longer than was expected. */
  readonly isLate: boolean;
}

export interface ContinuousProgressionProps extends Omit<ProgressionProps, 'render'> {
  /**
   * How long tasks take, in ms, by path or by pattern of items (`#.resize[*]`); what is not given is taken from what
   * they took in the past, and from how fast they are now.
   */
  estimations?: Estimations | undefined;
  render?: ((jobs: readonly ContinuousState[]) => ReactNode) | undefined;
}

const TICK = 200;
const CALM_TICK = 2_000;

/** How several jobs stand, with bars that move with time and say how long it may still take. */
export function ContinuousProgression({
  workflowIds,
  render,
  label = numbered,
  estimations,
  ...events
}: ContinuousProgressionProps) {
  const ids = workflowIds.map(String);
  const states = useEachInstance(ids);
  useJobEvents(ids, states, events);
  const calm = useReducedMotion();
  const moving = states.some(({ status, isLive }) => status === 'working' && isLive);
  const now = useNow(moving, calm ? CALM_TICK : TICK);
  const jobs = useForward(states.map((state) => continuous(state, estimations, now)));
  if (render) return <>{render(jobs)}</>;
  return (
    <div className="taskpath-progression" data-continuous="true">
      {jobs.map(({ state, fraction, remaining, isLate }, index) => (
        <JobProgress
          key={`${state.id} ${index}`}
          state={state}
          label={ids.length > 1 ? label(state.id, index) : undefined}
          fraction={fraction}
          note={state.status === 'working' ? timeLeft(remaining, isLate) : null}
        />
      ))}
    </div>
  );
}

function continuous(state: InstanceState, estimations: Estimations | undefined, now: number): ContinuousState {
  if (state.status !== 'working') return { state, fraction: fractionOf(state), remaining: null, isLate: false };
  const { fraction, remaining, isLate } = estimate(state, estimations, now);
  return { state, fraction: Math.min(fraction, 0.999), remaining, isLate };
}

/** What is estimated may turn out to take longer; a bar that goes back would only say so in a confusing way. */
function useForward(jobs: readonly ContinuousState[]): readonly ContinuousState[] {
  const furthest = useRef(new Map<string, number>());
  return jobs.map((job) => {
    const { id, status } = job.state;
    if (status !== 'working') {
      furthest.current.delete(id);
      return job;
    }
    const fraction = Math.max(job.fraction, furthest.current.get(id) ?? 0);
    furthest.current.set(id, fraction);
    return { ...job, fraction };
  });
}
