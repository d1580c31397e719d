/** What a row says of its task. Pure. */
import { type TaskSnapshot, format } from '@taskpath/react';
import { type InstanceStatus, type Span, isActive } from '@taskpath/react/core';
import type { Counts, Group } from './tally.js';

export interface Says {
  readonly text: string;
  readonly tone: 'plain' | 'bad' | 'warn';
}

const NOTED = ['failed', 'running', 'queued', 'cancelled', 'skipped', 'stale'] as const;

/** How many there are below a group: as described, else as counted. */
export function totalOf(below: Counts, count: number | null): number {
  const known = below.inactive + below.queued + below.running + below.ok + below.failed + below.skipped + below.cancelled;
  return Math.max(known, count ?? 0);
}

/** How many are done, as the instance counts them as well: what failed or was cancelled is not. */
export function doneOf(below: Counts): number {
  return below.ok + below.skipped;
}

export function overOf(below: Counts): number {
  return doneOf(below) + below.failed + below.cancelled;
}

/**
 * The task as it looks: a group of which a part is over or runs is not waiting, though none of its parts may run at this
 * very moment. Quick items would have it wait and run by turns.
 */
export function looking(task: TaskSnapshot, { below, span }: Group): TaskSnapshot {
  if (task.status !== 'queued' || !task.isGroup || (span.start ?? task.executionTime) === null) return task;
  return below.running + overOf(below) > 0 ? { ...task, status: 'running' } : task;
}

/** `12 of 40 · 1 failed · 8 running`: how many are done, and where the others are. */
export function countsText(below: Counts, count: number | null): string {
  const notes = NOTED.filter((status) => below[status] > 0).map((status) => `${format.count(below[status])} ${status}`);
  return [`${format.count(doneOf(below))} of ${format.count(totalOf(below, count))}`, ...notes].join(' · ');
}

export function saysOf(task: TaskSnapshot, group: Group, now: number): Says {
  if (task.status === 'failed' && task.error && (!task.isForeach || totalOf(group.below, task.count) === 0)) {
    return { text: format.errorLine(task.error), tone: 'bad' };
  }
  if (isActive(task.status)) {
    const retry = format.retryNote(task.retry, now);
    const said = [retry, task.status === 'running' ? (task.progress?.message ?? '') : ''].filter(Boolean).join(' · ');
    if (said) return { text: said, tone: task.retry ? 'warn' : 'plain' };
    if (task.reason) return { text: task.reason, tone: 'warn' };
  }
  if (task.isForeach && (task.status !== 'inactive' || task.count)) {
    const about = task.isForeach ? countsText(group.below, task.count) : '';
    return { text: about, tone: 'plain' };
  }
  return { text: task.description || task.reason || '', tone: 'plain' };
}

/** When the task began and ended; a group with all that is in it. */
export function spanOf(task: TaskSnapshot, group: Group): Span {
  if (task.isGroup) return { start: group.span.start ?? task.executionTime, end: isOver(task) ? group.span.end : null };
  const { executionTime: start, duration } = task;
  return { start, end: start === null || duration === null ? null : start + duration };
}

function isOver(task: TaskSnapshot): boolean {
  return !isActive(task.status);
}

/**
 * When the last run of an instance ended, as far as is known; null while it lasts, and if it never ended.
 *
 * @param end of the last task that was sent; the items of a collapsed foreach were not
 * @param finishedAt as it is stored, which may be of the run before until it was read again
 */
export function endOf(status: InstanceStatus | null, end: number | null, finishedAt: number | null): number | null {
  if (status === 'working' || (end === null && finishedAt === null)) return null;
  return Math.max(end ?? 0, finishedAt ?? 0);
}

/** How long something lasts that is not over: in whole seconds, as it ticks. */
export function elapsed(ms: number): string {
  const seconds = Math.floor(Math.max(0, ms) / 1_000);
  return seconds < 60 ? `${seconds} s` : format.duration(seconds * 1_000);
}

/** How long it took, or has taken so far. */
export function timeText(task: TaskSnapshot, { start, end }: Span, now: number): string {
  if (start === null || task.status === 'inactive' || task.status === 'queued') return '';
  if (task.status === 'running') return elapsed(now - start);
  return end === null || task.rollup ? '' : format.duration(end - start);
}
