import { type MouseEvent, memo } from 'react';
import { type RollupView, type Span, type TaskSnapshot, isActive } from '../../core/index.js';
import { useTask } from '../../react/useInstance.js';
import { useNow } from '../../react/useNow.js';
import { useRollup, useSpan } from '../../react/useRollup.js';
import { Bar } from '../Bar.js';
import { count, duration, errorLine, retryNote, rollupText } from '../format.js';

export interface TaskRowProps {
  id: string;
  path: string;
  level: number;
  isGroup: boolean;
  isOpen: boolean;
  isSelected: boolean;
  /** Whether the keyboard comes here. */
  isFocused: boolean;
  onSelect: (path: string) => void;
  onToggle: (path: string, isOpen: boolean) => void;
}

/** One task of the tree. It is drawn again only when something of it has changed. */
export const TaskRow = memo(function TaskRow(props: TaskRowProps) {
  const { id, path, level, isGroup, isOpen, isSelected, isFocused, onSelect, onToggle } = props;
  const task = useTask(id, path);
  const rollup = useRollup(id, path, isGroup);
  const clicked = (event: MouseEvent) => {
    const toggles = isGroup && (event.target as Element).closest('.taskpath-toggle');
    if (toggles) onToggle(path, !isOpen);
    else onSelect(path);
  };
  return (
    <div
      role="treeitem"
      className="taskpath-row"
      aria-level={level}
      aria-selected={isSelected}
      aria-expanded={isGroup ? isOpen : undefined}
      tabIndex={isFocused ? 0 : -1}
      data-path={path}
      data-status={task.status}
      style={{ paddingInlineStart: `${level - 1}em` }}
      onClick={clicked}
    >
      <span className="taskpath-toggle" aria-hidden="true">
        {isGroup ? (isOpen ? '▾' : '▸') : ''}
      </span>{' '}
      <span className="taskpath-name">{task.name}</span>
      {task.count === null ? null : <span className="taskpath-count"> × {count(task.count)}</span>}{' '}
      <span className="taskpath-status">{task.status}</span>
      {task.stale ? <span className="taskpath-stale"> stale</span> : null} <Says id={id} task={task} rollup={rollup} />
    </div>
  );
});

/** What the task says of itself, and how long it takes. */
export function Says({ id, task, rollup }: { id: string; task: TaskSnapshot; rollup: RollupView | null }) {
  const span = useSpan(id, task.path, task.isGroup) ?? ownSpan(task);
  const ticks = task.status === 'running' || task.retry?.nextAt !== undefined;
  const now = useNow(ticks, 1_000);
  return (
    <>
      {barOf(task, rollup)}
      <span className="taskpath-says">{wordsOf(task, rollup, now)}</span>{' '}
      <span className="taskpath-time">{timeOf(task.status, span, now)}</span>
    </>
  );
}

function barOf(task: TaskSnapshot, rollup: RollupView | null) {
  if (rollup && isActive(task.status)) {
    const over = rollup.ok + rollup.failed + rollup.skipped + rollup.cancelled;
    return <Bar fraction={over / Math.max(1, rollup.total)} label={task.name} text={rollupText(rollup)} status={task.status} />;
  }
  if (task.status === 'running' && task.progress) {
    return <Bar fraction={task.progress.fraction} label={task.name} status={task.status} />;
  }
  return null;
}

function wordsOf(task: TaskSnapshot, rollup: RollupView | null, now: number): string {
  if (rollup && rollup.total > 0) return rollupText(rollup);
  if (task.status === 'failed' && task.error) return errorLine(task.error);
  const parts = [
    isActive(task.status) ? retryNote(task.retry, now) : '',
    task.status === 'running' ? (task.progress?.message ?? '') : '',
  ].filter(Boolean);
  return parts.join(' · ') || task.reason || task.description;
}

function ownSpan({ executionTime, duration: took }: TaskSnapshot): Span {
  return { start: executionTime, end: executionTime === null || took === null ? null : executionTime + took };
}

function timeOf(status: TaskSnapshot['status'], { start, end }: Span, now: number): string {
  if (start === null || status === 'inactive' || status === 'queued') return '';
  if (status === 'running') return duration(Math.floor(Math.max(0, now - start) / 1_000) * 1_000);
  return end === null ? '' : duration(end - start);
}
