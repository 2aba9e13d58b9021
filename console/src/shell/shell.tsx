// The frame around every screen of a member: the rail (a bar at the bottom on a phone), the tenant, the way out.
import { Menu } from "@base-ui/react/menu";
import { useQuery } from "@tanstack/react-query";
import { Link, Outlet, useLocation, useNavigate } from "@tanstack/react-router";
import { Check, ChevronsUpDown, CircleUserRound, Ellipsis, Keyboard, LogOut, Moon, Sun } from "lucide-react";
import { lazy, Suspense, useCallback, useState } from "react";
import { queryClient } from "@/api/cache";
import { api } from "@/api/client";
import { rememberContinues } from "@/api/continues";
import { sessionQuery, userQuery } from "@/api/queries";
import { zoneName } from "@/lib/time";
import { cx } from "@/ui/cx";
import { ProofDialog } from "@/screens/people/proof-dialog";
import { useEntered } from "@/screens/people/entered";
import { Mark } from "./logo";
import { PLACES } from "./places";
import { type Theme, usePreferences } from "./preferences";
import { ShortcutsDialog, useShortcuts } from "./shortcuts";

const ClosingScreen = lazy(() => import("@/screens/account/closing").then((module) => ({ default: module.ClosingScreen })));

const ITEM = "flex cursor-default items-center gap-2 rounded-lg px-2.5 py-1.5 text-sm outline-none data-[highlighted]:bg-sunken";
/** The zone of this computer; no choice is offered where it is UTC anyway. */
const LOCAL_ZONE = zoneName("local");
const POPUP = "enters min-w-56 rounded-xl border bg-surface p-1 shadow-xl";
const THEMES: readonly { value: Theme; label: string }[] = [
  { value: "system", label: "Like the system" },
  { value: "light", label: "Light" },
  { value: "dark", label: "Dark" },
];

export function Shell() {
  const [helping, setHelping] = useState(false);
  useShortcuts(useCallback(() => setHelping(true), []));
  const { data: session } = useQuery(sessionQuery());
  const isClosing = Boolean(session?.closing_at);
  return (
    <div className="min-h-dvh lg:pl-52">
      <a
        href="#content"
        className="absolute left-2 top-2 z-50 -translate-y-16 rounded-lg bg-accent px-3 py-2 text-on-accent focus:translate-y-0"
      >
        Skip to the content
      </a>
      <Rail places={!isClosing} onHelp={() => setHelping(true)} />
      <header className="sticky top-0 z-30 flex h-13 items-center gap-2 border-b bg-page/90 px-4 backdrop-blur lg:hidden">
        <Mark className="size-6" />
        <span className="font-semibold tracking-tight">Costlens</span>
        <div className="ml-auto">
          <TenantMenu compact onHelp={() => setHelping(true)} />
        </div>
      </header>
      <main id="content" className="mx-auto w-full max-w-[1240px] px-4 pb-28 pt-5 lg:px-6 lg:pb-12">
        {isClosing && session ? (
          <Suspense>
            <ClosingScreen tenant={session.tenant_name} />
          </Suspense>
        ) : (
          <Outlet />
        )}
      </main>
      {isClosing ? null : <Bar />}
      <ShortcutsDialog open={helping} onOpenChange={setHelping} />
      <ProofDialog />
    </div>
  );
}

const BAR_ITEM = "flex h-14 flex-col items-center justify-center gap-0.5 text-[0.6875rem] font-medium text-muted";

