import { format } from '@taskpath/react';
import { estimate, fractionOf, paths } from '@taskpath/react/core';
import { useEffect, useState } from 'react';
import { listAddress, workflowAddress } from '../app/address.js';
import { Link } from '../app/router.js';
import { Button, IconButton } from '../ui/Button.js';
import { useNow } from '../ui/clock.js';
import { Dialog } from '../ui/Dialog.js';
import { Icon, Mark } from '../ui/Icon.js';
import { Progress, partsOf } from '../ui/Progress.js';
import { Actions } from './Actions.js';
import { type Refusal, useCommands } from './commands.js';
import { useGroup, useLive, useSnapshot } from './live.js';
import type { DocumentOf } from './useDocument.js';
import { elapsed, endOf } from './words.js';

/** What an instance is called, how far it is, and what can be done with it. */
export function Head({ document: { instance } }: { document: DocumentOf }) {
  const { id } = useLive();
  const snapshot = useSnapshot();
  const { deep, span } = useGroup(paths.ROOT);
  const { status, progress, isDeleted, isLive } = snapshot;
  const working = status === 'working';
  const now = useNow(working && isLive);
  const left = useTimeLeft(working && isLive);
  const name = instance?.name ?? (instance ? instance.workflow : id);
  const fraction = useFraction();
  useTitle(status === null ? name : working ? `${format.percent(fraction)} ${name}` : `${name}, ${status}`);
  const start = span.start ?? instance?.startedAt ?? null;
  const end = working ? now : endOf(status, span.end, instance?.finishedAt ?? null);
  const notes = [
    status === null ? '' : `${format.count(progress.done)} of ${format.count(progress.total)}`,
    progress.running > 0 ? `${format.count(progress.running)} running` : '',
    progress.failed > 0 ? `${format.count(progress.failed)} failed` : '',
    start !== null && end !== null ? working ? elapsed(end - start) : format.duration(end - start) : '',
    left ?? '',
  ].filter(Boolean);
  return (
    <header className="instance-head" data-status={status ?? 'unknown'}>
      <div className="instance-title">
        <Link href={listAddress()} className="back" aria-label="All instances" title="All instances">
          <Icon name="chevron" />
        </Link>
        {status === null ? null : <Mark status={status} />}
        <h1 className="clamped" title={name}>{name}</h1>
        {instance?.name ? (
          <Link href={workflowAddress(instance.workflow)} className="of">
            {instance.workflow}
          </Link>
        ) : null}
        {instance && instance.realm !== 'default' ? <span className="of">{instance.realm}</span> : null}
        <span className="spring" />
        {status === null || isDeleted ? null : (
          <>
            <Actions path={paths.ROOT} isBusy={working} failed={deep.failed || (snapshot.failedTasks > 0 ? 1 : 0)} stale={deep.stale || (snapshot.staleTasks > 0 ? 1 : 0)} of="the whole instance" />
            <Delete name={name} />
          </>
        )}
      </div>
      {status === null ? null : (
        <div className="how-far">
          <Progress parts={partsOf(progress, status)} fraction={fraction} label="Progress" text={notes.join(', ')} />
          <span className="counts">
            <span className="status" data-status={status}>
              {isDeleted ? `deleted, was ${status}` : status}
            </span>
            {notes.map((note) => (
              <span key={note}> · {note}</span>
            ))}
          </span>
        </div>
      )}
      <p className="unseen" role="status">
        {status !== null && status !== 'working' && status !== 'inactive' ? `${name}: ${status}.` : ''}
      </p>
    </header>
  );
}

function Delete({ name }: { name: string }) {
  const [refusal, setRefusal] = useState<Refusal | null>(null);
  const { remove, isPending, hindrance } = useCommands(setRefusal);
  const [isAsking, ask] = useState(false);
  const begin = () => {
    setRefusal(null);
    ask(true);
  };
  return (
    <>
      <IconButton icon="delete" label="Delete the instance" onClick={begin} disabled={hindrance !== null} title={hindrance ?? 'Delete the instance'} />
      {isAsking ? (
        <Dialog title="Delete the instance?" onClose={() => ask(false)}>
          <p>
            <strong>{name}</strong> and all that is kept of it go: results, logs, attempts. What runs is cancelled.
          </p>
          {refusal ? (
            <p className="trouble" role="alert">
              {refusal.text}
            </p>
          ) : null}
          <footer>
            <span className="spring" />
            <Button onClick={() => ask(false)}>Keep it</Button>
            <Button tone="danger" icon="delete" disabled={isPending || hindrance !== null} title={hindrance ?? undefined} onClick={() => void remove()}>
              Delete
            </Button>
          </footer>
        </Dialog>
      ) : null}
    </>
  );
}

/** The tasks that a bar counts, and what those that run say of themselves. */
function useFraction(): number {
  const { instance } = useLive();
  const { progress, status, tree } = useSnapshot();
  if (status === 'done') return 1;
  return tree.tasks.length > 50 ? progress.fraction : fractionOf({ ...instance.store.getSnapshot(), revision: 0, statuses: new Map(), task: (path) => instance.store.getTask(path) });
}

/** How long it may still take, in words, looked at now and then: it costs as much as there are tasks. */
function useTimeLeft(wanted: boolean): string | null {
  const { instance, client } = useLive();
  const [left, setLeft] = useState<string | null>(null);
  useEffect(() => {
    if (!wanted) return undefined;
    const look = () => {
      if (document.hidden) return;
      const { remaining, isLate } = estimate(instance.store.getState(), undefined, client.api.now());
      setLeft(format.timeLeft(remaining, isLate));
    };
    look();
    const timer = setInterval(look, 2_000);
    return () => clearInterval(timer);
  }, [wanted, instance, client]);
  return wanted ? left : null;
}

function useTitle(text: string): void {
  useEffect(() => {
    document.title = `${text} · Taskpath`;
  }, [text]);
}
