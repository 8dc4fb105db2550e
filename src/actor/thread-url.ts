import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * Where the main() of a thread is: `workers/<name>.ts` beside an unbuilt `src`, `dist/workers/<name>.js` beside a built one. It has
 * the extension of this file, because Node strips types from sources but not from what lies under node_modules.
 */
export function threadUrl(name: string): URL {
  return new URL(`../../workers/${name}${extname(fileURLToPath(import.meta.url))}`, import.meta.url);
}
