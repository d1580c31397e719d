/** What a form asks for, made from a JSON Schema. What it cannot ask for is asked for as JSON. Pure. */

export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };

interface About {
  /** What the property itself is called; the name of the type that it refers to is no name for it. */
  readonly title: string;
  readonly description: string;
  /** What it is if nothing is said; undefined if there is no such thing. */
  readonly preset: Json | undefined;
  /** null is an answer too. */
  readonly nullable: boolean;
}

export interface TextField extends About {
  readonly kind: 'string';
  readonly format: string | null;
  readonly minLength: number | null;
  readonly maxLength: number | null;
  readonly pattern: string | null;
}

export interface NumberField extends About {
  readonly kind: 'number' | 'integer';
  readonly min: number | null;
  readonly max: number | null;
  /** What it has to be more than, and less than. */
  readonly above: number | null;
  readonly below: number | null;
}

export interface ChoiceField extends About {
  readonly kind: 'enum';
  readonly choices: readonly Json[];
}

export interface ArrayField extends About {
  readonly kind: 'array';
  readonly item: Field;
  readonly min: number;
  readonly max: number | null;
}

export interface ObjectField extends About {
  readonly kind: 'object';
  readonly fields: readonly { readonly name: string; readonly required: boolean; readonly field: Field }[];
}

export interface PlainField extends About {
  readonly kind: 'boolean' | 'json';
}

export type Field = TextField | NumberField | ChoiceField | ArrayField | ObjectField | PlainField;

type Schema = Readonly<Record<string, unknown>>;

/** Deeper than this a schema may be about itself. */
const DEEPEST = 8;

/** The field for data of this schema. */
export function fieldOf(schema: Schema): Field {
  return build(schema, schema, 0);
}

function build(given: unknown, root: Schema, depth: number): Field {
  const { schema, nullable } = plain(resolved(given, root), root);
  const about: About = {
    title: isObject(given) ? text(given['title']) : '',
    description: text(schema['description']),
    preset: presetOf(given, schema),
    nullable,
  };
  const json: PlainField = { ...about, kind: 'json' };
  if (depth > DEEPEST) return json;
  if (Array.isArray(schema['enum'])) {
    const choices = (schema['enum'] as Json[]).filter((choice) => choice !== null);
    const nulls = choices.length < schema['enum'].length;
    return { ...about, kind: 'enum', choices, nullable: nullable || nulls };
  }
  if ('const' in schema) return { ...about, kind: 'enum', choices: [schema['const'] as Json] };
  if (['anyOf', 'oneOf', 'allOf', 'not', 'if', 'patternProperties', 'prefixItems'].some((word) => word in schema)) return json;
  switch (schema['type']) {
    case 'boolean':
      return { ...about, kind: 'boolean' };
    case 'string':
      return {
        ...about,
        kind: 'string',
        format: text(schema['format']) || null,
        minLength: number(schema['minLength']),
        maxLength: number(schema['maxLength']),
        pattern: text(schema['pattern']) || null,
      };
    case 'integer':
    case 'number':
      return {
        ...about,
        kind: schema['type'],
        min: number(schema['minimum']),
        max: number(schema['maximum']),
        above: number(schema['exclusiveMinimum']),
        below: number(schema['exclusiveMaximum']),
      };
    case 'array':
      if (!isObject(schema['items'])) return json;
      return {
        ...about,
        kind: 'array',
        item: build(schema['items'], root, depth + 1),
        min: number(schema['minItems']) ?? 0,
        max: number(schema['maxItems']),
      };
    case 'object': {
      // Names of one's own choice are written as JSON.
      if (!isObject(schema['properties']) || isObject(schema['additionalProperties'])) return json;
      const required = new Set(Array.isArray(schema['required']) ? (schema['required'] as string[]) : []);
      const fields = Object.entries(schema['properties']).map(([name, property]) => ({
        name,
        required: required.has(name),
        field: build(property, root, depth + 1),
      }));
      return { ...about, kind: 'object', fields };
    }
    default:
      return json;
  }
}

/** What a reference stands for; what is said beside it counts too. */
function resolved(given: unknown, root: Schema): Schema {
  let schema = isObject(given) ? given : {};
  for (let hops = 0; typeof schema['$ref'] === 'string' && hops < 20; hops += 1) {
    const { $ref, ...beside } = schema;
    let target: unknown = root;
    for (const step of String($ref).replace(/^#\/?/, '').split('/').filter(Boolean)) {
      target = isObject(target) ? target[decodeURIComponent(step).replace(/~1/g, '/').replace(/~0/g, '~')] : undefined;
    }
    if (!isObject(target)) return {};
    schema = { ...target, ...beside };
  }
  return schema;
}

/** A choice between something and null is that something, which may be null. */
function plain(schema: Schema, root: Schema): { schema: Schema; nullable: boolean } {
  const { anyOf, oneOf, ...beside } = schema;
  const choices = anyOf ?? oneOf;
  if (Array.isArray(choices)) {
    const others = choices.map((choice) => resolved(choice, root)).filter((choice) => choice['type'] !== 'null');
    const [only] = others;
    if (only && others.length === 1) {
      const inner = plain(only, root);
      return { schema: { ...inner.schema, ...beside }, nullable: inner.nullable || others.length < choices.length };
    }
  }
  const { type } = schema;
  if (Array.isArray(type)) {
    const others = type.filter((one) => one !== 'null');
    const nullable = others.length < type.length;
    return { schema: { ...schema, type: others.length === 1 ? others[0] : undefined }, nullable };
  }
  return { schema, nullable: false };
}

function presetOf(given: unknown, schema: Schema): Json | undefined {
  const outer = isObject(given) ? given : {};
  if ('default' in outer) return outer['default'] as Json;
  return schema['default'] as Json | undefined;
}

/**
 * What a form begins with: what the schema says, else what is nothing of its kind.
 *
 * @returns undefined for what is left out
 */
export function initial(field: Field, required = true): Json | undefined {
  if (field.preset !== undefined) return field.preset;
  if (!required) return undefined;
  switch (field.kind) {
    case 'object': {
      const values = field.fields.map(({ name, required: must, field: one }) => [name, initial(one, must)] as const);
      return Object.fromEntries(values.filter((entry): entry is [string, Json] => entry[1] !== undefined));
    }
    case 'array':
      return Array.from({ length: field.min }, () => initial(field.item) ?? null);
    case 'enum':
      return field.choices[0];
    case 'boolean':
      return false;
    default:
      // A text that nobody has written is not an empty one.
      return field.nullable ? null : undefined;
  }
}

/** Which field an error of the server is about, as it says in its details; null if it is about none. */
export function problemOf(details: Readonly<Record<string, unknown>> | undefined): { path: string; text: string } | null {
  const problem = text(details?.['problem']);
  if (!problem) return null;
  const path = text(details?.['field']);
  const lacking = /missing required field `([^`]+)`/.exec(problem)?.[1];
  if (lacking) return { path: joined(path, lacking), text: 'This is needed.' };
  return { path, text: `${problem.replaceAll('`', '')}.` };
}

export function joined(path: string, name: string): string {
  return path ? `${path}.${name}` : name;
}

/** The path of what a value is in; '' for the whole. The server says `extra[...]` of a value under a name of one's own choice. */
export function around(path: string): string {
  const shorter = path.replace(/\[[^[\]]*\]$|\.[^.[\]]*$/, '');
  return shorter === path ? '' : shorter;
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function number(value: unknown): number | null {
  return typeof value === 'number' ? value : null;
}