/** The places on a phone: four at hand, the others one step away. */
function Bar() {
  const { pathname } = useLocation();
  const others = PLACES.filter(({ inBar }) => !inBar);
  const isAmongOthers = others.some(({ to }) => pathname === to || pathname.startsWith(`${to}/`));
  return (
    <nav aria-label="Places" className="fixed inset-x-0 bottom-0 z-30 grid grid-cols-5 border-t bg-surface pb-[env(safe-area-inset-bottom)] lg:hidden">
      {PLACES.filter(({ inBar }) => inBar).map(({ to, label, icon: Icon }) => (
        <Link key={to} to={to} activeOptions={{ exact: to === "/" }} className={BAR_ITEM} activeProps={{ className: "!text-accent-ink" }}>
          <Icon className="size-5" aria-hidden />
          {label}
        </Link>
      ))}
      <Menu.Root modal={false}>
        <Menu.Trigger className={cx(BAR_ITEM, isAmongOthers && "!text-accent-ink")}>
          <Ellipsis className="size-5" aria-hidden />
          More
        </Menu.Trigger>
        <Menu.Portal>
          <Menu.Positioner sideOffset={8} collisionPadding={8} align="end" className="z-50">
            <Menu.Popup className={POPUP}>
              {others.map(({ to, label, icon: Icon }) => (
                <Menu.LinkItem key={to} className={cx(ITEM, "h-10")} render={<Link to={to} />} closeOnClick>
                  <Icon className="size-4 text-muted" aria-hidden /> {label}
                </Menu.LinkItem>
              ))}
            </Menu.Popup>
          </Menu.Positioner>
        </Menu.Portal>
      </Menu.Root>
    </nav>
  );
}

function Rail({ places, onHelp }: { places: boolean; onHelp: () => void }) {
  return (
    <aside className="fixed inset-y-0 left-0 z-30 hidden w-52 flex-col border-r bg-surface px-3 py-4 lg:flex">
      <Link to="/" className="mb-5 flex items-center gap-2.5 rounded-lg px-2 py-1">
        <Mark />
        <span className="text-[0.9375rem] font-semibold tracking-tight">Costlens</span>
      </Link>
      <nav aria-label="Places" className="flex flex-col gap-0.5 overflow-y-auto">
        {(places ? PLACES : []).map(({ to, label, icon: Icon }) => (
          <Link
            key={to}
            to={to}
            activeOptions={{ exact: to === "/" }}
            className="flex h-9 shrink-0 items-center gap-2.5 rounded-lg px-2.5 font-medium text-muted transition-colors hover:bg-sunken hover:text-ink"
            activeProps={{ className: "!bg-accent-soft !text-accent-ink" }}
          >
            <Icon className="size-4" aria-hidden />
            {label}
          </Link>
        ))}
      </nav>
      <div className="mt-auto flex flex-col gap-2">
        <ZoneNote />
        <TenantMenu onHelp={onHelp} />
      </div>
    </aside>
  );
}

function ZoneNote() {
  const { zone, zoneChoice, setZone } = usePreferences();
  if (LOCAL_ZONE === "UTC") return <p className="px-2.5 text-xs text-muted">Times in UTC</p>;
  return (
    <button
      type="button"
      onClick={() => setZone(zoneChoice === "utc" ? "local" : "utc")}
      className="rounded-lg px-2.5 py-1.5 text-left text-xs text-muted hover:bg-sunken hover:text-ink"
      title="Switch between UTC and this computer's zone. Days of spend are UTC days."
    >
      Times in <span className="font-medium text-ink">{zone}</span>
    </button>
  );
}

