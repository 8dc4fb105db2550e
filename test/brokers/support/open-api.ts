import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Ajv, type ValidateFunction } from 'ajv';
import formats from 'ajv-formats';

/** The published description of the Trading API, kept beside the repository where the machine has it. */
const path = fileURLToPath(new URL('../../../../shared/data/alpaca/trading-api.json', import.meta.url));

type Node = Readonly<Record<string, unknown>>;

/** Null, with the reason printed, where the description is not at hand. */
export function readOpenApi(): OpenApi | null {
  if (existsSync(path)) return new OpenApi(JSON.parse(readFileSync(path, 'utf8')) as Node);
  process.stderr.write('skipped: the description of the Alpaca Trading API is not beside the repository\n');
  return null;
}

export class OpenApi {
  readonly document: Node;
  readonly #ajv: Ajv;
  readonly #compiled = new Map<string, ValidateFunction>();

  constructor(document: Node) {
    this.document = document;
    this.#ajv = new Ajv({ strict: false, allErrors: true, validateFormats: true });
    // The package is CommonJS, and its types say so.
    formats.default(this.#ajv);
    this.#ajv.addFormat('decimal', /^[+-]?\d+(\.\d+)?$/);
    this.#ajv.addSchema(loosened(document) as Node, 'api');
  }

  /** What the description says of an answer: 'nothing', that there is a status ('status only'), or a schema for its body ('body'). */
  says(method: string, route: string, status: number): 'nothing' | 'status only' | 'body' {
    const answer = this.#answer(method, route, status);
    if (answer === undefined) return 'nothing';
    return answer['content'] === undefined ? 'status only' : 'body';
  }

  /** What of the body is not as the answer's schema says; empty where all is, and where there is neither schema nor body. */
  problems(method: string, route: string, status: number, body: unknown): string[] {
    const says = this.says(method, route, status);
    if (says !== 'body') return body === undefined ? [] : this.against('#/components/schemas/Error', body);
    const at = ['paths', route, method, 'responses', `${status}`, 'content', 'application/json', 'schema'];
    return this.against(`#/${at.map(escaped).join('/')}`, body);
  }

  /** What of a value is not as a schema of the description says. */
  against(pointer: string, value: unknown): string[] {
    const validate = this.#compiled.get(pointer) ?? this.#ajv.compile({ $ref: `api${pointer}` });
    this.#compiled.set(pointer, validate);
    if (validate(value)) return [];
    return (validate.errors ?? []).map(({ instancePath, message }) => `${instancePath || '/'} ${message}`);
  }

  /** Fields of an object that a schema of the description has not. */
  undescribed(name: string, value: object): string[] {
    const schema = ((this.document['components'] as Node)['schemas'] as Node)[name] as Node;
    const known = schema['properties'] as Node;
    return Object.keys(value).filter((field) => known[field] === undefined);
  }

  #answer(method: string, route: string, status: number): Node | undefined {
    return ['paths', route, method, 'responses', `${status}`].reduce<unknown>(
      (node, key) => (node as Node | undefined)?.[key],
      this.document,
    ) as Node | undefined;
  }
}

/**
 * OpenAPI 3.0 as JSON Schema. One thing is loosened: an activity is "one of" a trade and a non-trade, two forms that require nothing
 * and forbid nothing, so that each of the description's own examples fits both and "one of" refuses them all.
 */
function loosened(node: unknown): unknown {
  if (Array.isArray(node)) return node.map(loosened);
  if (typeof node !== 'object' || node === null) return node;
  return Object.fromEntries(
    Object.entries(node).map(([key, value]) => [
      key === 'oneOf' && Array.isArray(value) ? 'anyOf' : key,
      // Examples hold words such as "$ref" and "id" that are no schema.
      key === 'example' || key === 'examples' || key === 'x-examples' ? null : loosened(value),
    ]),
  );
}

function escaped(part: string): string {
  return encodeURIComponent(part.replaceAll('~', '~0').replaceAll('/', '~1'));
}
