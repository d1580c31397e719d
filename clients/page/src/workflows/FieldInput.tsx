import { type ReactNode, useState } from 'react';
import { type ArrayField, type ChoiceField, type Field, type Json, type NumberField, type ObjectField, type TextField, initial, joined } from '../schema/field.js';
import { Button, IconButton } from '../ui/Button.js';
import { JsonInput } from './JsonInput.js';

export interface Form {
  readonly id: string;
  readonly errors: ReadonlyMap<string, string>;
  unfinished(path: string, why: string): void;
}

export interface FieldInputProps<Of extends Field = Field> {
  form: Form;
  field: Of;
  path: string;
  name: string;
  required: boolean;
  value: Json | undefined;
  onChange: (value: Json | undefined) => void;
}

/** What asks for one field: by its kind, and as JSON where there is no better way. */
export function FieldInput(props: FieldInputProps) {
  const { field, path, name } = props;
  if (field.kind === 'object') return <ObjectInput {...props} field={field} />;
  if (field.kind === 'array') return <ArrayInput {...props} field={field} />;
  if (field.kind === 'boolean') return <BooleanInput {...props} />;
  return (
    <Labelled {...props}>
      {field.kind === 'enum' ? (
        <ChoiceInput {...props} field={field} />
      ) : field.kind === 'string' ? (
        <TextInput {...props} field={field} />
      ) : field.kind === 'number' || field.kind === 'integer' ? (
        <NumberInput {...props} field={field} />
      ) : (
        <JsonInput id={idOf(props.form, path)} path={path} label={calledOf(field, name)} value={props.value} onChange={props.onChange} unfinished={props.form.unfinished} hint="JSON" />
      )}
    </Labelled>
  );
}

function idOf(form: Form, path: string): string {
  return `${form.id}${path}`;
}

function attributes({ form, path, required }: FieldInputProps) {
  const id = idOf(form, path);
  return { id, 'data-field': path, 'aria-invalid': form.errors.has(path), 'aria-describedby': `${id}-about`, 'aria-required': required };
}

function About({ form, field, path, limits = '' }: FieldInputProps & { limits?: string }) {
  const error = form.errors.get(path);
  const text = [field.description, limits].filter(Boolean).join(' · ');
  return (
    <p id={`${idOf(form, path)}-about`} className={error ? 'field-error' : 'hint'} role={error ? 'alert' : undefined}>
      {error ?? text}
    </p>
  );
}

/** What a field is called: its title if it has one, and which item it is. */
function calledOf({ title }: Field, name: string): string {
  return name.startsWith('[') ? `${title} ${name}`.trim() : title || name || 'Value';
}

function Name({ name, field, required }: Pick<FieldInputProps, 'name' | 'field' | 'required'>) {
  return (
    <>
      {calledOf(field, name)} {required ? null : <small>optional</small>}
      {required && field.preset === undefined ? (
        <span className="must" title="needed" aria-hidden="true">
          *
        </span>
      ) : null}
    </>
  );
}

function Labelled({ children, ...props }: FieldInputProps & { children: ReactNode }) {
  return (
    <div className="field">
      <label htmlFor={idOf(props.form, props.path)}>
        <Name {...props} />
      </label>
      <div>
        {children}
        <About {...props} limits={limitsOf(props.field)} />
      </div>
    </div>
  );
}

function limitsOf(field: Field): string {
  const preset = field.preset === undefined || field.preset === null || typeof field.preset === 'object' ? '' : `${JSON.stringify(field.preset)} if nothing is said`;
  if (field.kind === 'number' || field.kind === 'integer') {
    const { min, max, above, below } = field;
    const range = min !== null && max !== null ? `${min} to ${max}` : min !== null ? `at least ${min}` : max !== null ? `at most ${max}` : '';
    const open = [above === null ? '' : `more than ${above}`, below === null ? '' : `less than ${below}`];
    return [field.kind === 'integer' ? 'a whole number' : '', range, ...open, preset].filter(Boolean).join(' · ');
  }
  if (field.kind === 'string') {
    const length = field.maxLength !== null ? `at most ${field.maxLength} characters` : '';
    return [field.format ?? '', length].filter(Boolean).join(' · ');
  }
  return '';
}

/** What it is if one takes out what was written. */
function nothing({ field: { nullable, preset }, required }: FieldInputProps): Json | undefined {
  return nullable && (preset === null || (required && preset === undefined)) ? null : undefined;
}

const FORMATS: Readonly<Record<string, string>> = { date: 'date', email: 'email', uri: 'url', time: 'time' };

function TextInput(props: FieldInputProps<TextField>) {
  const { field, value, onChange, required } = props;
  const isLong = field.maxLength !== null && field.maxLength > 500;
  const text = typeof value === 'string' ? value : '';
  const change = (to: string) => onChange(to === '' && (field.nullable || !required) ? nothing(props) : to);
  if (isLong) return <textarea {...attributes(props)} rows={3} value={text} onChange={(event) => change(event.target.value)} />;
  return <input {...attributes(props)} type={FORMATS[field.format ?? ''] ?? 'text'} value={text} autoComplete="off" spellCheck={false} onChange={(event) => change(event.target.value)} />;
}