function TenantMenu({ compact, onHelp }: { compact?: boolean; onHelp: () => void }) {
  const { data: session } = useQuery(sessionQuery());
  const { theme, shownTheme, setTheme, zoneChoice, setZone } = usePreferences();
  const navigate = useNavigate();
  const end = api.useMutation("delete", "/api/v1/session", {
    onSettled: () => {
      rememberContinues(null);
      queryClient.clear();
      void navigate({ to: "/sign-in" });
    },
  });
  const name = session?.tenant_name ?? "…";
  return (
    <Menu.Root modal={false}>
      <Menu.Trigger
        aria-label={`${name}: account menu`}
        className={cx(
          "flex items-center gap-2 rounded-lg border border-line-strong bg-surface font-medium shadow-pop transition-colors hover:bg-sunken",
          compact ? "h-8 max-w-44 px-2 text-sm" : "h-10 w-full px-2.5",
        )}
      >
        <span className="grid size-5 shrink-0 place-items-center rounded-md bg-accent-soft text-xs font-semibold text-accent-ink" aria-hidden>
          {name.charAt(0).toUpperCase()}
        </span>
        <span className="min-w-0 flex-1 truncate text-left">{name}</span>
        <ChevronsUpDown className="size-3.5 text-muted" aria-hidden />
      </Menu.Trigger>
      <Menu.Portal>
        <Menu.Positioner sideOffset={6} collisionPadding={8} align="start" className="z-50">
          <Menu.Popup className={POPUP}>
            <Organisations current={session?.tenant_id ?? ""} enabled={Boolean(session?.user)} />
            <Menu.Group>
              <Menu.GroupLabel className="flex items-center gap-2 px-2.5 pb-1 pt-1.5 text-xs text-muted">
                {shownTheme === "dark" ? <Moon className="size-3.5" aria-hidden /> : <Sun className="size-3.5" aria-hidden />}
                Theme
              </Menu.GroupLabel>
              <Menu.RadioGroup value={theme} onValueChange={(next: Theme) => setTheme(next)}>
                {THEMES.map(({ value, label }) => (
                  <Radio key={value} value={value} label={label} />
                ))}
              </Menu.RadioGroup>
            </Menu.Group>
            <Menu.Separator className="my-1 h-px bg-line" />
            {LOCAL_ZONE === "UTC" ? null : (
              <>
                <Menu.Group>
                  <Menu.GroupLabel className="px-2.5 pb-1 pt-1.5 text-xs text-muted">Times</Menu.GroupLabel>
                  <Menu.RadioGroup value={zoneChoice} onValueChange={(next: "utc" | "local") => setZone(next)}>
                    <Radio value="utc" label="UTC" />
                    <Radio value="local" label={LOCAL_ZONE} />
                  </Menu.RadioGroup>
                </Menu.Group>
                <Menu.Separator className="my-1 h-px bg-line" />
              </>
            )}
            <Menu.LinkItem className={ITEM} render={<Link to="/profile" />} closeOnClick>
              <CircleUserRound className="size-4 text-muted" aria-hidden /> {session?.user?.name ?? "Profile"}
            </Menu.LinkItem>
            <Menu.Item className={ITEM} onClick={onHelp}>
              <Keyboard className="size-4 text-muted" aria-hidden /> Keyboard
            </Menu.Item>
            <Menu.Item className={ITEM} onClick={() => end.mutate({})}>
              <LogOut className="size-4 text-muted" aria-hidden /> Sign out
            </Menu.Item>
          </Menu.Popup>
        </Menu.Positioner>
      </Menu.Portal>
    </Menu.Root>
  );
}

/** The other organisations that somebody belongs to. */
function Organisations({ current, enabled }: { current: string; enabled: boolean }) {
  const user = useQuery({ ...userQuery(), enabled });
  const entered = useEntered();
  const change = api.useMutation("post", "/api/v1/session/tenant", { onSuccess: (session) => entered(session) });
  const memberships = user.data?.memberships ?? [];
  if (memberships.length < 2) return null;
  return (
    <>
      <Menu.Group>
        <Menu.GroupLabel className="px-2.5 pb-1 pt-1.5 text-xs text-muted">Organisation</Menu.GroupLabel>
        <Menu.RadioGroup value={current} onValueChange={(next: string) => change.mutate({ body: { tenant_id: next } })}>
          {memberships.map(({ tenant_id, tenant_name }) => (
            <Radio key={tenant_id} value={tenant_id} label={tenant_name} />
          ))}
        </Menu.RadioGroup>
      </Menu.Group>
      <Menu.Separator className="my-1 h-px bg-line" />
    </>
  );
}

function Radio({ value, label }: { value: string; label: string }) {
  return (
    <Menu.RadioItem value={value} className={cx(ITEM, "pl-8 relative")} closeOnClick={false}>
      <Menu.RadioItemIndicator className="absolute left-2.5 text-accent-ink">
        <Check className="size-4" aria-hidden />
      </Menu.RadioItemIndicator>
      {label}
    </Menu.RadioItem>
  );
}
