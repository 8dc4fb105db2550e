import type { z } from 'zod';

/** Each thing that is wrong in a configuration, one sentence each, beginning with the field's path. */
export function configProblems(error: z.ZodError): readonly { readonly path: string; readonly message: string }[] {
  return error.issues.flatMap((issue) => problemsOf(issue, []));
}

type Issue = z.core.$ZodIssue;

function problemsOf(issue: Issue, above: readonly PropertyKey[]): { path: string; message: string }[] {
  const path = [...above, ...issue.path];
  switch (issue.code) {
    case 'unrecognized_keys':
      return issue.keys.map((key) => ({ path: pathText([...path, key]), message: 'there is no such field' }));
    case 'invalid_key':
    case 'invalid_element':
      return issue.issues.map((inner) => ({ path: pathText(path), message: inner.message }));
    case 'invalid_type':
      return [{ path: pathText(path), message: typeMessage(issue) }];
    case 'invalid_value':
      return [{ path: pathText(path), message: `expected one of ${issue.values.map(String).join(', ')}` }];
    default:
      return [{ path: pathText(path), message: issue.message }];
  }
}

function typeMessage(issue: Extract<Issue, { code: 'invalid_type' }>): string {
  const missing = issue.message.endsWith('received undefined');
  if (issue.expected === 'string' && issue.message.endsWith('received number')) {
    return 'expected string, received number; decimals are strings such as "150.25"';
  }
  return missing ? `is missing; expected ${issue.expected}` : issue.message.replace(/^Invalid input: /, '');
}

/** "strategies.0.name"; "(top)" is the file's own value. */
function pathText(path: readonly PropertyKey[]): string {
  return path.length === 0 ? '(top)' : path.map(String).join('.');
}
