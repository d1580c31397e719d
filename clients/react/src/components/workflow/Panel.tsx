import { type ReactNode, useState } from 'react';
import { type AttemptRecord, type ErrorInfo, isActive } from '../../core/index.js';
import { useTaskpath } from '../../react/provider.js';
import { useTask } from '../../react/useInstance.js';
import { useRollup } from '../../react/useRollup.js';
import { useTaskRecord } from '../../react/useTaskRecord.js';
import { duration, errorLine, moment, timeOfDay } from '../format.js';
import { Actions } from './Actions.js';
import { Log } from './Log.js';
import { Says } from './TaskRow.js';
import { Value } from './Value.js';

/** The selected task: how it stands, its result, its log, and all that is kept of it. */
export function Panel({ id, path, onClose }: { id: string; path: string; onClose: () => void }) {
  const task = useTask(id, path);
  const rollup = useRollup(id, path, task.isGroup);
  const { record, error } = useTaskRecord(id, path);
  const isOver = record !== null && record.status !== 'inactive';
  const updaters = Array.isArray(record?.contextUpdaters) ? record.contextUpdaters : [];
  return (
    <section className="taskpath-panel" aria-label={path} data-status={task.status}>
      <header>
        <h3>{task.name}</h3>
        <button type="button" onClick={onClose}>
          Close
        </button>
        <p>
          <code>{path}</code>
        </p>
        <p>
          <span className="taskpath-status">{task.status}</span>
          {task.stale ? <span className="taskpath-stale"> stale</span> : null}
          {task.attempt > 0 ? <span> · attempt {task.attempt}</span> : null} <Says id={id} task={task} rollup={rollup} />
        </p>
        <Actions
          id={id}
          path={path}
          isBusy={isActive(task.status)}
          hasFailed={task.isGroup && (task.status === 'failed' || (rollup?.failed ?? 0) > 0)}
          hasStale={task.stale || (rollup?.stale ?? 0) > 0}
        />
      </header>
      {error && error.code !== 'CANNOT_FIND_TASK' ? <p role="alert">{error.message}</p> : null}
      {record?.error ? <Failure error={record.error} /> : null}
      {isOver && record.body !== undefined ? (
        <section>
          <h4>Result</h4>
          <Value value={record.body}>
            <Save id={id} path={path} name={task.name} />
          </Value>
        </section>
      ) : null}
      <section>
        <h4>Log</h4>
        <Log id={id} path={path} />
      </section>
      {record?.argument == null ? null : (
        <Details title="Argument">
          <Value value={record.argument} />
        </Details>
      )}
      {record?.context == null && updaters.length === 0 ? null : (
        <Details title="Context">
          {record?.context == null ? null : <Value value={record.context} />}
          {updaters.length === 0 ? null : (
            <>
              <h5>What the task changed</h5>
              <Value value={updaters} />
            </>
          )}
        </Details>
      )}
      {record && record.attempts.length > 0 ? (
        <Details title={record.attempts.length === 1 ? '1 attempt' : `${record.attempts.length} attempts`}>
          <Attempts attempts={record.attempts} />
        </Details>
      ) : null}
    </section>
  );
}

function Failure({ error }: { error: ErrorInfo }) {
  return (
    <section className="taskpath-error">
      <p>{errorLine(error)}</p>
      {error.traceback ? <pre tabIndex={0}>{error.traceback.trimEnd()}</pre> : null}
    </section>
  );
}

/** A part whose content is made when it is opened. */
function Details({ title, children }: { title: string; children: ReactNode }) {
  const [isOpen, setOpen] = useState(false);
  return (
    <details open={isOpen} onToggle={({ currentTarget }) => setOpen(currentTarget.open)}>
      <summary>{title}</summary>
      {isOpen ? children : null}
    </details>
  );
}

/** Fetches the result and hands it to the browser to save: an address of it would have to carry the token. */
function Save({ id, path, name }: { id: string; path: string; name: string }) {
  const client = useTaskpath();
  const [trouble, setTrouble] = useState('');
  const save = async () => {
    setTrouble('');
    try {
      const address = URL.createObjectURL(await client.api.resultBlob(id, path));
      const link = Object.assign(document.createElement('a'), { href: address, download: `${name}.json` });
      link.click();
      setTimeout(() => URL.revokeObjectURL(address), 10_000);
    } catch (error) {
      setTrouble(error instanceof Error ? error.message : String(error));
    }
  };
  return (
    <>
      <button type="button" onClick={() => void save()}>
        Save
      </button>
      {trouble ? <span role="alert"> {trouble}</span> : null}
    </>
  );
}

function Attempts({ attempts }: { attempts: readonly AttemptRecord[] }) {
  return (
    <table>
      <thead>
        <tr>
          <th scope="col">attempt</th>
          <th scope="col">status</th>
          <th scope="col">started</th>
          <th scope="col">took</th>
          <th scope="col">error</th>
        </tr>
      </thead>
      <tbody>
        {[...attempts].reverse().map(({ attempt, status, executionTime, duration: took, error }) => (
          <tr key={attempt}>
            <td>{attempt}</td>
            <td>{status}</td>
            <td>{executionTime ? <time title={moment(executionTime)}>{timeOfDay(executionTime)}</time> : ''}</td>
            <td>{took == null ? '' : duration(took)}</td>
            <td>{error ? errorLine(error) : ''}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
