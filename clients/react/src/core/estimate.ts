/**
 * How far a workflow is in time, and how long it may still take. Pure.
 *
 * Each task weighs as much as it is expected to last: as told, else as its own history says, else as its parts do,
 * else as the others do on average. Where nothing at all is known each task weighs the same, and no time is told.
 */
import type { RollupView, TaskNode } from './packets.js';
import { childrenOf, isActive, rollupOf, spanOf, type Tasks } from './rollup.js';
import { INACTIVE } from './state.js';

/** Expected durations in ms, by path or by pattern of items (`#.resize[*]`). */
export type Estimations = Readonly<Record<string, number>>;

export interface Estimate {
  /** From 0 to 1. */
  readonly fraction: number;
  /** How long it may still take, ms; null if that is not known. */
  readonly remaining: number | null;
}

/** A running task is not taken for done before it is, however long it lasts. */
const ALMOST = 0.9;
/** Of more items than this one does not see a part of one. */
const FEW = 200;

interface Share {
  /** ms, or null if not known. */
  expected: number | null;
  /** From 0 to 1. */
  fraction: number;
}

/**
 * @param now the server's time, ms since epoch
 */
export function estimate(tasks: Tasks, estimations: Estimations | undefined, now: number): Estimate {
  // The tasks at the root run one after the other.
  const shares = tasks.tree.tasks.map((node) => shareOf(tasks, node, `#.${node.name}`, estimations ?? {}, now));
  if (shares.length === 0) return { fraction: 0, remaining: null };
  const known = shares.flatMap(({ expected }) => (expected === null ? [] : [expected]));
  const usual = known.length > 0 ? known.reduce((sum, one) => sum + one, 0) / known.length : null;
  let total = 0;
  let done = 0;
  for (const { expected, fraction } of shares) {
    const weight = expected ?? usual ?? 1;
    total += weight;
    done += weight * fraction;
  }
  if (total === 0) return { fraction: shares.every(({ fraction }) => fraction === 1) ? 1 : 0, remaining: 0 };
  return { fraction: done / total, remaining: usual === null ? null : total - done };
}

function shareOf(tasks: Tasks, node: TaskNode, path: string, estimations: Estimations, now: number): Share {
  const state = tasks.statuses.get(path) ?? INACTIVE;
  const told = estimations[path] ?? estimations[path.replace(/\[\d+\]/g, '[*]')] ?? state.expectedDuration;
  const share = node.foreach && !path.endsWith(']') ? itemShares : childShares;
  const parts = share(tasks, node, path, estimations, now);
  const expected = told ?? parts?.expected ?? null;
  if (state.status === 'ok' || state.status === 'skipped') return { expected, fraction: 1 };
  if (state.status === 'inactive' && !parts?.fraction) return { expected, fraction: 0 };
  if (parts) return { expected, fraction: Math.min(parts.fraction, 1) };
  if (state.progress) return { expected, fraction: state.progress.fraction };
  if (!isActive(state.status) || state.executionTime === null) return { expected, fraction: 0 };
  return { expected, fraction: expected === null ? 0 : passed(now - state.executionTime, expected) };
}

/** How far a task is by time alone: nearly all when its time is over, and ever slower after that. */
export function passed(elapsed: number, expected: number): number {
  if (expected <= 0) return ALMOST;
  const share = Math.max(0, elapsed) / expected;
  return share <= 1 ? share * ALMOST : 1 - (1 - ALMOST) / share;
}

/** Subtasks run side by side: they take as long as the longest, and are as far as all of them together. */
function childShares(tasks: Tasks, node: TaskNode, path: string, estimations: Estimations, now: number): Share | null {
  if (node.children.length === 0) return null;
  const shares = node.children.map((child) => shareOf(tasks, child, `${path}.${child.name}`, estimations, now));
  const known = shares.flatMap(({ expected }) => (expected === null ? [] : [expected]));
  const longest = known.length > 0 ? Math.max(...known) : null;
  const weights = shares.map(({ expected }) => expected ?? longest ?? 1);
  const total = weights.reduce((sum, one) => sum + one, 0);
  const done = shares.reduce((sum, { fraction }, index) => sum + fraction * (weights[index] ?? 0), 0);
  return { expected: longest, fraction: total === 0 ? 0 : done / total };
}

/** Items are of one kind: how long those that are over took tells how long the others will. */
function itemShares(tasks: Tasks, node: TaskNode, path: string, estimations: Estimations, now: number): Share | null {
  const counts = rollupOf(tasks, path);
  if (!counts || counts.total === 0) return null;
  const state = tasks.statuses.get(path) ?? INACTIVE;
  const over = counts.ok + counts.skipped;
  const { start } = spanOf(tasks, path);
  const each = node.children.length === 0 ? estimations[`${path}[*]`] : undefined;
  let expected = each === undefined ? null : each * counts.total;
  if (over > 0 && start !== null && isActive(state.status)) expected = ((now - start) / over) * counts.total;
  return { expected, fraction: (over + partsOfItems(tasks, path, counts)) / counts.total };
}

/** How much of the items that run is done, where there are so few that it shows. */
function partsOfItems(tasks: Tasks, path: string, counts: RollupView): number {
  if (counts.running === 0 || counts.total > FEW) return 0;
  let done = 0;
  for (const child of childrenOf(tasks, path)) {
    const state = tasks.statuses.get(child);
    if (state?.status === 'running') done += state.progress?.fraction ?? 0;
  }
  return done;
}
