/** Says how the connection is, and offers to try at once when it is not. */
import { h, write } from './dom.js';

const WORDS = { idle: '', connecting: 'Connecting…', open: 'Live', denied: 'Not allowed: sign in again' };

export function connectivity(root, connection) {
  const text = h('span');
  const retry = h('button.button.small', { type: 'button', onclick: () => connection.retryNow() }, 'Try now');
  retry.hidden = true;
  root.append(h('span.dot', { 'aria-hidden': 'true' }), text, retry);
  let shown = '';
  const show = () => {
    const { name, retryAt } = connection.state;
    root.dataset.state = name;
    retry.hidden = name !== 'waiting';
    if (name !== 'waiting') {
      write(text, WORDS[name]);
    } else {
      // Read out once, not every second.
      const seconds = Math.max(1, Math.ceil((retryAt - Date.now()) / 1_000));
      if (shown !== name) root.setAttribute('aria-label', 'The connection is lost; it is tried again.');
      write(text, `Offline, again in ${seconds} s`);
    }
    if (name !== 'waiting') root.removeAttribute('aria-label');
    shown = name;
  };
  connection.states.add(show);
  setInterval(() => connection.state.name === 'waiting' && show(), 500);
  addEventListener('online', () => connection.retryNow());
  document.addEventListener('visibilitychange', () => document.hidden || connection.retryNow());
  show();
}
