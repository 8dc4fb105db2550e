import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** A fenced block of a document: ```LANGUAGE key=value … */
export interface Block {
  readonly language: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly text: string;
  readonly line: number;
}

export const root: string = fileURLToPath(new URL('../..', import.meta.url));

/** README and everything under docs, relative to the repository. */
export function documents(): readonly string[] {
  const docs = readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' });
  return ['README.md', ...docs.filter((name) => name.endsWith('.md')).map((name) => join('docs', name))].sort();
}

export function blocks(document: string): readonly Block[] {
  const found: Block[] = [];
  let open: { language: string; attributes: Record<string, string>; line: number; lines: string[] } | null = null;
  for (const [index, line] of readFileSync(join(root, document), 'utf8').split('\n').entries()) {
    const fence = /^```(.*)$/.exec(line);
    if (fence === null) open?.lines.push(line);
    else if (open !== null) {
      found.push({ ...open, text: open.lines.join('\n') });
      open = null;
    } else {
      const [language = '', ...rest] = (fence[1] as string).trim().split(/\s+/);
      const attributes = Object.fromEntries(rest.map((pair) => pair.split('=') as [string, string]));
      open = { language, attributes, line: index + 1, lines: [] };
    }
  }
  return found;
}
