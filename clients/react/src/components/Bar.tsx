import type { CSSProperties } from 'react';
import { percent } from './format.js';

/** Not to be seen, but to be read out; said here, because it has to hold without any style sheet of ours. */
export const UNSEEN: CSSProperties = {
  position: 'absolute',
  width: 1,
  height: 1,
  margin: -1,
  padding: 0,
  border: 0,
  overflow: 'hidden',
  clipPath: 'inset(50%)',
  whiteSpace: 'nowrap',
};

export interface BarProps {
  /** From 0 to 1; null for not known. */
  fraction: number | null;
  /** What it is that moves. */
  label: string;
  /** What it stands for in words; the percentage if it is not said. */
  text?: string | undefined;
  status?: string | undefined;
}

/** A bar: the browser's own, so that it is one without any style. */
export function Bar({ fraction, label, text, status }: BarProps) {
  const known = fraction === null ? {} : { value: fraction };
  const words = text ?? (fraction === null ? undefined : percent(fraction));
  return (
    <progress className="taskpath-bar" max={1} {...known} aria-label={label} aria-valuetext={words} data-status={status}>
      {words}
    </progress>
  );
}
