/** How deep strategy state may nest in a file. Beyond a few thousand levels structured clone and recursive code overflow the stack. */
export const nestingMax = 1000;

/**
 * Says what in `value` JSON cannot hold exactly, as "at custom.list[3]: NaN is no JSON value", or null where all is well. It
 * looks at own keys only, walks with a stack of its own, and stops at {@link nestingMax}, so no input can overflow it.
 */
export function whyNotJson(value: unknown, root: string): string | null {
  const open: Place[] = [{ value, key: root, parent: null, depth: 0 }];
  for (let place = open.pop(); place !== undefined; place = open.pop()) {
    const { value, depth } = place;
    if (typeof value !== 'object' || value === null) {
      const why = whyNotScalar(value);
      if (why !== null) return `at ${pathOf(place)}: ${why}`;
      continue;
    }
    if (depth >= nestingMax) return `it nests deeper than ${nestingMax} levels below ${root}`;
    if (Array.isArray(value)) {
      for (let index = value.length - 1; index >= 0; index--) {
        open.push({ value: value[index], key: index, parent: place, depth: depth + 1 });
      }
      continue;
    }
    const prototype: unknown = Object.getPrototypeOf(value);
    if (prototype !== null && Object.getPrototypeOf(prototype) !== null) {
      return `at ${pathOf(place)}: an instance of a class is no JSON value`;
    }
    for (const key of Object.keys(value)) {
      // An own key "__proto__" is read like any other here: an own property hides the inherited accessor.
      open.push({ value: (value as Record<string, unknown>)[key], key, parent: place, depth: depth + 1 });
    }
  }
  return null;
}

interface Place {
  readonly value: unknown;
  readonly key: string | number;
  readonly parent: Place | null;
  readonly depth: number;
}

function whyNotScalar(value: unknown): string | null {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return null;
  if (typeof value === 'number') return Number.isFinite(value) ? null : `${value} is no JSON value`;
  return `${typeof value} is no JSON value`;
}

function pathOf(place: Place): string {
  const parts: string[] = [];
  for (let at: Place | null = place; at !== null; at = at.parent) {
    parts.unshift(typeof at.key === 'number' ? `[${at.key}]` : at.parent === null ? at.key : `.${at.key}`);
  }
  return parts.join('').slice(0, 300);
}
