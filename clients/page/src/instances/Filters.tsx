import { type InstanceSummary, useTaskpath } from '@taskpath/react';
import { type RefObject, useEffect, useId, useMemo, useState } from 'react';
import { type Filter, STATUSES, listAddress } from '../app/address.js';
import { go } from '../app/router.js';
import { Icon, Mark } from '../ui/Icon.js';

/** How long to wait for the next letter, ms. */
const TYPING = 200;

export function hasFilter({ status, workflow, name, realm }: Filter): boolean {
  return Boolean(status || workflow || name || realm);
}

export function sameFilter(one: Filter, other: Filter): boolean {
  return listAddress(one) === listAddress(other);
}

export interface FiltersProps {
  filter: Filter;
  search: RefObject<HTMLInputElement | null>;
  items: readonly InstanceSummary[];
}

/** What the list is narrowed to; it stands in the address. */
export function Filters({ filter, search, items }: FiltersProps) {
  const choose = (change: Partial<Filter>) => go(listAddress({ ...filter, ...change }), { replace: true });
  const workflows = useWorkflowNames(filter.workflow);
  const realms = useMemo(() => [...new Set(items.slice(0, 500).map(({ realm }) => realm))].sort(), [items]);
  const id = useId();
  return (
    <div className="filters" role="search" aria-label="Which instances">
      <div className="chips" role="group" aria-label="Status">
        <button type="button" className="chip" aria-pressed={filter.status === null} onClick={() => choose({ status: null })}>
          all
        </button>
        {STATUSES.map((status) => (
          <button key={status} type="button" className="chip" aria-pressed={filter.status === status} onClick={() => choose({ status: filter.status === status ? null : status })}>
            <Mark status={status} />
            {status}
          </button>
        ))}
      </div>
      <span className="spring" />
      <select aria-label="Workflow" value={filter.workflow} onChange={(event) => choose({ workflow: event.target.value })}>
        <option value="">any workflow</option>
        {workflows.map((name) => (
          <option key={name} value={name}>
            {name}
          </option>
        ))}
      </select>
      <Typed label="Realm" value={filter.realm} onChange={(realm) => choose({ realm })} list={`${id}realms`} placeholder="any realm" />
      <datalist id={`${id}realms`}>
        {realms.map((realm) => (
          <option key={realm} value={realm} />
        ))}
      </datalist>
      <span className="search">
        <Icon name="search" />
        <Typed label="Name begins with" value={filter.name} onChange={(name) => choose({ name })} placeholder="Name begins with…" input={search} />
        <kbd>/</kbd>
      </span>
    </div>
  );
}

interface TypedProps {
  label: string;
  value: string;
  onChange: (value: string) => void;
  placeholder: string;
  list?: string;
  input?: RefObject<HTMLInputElement | null>;
}

/** A text that counts when one has stopped typing. */
function Typed({ label, value, onChange, placeholder, list, input }: TypedProps) {
  const [text, setText] = useState(value);
  const [told, setTold] = useState(value);
  if (told !== value) {
    setTold(value);
    setText(value);
  }
  useEffect(() => {
    if (text === value) return undefined;
    const timer = setTimeout(() => onChange(text), TYPING);
    return () => clearTimeout(timer);
  });
  return (
    <input
      ref={input}
      type="search"
      aria-label={label}
      placeholder={placeholder}
      list={list}
      value={text}
      spellCheck={false}
      autoComplete="off"
      onChange={(event) => setText(event.target.value)}
      onKeyDown={(event) => event.key === 'Enter' && onChange(text)}
    />
  );
}

function useWorkflowNames(chosen: string): string[] {
  const client = useTaskpath();
  const [names, setNames] = useState<string[]>([]);
  useEffect(() => {
    let over = false;
    client.api.workflows().then(
      ({ items }) => over || setNames(items.map(({ name }) => name)),
      () => {}, // what is known is offered; the list says what is wrong
    );
    return () => {
      over = true;
    };
  }, [client]);
  return [...new Set([...names, ...(chosen ? [chosen] : [])])].sort();
}
