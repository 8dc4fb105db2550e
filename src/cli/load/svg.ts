/** Text as it may stand in an element or in a quoted attribute. */
export function escapeHtml(text: string): string {
  return text.replaceAll(/[&<>"']/g, (character) => entities[character] ?? character);
}

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

export interface Axis {
  readonly label: string;
  /** Where a value stands, from 0 to 1. */
  place(value: number): number;
  readonly ticks: readonly { readonly value: number; readonly text: string }[];
}

export interface Line {
  readonly name: string;
  /** Gaps are where a value is null. */
  readonly points: readonly (readonly [x: number, y: number | null])[];
}

/** Linear from 0 to at least `max`. */
export function linearAxis(label: string, max: number): Axis {
  const rough = Math.max(max, 1e-6) / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((times) => times * power).find((each) => each >= rough) ?? rough;
  const count = Math.max(1, Math.ceil(max / step - 1e-9));
  const ticks = Array.from({ length: count + 1 }, (_, index) => ({
    value: index * step,
    text: shortNumber(index * step),
  }));
  return { label, place: (value) => value / (count * step), ticks };
}

/** Whole decades around the positive values. */
export function logAxis(label: string, values: readonly number[]): Axis {
  const positive = values.filter((value) => value > 0);
  const low = Math.floor(Math.log10(positive.length === 0 ? 1 : positive.reduce((a, b) => Math.min(a, b))));
  const high = Math.ceil(Math.log10(positive.length === 0 ? 10 : positive.reduce((a, b) => Math.max(a, b))));
  const span = Math.max(1, high - low);
  const ticks = Array.from({ length: span + 1 }, (_, index) => {
    const value = 10 ** (low + index);
    return { value, text: shortNumber(value) };
  });
  return { label, place: (value) => (Math.log10(Math.max(value, 10 ** low)) - low) / span, ticks };
}

/** Percentiles by the number of their nines, so that the worst thousandth has as much room as the better half. */
export function percentileAxis(percentileMax: number): Axis {
  const nines = (percentile: number): number => Math.log10(1 / (1 - percentile / 100));
  const most = Math.max(1, nines(percentileMax));
  const ticks = [0, 50, 90, 99, 99.9, 99.99, 99.999, 99.9999]
    .filter((percentile) => nines(percentile) <= most + 1e-9)
    .map((value) => ({ value, text: String(value) }));
  return { label: 'percentile', place: (percentile) => nines(percentile) / most, ticks };
}

/**
 * A plot that scales with what it stands in. Colours are the classes line-0, line-1 and so on; each line has a dash pattern of its
 * own, so that nobody has to tell colours apart.
 */
export function linePlot(id: string, title: string, x: Axis, y: Axis, lines: readonly Line[]): string {
  const left = 44;
  const [width, height] = [plotWidth - left - 8, plotHeight - 46];
  const atX = (value: number): number => left + x.place(value) * width;
  const atY = (value: number): number => 10 + (1 - y.place(value)) * height;
  const bottom = 10 + height;
  const grid = [
    ...y.ticks.map(({ value, text }) => {
      const at = fixed(atY(value));
      return `<path class="grid" d="M${left} ${at}H${left + width}"/><text x="${left - 5}" y="${fixed(atY(value) + 4)}" text-anchor="end">${text}</text>`;
    }),
    ...x.ticks.map(({ value, text }) => {
      const at = fixed(atX(value));
      return `<path class="grid" d="M${at} 10V${bottom}"/><text x="${at}" y="${bottom + 15}" text-anchor="middle">${text}</text>`;
    }),
  ];
  const drawn = lines.map(({ points }, index) => {
    let pen = 'M';
    let path = '';
    for (const [valueX, valueY] of points) {
      if (valueY === null) {
        pen = 'M';
        continue;
      }
      path += `${pen}${fixed(atX(valueX))} ${fixed(atY(valueY))}`;
      pen = 'L';
    }
    return path === '' ? '' : `<path class="line line-${index}" d="${path}"/>`;
  });
  const labels =
    `<text x="${left + width / 2}" y="${plotHeight - 4}" text-anchor="middle">${escapeHtml(x.label)}</text>` +
    `<text x="12" y="${10 + height / 2}" text-anchor="middle" transform="rotate(-90 12 ${10 + height / 2})">${escapeHtml(y.label)}</text>`;
  return (
    `<svg viewBox="0 0 ${plotWidth} ${plotHeight}" role="img" aria-labelledby="${id}">` +
    `<title id="${id}">${escapeHtml(title)}</title>${grid.join('')}${drawn.join('')}${labels}</svg>`
  );
}

/** On the narrowest phone a unit is about a pixel. */
const plotWidth = 340;
const plotHeight = 220;

function fixed(value: number): string {
  return String(Math.round(value * 10) / 10);
}

/** "0.02", "50", "2k", "1.5M". */
export function shortNumber(value: number): string {
  const [divisor, suffix] = value >= 1e6 ? [1e6, 'M'] : value >= 1e3 ? [1e3, 'k'] : [1, ''];
  return `${Number((value / divisor).toPrecision(3))}${suffix}`;
}
