import { type Taskpath, format } from '@taskpath/react';
import type { ExecutorView } from '@taskpath/react/core';
import { Fragment, useEffect } from 'react';
import { workflowAddress } from '../app/address.js';
import { Link } from '../app/router.js';
import { ago } from '../instances/ago.js';
import { Button } from '../ui/Button.js';
import { useNow } from '../ui/clock.js';
import { Progress } from '../ui/Progress.js';
import { usePolled } from '../ui/usePolled.js';
import { type Queue, queuesOf } from './queues.js';

const INTERVAL = 3_000;

async function read(client: Taskpath) {
  const [executors, workflows] = await Promise.all([client.api.executors(), client.api.workflows()]);
  return { executors: executors.items, workflows: workflows.items };
}


/** Who carries out tasks, for which queues, and how busy they are. */
export function ExecutorsPage() {
  const { answer, error, again } = usePolled(read, INTERVAL);
  useEffect(() => {
    document.title = 'Executors · Taskpath';
  }, []);
  const { executors, workflows } = answer ?? { executors: [], workflows: [] };
  return (
    <section className="plain-page" aria-busy={answer === null && !error}>
      <header className="page-head">
        <h1>Executors</h1>
      </header>
      {error ? (
        <p className="banner" data-tone="bad" role="alert">
          {error.message} {answer ? 'What you see is from before.' : ''} <Button onClick={again}>Try now</Button>
        </p>
      ) : null}
      {answer === null ? (
        error ? null : <p className="state">Asking who is there…</p>
      ) : executors.length === 0 ? (
        <div className="state" data-name="empty">
          <p>No executor has been heard of. Tasks wait until one is there.</p>
          <p className="hint">
            <code>taskpath executor app.py</code> starts one.
          </p>
        </div>
      ) : (
        <>
          <h2>Queues</h2>
          <Queues queues={queuesOf(executors, workflows)} />
          <h2>{executors.length === 1 ? '1 executor' : `${format.count(executors.length)} executors`}</h2>
          <Executors executors={executors} />
        </>
      )}
    </section>
  );
}

function Queues({ queues }: { queues: readonly Queue[] }) {
  return (
    <div className="scrolls">
      <table className="table stacks">
        <thead>
          <tr>
            <th scope="col">queue</th>
            <th scope="col">executors</th>
            <th scope="col">running</th>
            <th scope="col">workflows</th>
          </tr>
        </thead>
        <tbody>
          {queues.map((queue) => (
            <tr key={queue.name} data-status={queue.serving > 0 ? 'serving' : 'away'}>
              <th scope="row">{queue.name}</th>
              <td>
                {queue.serving > 0 ? `${format.count(queue.serving)} serving` : <span className="trouble">nobody serves it: its tasks wait</span>}
                {queue.leaving > 0 ? ` · ${format.count(queue.leaving)} leaving` : ''}
                {queue.away > 0 ? ` · ${format.count(queue.away)} away` : ''}
              </td>
              <td data-name="running">
                <Busy running={queue.running} of={queue.concurrency} label={`Queue ${queue.name}`} />
              </td>
              <td data-name="workflows">
                <Workflows names={queue.workflows} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Executors({ executors }: { executors: readonly ExecutorView[] }) {
  const now = useNow(true);
  return (
    <div className="scrolls">
      <table className="table stacks">
        <thead>
          <tr>
            <th scope="col">executor</th>
            <th scope="col">status</th>
            <th scope="col">running</th>
            <th scope="col">queues</th>
            <th scope="col">workflows</th>
            <th scope="col">started</th>
            <th scope="col">last heard of</th>
          </tr>
        </thead>
        <tbody>
          {executors.map(({ id, status, running, concurrency, queues, workflows, startedAt, lastHeartbeat }) => (
            <tr key={id} data-executor={id} data-status={status}>
              <th scope="row">
                <code>{id}</code>
              </th>
              <td>
                <span className="status" data-status={status}>
                  {status}
                </span>
              </td>
              <td data-name="running">
                <Busy running={running} of={concurrency} label={id} />
              </td>
              <td data-name="queues">{queues.join(', ')}</td>
              <td data-name="workflows">
                <Workflows names={workflows} />
              </td>
              <td data-name="started">
                <time title={format.moment(startedAt)}>{ago(startedAt, now)}</time>
              </td>
              <td data-name="last heard of">
                <time title={format.moment(lastHeartbeat)}>{ago(lastHeartbeat, now)}</time>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Busy({ running, of, label }: { running: number; of: number; label: string }) {
  const share = of === 0 ? 0 : Math.min(1, running / of);
  return (
    <span className="busy">
      <Progress parts={[{ status: 'running', share }]} fraction={share} label={`${label}: how busy`} text={`${running} of ${of}`} />
      {format.count(running)} of {format.count(of)}
    </span>
  );
}

function Workflows({ names }: { names: readonly string[] }) {
  return (
    <>
      {names.map((name, index) => (
        <Fragment key={name}>
          {index > 0 ? ', ' : ''}
          <Link href={workflowAddress(name)}>{name}</Link>
        </Fragment>
      ))}
    </>
  );
}
