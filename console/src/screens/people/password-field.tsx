// A password that is to become somebody's.
import { TextField } from "@/ui/field";

export function PasswordField({ label = "Password", value, onChange, problem }: { label?: string; value: string; onChange: (value: string) => void; problem?: string | undefined }) {
  return (
    <TextField
      label={label}
      type="password"
      autoComplete="new-password"
      required
      minLength={10}
      value={value}
      onChange={(event) => onChange(event.target.value)}
      help="At least 10 characters. A few words that do not belong together are easy to remember and hard to guess."
      problem={problem}
    />
  );
}
