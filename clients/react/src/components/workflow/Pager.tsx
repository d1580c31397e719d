import type { RollupView, TaskStatus } from '../../core/index.js';
import { useRollup } from '../../react/useRollup.js';
import { count } from '../format.js';
import { FILTER_UP_TO, type ItemsPage, PAGE, type PagerRowPlace } from './outline.js';

const STATUSES: readonly TaskStatus[] = ['failed', 'running', 'queued', 'ok', 'skipped', 'cancelled', 'inactive'];

export interface PagerProps {
  id: string;
  place: PagerRowPlace;
  onPage: (path: string, page: ItemsPage) => void;
}

/** Chooses among the items of a foreach: a page of them, and those of one status. */
export function Pager({ id, place, onPage }: PagerProps) {
  const { path, first, count: all, shown, status } = place;
  const rollup = useRollup(id, path);
  const go = (to: number) => () => onPage(path, { first: to, status });
  return (
    <div className="taskpath-pager" role="group" aria-label={`Items of ${path}`} style={{ paddingInlineStart: `${place.level - 1}em` }}>
      <button type="button" disabled={first === 0} onClick={go(first - PAGE)} aria-label="Previous items">
        ‹
      </button>{' '}
      <span className="taskpath-pager-place">
        {shown === 0 ? 'none' : `${count(first + 1)}–${count(first + shown)} of ${count(all)}`}
      </span>{' '}
      <button type="button" disabled={first + shown >= all} onClick={go(first + PAGE)} aria-label="Next items">
        ›
      </button>{' '}
      {rollup && rollup.total <= FILTER_UP_TO
        ? STATUSES.filter((one) => one === status || isWorthIt(rollup, one)).map((one) => (
            <button
              key={one}
              type="button"
              aria-pressed={one === status}
              onClick={() => onPage(path, { first: 0, status: one === status ? null : one })}
            >
              {one} {count(rollup[one])}
            </button>
          ))
        : null}
    </div>
  );
}

function isWorthIt(rollup: RollupView, status: TaskStatus): boolean {
  return rollup[status] > 0 && rollup[status] < rollup.total;
}
