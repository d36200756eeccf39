export const SHELLS = ["bash", "zsh", "fish"] as const;
export function completions(shell: string, _program: unknown): string {
  return shell;
}
