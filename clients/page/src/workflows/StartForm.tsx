import { TaskpathError, useExecute } from '@taskpath/react';
import type { WorkflowView } from '@taskpath/react/core';
import { type FormEvent, useId, useMemo, useRef, useState } from 'react';
import { instanceAddress } from '../app/address.js';
import { go } from '../app/router.js';
import { wrongIn } from '../schema/check.js';
import { type Json, around, fieldOf, initial, problemOf } from '../schema/field.js';
import { Button } from '../ui/Button.js';
import { FieldInput, type Form } from './FieldInput.js';
import { JsonInput } from './JsonInput.js';

const ANYTHING = { kind: 'json', title: '', description: '', preset: undefined, nullable: true } as const;

/** Starts a workflow with data that is asked for as its schema says, or as JSON. */
export function StartForm({ workflow }: { workflow: WorkflowView }) {
  const { create, isPending } = useExecute();
  const field = useMemo(() => (workflow.schema ? fieldOf(workflow.schema) : ANYTHING), [workflow.schema]);
  const hasForm = field.kind !== 'json';
  const [asJson, setAsJson] = useState(!hasForm);
  const [value, setValue] = useState<Json | undefined>(() => initial(field));
  const [errors, setErrors] = useState<ReadonlyMap<string, string>>(new Map());
  const [trouble, setTrouble] = useState('');
  const [name, setName] = useState('');
  const [realm, setRealm] = useState('');
  const [isEphemeral, setEphemeral] = useState(false);
  /** Fields that hold something that is no value yet, like half a number. */
  const unfinished = useRef(new Map<string, string>());
  const element = useRef<HTMLFormElement>(null);
  /** The same request repeated is the same instance. */
  const key = useRef<{ body: string; key: string } | null>(null);
  const id = useId();

  const show = (found: ReadonlyMap<string, string>) => {
    setErrors(found);
    const [first] = found.keys();
    if (first === undefined) return;
    setTimeout(() => element.current?.querySelector<HTMLElement>(`[data-field="${CSS.escape(first)}"]`)?.focus());
  };
  const change = (to: Json | undefined) => {
    setValue(to);
    setTrouble('');
    // What was marked stays so for as long as it is wrong; what the server has said was about what it was.
    setErrors((before) => {
      if (before.size === 0) return before;
      const wrong = new Map([...(asJson ? [] : wrongIn(field, to)), ...unfinished.current]);
      return new Map([...before.keys()].flatMap((path) => (wrong.has(path) ? [[path, wrong.get(path) ?? ''] as const] : [])));
    });
  };
  const form: Form = {
    id,
    errors,
    unfinished: (path, why) => {
      if (why) unfinished.current.set(path, why);
      else unfinished.current.delete(path);
      setErrors((before) => (before.has(path) ? new Map([...before].filter(([one]) => one !== path)) : before));
    },
  };
  const send = async (execute: boolean) => {
    const found = new Map([...(asJson ? [] : wrongIn(field, value)), ...unfinished.current]);
    setTrouble('');
    show(found);
    if (found.size > 0) return;
    const body = {
      workflow: workflow.name,
      ...(value === undefined ? {} : { data: value }),
      ...(name.trim() ? { name: name.trim() } : {}),
      ...(realm.trim() ? { realm: realm.trim() } : {}),
      ...(isEphemeral ? { ephemeral: true } : {}),
      execute,
    };
    const text = JSON.stringify(body);
    if (key.current?.body !== text) key.current = { body: text, key: `page-${Date.now()}-${Math.random().toString(36).slice(2)}` };
    try {
      const instance = await create(body, { idempotencyKey: key.current.key });
      key.current = null;
      go(instanceAddress(instance.id));
    } catch (error) {
      if (!(error instanceof TaskpathError)) throw error;
      const problem = error.code === 'INVALID_DATA' ? problemOf(error.details) : null;
      const at = problem && !asJson ? nearestField(element.current, problem.path) : null;
      if (problem && at !== null) show(new Map([[at, at === problem.path ? problem.text : `${problem.path}: ${problem.text}`]]));
      else setTrouble(error.message);
    }
  };
  const submit = (event: FormEvent) => {
    event.preventDefault();
    void send(true);
  };
  return (
    <form className="start-form" ref={element} onSubmit={submit} noValidate aria-label={`Start ${workflow.name}`}>
      <fieldset className="data">
        <legend>
          Data
          {hasForm ? (
            <span className="chips">
              {[false, true].map((json) => (
                <button
                  key={String(json)}
                  type="button"
                  className="chip"
                  aria-pressed={asJson === json}
                  onClick={() => {
                    if (unfinished.current.size > 0) return show(new Map(unfinished.current));
                    setAsJson(json);
                    setErrors(new Map());
                  }}
                >
                  {json ? 'JSON' : 'Form'}
                </button>
              ))}
            </span>
          ) : null}
        </legend>
        {asJson ? (
          <JsonInput id={`${id}data`} path="" label="Data" value={value} rows={10} error={errors.get('')} onChange={change} unfinished={form.unfinished} hint={hasForm ? '' : 'This workflow says nothing about its data: any JSON will do, and so will none.'} />
        ) : (
          <FieldInput form={form} field={field} path="" name="" required value={value} onChange={change} />
        )}
      </fieldset>
      <fieldset>
        <legend>Instance</legend>
        <label htmlFor={`${id}name`}>Name</label>
        <input id={`${id}name`} value={name} maxLength={200} autoComplete="off" placeholder="optional: what it is called in the list" onChange={(event) => setName(event.target.value)} />
        <label htmlFor={`${id}realm`}>Realm</label>
        <input id={`${id}realm`} value={realm} autoComplete="off" placeholder="optional: to whom it belongs" onChange={(event) => setRealm(event.target.value)} />
        <span />
        <label className="check">
          <input type="checkbox" checked={isEphemeral} onChange={(event) => setEphemeral(event.target.checked)} /> Delete it when it has ended
        </label>
      </fieldset>
      {trouble ? (
        <p className="trouble form-error" role="alert">
          {trouble}
        </p>
      ) : null}
      <footer>
        <Button type="submit" tone="primary" icon="run" disabled={isPending}>
          Start
        </Button>
        <Button disabled={isPending} onClick={() => void send(false)} title="It is there, and does not run yet">
          Create only
        </Button>
      </footer>
    </form>
  );
}

/** The field of the form that shows an error about a path: that one, or the one that it is in. */
function nearestField(form: HTMLElement | null, path: string): string | null {
  for (let at = path; at !== ''; at = around(at)) {
    if (form?.querySelector(`[data-field="${CSS.escape(at)}"]`)) return at;
  }
  return null;
}
