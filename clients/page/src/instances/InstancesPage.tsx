import { type InstanceSummary, format, useInstances } from '@taskpath/react';
import { type KeyboardEvent, memo, useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from 'react';
import { type Filter, instanceAddress, listAddress } from '../app/address.js';
import { useKeptFocus, useKeptScroll } from '../app/keptScroll.js';
import { useKeys } from '../app/keys.js';
import { Link, go } from '../app/router.js';
import { Button } from '../ui/Button.js';
import { useNow } from '../ui/clock.js';
import { Mark } from '../ui/Icon.js';
import { Progress, partsOf } from '../ui/Progress.js';
import { useWindow } from '../ui/useWindow.js';
import { Filters, hasFilter, sameFilter } from './Filters.js';
import { ago } from './ago.js';

const ROW = 40;
const PAGE = 100;
/** So many rows before the end of what is there the next page is read. */
const AHEAD = 60;

/** All instances, newest first: live at the top, and as far back as one scrolls. */
export function InstancesPage({ filter }: { filter: Filter }) {
  const { status, workflow, name, realm } = filter;
  const list = useInstances({ ...(status && { status }), workflow, name, realm, limit: PAGE });
  const { items, isLoading, isLoadingMore, hasMore, loadMore, error } = list;
  const { scroller, seen, reveal } = useWindow(items.length, ROW);
  const [focused, setFocused] = useState<string | null>(useKeptFocus());
  const toFocus = useRef(false);
  const search = useRef<HTMLInputElement>(null);

  useEffect(() => {
    document.title = 'Instances · Taskpath';
  }, []);
  useEffect(() => {
    if (hasMore && !isLoadingMore && !error && seen.to > 0 && seen.to >= items.length - AHEAD && scroller.current && scroller.current.scrollTop > 0) void loadMore();
  }, [hasMore, isLoadingMore, error, seen.to, items.length, loadMore, scroller]);
  // Another list is looked at from its beginning on; one that was left, from where it was.
  const shown = useRef(filter);
  useLayoutEffect(() => {
    if (sameFilter(shown.current, filter)) return;
    shown.current = filter;
    if (scroller.current) scroller.current.scrollTop = 0;
  });
  const more = useMemo(() => (hasMore && !error ? () => void (isLoadingMore || loadMore()) : null), [hasMore, error, isLoadingMore, loadMore]);
  useKeptScroll({ scroller, height: items.length * ROW, focused, loadMore: more });

  const found = focused === null ? -1 : items.findIndex(({ id }) => id === focused);
  const at = Math.max(0, found);
  useEffect(() => {
    if (!toFocus.current) return;
    const link = scroller.current?.querySelector<HTMLElement>('a[tabindex="0"]');
    if (!link) return;
    toFocus.current = false;
    link.focus({ preventScroll: true });
  });
  const goTo = (to: number) => {
    const item = items[Math.max(0, Math.min(items.length - 1, to))];
    if (!item) return;
    reveal(items.indexOf(item));
    toFocus.current = true;
    setFocused(item.id);
  };
  const keys: Record<string, () => void> = {
    ArrowDown: () => goTo(at + 1),
    j: () => goTo(at + 1),
    ArrowUp: () => goTo(at - 1),
    k: () => goTo(at - 1),
    PageDown: () => goTo(at + 12),
    PageUp: () => goTo(at - 12),
    Home: () => goTo(0),
    End: () => goTo(items.length - 1),
  };
  const key = (event: KeyboardEvent) => {
    const act = keys[event.key];
    if (!act || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    act();
  };
  useKeys({
    '/': () => search.current?.focus(),
    j: () => goTo(found < 0 ? 0 : at + 1),
    k: () => goTo(at - 1),
    n: () => go('/workflows'),
  });
  const focus = useCallback((id: string) => setFocused(id), []);

  return (
    <section className="list-page">
      <header className="page-head">
        <h1>Instances</h1>
        <span className="spring" />
        <Link href="/workflows" className="button" data-tone="primary">
          Start a workflow
        </Link>
      </header>
      <Filters filter={filter} search={search} items={items} />
      <div className="list-head" aria-hidden="true">
        <span>name</span>
        <span>status</span>
        <span>workflow</span>
        <span>realm</span>
        <span>progress</span>
        <span>created</span>
        <span>changed</span>
      </div>
      <div ref={scroller} className="rows-scroll" aria-busy={isLoading} onKeyDown={key}>
        {items.length === 0 ? null : (
          <ul className="rows" aria-label="Instances" style={{ height: items.length * ROW }}>
            {items.slice(seen.from, seen.to).map((item, offset) => (
              <Row key={item.id} item={item} top={(seen.from + offset) * ROW} position={seen.from + offset + 1} count={hasMore ? -1 : items.length} isFocused={seen.from + offset === at} onFocus={focus} />
            ))}
          </ul>
        )}
        {error ? (
          <p className="state" role="alert">
            {error.message} {hasMore ? <Button onClick={() => void loadMore()}>Try again</Button> : null}
          </p>
        ) : isLoading ? (
          <p className="state">Reading the instances…</p>
        ) : items.length === 0 ? (
          <Empty filter={filter} />
        ) : null}
        {hasMore && items.length > 0 && !error ? (
          <p className="more">{isLoadingMore ? 'Reading more…' : <Button onClick={() => void loadMore()}>More</Button>}</p>
        ) : null}
      </div>
      <footer className="list-foot" role="status">
        {items.length === 0 ? '' : `${format.count(items.length)}${hasMore ? ' shown, more as you scroll' : items.length === 1 ? ' instance' : ' instances'}`}
      </footer>
    </section>
  );
}

function Empty({ filter }: { filter: Filter }) {
  return (
    <div className="state" data-name="empty">
      {hasFilter(filter) ? (
        <p>
          No instance is like that. <Link href={listAddress()}>Show all</Link>
        </p>
      ) : (
        <>
          <p>Nothing here yet: start a workflow.</p>
          <p className="hint">
            From a terminal: <code>taskpath run NAME --data '{'{…}'}'</code>
          </p>
        </>
      )}
    </div>
  );
}

interface RowProps {
  item: InstanceSummary;
  top: number;
  position: number;
  count: number;
  isFocused: boolean;
  onFocus: (id: string) => void;
}

const Row = memo(function Row({ item, top, position, count, isFocused, onFocus }: RowProps) {
  const { id, workflow, realm, name, status, progress, createdAt, updatedAt } = item;
  const now = useNow(true, 5_000);
  const text = [`${format.count(progress.done)} of ${format.count(progress.total)}`, progress.running > 0 ? `${format.count(progress.running)} running` : '', progress.failed > 0 ? `${format.count(progress.failed)} failed` : '']
    .filter(Boolean)
    .join(' · ');
  return (
    <li style={{ top }} aria-posinset={position} aria-setsize={count} data-status={status}>
      <Link href={instanceAddress(id)} className="list-row" tabIndex={isFocused ? 0 : -1} onFocus={() => onFocus(id)}>
        <span className="what">
          <Mark status={status} />
          <span className="name">{name ?? <code>{id}</code>}</span>
        </span>
        <span className="status" data-status={status}>
          {status}
        </span>
        <span className="workflow">{workflow}</span>
        <span className="realm">{realm}</span>
        <span className="how-far">
          <Progress parts={partsOf(progress, status)} fraction={status === 'done' ? 1 : progress.fraction} label={`Progress of ${name ?? id}`} text={text} />
          <span className="counts">{text}</span>
        </span>
        <time className="when" title={format.moment(createdAt)}>
          {ago(createdAt, now)}
        </time>
        <time className="when changed" title={format.moment(updatedAt)}>
          {ago(updatedAt, now)}
        </time>
      </Link>
    </li>
  );
});
