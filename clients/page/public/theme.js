// Before anything is drawn: the scheme that was chosen on this machine, if one was.
try {
  const chosen = localStorage.getItem('taskpath.theme');
  if (chosen === 'light' || chosen === 'dark') document.documentElement.dataset.theme = chosen;
} catch {
  // Storage may be forbidden.
}
