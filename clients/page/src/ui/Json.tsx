import { type ReactNode, memo, useMemo, useState } from 'react';
import { format } from '@taskpath/react';
import { Button } from './Button.js';
import { Copy } from './Copy.js';

/** Longer texts are shown as far as this, and the rest when asked for. */
const SHOWN = 20_000;
const PARTS = /("(?:[^"\\]|\\.)*")(\s*:)?|\b(?:true|false|null)\b|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;

export interface JsonProps {
  value: unknown;
  label: string;
  /** What else can be done with it. */
  children?: ReactNode;
}

/** A JSON value as people read it; what is large is cut, or said to be. */
export const Json = memo(function Json({ value, label, children }: JsonProps) {
  const [whole, setWhole] = useState(false);
  const reference = sizeOf(value);
  const text = useMemo(() => (reference === null ? (JSON.stringify(value, null, 2) ?? 'null') : ''), [value, reference]);
  const nodes = useMemo(() => coloured(text.slice(0, SHOWN)), [text]);
  if (reference !== null) {
    return (
      <p className="large">
        <span>{format.bytes(reference)}, too large to be shown here.</span> {children}
      </p>
    );
  }
  const cut = !whole && text.length > SHOWN;
  return (
    <div className="value">
      <pre className="json" tabIndex={0} role="region" aria-label={label}>
        {nodes}
        {whole ? text.slice(SHOWN) : null}
      </pre>
      <div className="value-tools">
        {children}
        <Copy text={text} label={`Copy ${label.toLowerCase()}`} />
      </div>
      {cut ? <Button onClick={() => setWhole(true)}>Show all {format.count(text.length)} characters</Button> : null}
    </div>
  );
});

/** The size of a value that is somewhere else because it is over 1 MiB; null for one that is here. */
function sizeOf(value: unknown): number | null {
  if (typeof value !== 'object' || value === null || Object.keys(value).length !== 2) return null;
  const { ref, size } = value as { ref?: unknown; size?: unknown };
  return typeof ref === 'string' && typeof size === 'number' && size > 1_048_576 ? size : null;
}

/** The text, with names, strings, numbers and words told apart. */
function coloured(text: string): ReactNode[] {
  const nodes: ReactNode[] = [];
  let at = 0;
  for (const match of text.matchAll(PARTS)) {
    const [all, string, colon] = match;
    const kind = colon ? 'key' : string ? 'string' : /^[tfn]/.test(all) ? 'word' : 'number';
    if (match.index > at) nodes.push(text.slice(at, match.index));
    nodes.push(
      <span key={match.index} className={kind}>
        {string ?? all}
      </span>,
    );
    if (colon) nodes.push(colon);
    at = match.index + all.length;
  }
  nodes.push(text.slice(at));
  return nodes;
}
