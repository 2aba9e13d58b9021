// The places of the console, in the order of the rail, with the key that follows `g`.
import { ChartColumn, FileSpreadsheet, KeyRound, List, Plug } from "lucide-react";

export const PLACES = [
  { to: "/", label: "Overview", key: "o", icon: ChartColumn },
  { to: "/requests", label: "Requests", key: "r", icon: List },
  { to: "/keys", label: "Keys", key: "k", icon: KeyRound },
  { to: "/connections", label: "Connections", key: "c", icon: Plug },
  { to: "/bills", label: "Bills", key: "b", icon: FileSpreadsheet },
] as const;
