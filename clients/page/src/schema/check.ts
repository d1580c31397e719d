/** What can be told to be wrong before it is sent: as far as the schema says it plainly. The server judges the rest. Pure. */
import { type Field, type Json, type NumberField, type TextField, isObject, joined } from './field.js';

const NEEDED = 'This is needed.';

/** What is wrong, by path as `sizes[0].width`, each in a sentence. */
export function wrongIn(field: Field, value: Json | undefined, path = ''): Map<string, string> {
  const found = new Map<string, string>();
  look(field, value, path, found);
  return found;
}

function look(field: Field, value: Json | undefined, path: string, found: Map<string, string>): void {
  if (value === undefined || (value === null && field.nullable)) return;
  const why = value === null && field.kind !== 'json' ? NEEDED : whyNot(field, value);
  if (why) found.set(path, why);
  if (field.kind === 'array' && Array.isArray(value)) {
    value.forEach((one: Json, index) => look(field.item, one, `${path}[${index}]`, found));
  }
  if (field.kind !== 'object' || !isObject(value)) return;
  for (const { name, required, field: one } of field.fields) {
    const given = (value as Readonly<Record<string, Json>>)[name];
    if (given !== undefined) look(one, given, joined(path, name), found);
    else if (required && one.preset === undefined) found.set(joined(path, name), NEEDED);
  }
}

/** Why a value is not what its field asks for; '' if it is, or if that is not for the page to say. */
function whyNot(field: Field, value: Json): string {
  switch (field.kind) {
    case 'string':
      return typeof value === 'string' ? whyNotText(field, value) : 'This has to be a text.';
    case 'integer':
    case 'number':
      return typeof value === 'number' ? whyNotNumber(field, value) : 'This has to be a number.';
    case 'enum': {
      const isChoice = field.choices.some((choice) => JSON.stringify(choice) === JSON.stringify(value));
      return isChoice ? '' : `This has to be one of ${field.choices.map((choice) => JSON.stringify(choice)).join(', ')}.`;
    }
    case 'array': {
      if (!Array.isArray(value)) return 'This has to be a list.';
      if (value.length < field.min) return `This has to have at least ${items(field.min)}.`;
      return field.max !== null && value.length > field.max ? `This has to have at most ${items(field.max)}.` : '';
    }
    default:
      return '';
  }
}

function whyNotNumber({ kind, min, max, above, below }: NumberField, value: number): string {
  if (kind === 'integer' && !Number.isInteger(value)) return 'This has to be a whole number.';
  if (min !== null && value < min) return `This has to be at least ${min}.`;
  if (max !== null && value > max) return `This has to be at most ${max}.`;
  if (above !== null && value <= above) return `This has to be more than ${above}.`;
  if (below !== null && value >= below) return `This has to be less than ${below}.`;
  return '';
}

function whyNotText({ minLength, maxLength, pattern }: TextField, value: string): string {
  // By characters, as the server counts, and not by halves of them.
  const { length } = [...value];
  if (minLength !== null && length < minLength) return length === 0 ? NEEDED : `This has to have at least ${characters(minLength)}.`;
  if (maxLength !== null && length > maxLength) return `This has to have at most ${characters(maxLength)}; it has ${length}.`;
  return pattern !== null && !fits(value, pattern) ? `This has to be like ${pattern}` : '';
}

/** Whether a text is like a pattern; also if the server may see that otherwise. */
function fits(value: string, pattern: string): boolean {
  // Which letters, digits and spaces there are beyond ASCII, the server's classes and the browser's do not agree on.
  if (/\\[a-z]/i.test(pattern) && /[^\x00-\x7f]/.test(value)) return true;
  try {
    return new RegExp(pattern, 'u').test(value);
  } catch {
    return true;
  }
}

function characters(count: number): string {
  return count === 1 ? '1 character' : `${count} characters`;
}

function items(count: number): string {
  return count === 1 ? '1 item' : `${count} items`;
}
