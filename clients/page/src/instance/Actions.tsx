import { isActive } from '@taskpath/react/core';
import { format } from '@taskpath/react';
import { useState } from 'react';
import { Button } from '../ui/Button.js';
import { useCommands } from './commands.js';
import { useField, useGroup, useTaskState } from './live.js';
import { RunDialog } from './RunDialog.js';

export interface ActionsProps {
  path: string;
  isBusy: boolean;
  failed: number;
  stale: number;
  /** What it is called, beside the words on the buttons. */
  of: string;
}

/** What can be done with a path right away, and the way to everything else that can be. */
export function Actions({ path, isBusy, failed, stale, of }: ActionsProps) {
  const { run, cancel, isPending, hindrance } = useCommands();
  const isHindered = isPending || hindrance !== null;
  const [isChoosing, choose] = useState(false);
  return (
    <div className="actions" role="group" aria-label={`What to do with ${of}`}>
      {isBusy ? (
        <Button icon="cancel" disabled={isHindered} onClick={() => void cancel(path)} title={hindrance ?? 'Stop what runs here; what it has done stays'}>
          Cancel
        </Button>
      ) : null}
      {failed > 0 && !isBusy ? (
        <Button icon="rerun" tone="primary" disabled={isHindered} onClick={() => void run({ path, mode: 'failed' })} title={hindrance ?? 'Run what failed, then what it held up'}>
          Re-run failed{' '}{failed > 1 ? <span className="badge">{format.count(failed)}</span> : null}
        </Button>
      ) : null}
      {stale > 0 && !isBusy ? (
        <Button icon="rerun" disabled={isHindered} onClick={() => void run({ path, mode: 'stale' })} title={hindrance ?? 'Run only what is not done or no longer agrees with what stands before it'}>
          Re-run stale{' '}{stale > 1 ? <span className="badge">{format.count(stale)}</span> : null}
        </Button>
      ) : null}
      {isBusy ? null : (
        <Button icon="run" disabled={isHindered} onClick={() => void run({ path })} title={hindrance ?? 'Run every task here, in order'}>
          Run
        </Button>
      )}
      <Button disabled={isPending} onClick={() => choose(true)} aria-haspopup="dialog" title="Choose the path, the mode, and what to do about what stands before it">
        Run options
      </Button>
      {isChoosing ? <RunDialog path={path} onClose={() => choose(false)} /> : null}
    </div>
  );
}

/** The actions of one task. */
export function TaskActions({ path }: { path: string }) {
  const task = useTaskState(path);
  const { deep } = useGroup(path, task.isGroup);
  const isDeleted = useField('isDeleted');
  if (isDeleted) return null;
  const failed = task.isGroup ? deep.failed || (task.status === 'failed' ? 1 : 0) : 0;
  const stale = task.isGroup ? deep.stale : Number(task.stale);
  return <Actions path={path} isBusy={isActive(task.status)} failed={failed} stale={stale} of={path} />;
}
