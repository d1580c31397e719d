/** Light, dark, or as the system has it; what was chosen is kept. */
import { icon } from './dom.js';

const CHOICES = ['auto', 'light', 'dark'];
const KEY = 'taskpath.theme';

export function appearance(toggle) {
  let choice = read();
  const show = () => {
    if (choice === 'auto') delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = choice;
    const text = choice === 'auto' ? 'Colours: as the system has them' : `Colours: ${choice}`;
    toggle.title = text;
    toggle.setAttribute('aria-label', text);
    toggle.replaceChildren(icon(choice));
  };
  toggle.addEventListener('click', () => {
    choice = CHOICES[(CHOICES.indexOf(choice) + 1) % CHOICES.length];
    keep(choice);
    show();
  });
  show();
}

function read() {
  try {
    const kept = localStorage.getItem(KEY);
    return CHOICES.includes(kept) ? kept : 'auto';
  } catch {
    return 'auto'; // storage may be forbidden
  }
}

function keep(choice) {
  try {
    localStorage.setItem(KEY, choice);
  } catch {
    // It holds until the page is left.
  }
}
