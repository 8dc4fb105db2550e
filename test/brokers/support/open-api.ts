import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** The published description of the Trading API, kept beside the repository where the machine has it. */
const path = fileURLToPath(new URL('../../../../shared/data/alpaca/trading-api.json', import.meta.url));

type Schema = Readonly<Record<string, unknown>>;

export interface OpenApi {
  /** What of `value` is not as the schema of this answer says; empty where all is. */
  problems(method: string, path: string, status: number, value: unknown): string[];
}

/** Null, with the reason printed, where the description is not at hand. */
export function readOpenApi(): OpenApi | null {
  if (!existsSync(path)) {
    process.stderr.write('skipped: the description of the Alpaca Trading API is not beside the repository\n');
    return null;
  }
  const document = JSON.parse(readFileSync(path, 'utf8')) as Schema;
  return {
    problems(method, route, status, value) {
      const answer = ['paths', route, method, 'responses', `${status}`].reduce<unknown>(
        (node, key) => (node as Schema)[key],
        document,
      ) as Schema;
      const content = answer['content'] as Schema | undefined;
      if (content === undefined) return value === undefined ? [] : ['expected no content'];
      const media = content['application/json'] as Schema;
      return check(document, media['schema'] as Schema, value, '$');
    },
  };
}

/** As much of JSON Schema as the description uses. */
function check(document: Schema, schema: Schema, value: unknown, at: string): string[] {
  const reference = schema['$ref'];
  if (typeof reference === 'string') {
    const target = reference
      .replace('#/', '')
      .split('/')
      .reduce<unknown>((node, key) => (node as Schema)[key], document) as Schema;
    return check(document, target, value, at);
  }
  const choices = (schema['oneOf'] ?? schema['anyOf']) as Schema[] | undefined;
  if (choices !== undefined) {
    const found = choices.map((choice) => check(document, choice, value, at));
    return found.some((problems) => problems.length === 0) ? [] : (found[0] ?? []);
  }
  if (value === null) return schema['nullable'] === true ? [] : [`${at}: null`];
  const allowed = schema['enum'] as unknown[] | undefined;
  if (allowed !== undefined && !allowed.includes(value))
    return [`${at}: ${JSON.stringify(value)} is not one of ${allowed}`];
  switch (schema['type']) {
    case 'object':
      return checkObject(document, schema, value, at);
    case 'array':
      if (!Array.isArray(value)) return [`${at}: expected an array`];
      return value.flatMap((item, index) => check(document, schema['items'] as Schema, item, `${at}[${index}]`));
    case 'string':
      return checkString(schema, value, at);
    case 'integer':
      return Number.isInteger(value) ? [] : [`${at}: expected an integer`];
    case 'number':
    case 'boolean':
      return typeof value === schema['type'] ? [] : [`${at}: expected a ${schema['type']}`];
    default:
      return [];
  }
}

function checkObject(document: Schema, schema: Schema, value: unknown, at: string): string[] {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return [`${at}: expected an object`];
  const fields = value as Schema;
  const missing = ((schema['required'] ?? []) as string[]).filter((name) => fields[name] === undefined);
  const properties = (schema['properties'] ?? {}) as Readonly<Record<string, Schema>>;
  return [
    ...missing.map((name) => `${at}.${name}: missing`),
    ...Object.entries(properties).flatMap(([name, property]) =>
      fields[name] === undefined ? [] : check(document, property, fields[name], `${at}.${name}`),
    ),
  ];
}

function checkString(schema: Schema, value: unknown, at: string): string[] {
  if (typeof value !== 'string') return [`${at}: expected a string, got ${typeof value}`];
  if (value.length < ((schema['minLength'] ?? 0) as number)) return [`${at}: too short`];
  if (value.length > ((schema['maxLength'] ?? Number.POSITIVE_INFINITY) as number)) return [`${at}: too long`];
  const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[1-5][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
  if (schema['format'] === 'uuid' && !uuid.test(value)) return [`${at}: not a UUID: ${value}`];
  if (schema['format'] === 'date-time' && Number.isNaN(Date.parse(value))) return [`${at}: not a time: ${value}`];
  return [];
}
