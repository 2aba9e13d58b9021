// The places of the console, in the order of the rail, with the key that follows `g`. The bar of a phone has room for
// four of them; the others are behind its last button.
import { Bell, ChartColumn, FileDown, FileSpreadsheet, Gauge, HandCoins, KeyRound, List, PiggyBank, Plug, Scale, UserRound, UsersRound, Workflow } from "lucide-react";

export const PLACES = [
  { to: "/", label: "Overview", key: "o", icon: ChartColumn, inBar: true },
  { to: "/requests", label: "Requests", key: "r", icon: List, inBar: true },
  { to: "/budgets", label: "Budgets", key: "u", icon: Gauge, inBar: true },
  { to: "/keys", label: "Keys", key: "k", icon: KeyRound, inBar: true },
  { to: "/connections", label: "Connections", key: "c", icon: Plug, inBar: false },
  { to: "/bills", label: "Bills", key: "b", icon: FileSpreadsheet, inBar: false },
  { to: "/settlement", label: "Settlement", key: "t", icon: Scale, inBar: false },
  { to: "/chargeback", label: "Chargeback", key: "h", icon: HandCoins, inBar: false },
  { to: "/savings", label: "Savings", key: "s", icon: PiggyBank, inBar: false },
  { to: "/exports", label: "Exports", key: "e", icon: FileDown, inBar: false },
  { to: "/notifications", label: "Notifications", key: "n", icon: Bell, inBar: false },
  { to: "/workflows", label: "Workflows", key: "w", icon: Workflow, inBar: false },
  { to: "/members", label: "Members", key: "m", icon: UsersRound, inBar: false },
  { to: "/account", label: "Account", key: "a", icon: UserRound, inBar: false },
] as const;
