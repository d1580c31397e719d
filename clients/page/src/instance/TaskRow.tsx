import { type TaskSnapshot, format } from '@taskpath/react';
import { type MouseEvent, memo } from 'react';
import { useNow } from '../ui/clock.js';
import { Icon, Mark } from '../ui/Icon.js';
import { Progress } from '../ui/Progress.js';
import { useGroup, useTaskState } from './live.js';
import type { TaskRow as Place } from './rows.js';
import type { Counts, Group } from './tally.js';
import { Track } from './Track.js';
import { countsText, looking, overOf, saysOf, spanOf, timeText, totalOf } from './words.js';

export interface TaskRowProps extends Omit<Place, 'kind'> {
  top: number;
  id: string;
  isSelected: boolean;
  isFocused: boolean;
  hasTrack: boolean;
  onSelect: (path: string) => void;
  onToggle: (path: string, isOpen: boolean) => void;
}

/** One task of the tree. It is drawn again only when something of it has changed. */
export const TaskRow = memo(function TaskRow(props: TaskRowProps) {
  const { path, level, isGroup, isOpen, isSelected, isFocused, hasTrack, onSelect, onToggle } = props;
  const group = useGroup(path, isGroup);
  const task = looking(useTaskState(path), group);
  const now = useNow(task.status === 'running' || task.retry?.nextAt !== undefined);
  const clicked = (event: MouseEvent) => {
    const toggles = isGroup && (event.target as Element).closest('.toggle');
    if (toggles) onToggle(path, !isOpen);
    else onSelect(path);
  };
  const span = spanOf(task, group);
  const says = saysOf(task, group, now);
  const time = timeText(task, span, now);
  return (
    <div
      role="treeitem"
      id={props.id}
      className="row"
      aria-level={level}
      aria-posinset={props.position}
      aria-setsize={props.siblings}
      aria-selected={isSelected}
      aria-expanded={isGroup ? isOpen : undefined}
      aria-label={labelOf(task, says.text, time)}
      tabIndex={isFocused ? 0 : -1}
      data-path={path}
      data-status={task.status}
      style={{ top: props.top }}
      onClick={clicked}
      onDoubleClick={() => isGroup && onToggle(path, !isOpen)}
    >
      <span className="row-name" style={{ paddingInlineStart: (level - 1) * 16 }}>
        <span className="toggle" data-open={isOpen}>
          {isGroup ? <Icon name="chevron" /> : null}
        </span>
        <Mark status={task.status} />
        <span className="name">{task.name}</span>
        {task.count === null ? null : <span className="count">× {format.count(task.count)}</span>}
        {task.stale ? <span className="stale" title="It no longer agrees with what stands before it">stale</span> : null}
      </span>
      {hasTrack ? (
        <Track path={path} task={task} span={span} group={group} />
      ) : (
        <span className="row-says">
          {barOf(task, group)}
          <span className="says" data-tone={says.tone}>
            {says.text}
          </span>
        </span>
      )}
      <span className="time">{time}</span>
    </div>
  );
});

function labelOf(task: TaskSnapshot, says: string, time: string): string {
  return [task.name, task.status, task.stale ? 'stale' : '', says, time].filter(Boolean).join(', ');
}

function barOf(task: TaskSnapshot, group: Group) {
  if (task.isForeach && (task.status !== 'inactive' || (task.count ?? 0) > 0)) {
    const total = totalOf(group.below, task.count);
    const { below } = group;
    if (total === 0) return null;
    return <Progress parts={partsOf(below, total)} fraction={overOf(below) / total} label={task.name} text={countsText(below, task.count)} />;
  }
  if (task.status === 'running' && task.progress) {
    const { fraction } = task.progress;
    return <Progress parts={[{ status: 'running', share: fraction }]} fraction={fraction} label={task.name} text={format.percent(fraction)} />;
  }
  return null;
}

export function partsOf(counts: Counts, total: number) {
  return (['ok', 'skipped', 'failed', 'cancelled', 'running'] as const).map((status) => ({ status, share: counts[status] / total }));
}
