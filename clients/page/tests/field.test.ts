import { expect, test } from 'vitest';
import { wrongIn } from '../src/schema/check.js';
import { around, fieldOf, initial, problemOf } from '../src/schema/field.js';
import { parsed } from '../src/workflows/parse.js';

const album = {
  $ref: '#/$defs/Album',
  $defs: {
    Album: {
      title: 'Album',
      description: 'An album.',
      type: 'object',
      properties: {
        title: { type: 'string', description: 'What it is called', minLength: 1 },
        count: { type: 'integer', default: 40 },
        quality: { type: 'number', minimum: 0, maximum: 1 },
        kind: { enum: ['jpeg', 'png'], default: 'png' },
        open: { type: 'boolean' },
        sizes: { type: 'array', items: { $ref: '#/$defs/Size' }, default: [] },
        cover: { $ref: '#/$defs/Size' },
        note: { anyOf: [{ type: 'string' }, { type: 'null' }], default: null },
        either: { anyOf: [{ type: 'integer' }, { type: 'string' }] },
        extra: { type: 'object', additionalProperties: { type: 'integer' } },
      },
      required: ['title', 'cover'],
    },
    Size: { type: 'object', properties: { width: { type: 'integer' }, height: { type: 'integer', default: 600 } }, required: ['width'] },
  },
};

test('each property has the field of its kind', () => {
  const field = fieldOf(album);
  if (field.kind !== 'object') throw new Error(field.kind);
  expect(Object.fromEntries(field.fields.map(({ name, field: { kind } }) => [name, kind]))).toEqual({
    title: 'string', count: 'integer', quality: 'number', kind: 'enum', open: 'boolean', sizes: 'array', cover: 'object', note: 'string', either: 'json', extra: 'json',
  });
  expect(field.fields.find(({ name }) => name === 'note')?.field).toMatchObject({ nullable: true, preset: null });
  expect(field.fields.find(({ name }) => name === 'quality')).toMatchObject({ required: false, field: { min: 0, max: 1 } });
});

test('a form begins with what the schema says, and leaves out what may be left out', () => {
  expect(initial(fieldOf(album))).toEqual({ count: 40, kind: 'png', sizes: [], cover: { height: 600 }, note: null });
});

test('what is needed and not there is named by its path', () => {
  const field = fieldOf(album);
  expect([...wrongIn(field, initial(field)).keys()]).toEqual(['title', 'cover.width']);
  expect([...wrongIn(field, { title: 'x', cover: { width: 1 }, sizes: [{ width: 1 }, {}] }).keys()]).toEqual(['sizes[1].width']);
});

test('a schema that is about itself, or about nothing, ends somewhere', () => {
  const node = { type: 'object', properties: { next: { $ref: '#' } } };
  expect(fieldOf(node).kind).toBe('object');
  expect(fieldOf({ $ref: '#/$defs/nowhere' }).kind).toBe('json');
  expect(fieldOf({}).kind).toBe('json');
  expect(fieldOf({ type: ['integer', 'null'] })).toMatchObject({ kind: 'integer', nullable: true });
  expect(fieldOf({ type: ['integer', 'string'] }).kind).toBe('json');
  expect(fieldOf({ enum: ['a', null] })).toMatchObject({ kind: 'enum', choices: ['a'], nullable: true });
});

test('what the server says is wrong finds its field', () => {
  expect(problemOf({ field: 'sizes[0].width', problem: 'Expected `int`, got `str`' })).toEqual({ path: 'sizes[0].width', text: 'Expected int, got str.' });
  expect(problemOf({ field: 'cover', problem: 'Object missing required field `width`' })).toEqual({ path: 'cover.width', text: 'This is needed.' });
  expect(problemOf({ field: '', problem: 'Object missing required field `title`' })?.path).toBe('title');
  expect(problemOf({})).toBeNull();
  expect(problemOf(undefined)).toBeNull();
});

test('what a value is in is found from its path, whatever that is', () => {
  const steps = (path: string): string[] => (path === '' ? [] : [path, ...steps(around(path))]);
  expect(steps('sizes[0].width')).toEqual(['sizes[0].width', 'sizes[0]', 'sizes']);
  expect(steps('extra[...].a')).toEqual(['extra[...].a', 'extra[...]', 'extra']);
  expect(steps('a]b')).toEqual(['a]b']);
});

test('JSON as somebody types it', () => {
  expect(parsed(' ')).toEqual({ value: undefined });
  expect(parsed('{"a": [1]}')).toEqual({ value: { a: [1] } });
  expect(parsed('{"a": \n  nul}')).toMatchObject({ problem: expect.stringContaining('This is not JSON') });
});
