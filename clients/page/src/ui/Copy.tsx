import { useEffect, useState } from 'react';
import { IconButton } from './Button.js';

/** Copies a text; it says for a moment that it has. */
export function Copy({ text, label = 'Copy' }: { text: string | (() => string); label?: string }) {
  const [said, setSaid] = useState<'' | 'Copied' | 'Not copied: the browser does not allow it'>('');
  useEffect(() => {
    if (!said) return undefined;
    const timer = setTimeout(() => setSaid(''), 2_000);
    return () => clearTimeout(timer);
  }, [said]);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(typeof text === 'string' ? text : text());
      setSaid('Copied');
    } catch {
      setSaid('Not copied: the browser does not allow it');
    }
  };
  return (
    <>
      <IconButton icon={said === 'Copied' ? 'check' : 'copy'} label={said || label} onClick={() => void copy()} className="small" />
      <span role="status" className="unseen">{said}</span>
    </>
  );
}
