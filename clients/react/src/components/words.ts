/** What is said of a job, in words. */
import { type InstanceState, currentTask, paths } from '../core/index.js';
import { count, errorLine } from './format.js';

/** What it does now, or how it ended. */
export function headline(state: InstanceState): string {
  switch (state.status) {
    case null:
      return 'Waiting for news';
    case 'inactive':
      return 'Not started';
    case 'done':
      return 'Done';
    case 'failed':
      return 'Failed';
    case 'cancelled':
      return 'Cancelled';
    case 'working': {
      const path = currentTask(state);
      if (path === null) return 'Waiting';
      const said = state.task(path).progress?.message;
      return said || state.tree.description(path) || paths.lastStep(path);
    }
  }
}

/** How many tasks are done, and what else is to be known of them. */
export function counts({ progress }: InstanceState): string {
  const notes = [`${count(progress.done)} of ${count(progress.total)} tasks`];
  if (progress.failed > 0) notes.push(`${count(progress.failed)} failed`);
  return notes.join(' · ');
}

/** Why it failed; null if it did not, or if that is not known. */
export function trouble({ failure, status }: InstanceState): string | null {
  if (status !== 'failed' || !failure) return null;
  const name = paths.lastStep(failure.path);
  return failure.error ? `${name}: ${errorLine(failure.error)}` : `${name} has failed.`;
}

/** What is read out: where things stand, and not every step. */
export function announcement(state: InstanceState, label: string): string {
  if (state.error) return '';
  if (state.status !== null && !state.isLive && !state.isDeleted) return `${label}: the connection is lost, it is tried again.`;
  if (state.isEnded) return `${label}: ${headline(state).toLowerCase()}.`;
  return '';
}
