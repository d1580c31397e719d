/**
 * How far a workflow is in time, and how long it may still take. Pure.
 *
 * Each task weighs as much as it is expected to last: as told, else as its past says, else as its parts do, else as
 * the others do on average. Where nothing at all is known each task weighs the same; where less than half of what is
 * still to be done is known, no time is told.
 */
import type { RollupView, TaskNode } from './packets.js';
import { childrenOf, isActive, rollupOf, spanOf, type Tasks } from './rollup.js';
import { INACTIVE, type TaskState } from './state.js';

/** Expected durations in ms, by path or by pattern of items (`#.resize[*]`). */
export type Estimations = Readonly<Record<string, number>>;

export interface Estimate {
  /** From 0 to 1; less than 1 until all is over. */
  readonly fraction: number;
  /** How long it may still take, ms; null if that is not known. */
  readonly remaining: number | null;
  /** Something takes notably longer than was expected, so that what remains is a guess. */
  readonly isLate: boolean;
}

/** A running task is not taken for done before it is, however long it lasts. */
const ALMOST = 0.9;
/** Of more items than this one does not see a part of one. */
const FEW = 200;
/** What is over by less than this, ms, is not called late. */
const PATIENCE = 1_000;

interface Share {
  /** How long it takes as a whole, ms; null if not known. */
  expected: number | null;
  /** From 0 to 1. */
  fraction: number;
  /** How long it still takes, ms; null if not known. */
  left: number | null;
  late: boolean;
}

interface Look {
  readonly tasks: Tasks;
  readonly told: Estimations;
  readonly now: number;
}

/**
 * @param now the server's time, ms since epoch
 */
export function estimate(tasks: Tasks, estimations: Estimations | undefined, now: number): Estimate {
  const look = { tasks, told: estimations ?? {}, now };
  // The tasks at the root run one after the other.
  const shares = tasks.tree.tasks.map((node) => shareOf(look, node, `#.${node.name}`));
  if (shares.length === 0) return { fraction: 0, remaining: null, isLate: false };
  const usual = meanOf(shares);
  let total = 0;
  let done = 0;
  let remaining = 0;
  let unknown = 0;
  for (const { expected, fraction, left } of shares) {
    const weight = expected ?? usual ?? 1;
    total += weight;
    done += weight * fraction;
    remaining += left ?? weight * (1 - fraction);
    if (left === null) unknown += 1;
  }
  const open = shares.filter(({ left }) => left !== 0).length;
  return {
    fraction: total === 0 ? (shares.every(({ fraction }) => fraction === 1) ? 1 : 0) : done / total,
    remaining: usual === null || unknown * 2 > open ? null : remaining,
    isLate: shares.some(({ late }) => late),
  };
}

function meanOf(shares: readonly Share[]): number | null {
  const known = shares.flatMap(({ expected }) => (expected === null ? [] : [expected]));
  return known.length > 0 ? known.reduce((sum, one) => sum + one, 0) / known.length : null;
}

function shareOf(look: Look, node: TaskNode, path: string): Share {
  const { tasks, told, now } = look;
  const state = tasks.statuses.get(path) ?? INACTIVE;
  const given = told[path] ?? told[path.replace(/\[\d+\]/g, '[*]')];
  const usual = given ?? state.expectedDuration ?? null;
  const spread = given === undefined ? state.expectedSpread : undefined;
  const parts = node.foreach && !path.endsWith(']') ? itemShares(look, node, path, usual) : childShares(look, node, path, usual);
  const expected = parts ? parts.expected : usual;
  if (state.status === 'ok' || state.status === 'skipped') return { expected, fraction: 1, left: 0, late: false };
  // What has failed or was cancelled will not go on, though it is not done.
  const rests = state.status === 'failed' || state.status === 'cancelled';
  if (parts) {
    const late = isActive(state.status) && (usual === null ? parts.late : isOver(elapsedOf(look, path), usual, spread));
    return { expected, fraction: Math.min(parts.fraction, 1), left: rests ? 0 : parts.left, late };
  }
  if (rests) return { expected, fraction: 0, left: 0, late: false };
  const elapsed = state.status === 'running' && state.executionTime !== null ? Math.max(0, now - state.executionTime) : null;
  if (elapsed === null) return { expected, fraction: 0, left: expected, late: false };
  const late = expected !== null && isOver(elapsed, expected, spread);
  if (state.progress) return { expected, ...byItself(state, elapsed, expected), late };
  if (expected === null) return { expected, fraction: 0, left: null, late };
  return { expected, fraction: passed(elapsed, expected), left: Math.max(0, expected - elapsed), late };
}

