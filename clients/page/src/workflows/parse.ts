/** JSON as somebody types it. Pure. */
import type { Json } from '../schema/field.js';

/** The value, undefined if nothing was written; or where the text stops being JSON. */
export function parsed(text: string): { value: Json | undefined } | { problem: string } {
  if (text.trim() === '') return { value: undefined };
  try {
    return { value: JSON.parse(text) as Json };
  } catch (error) {
    return { problem: `This is not JSON${where(String((error as Error).message), text)}.` };
  }
}

/** As far as the browser says. */
function where(message: string, text: string): string {
  const position = /position (\d+)/.exec(message)?.[1];
  if (position === undefined) return /end of/i.test(message) ? ': it ends too early' : '';
  const before = text.slice(0, Number(position)).split('\n');
  return `: see line ${before.length}, column ${(before.at(-1) ?? '').length + 1}`;
}
