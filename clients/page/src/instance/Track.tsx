import { type TaskSnapshot, format } from '@taskpath/react';
import { type Span, isActive, paths } from '@taskpath/react/core';
import { placeOf } from '../timeline/scale.js';
import { useNow } from '../ui/clock.js';
import { useCell } from '../ui/store.js';
import { useLive } from './live.js';
import type { Group } from './tally.js';
import { useTimeline } from './timeline.js';
import { overOf, totalOf } from './words.js';

/** However short it was, so much of it is seen, in pixels; also of what ended with the run. */
const THINNEST = 3;

/** A task on the timeline: when it ran, and until now if it still does. */
export function Track({ path, task, span, group }: { path: string; task: TaskSnapshot; span: Span; group: Group }) {
  const { scale: cell, whole, tick } = useTimeline();
  const scale = useCell(cell);
  const { tally, instance } = useLive();
  const lasts = isActive(task.status) && span.start !== null;
  const now = useNow(lasts, tick);
  // When the last item of a collapsed foreach ended was not sent: no later than when the next task began, or the run ended.
  const isOpenEnded = task.rollup !== undefined && !lasts;
  const { tree, status } = instance.store.getSnapshot();
  const last = status === 'working' ? tally.group(paths.ROOT).span.end : whole.get().to;
  const known = isOpenEnded ? { start: span.start, end: endBound(path, span, last, tree, tally) } : span;
  const place = placeOf(known, scale, now);
  if (!place) return <span className="track" />;
  // How far it usually goes, behind what runs, for as long as it has not gone farther.
  const usual = lasts && task.expectedDuration !== undefined && span.start !== null ? placeOf({ start: span.start, end: span.start + task.expectedDuration }, scale, now) : null;
  const share = task.isGroup ? shareOf(group, task.count) : task.status === 'running' ? (task.progress?.fraction ?? null) : null;
  return (
    <span className="track">
      {usual && usual.width > place.width ? <span className="usual" style={{ left: `${usual.left * 100}%`, width: `${usual.width * 100}%` }} /> : null}
      <span
        className="span"
        data-kind={task.isGroup ? 'group' : 'task'}
        data-status={task.status}
        data-open={isOpenEnded}
        title={titleOf(task, known, now)}
        style={{ left: `min(${place.left * 100}%, 100% - ${THINNEST}px)`, width: `${place.width * 100}%`, minWidth: THINNEST }}
      >
        {share === null || !lasts ? null : <span className="share" style={{ width: `${share * 100}%` }} />}
      </span>
    </span>
  );
}

function shareOf(group: Group, count: number | null): number | null {
  const total = totalOf(group.below, count);
  return total === 0 ? null : overOf(group.below) / total;
}

function endBound(path: string, { start, end }: Span, last: number | null, tree: { children(path: string): string[] }, tally: { group(path: string): Group; state(path: string): { executionTime: number | null } | undefined }): number | null {
  for (let at: string | null = path; at !== null && at !== paths.ROOT; at = paths.parent(at)) {
    const siblings: string[] = tree.children(paths.parent(at) ?? paths.ROOT);
    for (const next of siblings.slice(siblings.indexOf(at) + 1)) {
      const began = tally.group(next).span.start ?? tally.state(next)?.executionTime ?? null;
      if (began !== null && start !== null && began >= start) return began;
    }
  }
  return Math.max(end ?? 0, last ?? 0) || null;
}

function titleOf(task: TaskSnapshot, { start, end }: Span, now: number): string {
  if (start === null) return '';
  const took = end === null ? `running for ${format.duration(Math.max(0, now - start))}` : format.duration(end - start);
  const usually = task.expectedDuration === undefined ? '' : `, usually ${format.duration(task.expectedDuration)}`;
  return `${task.name}: ${task.status}, began ${format.timeOfDay(start)}, ${took}${usually}`;
}
