import { type ReactNode, useState } from 'react';
import { bytes, count } from '../format.js';

/** Longer texts are shown as far as this, and the rest when asked for. */
const SHOWN = 20_000;

export interface ValueProps {
  value: unknown;
  /** What can be done about it. */
  children?: ReactNode;
}

/** A JSON value as people read it. */
export function Value({ value, children }: ValueProps) {
  const [whole, setWhole] = useState(false);
  if (isReference(value)) {
    return (
      <p className="taskpath-large">
        {bytes(value.size)}, too large to be shown here. {children}
      </p>
    );
  }
  const text = JSON.stringify(value, null, 2) ?? 'null';
  const cut = !whole && text.length > SHOWN;
  return (
    <div className="taskpath-value">
      <pre tabIndex={0}>{cut ? text.slice(0, SHOWN) : text}</pre>
      {cut ? (
        <button type="button" onClick={() => setWhole(true)}>
          Show all {count(text.length)} characters
        </button>
      ) : null}
      {children}
    </div>
  );
}

/** Whether it stands for a value of over 1 MiB that is somewhere else. */
export function isReference(value: unknown): value is { ref: string; size: number } {
  if (typeof value !== 'object' || value === null || Object.keys(value).length !== 2) return false;
  const { ref, size } = value as { ref?: unknown; size?: unknown };
  return typeof ref === 'string' && typeof size === 'number' && size > 1_048_576;
}
