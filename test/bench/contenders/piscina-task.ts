import { replaceFile } from './stringify-main.ts';

/** The task of (f). */
export default function keep({ directory, state }: { readonly directory: string; readonly state: unknown }): void {
  replaceFile(directory, JSON.stringify(state));
}
