/** How an instance and its tasks stand, as components see them. Everything here is immutable. */
import type { TaskpathError } from './errors.js';
import type * as packets from './packets.js';
import { ROOT, lastStep } from './paths.js';
import { TaskTree } from './tree.js';

export type { InstanceProgress, InstanceStatus, RollupView, TaskStatus } from './packets.js';

export type TaskState = packets.TaskState;

/** One task: how it is described and how it stands. */
export interface TaskSnapshot extends TaskState {
  readonly path: string;
  /** The last step of the path: `resize` or `[17]`. */
  readonly name: string;
  readonly description: string;
  /** Whether there are tasks below it. */
  readonly isGroup: boolean;
  readonly isForeach: boolean;
  /** How many items a foreach has, as far as is known. */
  readonly count: number | null;
  /** Whether its state has been sent; before that it looks inactive. */
  readonly isKnown: boolean;
}

/** An instance as a whole. */
export interface InstanceSnapshot {
  readonly id: string;
  /** Null until it is known. */
  readonly status: packets.InstanceStatus | null;
  readonly progress: packets.InstanceProgress;
  readonly tree: TaskTree;
  /** How many of the known tasks are stale, a collapsed foreach counting as one. */
  readonly staleTasks: number;
  /** How many of the known tasks have failed, groups among them. */
  readonly failedTasks: number;
  /** The first failed task in the order of the tree. */
  readonly failure: { readonly path: string; readonly error: packets.ErrorInfo | null } | null;
  /** Nothing is known of it yet, and it is being asked for. */
  readonly isLoading: boolean;
  /** What is shown is kept up to date; false while the connection is away. */
  readonly isLive: boolean;
  /** Done, failed or cancelled. */
  readonly isEnded: boolean;
  /** It was deleted; an ephemeral one keeps its last status. */
  readonly isDeleted: boolean;
  /** Why it cannot be watched. */
  readonly error: TaskpathError | null;
}

/** An instance with all its tasks. */
export interface InstanceState extends InstanceSnapshot {
  readonly revision: number;
  /** The states that were sent, by path. */
  readonly statuses: ReadonlyMap<string, TaskState>;
  /** The state of one task; inactive if none was sent. */
  task(path: string): TaskState;
}

/** What a state that was never sent means. */
export const INACTIVE: TaskState = Object.freeze({
  status: 'inactive',
  stale: false,
  executionTime: null,
  duration: null,
  attempt: 0,
});

export const NO_PROGRESS: packets.InstanceProgress = Object.freeze({
  total: 0,
  done: 0,
  failed: 0,
  running: 0,
  fraction: 0,
});

/** An instance of which nothing is known. */
export function unknownInstance(id: string): InstanceState {
  return {
    id,
    status: null,
    progress: NO_PROGRESS,
    tree: TaskTree.EMPTY,
    staleTasks: 0,
    failedTasks: 0,
    failure: null,
    isLoading: true,
    isLive: false,
    isEnded: false,
    isDeleted: false,
    error: null,
    revision: 0,
    statuses: new Map(),
    task: () => INACTIVE,
  };
}

/** A task of which nothing is known. */
export function unknownTask(path: string): TaskSnapshot {
  const isGroup = path === ROOT;
  return { ...INACTIVE, path, name: lastStep(path), description: '', isGroup, isForeach: false, count: null, isKnown: false };
}

export function hasEnded(status: packets.InstanceStatus | null): boolean {
  return status === 'done' || status === 'failed' || status === 'cancelled';
}

/** Whether two JSON values say the same. */
export function sameJson(one: unknown, other: unknown): boolean {
  if (one === other) return true;
  if (typeof one !== 'object' || typeof other !== 'object' || one === null || other === null) return false;
  if (Array.isArray(one) !== Array.isArray(other)) return false;
  const keys = Object.keys(one);
  if (keys.length !== Object.keys(other).length) return false;
  const there = other as Record<string, unknown>;
  return keys.every((key) => key in there && sameJson((one as Record<string, unknown>)[key], there[key]));
}