function NumberInput(props: FieldInputProps<NumberField>) {
  const { form, field, path, value, onChange } = props;
  const [text, setText] = useState(typeof value === 'number' ? String(value) : '');
  const write = (to: string) => {
    setText(to);
    const number = Number(to);
    const wrong = to.trim() !== '' && (Number.isNaN(number) || (field.kind === 'integer' && !Number.isInteger(number)));
    form.unfinished(path, wrong ? (field.kind === 'integer' ? 'This has to be a whole number.' : 'This has to be a number.') : '');
    if (!wrong) onChange(to.trim() === '' ? nothing(props) : number);
  };
  return <input {...attributes(props)} className="narrow" inputMode={field.kind === 'integer' ? 'numeric' : 'decimal'} value={text} autoComplete="off" onChange={(event) => write(event.target.value)} />;
}

function ChoiceInput(props: FieldInputProps<ChoiceField>) {
  const { field, value, onChange, required } = props;
  const at = field.choices.findIndex((choice) => JSON.stringify(choice) === JSON.stringify(value));
  const none = !required || field.nullable || at < 0;
  return (
    <select {...attributes(props)} value={at} onChange={(event) => onChange(Number(event.target.value) < 0 ? (field.nullable ? null : undefined) : field.choices[Number(event.target.value)])}>
      {none ? <option value={-1}>{field.nullable ? 'none' : 'choose…'}</option> : null}
      {field.choices.map((choice, index) => (
        <option key={index} value={index}>
          {typeof choice === 'string' ? choice : JSON.stringify(choice)}
        </option>
      ))}
    </select>
  );
}

function BooleanInput(props: FieldInputProps) {
  const { field, value, onChange, name, required } = props;
  return (
    <div className="field">
      <span />
      <div>
        <label className="check">
          <input {...attributes(props)} type="checkbox" checked={value === true} onChange={(event) => onChange(event.target.checked)} /> <Name name={name} field={field} required={required || field.preset !== undefined} />
        </label>
        <About {...props} />
      </div>
    </div>
  );
}

function ObjectInput(props: FieldInputProps<ObjectField>) {
  const { form, field, path, name, value, onChange, required } = props;
  const called = calledOf(field, name);
  const there = typeof value === 'object' && value !== null && !Array.isArray(value);
  const values = there ? (value as Readonly<Record<string, Json>>) : {};
  const change = (of: string, to: Json | undefined) => {
    // In the order of the schema, whatever was written first.
    const now: Record<string, Json | undefined> = { ...values, [of]: to };
    const names = [...field.fields.map((one) => one.name), ...Object.keys(values)];
    const entries = [...new Set(names)].map((one) => [one, now[one]] as const);
    onChange(Object.fromEntries(entries.filter((entry): entry is [string, Json] => entry[1] !== undefined)));
  };
  const fields = field.fields.map((one) => (
    <FieldInput key={one.name} form={form} field={one.field} path={joined(path, one.name)} name={one.name} required={one.required} value={values[one.name]} onChange={(to) => change(one.name, to)} />
  ));
  if (path === '') {
    return (
      <>
        {field.description ? <p className="about">{field.description}</p> : null}
        {fields.length === 0 ? <p className="hint">It wants nothing.</p> : fields}
      </>
    );
  }
  return (
    <fieldset className="nested" data-field={path} tabIndex={-1}>
      <legend>
        <Name name={name} field={field} required={required} />
        {required && !field.nullable ? null : there ? (
          <IconButton icon="close" label={`Leave out ${called}`} className="small" onClick={() => onChange(field.nullable ? null : undefined)} />
        ) : (
          <Button icon="plus" className="small" onClick={() => onChange(initial(field))}>
            Add {called}
          </Button>
        )}
      </legend>
      <About {...props} />
      {there || (required && !field.nullable) ? fields : null}
    </fieldset>
  );
}

function ArrayInput(props: FieldInputProps<ArrayField>) {
  const { form, field, path, name, value, onChange, required } = props;
  const items: readonly Json[] = Array.isArray(value) ? (value as readonly Json[]) : [];
  // A key goes with an item, so that what is being typed stays with it when one before it goes.
  const [keys, setKeys] = useState<readonly number[]>(() => items.map((_, index) => index));
  const ids = items.map((_, index) => keys[index] ?? index + 1_000_000);
  const add = () => {
    setKeys([...ids, Math.max(-1, ...ids) + 1]);
    onChange([...items, initial(field.item) ?? null]);
  };
  const drop = (at: number) => {
    setKeys(ids.filter((_, index) => index !== at));
    onChange(items.filter((_, index) => index !== at));
  };
  const isFull = field.max !== null && items.length >= field.max;
  return (
    <fieldset className="nested array" data-field={path} tabIndex={-1}>
      <legend>
        <Name name={name} field={field} required={required} /> <small>{items.length === 1 ? '1 item' : `${items.length} items`}</small>
      </legend>
      <About {...props} />
      <ol>
        {items.map((item, index) => (
          <li key={ids[index]}>
            <FieldInput form={form} field={field.item} path={`${path}[${index}]`} name={`[${index}]`} required value={item ?? undefined} onChange={(to) => onChange(items.map((one, at) => (at === index ? (to ?? null) : one)))} />
            <IconButton icon="close" label={`Remove item ${index}`} className="small" disabled={items.length <= field.min} onClick={() => drop(index)} />
          </li>
        ))}
      </ol>
      <Button icon="plus" className="small" disabled={isFull} onClick={add}>
        Add {name ? `to ${calledOf(field, name)}` : 'an item'}
      </Button>
    </fieldset>
  );
}
