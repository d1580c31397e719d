import { TaskpathError, type Taskpath, useTaskpath } from '@taskpath/react';
import { useEffect, useState } from 'react';

export interface Polled<Answer> {
  readonly answer: Answer | null;
  /** When it was read, ms since epoch. */
  readonly at: number | null;
  /** Why the last time failed; what was read before is kept. */
  readonly error: TaskpathError | null;
  /** Reads it now. */
  again(): void;
}

/**
 * Reads something every few seconds while somebody looks at the page.
 *
 * @param read has to be the same function as long as the same is read
 * @param interval ms
 */
export function usePolled<Answer>(read: (client: Taskpath) => Promise<Answer>, interval: number): Polled<Answer> {
  const client = useTaskpath();
  const [state, setState] = useState<Omit<Polled<Answer>, 'again'>>({ answer: null, at: null, error: null });
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    let over = false;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const look = async () => {
      clearTimeout(timer);
      try {
        if (!document.hidden) {
          const answer = await read(client);
          if (over) return;
          setState({ answer, at: Date.now(), error: null });
        }
      } catch (error) {
        if (over) return;
        if (!(error instanceof TaskpathError)) throw error;
        setState((before) => ({ ...before, error }));
      }
      if (!over) timer = setTimeout(() => void look(), interval);
    };
    const shown = () => {
      if (!document.hidden) void look();
    };
    void look();
    document.addEventListener('visibilitychange', shown);
    return () => {
      over = true;
      clearTimeout(timer);
      document.removeEventListener('visibilitychange', shown);
    };
  }, [client, read, interval, turn]);
  return { ...state, again: () => setTurn((count) => count + 1) };
}
