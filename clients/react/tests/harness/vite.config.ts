import { defineConfig } from 'vite';

export default defineConfig({
  base: './',
  logLevel: 'error',
  esbuild: { jsx: 'automatic' },
  build: { emptyOutDir: true },
});
