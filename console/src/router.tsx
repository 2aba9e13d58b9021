// The screens and their addresses. What a screen shows is in its address: filters, range and open rows.
import {
  createRootRoute,
  createRoute,
  createRouter,
  Outlet,
  parseSearchWith,
  redirect,
  stringifySearchWith,
} from "@tanstack/react-router";
import { queryClient, whenSignedOut } from "./api/cache";
import { api } from "./api/client";
import { isSignedOut } from "./api/problem";
import { readFilters } from "./lib/filters";
import { readBillSearch } from "./screens/bills/search";
import { BillScreen } from "./screens/bills/bill-screen";
import { BillsScreen } from "./screens/bills/bills-screen";
import { ConnectionsScreen } from "./screens/connections/connections-screen";
import { KeysScreen } from "./screens/keys/keys-screen";
import { OverviewScreen } from "./screens/overview/overview-screen";
import { readOverviewSearch } from "./screens/overview/search";
import { RequestsScreen } from "./screens/requests/requests-screen";
import { readWelcomeSearch, WelcomeScreen } from "./screens/welcome";
import { Failure, NotFound } from "./shell/failure";
import { Shell } from "./shell/shell";

const rootRoute = createRootRoute({ component: Outlet, notFoundComponent: NotFound });

const welcomeRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/welcome",
  validateSearch: readWelcomeSearch,
  component: WelcomeScreen,
});

/** Everything behind the sign-in. */
const memberRoute = createRoute({
  getParentRoute: () => rootRoute,
  id: "member",
  component: Shell,
  errorComponent: Failure,
  beforeLoad: async ({ location }) => {
    try {
      await queryClient.ensureQueryData(api.queryOptions("get", "/api/v1/session"));
    } catch (error) {
      if (isSignedOut(error)) throw redirect({ to: "/welcome", search: { next: location.href } });
      throw error;
    }
  },
});

const overviewRoute = createRoute({
  getParentRoute: () => memberRoute,
  path: "/",
  validateSearch: readOverviewSearch,
  component: OverviewScreen,
});
const requestsRoute = createRoute({
  getParentRoute: () => memberRoute,
  path: "/requests",
  validateSearch: readFilters,
  component: RequestsScreen,
});
const keysRoute = createRoute({ getParentRoute: () => memberRoute, path: "/keys", component: KeysScreen });
const connectionsRoute = createRoute({
  getParentRoute: () => memberRoute,
  path: "/connections",
  component: ConnectionsScreen,
});
const billsRoute = createRoute({ getParentRoute: () => memberRoute, path: "/bills", component: BillsScreen });
const billRoute = createRoute({
  getParentRoute: () => memberRoute,
  path: "/bills/$billId",
  validateSearch: readBillSearch,
  component: BillScreen,
});

export const router = createRouter({
  routeTree: rootRoute.addChildren([
    welcomeRoute,
    memberRoute.addChildren([overviewRoute, requestsRoute, keysRoute, connectionsRoute, billsRoute, billRoute]),
  ]),
  defaultPreload: false,
  scrollRestoration: true,
  parseSearch: parseSearchWith((text) => text),
  stringifySearch: stringifySearchWith(String),
});

whenSignedOut(() => {
  if (router.state.location.pathname === "/welcome") return;
  queryClient.clear();
  void router.navigate({ to: "/welcome", search: { next: router.state.location.href } });
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}
