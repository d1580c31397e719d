import { type Taskpath, format } from '@taskpath/react';
import type { WorkflowView } from '@taskpath/react/core';
import { useEffect } from 'react';
import { NO_FILTER, listAddress, workflowAddress } from '../app/address.js';
import { Link } from '../app/router.js';
import { Button } from '../ui/Button.js';
import { usePolled } from '../ui/usePolled.js';
import { StartForm } from './StartForm.js';

const INTERVAL = 10_000;
const read = (client: Taskpath) => client.api.workflows();

/** The workflows that executors have announced, and a form that starts the chosen one. */
export function WorkflowsPage({ name }: { name: string | null }) {
  const { answer, error, again } = usePolled(read, INTERVAL);
  const items = answer?.items ?? [];
  const chosen = items.find((workflow) => workflow.name === name) ?? null;
  useEffect(() => {
    document.title = name === null ? 'Workflows · Taskpath' : `Start ${name} · Taskpath`;
  }, [name]);
  return (
    <section className="workflows-page" data-chosen={name !== null} aria-busy={answer === null && !error}>
      <nav className="workflow-list" aria-label="Workflows">
        <h1>Workflows</h1>
        {error ? (
          <p className="trouble" role="alert">
            {error.message} <Button onClick={again}>Try now</Button>
          </p>
        ) : null}
        {answer === null && !error ? <p className="state">Asking what there is…</p> : null}
        {answer !== null && items.length === 0 ? <p className="state">No executor has announced a workflow yet.</p> : null}
        <ul>
          {items.map((workflow) => (
            <li key={workflow.name}>
              <Link href={workflowAddress(workflow.name)} aria-current={workflow.name === name ? 'page' : undefined}>
                <strong>{workflow.name}</strong>
                <small>{workflow.description || 'No description'}</small>
                <Served workflow={workflow} />
              </Link>
            </li>
          ))}
        </ul>
      </nav>
      <div className="workflow-form">
        {chosen ? (
          <>
            <header className="page-head">
              <div>
                <h2>{chosen.name}</h2>
                <p className="about">
                  {chosen.description} <Link href={listAddress({ ...NO_FILTER, workflow: chosen.name })}>Its instances</Link>
                </p>
              </div>
            </header>
            <StartForm key={chosen.name} workflow={chosen} />
          </>
        ) : answer === null ? null : name === null ? (
          items.length > 0 ? <p className="state">Choose a workflow to start.</p> : null
        ) : (
          <p className="state">
            No executor has announced a workflow called <strong>{name}</strong>.
          </p>
        )}
      </div>
    </section>
  );
}

function Served({ workflow: { queue, executors } }: { workflow: WorkflowView }) {
  const by = executors.length === 0 ? <span className="trouble">no executor serves it now</span> : executors.length === 1 ? '1 executor' : `${format.count(executors.length)} executors`;
  return (
    <small>
      queue {queue} · {by}
    </small>
  );
}
