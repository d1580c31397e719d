/** How far a list was scrolled, kept for when one comes back to it through the history. */
import { type RefObject, useLayoutEffect, useRef, useState } from 'react';
import { entry } from './router.js';

interface Kept {
  top: number;
  focused: string | null;
}

/** By entry of the history, as long as the tab is not loaded anew. */
const kept = new Map<string, Kept>();

export interface ListToKeep {
  scroller: RefObject<HTMLElement | null>;
  /** How high all that is there is, in pixels. */
  height: number;
  /** What the keyboard is at. */
  focused: string | null;
  /** Has more of the list read, as what one was at may be further down; null if there is no more of it. */
  loadMore: (() => void) | null;
}

/** What the keyboard was at when one left the list. */
export function useKeptFocus(): string | null {
  const [focused] = useState(() => kept.get(entry())?.focused ?? null);
  return focused;
}

/** Scrolls to where one was, as soon as so much of the list is there. */
export function useKeptScroll({ scroller, height, focused, loadMore }: ListToKeep): void {
  const [here] = useState(entry);
  const [wanted, setWanted] = useState(() => kept.get(here)?.top ?? 0);
  const latest = useRef({ focused, wanted });
  useLayoutEffect(() => {
    latest.current = { focused, wanted };
  });
  useLayoutEffect(() => {
    const element = scroller.current;
    if (!element) return undefined;
    const keep = () => kept.set(here, { top: latest.current.wanted || element.scrollTop, focused: latest.current.focused });
    element.addEventListener('scroll', keep, { passive: true });
    return () => {
      keep();
      element.removeEventListener('scroll', keep);
    };
  }, [scroller, here]);
  useLayoutEffect(() => {
    const element = scroller.current;
    if (!element || wanted === 0 || height === 0) return;
    if (loadMore && height < wanted + element.clientHeight) return loadMore();
    element.scrollTop = wanted;
    setWanted(0);
  }, [scroller, wanted, height, loadMore]);
}
