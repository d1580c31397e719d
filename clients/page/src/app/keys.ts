import { useEffect, useRef } from 'react';

/**
 * What keys do while nothing is being written and no question is open.
 *
 * @param where 'idle' for keys that mean something else to most of what can have the focus, like the arrows
 */
export function useKeys(keys: Readonly<Record<string, () => void>>, where: 'anywhere' | 'idle' = 'anywhere'): void {
  const latest = useRef(keys);
  useEffect(() => {
    latest.current = keys;
  });
  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      if (event.defaultPrevented || event.altKey || event.ctrlKey || event.metaKey) return;
      const target = event.target instanceof Element ? event.target : null;
      if (target?.closest('input, textarea, select, dialog') || document.querySelector('dialog[open]')) return;
      if (where === 'idle' && target !== document.body && target?.id !== 'main') return;
      const act = latest.current[event.key];
      if (!act) return;
      event.preventDefault();
      act();
    };
    addEventListener('keydown', pressed);
    return () => removeEventListener('keydown', pressed);
  }, [where]);
}
