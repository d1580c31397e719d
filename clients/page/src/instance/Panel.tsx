import { type TaskSnapshot, format, useStayAtEnd, useTaskLog, useTaskRecord, useTaskpath } from '@taskpath/react';
import { type AttemptRecord, type ErrorInfo, type TaskDocument, isActive } from '@taskpath/react/core';
import type { ReactNode } from 'react';
import { Button, IconButton } from '../ui/Button.js';
import { useNow } from '../ui/clock.js';
import { Copy } from '../ui/Copy.js';
import { Icon, Mark } from '../ui/Icon.js';
import { Json } from '../ui/Json.js';
import { notifyError } from '../ui/notices.js';
import { Progress } from '../ui/Progress.js';
import { useRemembered } from '../ui/remember.js';
import { TaskActions } from './Actions.js';
import { useGroup, useLive, useTaskState } from './live.js';
import { countsText, looking, spanOf, timeText, totalOf } from './words.js';

/** The selected task: how it stands, its result, its log, and all that is kept of it. */
export function Panel({ path, onClose }: { path: string; onClose: () => void }) {
  const { id } = useLive();
  const state = useTaskState(path);
  const group = useGroup(path, state.isGroup);
  const task = looking(state, group);
  const { record, error } = useTaskRecord(id, path);
  const now = useNow(task.status === 'running' || task.retry?.nextAt !== undefined);
  const span = spanOf(task, group);
  const took = timeText(task, span, now);
  const retry = isActive(task.status) ? format.retryNote(task.retry, now) : '';
  const failure = record?.error ?? task.error;
  const isGone = error?.code === 'CANNOT_FIND_TASK';
  return (
    <section className="panel" aria-label={`Task ${path}`} data-status={task.status}>
      <header className="panel-head">
        <div className="panel-title">
          {isGone ? null : <Mark status={task.status} />}
          <h2 className="clamped" title={task.name}>{task.name}</h2>
          <IconButton icon="close" label="Close" onClick={onClose} />
        </div>
        <p className="path">
          <code>{path}</code>
          <Copy text={path} label="Copy the path" />
        </p>
        {task.description ? <p className="about">{task.description}</p> : null}
        {isGone ? null : (
          <dl className="facts">
            <Fact name="status">
              <span className="status" data-status={task.status}>
                {task.status}
              </span>
              {task.stale ? <span className="stale">stale</span> : null}
            </Fact>
            <Fact name="attempt">{task.attempt || null}</Fact>
            <Fact name={task.status === 'running' ? 'running for' : 'took'}>{took}</Fact>
            <Fact name="usually">{task.expectedDuration === undefined ? null : format.duration(task.expectedDuration)}</Fact>
            <Fact name="started">{span.start === null ? null : <time title={format.moment(span.start)}>{format.timeOfDay(span.start)}</time>}</Fact>
            <Fact name="tasks below">{task.isGroup && totalOf(group.below, task.count) > 0 ? countsText(group.below, task.count) : null}</Fact>
          </dl>
        )}
        {retry ? <p className="warn">{retry}</p> : null}
        {task.reason ? <p className="warn">{task.reason}</p> : null}
        <Moving task={task} />
        {isGone ? null : <TaskActions path={path} />}
      </header>
      {isGone ? <p className="state">There is no task at this path.</p> : null}
      {error && !isGone ? (
        <p role="alert" className="trouble">
          {error.message}
        </p>
      ) : null}
      {failure ? <Failure error={failure} /> : null}
      {isGone ? null : (
        <>
          <Result path={path} name={task.name} record={record} status={task.status} />
          <Section name="log" title="Log" open>
            <Log path={path} />
          </Section>
          {record?.argument === undefined ? null : (
            <Section name="argument" title="Argument">
              <Json value={record.argument} label="Argument" />
            </Section>
          )}
          <Context record={record} />
          {record && record.attempts.length > 0 ? (
            <Section name="attempts" title={record.attempts.length === 1 ? '1 attempt' : `${record.attempts.length} attempts`}>
              <Attempts attempts={record.attempts} />
            </Section>
          ) : null}
        </>
      )}
    </section>
  );
}

