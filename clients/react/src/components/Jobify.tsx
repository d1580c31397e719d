import { type ReactNode, Fragment } from 'react';
import type { InstanceState } from '../core/index.js';
import { type JobId, useInstance } from '../react/useInstance.js';
import { JobProgress } from './JobProgress.js';

/** What a progression is given. */
export type JobState = InstanceState;

export interface JobifyProps {
  /** The instance that makes what is shown; null if none does. */
  jobId: JobId;
  /** What is shown in place of the component while the job is not done; a bar and what it does, if it is not said. */
  progression?: ((state: JobState) => ReactNode) | undefined;
  /** What is shown when there is no job, and when it is done. */
  component: () => ReactNode;
}

/** Shows a job's progress where its result will be. */
export function Jobify({ jobId, progression, component }: JobifyProps) {
  const state = useInstance(jobId);
  if (state.id === '' || state.status === 'done') return <Slot key="component" render={component} state={state} />;
  return <Slot key="progression" render={progression ?? standard} state={state} />;
}

function standard(state: JobState): ReactNode {
  return <JobProgress state={state} />;
}

/** Renders in a component of its own, so that what is given may use hooks. */
function Slot({ render, state }: { render: (state: JobState) => ReactNode; state: JobState }) {
  return <Fragment>{render(state)}</Fragment>;
}
