/** Says how large the package is once it has been minified and compressed, without React. `--json` for programs. */
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { build } from 'vite';

const ENTRY = fileURLToPath(new URL('../src/size-entry.ts', import.meta.url));
const PARTS = {
  core: "export { Taskpath } from './core/index.js';",
  Jobify: "export { Jobify, TaskpathProvider } from './index.js';",
  all: "export * from './index.js'; export * as core from './core/index.js';",
};

/** The entry is made up: what is not asked for is left out, as it is in an application. */
function entry(code) {
  return { name: 'entry', resolveId: (id) => (id === ENTRY ? ENTRY : null), load: (id) => (id === ENTRY ? code : null) };
}

async function sizeOf(code) {
  const [{ output }] = await build({
    configFile: false,
    logLevel: 'error',
    plugins: [entry(code)],
    build: {
      write: false,
      target: 'es2022',
      // Of a library of modules blanks would be kept.
      lib: { entry: ENTRY, formats: ['iife'], name: 'taskpath' },
      rollupOptions: { external: [/^react/], output: { globals: (id) => id.replace(/\W/g, '_') } },
      minify: 'esbuild',
    },
  });
  const text = Buffer.from(output.map((chunk) => chunk.code ?? '').join(''));
  return { minified: text.length, gzip: gzipSync(text, { level: 9 }).length };
}

const found = {};
for (const [name, code] of Object.entries(PARTS)) found[name] = await sizeOf(code);
if (process.argv.includes('--json')) {
  process.stdout.write(JSON.stringify(found));
} else {
  for (const [name, { minified, gzip }] of Object.entries(found)) {
    process.stdout.write(`${name.padEnd(8)} ${minified} bytes, ${gzip} with gzip\n`);
  }
}
