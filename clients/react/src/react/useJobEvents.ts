import { useEffect, useRef } from 'react';
import {
  type Change,
  type ErrorInfo,
  type InstanceState,
  type TaskSnapshot,
  type TaskState,
  isActive,
} from '../core/index.js';
import { useTaskpath } from './provider.js';

export interface TaskEvent {
  readonly workflowId: string;
  readonly path: string;
  readonly task: TaskSnapshot;
}

export interface JobError {
  readonly workflowId: string;
  /** The task that failed; null if the workflow cannot be watched. */
  readonly path: string | null;
  readonly error: Pick<ErrorInfo, 'code' | 'message' | 'type' | 'traceback'>;
}

export interface JobEvents {
  /** All are done: once, also if they were before anybody looked, and again after they have run again. */
  onComplete?: ((states: readonly InstanceState[]) => void) | undefined;
  /** One has failed, or cannot be watched: once for each time. */
  onError?: ((error: JobError) => void) | undefined;
  /** A task has begun while it was watched. */
  onTaskStart?: ((event: TaskEvent) => void) | undefined;
  /** A task has ended while it was watched: ok, failed, skipped or cancelled. */
  onTaskEnd?: ((event: TaskEvent) => void) | undefined;
}

/** Calls for what happens to these instances, which are shown in `states`. */
export function useJobEvents(ids: readonly string[], states: readonly InstanceState[], events: JobEvents): void {
  const client = useTaskpath();
  const latest = useRef(events);
  useEffect(() => {
    latest.current = events;
  });

  const key = JSON.stringify(ids);
  useEffect(() => {
    const stops = (JSON.parse(key) as string[]).flatMap((workflowId) => {
      const instance = client.instance(workflowId);
      const told = ({ tasks, fresh }: Change) => {
        for (const { path, before, now } of tasks) {
          if (now === null || (fresh && before === null)) continue; // that is how it was when it was first seen
          const event = () => ({ workflowId, path, task: instance.store.getTask(path) });
          if (hasBegun(before, now)) latest.current.onTaskStart?.(event());
          if (hasJustEnded(before, now)) latest.current.onTaskEnd?.(event());
        }
      };
      return [instance.watch(), instance.store.changes.add(told)];
    });
    return () => stops.forEach((stop) => stop());
  }, [client, key]);

  const complete = states.length > 0 && states.every(({ status }) => status === 'done');
  // A strict React runs effects twice when they are mounted; what has been told is told once all the same.
  const completed = useRef('');
  useEffect(() => {
    if (!complete) completed.current = '';
    else if (completed.current !== key) {
      completed.current = key;
      latest.current.onComplete?.(states);
    }
  });

  const failing = states.flatMap(problemOf);
  const known = useRef(new Set<string>());
  useEffect(() => {
    const now = new Map(failing.map((problem) => [JSON.stringify([problem.workflowId, problem.path, problem.error.code]), problem]));
    for (const [name, problem] of now) if (!known.current.has(name)) latest.current.onError?.(problem);
    known.current = new Set(now.keys());
  });
}

/** What is wrong with an instance: at most one thing. */
export function problemOf({ id, status, error, failure, isDeleted }: InstanceState): JobError[] {
  if (error && !error.isTemporary && !isDeleted) return [{ workflowId: id, path: null, error }];
  if (status !== 'failed') return [];
  const unknown = { code: 'EXECUTION_FAILED', message: 'A task has failed.' } as const;
  return [{ workflowId: id, path: failure?.path ?? null, error: failure?.error ?? unknown }];
}

function hasBegun(before: TaskState | null, now: TaskState): boolean {
  if (now.status === 'running') return before?.status !== 'running';
  // It may have begun and ended between two frames.
  return (now.status === 'ok' || now.status === 'failed') && before?.status !== 'running' && hasJustEnded(before, now);
}

function hasJustEnded(before: TaskState | null, now: TaskState): boolean {
  if (!isOver(now)) return false;
  return before === null || !isOver(before) || before.status !== now.status || now.attempt > before.attempt;
}

function isOver({ status }: TaskState): boolean {
  return status !== 'inactive' && !isActive(status);
}
