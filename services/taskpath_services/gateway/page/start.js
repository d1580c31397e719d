/** The dialog that starts a workflow. */
import { button, h, write } from './dom.js';

export class StartDialog {
  #api;
  #navigate;
  #workflows = [];
  #choice = h('select', { id: 'start-workflow', required: true, onchange: () => this.#chosen() });
  #about = h('p.about');
  #data = h('textarea', { id: 'start-data', rows: 9, spellcheck: 'false', autocomplete: 'off', 'aria-describedby': 'start-error', oninput: () => this.#edited() });
  #name = h('input', { id: 'start-name', maxlength: 200, autocomplete: 'off' });
  #error = h('p.form-error', { id: 'start-error', role: 'alert' });
  #submit = button('Start', 'run', () => this.#send(true), { kind: 'primary' });
  #only = h('button.button', { type: 'button', onclick: () => this.#send(false) }, 'Create only');
  #untouched = true;
  /** The same request repeated is the same instance. */
  #key = null;

  /** @param {{api: import('./api.js').Api, navigate: (to: string) => void}} parts */
  constructor({ api, navigate }) {
    this.#api = api;
    this.#navigate = navigate;
    this.element = h(
      'dialog.dialog.start',
      { 'aria-labelledby': 'start-title' },
      h(
        'form',
        { method: 'dialog', onsubmit: (event) => (event.preventDefault(), this.#submit.click()) },
        h('header', {}, h('h2', { id: 'start-title' }, 'Start a workflow'), button('Close', 'close', () => this.element.close(), { bare: true })),
        h('label', { for: 'start-workflow' }, 'Workflow'), this.#choice, this.#about,
        h('label', { for: 'start-data' }, 'Data ', h('small', {}, 'JSON')), this.#data,
        h('label', { for: 'start-name' }, 'Name ', h('small', {}, 'optional')), this.#name,
        this.#error,
        h('div.dialog-buttons', {}, this.#only, this.#submit),
      ),
    );
  }

  async open() {
    this.#say('');
    this.element.showModal();
    try {
      const { items } = await this.#api.workflows();
      this.#workflows = [...items].sort((one, other) => one.name.localeCompare(other.name));
    } catch (error) {
      this.#say(error.message);
      return;
    }
    const before = this.#choice.value;
    this.#choice.replaceChildren(...this.#workflows.map(({ name }) => h('option', { value: name, selected: name === before }, name)));
    if (this.#workflows.length === 0) this.#say('No executor has announced a workflow yet.');
    this.#chosen();
  }

  #chosen() {
    const workflow = this.#workflows.find(({ name }) => name === this.#choice.value);
    write(this.#about, workflow?.description ?? '');
    if (this.#untouched) this.#data.value = JSON.stringify(example(workflow?.schema), null, 2);
    this.#edited(false);
  }

  #edited(touched = true) {
    if (touched) this.#untouched = this.#data.value.trim() === '';
    this.#key = null;
    const { error } = this.#parse();
    this.#data.setAttribute('aria-invalid', String(Boolean(error)));
    this.#say(error ?? '');
  }

  /** The data as a value; none if nothing was written. */
  #parse() {
    const text = this.#data.value;
    if (text.trim() === '') return { value: undefined };
    try {
      return { value: JSON.parse(text) };
    } catch (error) {
      return { error: `The data is not JSON${where(error.message, text)}.` };
    }
  }

  async #send(execute) {
    const { value, error } = this.#parse();
    if (error || !this.#choice.value) {
      this.#say(error ?? 'Choose a workflow.');
      this.#data.focus();
      return;
    }
    this.#key ??= crypto.randomUUID?.() ?? String(Math.random()).slice(2) + Date.now();
    const body = { workflow: this.#choice.value, data: value, name: this.#name.value.trim() || undefined, execute };
    try {
      const instance = await this.#api.create(body, `${this.#key}-${execute}`);
      this.#key = null;
      this.#name.value = '';
      this.element.close();
      this.#navigate(`/i/${encodeURIComponent(instance.id)}`);
    } catch (failure) {
      this.#say(failure.message);
    }
  }

  #say(text) {
    write(this.#error, text);
  }
}

/** Where the text stops being JSON, as far as the browser says. */
function where(message, text) {
  const position = /position (\d+)/.exec(message);
  if (!position) return /end of/i.test(message) ? ': it ends too early' : '';
  const before = text.slice(0, Number(position[1])).split('\n');
  return `: see line ${before.length}, column ${before.at(-1).length + 1}`;
}

/** Something to begin with: what a JSON Schema says of each field. */
export function example(schema, definitions = schema?.$defs ?? {}) {
  if (!schema) return {};
  if (schema.$ref) return example(definitions[schema.$ref.split('/').at(-1)], definitions);
  if ('default' in schema) return schema.default;
  if (schema.examples?.length) return schema.examples[0];
  if (schema.enum) return schema.enum[0];
  const one = (schema.anyOf ?? schema.oneOf ?? []).find(({ type }) => type !== 'null');
  if (one) return example(one, definitions);
  const type = Array.isArray(schema.type) ? schema.type[0] : schema.type;
  if (type === 'object' || schema.properties) {
    const fields = Object.entries(schema.properties ?? {});
    return Object.fromEntries(fields.map(([name, field]) => [name, example(field, definitions)]));
  }
  return { string: '', integer: 0, number: 0, boolean: false, array: [] }[type] ?? null;
}