/** A task that says how far it is. What is left follows from that when it has gone some way, or nothing else is known. */
function byItself(state: TaskState, elapsed: number, expected: number | null): { fraction: number; left: number | null } {
  const fraction = state.progress?.fraction ?? 0;
  const usual = expected === null ? null : expected * (1 - fraction);
  if (fraction < 0.05 || (usual !== null && elapsed <= (expected ?? 0))) return { fraction, left: usual };
  return { fraction, left: (elapsed / fraction) * (1 - fraction) };
}

/** How far a task is by time alone: nearly all when its time is over, and ever slower after that. */
export function passed(elapsed: number, expected: number): number {
  if (expected <= 0) return ALMOST;
  const share = Math.max(0, elapsed) / expected;
  return share <= 1 ? share * ALMOST : 1 - (1 - ALMOST) / share;
}

/** Whether it takes so much longer than expected that it is to be said. One time tells little of what is usual. */
export function isOver(elapsed: number | null, expected: number, spread: number | undefined): boolean {
  if (elapsed === null) return false;
  return elapsed > expected + Math.max(spread === undefined ? expected / 2 : 2 * spread, expected / 10, PATIENCE);
}

function elapsedOf({ tasks, now }: Look, path: string): number | null {
  const { start } = spanOf(tasks, path);
  return start === null ? null : Math.max(0, now - start);
}

/** Subtasks are taken to run side by side: for as long as the longest, and they are as far as all of them together. */
function childShares(look: Look, node: TaskNode, path: string, usual: number | null): Share | null {
  if (node.children.length === 0) return null;
  const shares = node.children.map((child) => shareOf(look, child, `${path}.${child.name}`));
  const known = shares.flatMap(({ expected }) => (expected === null ? [] : [expected]));
  const longest = known.length > 0 ? Math.max(...known) : null;
  const weights = shares.map(({ expected }) => expected ?? longest ?? 1);
  const total = weights.reduce((sum, one) => sum + one, 0);
  const done = shares.reduce((sum, { fraction }, index) => sum + fraction * (weights[index] ?? 0), 0);
  const lefts = shares.flatMap(({ left }) => (left === null ? [] : [left]));
  const elapsed = elapsedOf(look, path);
  let left = lefts.length === shares.length || lefts.some((one) => one > 0) ? Math.max(...lefts) : null;
  // One after the other they take as long as the group has taken.
  if (usual !== null) left = Math.max(left ?? 0, usual - (elapsed ?? 0));
  return {
    expected: usual ?? longest,
    fraction: total === 0 ? 0 : done / total,
    left,
    late: shares.some(({ late }) => late),
  };
}

/** Items are of one kind: the more of them are over, the more their pace tells, and the less the past. */
function itemShares(look: Look, node: TaskNode, path: string, usual: number | null): Share | null {
  const { tasks, told } = look;
  const counts = rollupOf(tasks, path);
  if (!counts || counts.total === 0) return null;
  const each = node.children.length === 0 ? told[`${path}[*]`] : undefined;
  const given = each === undefined ? usual : each * counts.total;
  const over = counts.ok + counts.skipped;
  const fraction = (over + partsOfItems(tasks, path, counts)) / counts.total;
  const elapsed = isActive((tasks.statuses.get(path) ?? INACTIVE).status) ? elapsedOf(look, path) : null;
  let left = given === null ? null : given * (1 - fraction);
  if (elapsed !== null) {
    const open = counts.total - over;
    const pace = over > 0 ? (elapsed / over) * open : null;
    const past = given === null ? null : Math.max(0, given - elapsed);
    const trust = over / counts.total;
    left = pace === null ? past : past === null ? pace : trust * pace + (1 - trust) * past;
  }
  return { expected: elapsed !== null && left !== null ? elapsed + left : given, fraction, left, late: false };
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
