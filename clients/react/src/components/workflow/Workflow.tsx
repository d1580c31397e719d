import { useCallback, useState } from 'react';
import { useInstance } from '../../react/useInstance.js';
import { JobProgress } from '../JobProgress.js';
import { Actions } from './Actions.js';
import { Panel } from './Panel.js';
import { Tree } from './Tree.js';

export interface WorkflowProps {
  workflowId: string | number;
  title?: string | undefined;
  /** The task that is selected at first. */
  defaultPath?: string | undefined;
  /** Which task is selected, if that is not the component's own business; null for none. */
  path?: string | null | undefined;
  onSelect?: ((path: string | null) => void) | undefined;
}

/** A workflow as a tree of its tasks, with buttons to run it or a part of it, and what is kept of the selected task. */
export function Workflow({ workflowId, title = 'Workflow', defaultPath, path, onSelect }: WorkflowProps) {
  const id = String(workflowId);
  const [own, setOwn] = useState<string | null>(defaultPath ?? null);
  const selected = path === undefined ? own : path;
  const select = useCallback(
    (to: string | null) => {
      setOwn(to);
      onSelect?.(to);
    },
    [onSelect],
  );
  return (
    <section className="taskpath-workflow" aria-label={title}>
      <Head id={id} title={title} />
      <div className="taskpath-body">
        <Tree key={id} id={id} selected={selected} onSelect={select} label={`Tasks of ${title}`} />
        {selected === null ? null : (
          <Panel key={`${id} ${selected}`} id={id} path={selected} onClose={() => select(null)} />
        )}
      </div>
    </section>
  );
}

function Head({ id, title }: { id: string; title: string }) {
  const state = useInstance(id);
  return (
    <header className="taskpath-head">
      <h2>{title}</h2>
      <JobProgress state={state} label={title} />
      {state.status === null || state.isDeleted ? null : (
        <Actions
          id={id}
          path="#"
          isBusy={state.status === 'working'}
          hasFailed={state.failedTasks > 0}
          hasStale={state.staleTasks > 0}
        />
      )}
    </header>
  );
}
