// What stands where a screen cannot.
import { Link, useRouter } from "@tanstack/react-router";
import { buttonLook } from "@/ui/button";
import { Problem } from "@/ui/states";

export function Failure({ error }: { error: unknown }) {
  const router = useRouter();
  return (
    <main className="mx-auto mt-[18vh] max-w-lg rounded-card border bg-surface p-2">
      <Problem error={error} retry={() => void router.invalidate()} />
    </main>
  );
}

export function NotFound() {
  return (
    <main className="mx-auto mt-[22vh] flex max-w-lg flex-col items-center gap-3 px-6 text-center">
      <h1 className="text-lg font-semibold">There is no such page</h1>
      <p className="text-muted">The address may be mistyped, or what it showed is gone.</p>
      <Link to="/" className={buttonLook("primary")}>
        Go to the overview
      </Link>
    </main>
  );
}
