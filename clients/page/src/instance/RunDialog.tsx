import type { Mode, Upstream } from '@taskpath/react/core';
import { type FormEvent, useId, useState } from 'react';
import { Button } from '../ui/Button.js';
import { Dialog } from '../ui/Dialog.js';
import { parsed } from '../workflows/parse.js';
import { Offers } from '../ui/notices.js';
import { type Refusal, useCommands } from './commands.js';

const MODES: readonly [Mode, string, string][] = [
  ['all', 'Everything', 'Each task at or under the path runs again, in order.'],
  ['stale', 'What is stale', 'Only tasks that are not done, or whose inputs have changed since. The rest is kept.'],
  ['failed', 'What failed', 'Only failed tasks under the path, then what never ran because of them.'],
];

const UPSTREAMS: readonly [Upstream, string, string][] = [
  ['require', 'Must be fresh', 'If a task before the path is missing or stale, nothing runs, and it is named.'],
  ['run', 'Is run first', 'What is missing or stale before the path runs, then the path.'],
  ['ignore', 'Does not matter', 'The path runs with what there is, missing or old.'],
];

/** Everything that there is to say about a run. */
export function RunDialog({ path, onClose }: { path: string; onClose: () => void }) {
  // A notice would stand behind the dialog.
  const [refusal, setRefusal] = useState<Refusal | null>(null);
  const { run, cancel, isPending, hindrance } = useCommands(setRefusal);
  const [pattern, setPattern] = useState(path);
  const [mode, setMode] = useState<Mode>('all');
  const [upstream, setUpstream] = useState<Upstream>('require');
  const [argument, setArgument] = useState('');
  const [problem, setProblem] = useState('');
  const id = useId();
  const settle = (accepted: boolean) => {
    if (accepted) onClose();
  };
  const submit = (event: FormEvent) => {
    event.preventDefault();
    setRefusal(null);
    const given = parsed(argument);
    if ('problem' in given) {
      setProblem(given.problem);
      return;
    }
    const options = { path: pattern.trim() || '#', mode, upstream, ...(given.value === undefined ? {} : { argument: given.value }) };
    void run(options).then(settle);
  };
  const stop = () => {
    setRefusal(null);
    void cancel(pattern.trim() || '#').then(settle);
  };
  const writeArgument = (to: string) => {
    setArgument(to);
    setProblem('');
  };
  return (
    <Dialog title="Run" onClose={onClose}>
      <form onSubmit={submit} className="run-form">
        <label htmlFor={`${id}path`}>Path</label>
        <div>
          <input id={`${id}path`} className="mono wide" value={pattern} onChange={(event) => setPattern(event.target.value)} spellCheck={false} autoComplete="off" aria-describedby={`${id}about`} />
          <p className="hint" id={`${id}about`}>
            One path, or many: <code>#.resize[*]</code> any item, <code>#.*</code> any name, <code>#.**</code> anything below.
          </p>
        </div>
        <Choices legend="Which tasks" name={`${id}mode`} choices={MODES} value={mode} onChange={setMode} />
        <Choices legend="What stands before" name={`${id}upstream`} choices={UPSTREAMS} value={upstream} onChange={setUpstream} />
        <label htmlFor={`${id}argument`}>Argument</label>
        <div>
          <textarea id={`${id}argument`} rows={2} className="wide" value={argument} onChange={(event) => writeArgument(event.target.value)} spellCheck={false} aria-invalid={problem !== ''} aria-describedby={`${id}hint`} placeholder="As it would get it" />
          <p className="hint" id={`${id}hint`}>
            {problem ? <span className="bad" role="alert">{problem} </span> : null}JSON, in place of what the first task that runs would receive.
          </p>
        </div>
        {refusal ? (
          <div className="refusal" role="alert">
            <p className="trouble">{refusal.text}</p>
            <Offers offers={refusal.offers} onTaken={onClose} />
          </div>
        ) : null}
        <footer>
          <Button onClick={stop} disabled={isPending || hindrance !== null} icon="cancel" title={hindrance ?? 'Cancel what runs at or under this path'}>
            Cancel this path
          </Button>
          <span className="spring" />
          <Button onClick={onClose}>Close</Button>
          <Button tone="primary" icon="run" type="submit" disabled={isPending || hindrance !== null} title={hindrance ?? undefined}>
            Run
          </Button>
        </footer>
      </form>
    </Dialog>
  );
}

interface ChoicesProps<Choice extends string> {
  legend: string;
  name: string;
  choices: readonly (readonly [Choice, string, string])[];
  value: Choice;
  onChange: (choice: Choice) => void;
}

function Choices<Choice extends string>({ legend, name, choices, value, onChange }: ChoicesProps<Choice>) {
  return (
    <fieldset className="choices">
      <legend>{legend}</legend>
      {choices.map(([choice, title, about]) => (
        <label key={choice} data-chosen={choice === value}>
          <input type="radio" name={name} value={choice} checked={choice === value} onChange={() => onChange(choice)} />
          <span>
            <strong>{title}</strong> <code>{choice}</code>
            <small>{about}</small>
          </span>
        </label>
      ))}
    </fieldset>
  );
}
