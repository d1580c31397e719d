import { useConnection, useTaskpath } from '@taskpath/react';
import { type FormEvent, useState } from 'react';
import { Button } from '../ui/Button.js';
import { saveToken, savedToken } from './access.js';

/** Asks for a token, where the gateway wants one. */
export function SignIn() {
  const client = useTaskpath();
  const { error } = useConnection();
  const [text, setText] = useState('');
  const had = savedToken() !== null;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    const token = text.trim();
    if (!token) return;
    saveToken(token);
    setText('');
    client.setToken({ token });
  };
  return (
    <section className="sign-in">
      <form onSubmit={submit}>
        <h1>Sign in</h1>
        <p>{had ? (error?.message ?? 'The token was not taken.') : 'This gateway wants a token.'}</p>
        <label htmlFor="token">Token</label>
        <input id="token" type="password" value={text} autoComplete="off" spellCheck={false} onChange={(event) => setText(event.target.value)} />
        <p className="hint">
          <code>taskpath token --realm R --scope "read execute manage"</code> makes one. It is kept in this tab only.
        </p>
        <Button type="submit" tone="primary" disabled={text.trim() === ''}>
          Sign in
        </Button>
      </form>
    </section>
  );
}
