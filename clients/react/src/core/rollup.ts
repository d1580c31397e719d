/** What is to be read from the states of many tasks: counts, spans, items of a status. Pure. */
import type { RollupView, TaskStatus } from './packets.js';
import { item } from './paths.js';
import { INACTIVE, type TaskState } from './state.js';
import type { TaskTree } from './tree.js';

export interface Tasks {
  readonly tree: TaskTree;
  readonly statuses: ReadonlyMap<string, TaskState>;
}

export const STATUSES: readonly TaskStatus[] = ['ok', 'failed', 'running', 'queued', 'skipped', 'cancelled', 'inactive'];

/** How many items a foreach has, as far as is known. */
export function countOf({ tree, statuses }: Tasks, path: string): number {
  const known = tree.node(path);
  if (known?.count !== undefined && !path.includes('[')) return known.count;
  const total = statuses.get(path)?.rollup?.total;
  if (total !== undefined) return total;
  let count = known?.count ?? 0;
  while (statuses.has(item(path, count))) count += 1;
  return count;
}

/** The paths of the tasks right below one; of a foreach, its items. */
export function childrenOf(tasks: Tasks, path: string): string[] {
  if (!tasks.tree.isForeach(path)) return tasks.tree.children(path);
  return Array.from({ length: countOf(tasks, path) }, (_, index) => item(path, index));
}

/** How many of the tasks right below one have which status; null if that is not known. */
export function rollupOf(tasks: Tasks, path: string): RollupView | null {
  const rollup = tasks.statuses.get(path)?.rollup;
  if (rollup) return rollup;
  const below = childrenOf(tasks, path);
  if (below.length === 0) return null;
  if (tasks.tree.isForeach(path) && !below.some((child) => tasks.statuses.has(child))) return null;
  const counts = { total: below.length, inactive: 0, queued: 0, running: 0, ok: 0, failed: 0, skipped: 0, cancelled: 0, stale: 0 };
  for (const child of below) {
    const { status, stale } = tasks.statuses.get(child) ?? INACTIVE;
    counts[status] += 1;
    if (stale) counts.stale += 1;
  }
  return counts;
}

/** The numbers of the items of a foreach that have a status, in order. */
export function itemsWith(tasks: Tasks, path: string, status: TaskStatus): number[] {
  const found: number[] = [];
  const count = countOf(tasks, path);
  for (let index = 0; index < count; index += 1) {
    if ((tasks.statuses.get(item(path, index)) ?? INACTIVE).status === status) found.push(index);
  }
  return found;
}

/** When a task began and when it ended, ms since epoch; null for not yet, and for not known. */
export interface Span {
  readonly start: number | null;
  readonly end: number | null;
}

export function isActive(status: TaskStatus): boolean {
  return status === 'running' || status === 'queued';
}

/** The span of a task; that of a group covers its subtree. */
export function spanOf(tasks: Tasks, path: string): Span {
  const state = tasks.statuses.get(path) ?? INACTIVE;
  let start = state.executionTime;
  let end = start !== null && state.duration !== null ? start + state.duration : null;
  // The items of a collapsed foreach are not known.
  if (tasks.tree.isGroup(path) && !state.rollup) {
    for (const child of childrenOf(tasks, path)) {
      const span = spanOf(tasks, child);
      if (span.start !== null) start = Math.min(start ?? span.start, span.start);
      if (span.end !== null) end = Math.max(end ?? span.end, span.end);
    }
  }
  return { start, end: isActive(state.status) || state.rollup ? null : end };
}