export function Fact({ name, children }: { name: string; children: ReactNode }) {
  if (children === null || children === undefined || children === '') return null;
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

function Moving({ task }: { task: TaskSnapshot }) {
  if (task.status !== 'running' || !task.progress) return null;
  const { fraction, message } = task.progress;
  return (
    <div className="moving">
      <Progress parts={[{ status: 'running', share: fraction }]} fraction={fraction} label="Progress" text={format.percent(fraction)} />
      <span>{[format.percent(fraction), message].filter(Boolean).join(' · ')}</span>
    </div>
  );
}

function Failure({ error }: { error: ErrorInfo }) {
  return (
    <section className="failure" aria-label="Error">
      <p className="what">{format.errorLine(error)}</p>
      {error.traceback ? (
        <div className="value">
          <pre className="traceback" tabIndex={0}>
            {error.traceback.trimEnd()}
          </pre>
          <div className="value-tools">
            <Copy text={error.traceback} label="Copy the traceback" />
          </div>
        </div>
      ) : null}
    </section>
  );
}

function Result({ path, name, record, status }: { path: string; name: string; record: TaskDocument | null; status: string }) {
  const { id } = useLive();
  const client = useTaskpath();
  if (!record || record.status === 'inactive' || record.body === undefined) return null;
  const save = async () => {
    try {
      const address = URL.createObjectURL(await client.api.resultBlob(id, path));
      Object.assign(document.createElement('a'), { href: address, download: `${name}.json` }).click();
      setTimeout(() => URL.revokeObjectURL(address), 10_000);
    } catch (error) {
      notifyError(error);
    }
  };
  return (
    <Section name="result" title={status === 'ok' ? 'Result' : 'Result of the last time'} open>
      <Json value={record.body} label="Result">
        <Button icon="save" className="small" onClick={() => void save()}>
          Save
        </Button>
      </Json>
    </Section>
  );
}

function Context({ record }: { record: TaskDocument | null }) {
  const updaters = Array.isArray(record?.contextUpdaters) ? (record.contextUpdaters as unknown[]) : [];
  const hasContext = record?.context !== undefined && record.context !== null;
  if (!hasContext && updaters.length === 0) return null;
  return (
    <Section name="context" title="Context">
      {hasContext ? <Json value={record.context} label="Context" /> : null}
      {updaters.length === 0 ? null : (
        <>
          <h4>What the task changed in it</h4>
          <Json value={updaters} label="Updaters" />
        </>
      )}
    </Section>
  );
}

/** A part that stays open or closed as it was left. */
export function Section({ name, title, open = false, children }: { name: string; title: string; open?: boolean; children: ReactNode }) {
  const [isOpen, setOpen] = useRemembered(`section.${name}`, open);
  return (
    <section className="section" data-name={name}>
      <h3>
        <button type="button" aria-expanded={isOpen} onClick={() => setOpen(!isOpen)}>
          <Icon name="chevron" />
          {title}
        </button>
      </h3>
      {isOpen ? <div className="section-body">{children}</div> : null}
    </section>
  );
}

/** The log, which stays at its end while one looks at its end. */
function Log({ path }: { path: string }) {
  const { id } = useLive();
  const { lines, left, isLoading, error } = useTaskLog(id, path);
  const end = useStayAtEnd<HTMLOListElement>(lines);
  const note = error && error.code !== 'CANNOT_FIND_TASK' ? error.message : isLoading && !error ? 'Reading…' : lines.length === 0 ? 'Nothing was logged.' : '';
  return (
    <>
      {note ? <p className="hint">{note}</p> : null}
      {left > 0 ? <p className="hint">{format.count(left)} older lines are not shown.</p> : null}
      {lines.length === 0 ? null : (
        <div className="value">
          <ol
            ref={end.ref}
            className="log"
            role="log"
            aria-label={`Log of ${path}`}
            aria-live="off"
            tabIndex={0}
            onScroll={end.onScroll}
          >
            {lines.map((line, index) => (
              <li key={left + index} data-level={line.level} data-first={index > 0 && lines[index - 1]?.attempt !== line.attempt ? `attempt ${line.attempt}` : undefined}>
                <time title={format.moment(line.time)}>{format.timeOfDay(line.time)}</time>
                <span>{line.text}</span>
              </li>
            ))}
          </ol>
          <div className="value-tools">
            <Copy text={() => lines.map(({ time, text }) => `${new Date(time).toISOString()} ${text}`).join('\n')} label="Copy the log" />
          </div>
        </div>
      )}
    </>
  );
}

function Attempts({ attempts }: { attempts: readonly AttemptRecord[] }) {
  return (
    <div className="scrolls">
      <table className="attempts">
        <thead>
          <tr>
            <th scope="col">#</th>
            <th scope="col">status</th>
            <th scope="col">started</th>
            <th scope="col">took</th>
            <th scope="col">executor</th>
            <th scope="col">error</th>
          </tr>
        </thead>
        <tbody>
          {[...attempts].reverse().map(({ attempt, status, executionTime, duration, executor, error }) => (
            <tr key={attempt}>
              <td>{attempt}</td>
              <td>
                <span className="status" data-status={status}>
                  {status}
                </span>
              </td>
              <td>{executionTime ? <time title={format.moment(executionTime)}>{format.timeOfDay(executionTime)}</time> : ''}</td>
              <td>{duration == null ? '' : format.duration(duration)}</td>
              <td>{executor ? <code>{executor}</code> : ''}</td>
              <td>{error ? format.errorLine(error) : ''}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
