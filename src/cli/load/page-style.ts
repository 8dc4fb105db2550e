/** Colours of text, surfaces and lines, for a light and for a dark screen. */
export interface Palette {
  readonly background: string;
  readonly text: string;
  readonly quiet: string;
  readonly rule: string;
  readonly lines: readonly string[];
}

export const light: Palette = {
  background: '#ffffff',
  text: '#1b1f24',
  quiet: '#57606a',
  rule: '#d0d7de',
  lines: ['#0b57a4', '#a44a00', '#1a6b32', '#7a2a8c'],
};

export const dark: Palette = {
  background: '#14171b',
  text: '#e6e9ed',
  quiet: '#a3adb8',
  rule: '#3a424c',
  lines: ['#7db7ff', '#ffb066', '#7fd69a', '#e0a3f0'],
};

/** The page's whole style. Nothing in it names anything outside of the page. */
export function pageStyle(): string {
  return `
:root { color-scheme: light dark; ${variables(light)} }
@media (prefers-color-scheme: dark) { :root { ${variables(dark)} } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1rem 0.6rem 3rem; max-width: 75rem; background: var(--background); color: var(--text);
  font: 16px/1.45 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.4rem; margin: 0 0 0.3rem; }
h2 { font-size: 1.15rem; margin: 2rem 0 0.6rem; }
p { margin: 0.4rem 0; max-width: 45rem; }
.quiet { color: var(--quiet); }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); gap: 1.4rem; }
figure { margin: 0; min-width: 0; }
figcaption { font-weight: 600; margin-bottom: 0.2rem; }
svg { display: block; width: 100%; height: auto; }
svg text { fill: var(--text); font: 11px system-ui, sans-serif; }
.grid { stroke: var(--rule); stroke-width: 1; fill: none; }
.line { fill: none; stroke-width: 2; stroke-linejoin: round; }
${light.lines.map((_, index) => `.line-${index} { stroke: var(--line-${index}); stroke-dasharray: ${dashes[index] ?? 'none'}; }`).join('\n')}
.legend { list-style: none; margin: 0.2rem 0 0; padding: 0; display: flex; flex-wrap: wrap; gap: 0.2rem 1rem; font-size: 0.9rem; }
.legend svg { display: inline-block; width: 2rem; height: 0.8rem; vertical-align: middle; margin-right: 0.3rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: 0.9rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; font-weight: 600; padding: 0.3rem 0; }
th, td { padding: 0.25rem 0.6rem; border-bottom: 1px solid var(--rule); text-align: right; overflow-wrap: normal; }
th:first-child, .facts td { text-align: left; }
th { font-weight: 600; }
details { margin-top: 1rem; }
summary { cursor: pointer; }
pre { font-size: 0.8rem; white-space: pre-wrap; }
`;
}

const dashes: readonly string[] = ['none', '7 3', '2 3', '9 3 2 3'];

function variables({ lines, ...colours }: Palette): string {
  const named = Object.entries(colours).map(([name, colour]) => `--${name}: ${colour};`);
  return [...named, ...lines.map((colour, index) => `--line-${index}: ${colour};`)].join(' ');
}
