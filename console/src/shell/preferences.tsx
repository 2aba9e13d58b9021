// What a person chose for this browser: the theme and the zone in which moments are told.
import { createContext, type ReactNode, useCallback, useContext, useEffect, useMemo, useState } from "react";
import { type ZoneChoice, zoneName } from "@/lib/time";

export type Theme = "system" | "light" | "dark";

interface Preferences {
  theme: Theme;
  /** The theme in force, with `system` resolved. */
  shownTheme: "light" | "dark";
  setTheme: (theme: Theme) => void;
  zoneChoice: ZoneChoice;
  zone: string;
  setZone: (zone: ZoneChoice) => void;
}

const Context = createContext<Preferences | null>(null);

function stored(name: string): string | null {
  try {
    return localStorage.getItem(`costlens.${name}`);
  } catch {
    return null;
  }
}

function store(name: string, value: string | null): void {
  try {
    if (value === null) localStorage.removeItem(`costlens.${name}`);
    else localStorage.setItem(`costlens.${name}`, value);
  } catch {
    // Storage is forbidden: the choice holds until the page is closed.
  }
}

function firstTheme(): Theme {
  const theme = stored("theme");
  return theme === "light" || theme === "dark" ? theme : "system";
}

function useSystemIsDark(): boolean {
  const [dark, setDark] = useState(() => matchMedia("(prefers-color-scheme: dark)").matches);
  useEffect(() => {
    const query = matchMedia("(prefers-color-scheme: dark)");
    const listen = () => setDark(query.matches);
    query.addEventListener("change", listen);
    return () => query.removeEventListener("change", listen);
  }, []);
  return dark;
}

export function PreferencesProvider({ children }: { children: ReactNode }) {
  const [theme, keepTheme] = useState<Theme>(firstTheme);
  const [zoneChoice, keepZone] = useState<ZoneChoice>(() => (stored("zone") === "local" ? "local" : "utc"));
  const systemIsDark = useSystemIsDark();

  const setTheme = useCallback((next: Theme) => {
    store("theme", next === "system" ? null : next);
    if (next === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = next;
    keepTheme(next);
  }, []);
  const setZone = useCallback((next: ZoneChoice) => {
    store("zone", next === "local" ? next : null);
    keepZone(next);
  }, []);

  const shownTheme = theme === "system" ? (systemIsDark ? "dark" : "light") : theme;
  const value = useMemo(
    () => ({ theme, shownTheme, setTheme, zoneChoice, zone: zoneName(zoneChoice), setZone }) satisfies Preferences,
    [theme, shownTheme, setTheme, zoneChoice, setZone],
  );
  return <Context value={value}>{children}</Context>;
}

export function usePreferences(): Preferences {
  const preferences = useContext(Context);
  if (!preferences) throw new Error("preferences are used outside their provider");
  return preferences;
}
