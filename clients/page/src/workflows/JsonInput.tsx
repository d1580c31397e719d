import { useEffect, useState } from 'react';
import type { Json } from '../schema/field.js';
import { parsed } from './parse.js';

export interface JsonInputProps {
  id: string;
  path: string;
  label: string;
  value: Json | undefined;
  rows?: number;
  error?: string | undefined;
  hint?: string;
  onChange: (value: Json | undefined) => void;
  /** Told why what is written is no value yet; '' when it is one. */
  unfinished: (path: string, why: string) => void;
}

/** JSON as text; what is not JSON yet is said, and not handed on. */
export function JsonInput({ id, path, label, value, rows = 3, error, hint, onChange, unfinished }: JsonInputProps) {
  const [text, setText] = useState(() => (value === undefined ? '' : JSON.stringify(value, null, 2)));
  const [problem, setProblem] = useState('');
  useEffect(() => () => unfinished(path, ''), [path]);
  const write = (to: string) => {
    setText(to);
    const read = parsed(to);
    const why = 'problem' in read ? read.problem : '';
    setProblem(why);
    unfinished(path, why);
    if ('value' in read) onChange(read.value);
  };
  const said = problem || error;
  return (
    <div className="json-input">
      <textarea id={id} data-field={path} aria-label={label} rows={rows} value={text} spellCheck={false} autoComplete="off" aria-invalid={Boolean(said)} aria-describedby={`${id}-said`} onChange={(event) => write(event.target.value)} />
      <p id={`${id}-said`} className={said ? 'field-error' : 'hint'} role={said ? 'alert' : undefined}>
        {said || hint}
      </p>
    </div>
  );
}
