import { type RefObject, useCallback, useLayoutEffect, useRef, useState } from 'react';
import { type Seen, scrollTo, windowOf } from './window.js';

export interface Windowed {
  readonly scroller: RefObject<HTMLDivElement | null>;
  readonly seen: Seen;
  /** Scrolls so that a row is seen. */
  reveal(index: number, middle?: boolean): void;
}

/**
 * The rows of a long list that are to be drawn, in an element that scrolls.
 *
 * @param count how many rows there are
 * @param row height of each, in pixels
 * @param above height of what stands above them in the same element, in pixels
 */
export function useWindow(count: number, row: number, above = 0): Windowed {
  const scroller = useRef<HTMLDivElement>(null);
  const [seen, setSeen] = useState<Seen>({ from: 0, to: Math.min(count, 60) });
  const look = useCallback(() => {
    const element = scroller.current;
    if (!element) return;
    const now = windowOf(element.scrollTop - above, element.clientHeight, row, count);
    setSeen((before) => (before.from === now.from && before.to === now.to ? before : now));
  }, [row, count, above]);
  useLayoutEffect(() => {
    const element = scroller.current;
    if (!element) return undefined;
    look();
    element.addEventListener('scroll', look, { passive: true });
    const observer = new ResizeObserver(look);
    observer.observe(element);
    return () => {
      element.removeEventListener('scroll', look);
      observer.disconnect();
    };
  }, [look]);
  const reveal = useCallback(
    (index: number, middle = false) => {
      const element = scroller.current;
      if (!element) return;
      const to = scrollTo(index, element.scrollTop - above, element.clientHeight, row, middle);
      if (to !== null) element.scrollTop = to + above;
      look();
    },
    [row, above, look],
  );
  return { scroller, seen: { from: Math.min(seen.from, count), to: Math.min(seen.to, count) }, reveal };
}
