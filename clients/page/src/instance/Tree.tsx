import { nearest, paths, toggled } from '@taskpath/react/core';
import { format } from '@taskpath/react';
import { type KeyboardEvent, useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from 'react';
import type { View } from '../app/address.js';
import { useKeys } from '../app/keys.js';
import { IconButton } from '../ui/Button.js';
import { useWindow } from '../ui/useWindow.js';
import { useField, useGroup, useLive, useShape } from './live.js';
import { type Outline, PAGE, type Wanted, foreachesWith, itemPatterns, namedItems, opened, paged, revealed, rowsOf, wantedRows } from './outline.js';
import type { PagerRow, Rows } from './rows.js';
import { TaskRow } from './TaskRow.js';
import { Axis, Grid, Keeper, TimelineProvider, useScale } from './timeline.js';

export const ROW = 28;
/** How often the rows of a status are looked for while things change, ms. */
const LOOK = 250;
const WALKING = ['ArrowDown', 'ArrowUp', 'ArrowRight', 'ArrowLeft', 'PageDown', 'PageUp', 'Home', 'End', 'Enter'];

export interface TreeProps {
  selected: string | null;
  view: View;
  wanted: Wanted;
  /** When the instance ended, ms since epoch. */
  finishedAt: number | null;
  onSelect: (path: string | null) => void;
}

/** The tasks of an instance as rows, however many there are; beside each what it says, or when it ran. */
export function Tree({ selected, view, wanted, finishedAt, onSelect }: TreeProps) {
  const { instance, id } = useLive();
  const shape = useShape();
  const isLoading = useField('isLoading');
  const timeline = useScale();
  const [outline, setOutline] = useState<Outline | null>(null);
  const [focused, setFocused] = useState<string | null>(null);

  const first = useMemo(() => opened(shape.tree), [shape.tree]);
  const at = outline ?? first;
  // What is selected from elsewhere is opened to.
  const [revealedFor, setRevealedFor] = useState<string | null>(null);
  if (!isLoading && shape.tree.tasks.length > 0 && selected !== revealedFor) {
    setRevealedFor(selected);
    if (selected !== null) {
      setOutline(revealed(at, selected));
      setFocused(selected);
    }
  }
  const rows = useRows(shape, at, wanted);
  useItems(shape, at, wanted, rows);
  const { scroller, seen, reveal } = useWindow(rows.length, ROW);
  // Other tasks are looked at from the first of them on.
  useLayoutEffect(() => {
    if (scroller.current) scroller.current.scrollTop = 0;
  }, [wanted, scroller]);

  // Scrolled to once, when it is there.
  const shown = useRef<string | null>(null);
  useLayoutEffect(() => {
    if (selected === null) shown.current = null;
    if (selected === null || shown.current === selected) return;
    const row = rows.indexOf(selected);
    if (row < 0) return;
    shown.current = selected;
    reveal(row, true);
  }, [selected, rows, reveal]);

  const toFocus = useRef(false);
  const current = nearest(focused, (path) => rows.indexOf(path) >= 0) ?? rows.at(0)?.path ?? null;
  useEffect(() => {
    if (!toFocus.current || current === null) return;
    const element = scroller.current?.querySelector<HTMLElement>(`[data-path="${CSS.escape(current)}"]`);
    if (!element) return;
    toFocus.current = false;
    element.focus({ preventScroll: true });
  });

  const toggle = useCallback((path: string, isOpen: boolean) => setOutline((before) => toggled(before ?? opened(instance.store.getSnapshot().tree), path, isOpen)), [instance]);
  const select = useCallback((path: string) => onSelect(path), [onSelect]);

  const keys = (): Record<string, () => void> => {
    const here = rows.indexOf(current);
    const row = rows.at(here);
    if (row?.kind !== 'task') return {};
    const goTo = (to: number, by = 1) => {
      let next = Math.max(0, Math.min(rows.length - 1, to));
      if (rows.at(next)?.kind === 'pager') next += by;
      const target = rows.at(next);
      if (target?.kind !== 'task') return;
      reveal(next);
      toFocus.current = true;
      setFocused(target.path);
    };
    const page = Math.max(1, Math.floor((scroller.current?.clientHeight ?? 300) / ROW) - 1);
    return {
      ArrowDown: () => goTo(here + 1),
      ArrowUp: () => goTo(here - 1, -1),
      PageDown: () => goTo(here + page),
      PageUp: () => goTo(here - page, -1),
      Home: () => goTo(0),
      End: () => goTo(rows.length - 1, -1),
      ArrowRight: () => (row.isGroup && !row.isOpen ? toggle(row.path, true) : row.isGroup ? goTo(here + 1) : undefined),
      ArrowLeft: () => {
        if (row.isOpen && wanted === null) toggle(row.path, false);
        else goTo(rows.indexOf(paths.parent(row.path)), -1);
      },
      Enter: () => select(row.path),
      ' ': () => select(row.path),
    };
  };
  const key = (event: KeyboardEvent) => {
    if (event.altKey || event.ctrlKey || event.metaKey || (event.target as Element).closest('button, input')) return;
    const act = keys()[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  };
  // Who comes by the keyboard has the focus nowhere: the first key goes to where the tree is, the next one walks.
  const walk = (name: string) => () => {
    if (focused !== null) return keys()[name]?.();
    toFocus.current = true;
    setFocused(current);
  };
  useKeys(Object.fromEntries(WALKING.map((name) => [name, walk(name)])), 'idle');

  const drawn = rows.slice(seen.from, seen.to);
  return (
    <TimelineProvider value={timeline}>
      <div className="tree" data-view={view}>
        {view === 'timeline' ? (
          <>
            <Keeper finishedAt={finishedAt} />
            <Axis />
          </>
        ) : null}
        <div
          ref={scroller}
          className="rows-scroll"
          onKeyDown={key}
          onFocus={(event) => {
            const path = event.target.closest<HTMLElement>('[role=treeitem]')?.dataset['path'];
            if (path) setFocused(path);
          }}
        >
          {view === 'timeline' ? <Grid /> : null}
          <div role="tree" aria-label="Tasks" className="rows" style={{ height: rows.length * ROW, minHeight: '100%' }}>
            {drawn.map((row, offset) => {
              const top = (seen.from + offset) * ROW;
              if (row.kind === 'pager') {
                return <Pager key={`pager ${row.path}`} row={row} top={top} onPage={(first) => setOutline(paged(at, row.path, first))} />;
              }
              const { kind: _, ...place } = row;
              return (
                <TaskRow
                  key={row.path}
                  {...place}
                  id={`${id} ${row.path}`}
                  top={top}
                  isSelected={row.path === selected}
                  isFocused={row.path === current}
                  hasTrack={view === 'timeline'}
                  onSelect={select}
                  onToggle={toggle}
                />
              );
            })}
          </div>
          {rows.length === 0 ? <Nothing isLoading={isLoading} wanted={wanted} /> : null}
        </div>
      </div>
    </TimelineProvider>
  );
}

function Nothing({ isLoading, wanted }: { isLoading: boolean; wanted: Wanted }) {
  const error = useField('error');
  if (isLoading) return <p className="state" aria-busy="true">Reading the tasks…</p>;
  if (error) return null;
  return <p className="state">{wanted ? `No task is ${wanted}.` : 'It has no tasks.'}</p>;
}

/** All rows; those of one status are looked for again and again while things change. */
function useRows(shape: ReturnType<typeof useShape>, outline: Outline, wanted: Wanted): Rows {
  const { tally } = useLive();
  const [look, setLook] = useState(0);
  const watched = wanted !== null;
  useEffect(() => {
    if (!watched) return undefined;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const stop = tally.subscribe(paths.ROOT, () => {
      timer ??= setTimeout(() => {
        timer = undefined;
        setLook((count) => count + 1);
      }, LOOK);
    });
    setLook((count) => count + 1);
    return () => {
      clearTimeout(timer);
      stop();
    };
  }, [tally, watched]);
  return useMemo(() => (wanted === null ? rowsOf(shape, outline) : wantedRows(shape, tally, wanted)), [shape, outline, wanted, tally, wanted === null ? 0 : look]);
}

/** Asks for the items of the foreaches that are open: those of large ones are not sent otherwise. */
function useItems(shape: ReturnType<typeof useShape>, outline: Outline, wanted: Wanted, rows: Rows): void {
  const { instance, tally } = useLive();
  const open = wanted === null ? [...itemPatterns(shape, outline), ...namedItems(rows)] : foreachesWith(shape, tally, wanted).map((path) => `${path}[*]`);
  const key = JSON.stringify(open);
  useEffect(() => {
    const named = JSON.parse(key) as string[];
    return named.length === 0 ? undefined : instance.watch(named);
  }, [instance, key]);
}

function Pager({ row: { path, first, count, level }, top, onPage }: { row: PagerRow; top: number; onPage: (first: number) => void }) {
  const last = Math.min(count, first + PAGE);
  return (
    <div className="row pager" role="group" aria-label={`Items of ${path}`} style={{ top, paddingInlineStart: (level - 1) * 16 + 24 }}>
      <IconButton icon="chevron" label="Previous items" className="small back" disabled={first === 0} onClick={() => onPage(first - PAGE)} />
      <span className="pager-place">
        {format.count(first)}–{format.count(last - 1)} of {format.count(count)}
      </span>
      <IconButton icon="chevron" label="Next items" className="small" disabled={last >= count} onClick={() => onPage(first + PAGE)} />
      <label>
        go to{' '}
        <input
          type="number"
          min={0}
          max={count - 1}
          className="narrow"
          onKeyDown={(event) => {
            if (event.key !== 'Enter') return;
            const to = Math.floor(Number(event.currentTarget.value));
            if (to >= 0 && to < count) onPage(to - (to % PAGE));
          }}
        />
      </label>
    </div>
  );
}

const CHOICES = ['failed', 'running', 'queued', 'stale', 'cancelled', 'skipped'] as const;

/** Chooses which tasks are shown. */
export function TreeFilter({ wanted, onChange }: { wanted: Wanted; onChange: (wanted: Wanted) => void }) {
  const { deep } = useGroup(paths.ROOT);
  return (
    <div className="chips" role="group" aria-label="Which tasks are shown">
      <button type="button" className="chip" aria-pressed={wanted === null} onClick={() => onChange(null)}>
        All
      </button>
      {CHOICES.filter((status) => deep[status] > 0 || status === wanted).map((status) => (
        <button key={status} type="button" className="chip" data-status={status} aria-pressed={status === wanted} onClick={() => onChange(status === wanted ? null : status)}>
          {status} <b>{format.count(deep[status])}</b>
        </button>
      ))}
    </div>
  );
}

