/**
 * A page on which the tests look at one component, against a real gateway of another origin:
 * `?gateway=…&show=jobify&id=…`. What happens is written down in `window.told`.
 */
import { type ReactNode, StrictMode, useState } from 'react';
import { createRoot } from 'react-dom/client';
import {
  ContinuousProgression,
  Jobify,
  Progression,
  TaskpathProvider,
  Workflow,
  useConnection,
  useExecute,
  useInstances,
  useTask,
} from '../../src/index.js';

const asked = new URLSearchParams(location.search);
const id = asked.get('id') ?? '';
const told: string[] = [];
Object.assign(window, { told, drawn: new Map<string, number>() });

function Connection() {
  const { name, retryNow } = useConnection();
  return (
    <p>
      <output id="connection">{name}</output> <button onClick={retryNow}>Try now</button>
    </p>
  );
}

function List() {
  const { items, loadMore, hasMore, isLoading } = useInstances({ workflow: asked.get('workflow') ?? undefined, limit: 5 });
  return (
    <>
      <ul aria-busy={isLoading}>
        {items.map((item) => (
          <li key={item.id} data-status={item.status}>
            {item.name}
          </li>
        ))}
      </ul>
      {hasMore ? <button onClick={() => void loadMore()}>More</button> : null}
    </>
  );
}

/** Starts a job and shows it where its result will be. */
function Starter() {
  const { create, isPending, error } = useExecute();
  const [job, setJob] = useState<string | null>(null);
  const start = async () => setJob((await create({ workflow: asked.get('workflow') ?? '', data: 1, execute: true })).id);
  return (
    <>
      <button disabled={isPending} onClick={() => void start().catch(() => {})}>
        Start
      </button>
      {error ? <p role="alert">{error.message}</p> : null}
      <Jobify jobId={job} component={() => <p id="result">{job ? 'The result' : 'Nothing yet'}</p>} />
    </>
  );
}

/** Many tasks, each of which counts how often it is drawn. */
function Rows() {
  const count = Number(asked.get('count'));
  return (
    <ul>
      {Array.from({ length: count }, (_, index) => (
        <Row key={index} path={`#.each[${index}]`} />
      ))}
    </ul>
  );
}

function Row({ path }: { path: string }) {
  const { status } = useTask(id, path);
  const { drawn } = window as unknown as { drawn: Map<string, number> };
  drawn.set(path, (drawn.get(path) ?? 0) + 1);
  return <li data-status={status}>{path}</li>;
}

const events = {
  onTaskStart: ({ path }: { path: string }) => told.push(`start ${path}`),
  onTaskEnd: ({ path }: { path: string }) => told.push(`end ${path}`),
  onComplete: () => told.push('complete'),
  onError: ({ path, error }: { path: string | null; error: { message: string } }) => told.push(`error ${path} ${error.message}`),
};

const SHOWN: Record<string, () => ReactNode> = {
  jobify: () => <Jobify jobId={id} component={() => <p id="result">The result</p>} />,
  progression: () => <Progression workflowIds={id.split(',')} {...events} />,
  continuous: () => <ContinuousProgression workflowIds={[id]} estimations={{ '#.work': 5_000, '#.after': 5_000 }} />,
  workflow: () => <Workflow workflowId={id} title="Album" />,
  'styled-workflow': () => {
    void import('../../style.css');
    return <Workflow workflowId={id} title="Album" />;
  },
  list: () => <List />,
  starter: () => <Starter />,
  rows: () => <Rows />,
};


createRoot(document.getElementById('root')!).render(
  <StrictMode>
    <TaskpathProvider url={asked.get('gateway') ?? ''}>
      <Connection />
      {SHOWN[asked.get('show') ?? '']?.()}
    </TaskpathProvider>
  </StrictMode>,
);
