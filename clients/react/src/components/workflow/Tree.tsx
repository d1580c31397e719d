import { type FocusEvent, type KeyboardEvent, useCallback, useEffect, useMemo, useRef, useState } from 'react';
import { nearest, paths, toggled } from '../../core/index.js';
import { useTaskpath } from '../../react/provider.js';
import { useInstance } from '../../react/useInstance.js';
import { type ItemsPage, type Outline, opened, paged, revealed, rowsOf } from './outline.js';
import { Pager } from './Pager.js';
import { TaskRow } from './TaskRow.js';

export interface TreeProps {
  id: string;
  selected: string | null;
  onSelect: (path: string) => void;
  label: string;
}

/** The tasks of an instance as a tree, for the mouse and for the keyboard. */
export function Tree({ id, selected, onSelect, label }: TreeProps) {
  const client = useTaskpath();
  const state = useInstance(id);
  const [chosen, setChosen] = useState<Outline | null>(null);
  const isKnown = state.tree.tasks.length > 0;
  // Until somebody opens or closes something, it follows the tree.
  const first = useMemo(() => opened(state.tree), [state.tree]);
  const outline = chosen ?? first;
  const rows = rowsOf(state, outline);
  const [focused, setFocused] = useState<string | null>(null);
  const shown = rows.filter((row) => row.kind === 'task');
  const isShown = (path: string) => shown.some((row) => row.path === path);
  const at = nearest(focused ?? selected, isShown) ?? shown[0]?.path ?? null;
  const root = useRef<HTMLDivElement>(null);
  const latest = useRef(outline);
  useEffect(() => {
    latest.current = outline;
  });

  const toggle = useCallback((path: string, isOpen: boolean) => setChosen(toggled(latest.current, path, isOpen)), []);
  const page = useCallback((path: string, to: ItemsPage) => setChosen(paged(latest.current, path, to)), []);
  const select = useCallback(
    (path: string) => {
      setFocused(path);
      onSelect(path);
    },
    [onSelect],
  );

  // Items of one status are found among all of them.
  const filtered = [...outline.pages].filter(([, { status }]) => status).map(([path]) => `${path}[*]`);
  const wanted = filtered.join('\n');
  useEffect(() => (wanted ? client.instance(id).watch(wanted.split('\n')) : undefined), [client, id, wanted]);

  // A task that is selected from elsewhere is brought into view, once it can be.
  const brought = useRef<string | null>(null);
  useEffect(() => {
    if (!isKnown || selected === brought.current) return;
    brought.current = selected;
    if (selected !== null && !isShown(selected)) setChosen(revealed(latest.current, selected));
  }, [isKnown, selected, shown]);

  const focus = (path: string | undefined) => {
    if (path === undefined) return;
    const rowsShown = root.current?.querySelectorAll<HTMLElement>('[role=treeitem]') ?? [];
    for (const row of rowsShown) if (row.dataset['path'] === path) row.focus();
  };

  const key = (event: KeyboardEvent<HTMLDivElement>) => {
    const target = event.target as HTMLElement;
    if (event.altKey || event.ctrlKey || event.metaKey || target.getAttribute('role') !== 'treeitem') return;
    const index = shown.findIndex((row) => row.path === target.dataset['path']);
    const row = shown[index];
    if (!row) return;
    const above = paths.parent(row.path);
    const act: Record<string, () => void> = {
      ArrowDown: () => focus(shown[index + 1]?.path),
      ArrowUp: () => focus(shown[index - 1]?.path),
      Home: () => focus(shown[0]?.path),
      End: () => focus(shown[shown.length - 1]?.path),
      ArrowRight: () => (row.isGroup && !row.isOpen ? toggle(row.path, true) : row.isOpen && focus(shown[index + 1]?.path)),
      ArrowLeft: () => (row.isOpen ? toggle(row.path, false) : above && focus(above)),
      Enter: () => select(row.path),
      ' ': () => select(row.path),
    };
    const done = act[event.key];
    if (!done) return;
    event.preventDefault();
    done();
  };

  const focusIn = (event: FocusEvent<HTMLDivElement>) => {
    const path = (event.target as HTMLElement).closest<HTMLElement>('[role=treeitem]')?.dataset['path'];
    if (path) setFocused(path);
  };

  return (
    <div ref={root} className="taskpath-tree" role="tree" aria-label={label} onKeyDown={key} onFocus={focusIn}>
      {rows.map((row) =>
        row.kind === 'pager' ? (
          <Pager key={`pager ${row.path}`} id={id} place={row} onPage={page} />
        ) : (
          <TaskRow
            key={row.path}
            id={id}
            path={row.path}
            level={row.level}
            isGroup={row.isGroup}
            isOpen={row.isOpen}
            isSelected={row.path === selected}
            isFocused={row.path === at}
            onSelect={select}
            onToggle={toggle}
          />
        ),
      )}
    </div>
  );
}
