import { useEffect, useState } from 'react';
import { recall, remember } from '../ui/remember.js';

type Theme = 'auto' | 'light' | 'dark';
const THEMES: readonly Theme[] = ['auto', 'light', 'dark'];
const WORDS: Readonly<Record<Theme, string>> = { auto: 'As the system', light: 'Light', dark: 'Dark' };
const SIGNS: Readonly<Record<Theme, string>> = {
  auto: 'M8 2.400a5.600 5.600 0 0 1 0 11.200zM8 2.400a5.600 5.600 0 1 0 0 11.200 5.600 5.600 0 0 0 0-11.200',
  light: 'M8 5.100a2.900 2.900 0 1 0 0 5.800 2.900 2.900 0 0 0 0-5.800M8 1.500v1.600M8 12.900v1.600M1.500 8h1.600M12.900 8h1.600M3.400 3.400l1.100 1.100M11.500 11.500l1.100 1.100M12.600 3.400l-1.100 1.100M4.500 11.500l-1.100 1.100',
  dark: 'M13 9.800A5.600 5.600 0 0 1 6.200 3a5.600 5.600 0 1 0 6.800 6.800z',
};

function known(): Theme {
  const saved = recall('theme');
  return saved === 'light' || saved === 'dark' ? saved : 'auto';
}

/** Light, dark, or as the system has it; remembered on this machine. */
export function ThemeSwitch() {
  const [theme, setTheme] = useState<Theme>(known);
  useEffect(() => {
    if (theme === 'auto') delete document.documentElement.dataset['theme'];
    else document.documentElement.dataset['theme'] = theme;
    remember('theme', theme === 'auto' ? null : theme);
  }, [theme]);
  const next = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length] ?? 'auto';
  return (
    <button type="button" id="theme" className="icon-button" aria-label={`Colours: ${WORDS[theme]}`} title={`Colours: ${WORDS[theme]}`} onClick={() => setTheme(next)}>
      <svg className="icon" viewBox="0 0 16 16" aria-hidden="true">
        <path d={SIGNS[theme]} fill={theme === 'auto' ? 'none' : theme === 'dark' ? 'currentColor' : 'none'} stroke="currentColor" strokeWidth="1.4" strokeLinecap="round" strokeLinejoin="round" />
      </svg>
    </button>
  );
}
