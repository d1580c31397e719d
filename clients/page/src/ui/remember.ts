/** What is remembered on this machine; where storage is forbidden, nothing is. */
import { useCallback, useState } from 'react';

export function recall(name: string): string | null {
  try {
    return localStorage.getItem(`taskpath.${name}`);
  } catch {
    return null;
  }
}

export function remember(name: string, value: string | null): void {
  try {
    if (value === null) localStorage.removeItem(`taskpath.${name}`);
    else localStorage.setItem(`taskpath.${name}`, value);
  } catch {
    // It is asked for again the next time.
  }
}

/** A switch that is as it was left the last time. */
export function useRemembered(name: string, at: boolean): [boolean, (value: boolean) => void] {
  const [value, setValue] = useState(() => {
    const known = recall(name);
    return known === null ? at : known === '1';
  });
  const change = useCallback(
    (to: boolean) => {
      setValue(to);
      remember(name, to ? '1' : '0');
    },
    [name],
  );
  return [value, change];
}
