/** Short messages at the edge of the page: what was refused, what was done. */
import { TaskpathError } from '@taskpath/react';
import { useEffect } from 'react';
import { Button, IconButton } from './Button.js';
import { Cell, useCell } from './store.js';

const MOST = 4;
/** How long a notice stays that asks for nothing, ms. */
const STAYS = 8_000;

export interface Offer {
  readonly label: string;
  act(): void;
}

export interface Notice {
  readonly id: number;
  readonly text: string;
  readonly tone: 'plain' | 'bad';
  readonly offers: readonly Offer[];
}

const notices = new Cell<readonly Notice[]>([]);
let last = 0;

export function notify(text: string, tone: Notice['tone'] = 'plain', offers: readonly Offer[] = []): void {
  const others = notices.get().filter((notice) => notice.text !== text);
  notices.set([...others, { id: (last += 1), text, tone, offers }].slice(-MOST));
}

/** Why something did not work, in one sentence. */
export function textOf(error: unknown): string {
  return error instanceof TaskpathError ? error.message : `Something went wrong in this page: ${String(error)}`;
}

export function notifyError(error: unknown): void {
  notify(textOf(error), 'bad');
}

function dismiss(id: number): void {
  notices.set(notices.get().filter((notice) => notice.id !== id));
}

export function Notices() {
  return (
    <div className="notices" role="region" aria-label="Notices">
      {useCell(notices).map((notice) => (
        <Shown key={notice.id} notice={notice} />
      ))}
    </div>
  );
}

function Shown({ notice: { id, text, tone, offers } }: { notice: Notice }) {
  const stays = tone === 'bad' || offers.length > 0;
  useEffect(() => {
    if (stays) return undefined;
    const timer = setTimeout(() => dismiss(id), STAYS);
    return () => clearTimeout(timer);
  }, [id, stays]);
  return (
    <div className="notice" data-tone={tone} role={tone === 'bad' ? 'alert' : 'status'}>
      <p>{text}</p>
      <IconButton icon="close" label="Dismiss" className="small" onClick={() => dismiss(id)} />
      <Offers offers={offers} onTaken={() => dismiss(id)} />
    </div>
  );
}

/** What can be done about what was said. */
export function Offers({ offers, onTaken }: { offers: readonly Offer[]; onTaken: () => void }) {
  if (offers.length === 0) return null;
  return (
    <div className="offers">
      {offers.map(({ label, act }) => (
        <Button
          key={label}
          onClick={() => {
            onTaken();
            act();
          }}
        >
          {label}
        </Button>
      ))}
    </div>
  );
}
