// The screens and their addresses. What a screen shows is in its address: filters, range and open rows.
import {
  createRootRoute,
  createRoute,
  createRouter,
  lazyRouteComponent,
  Outlet,
  parseSearchWith,
  redirect,
  stringifySearchWith,
} from "@tanstack/react-router";
import { queryClient, whenClosing, whenSignedOut } from "./api/cache";
import { isSignedOut } from "./api/problem";
import { sessionQuery } from "./api/queries";
import { readFilters } from "./lib/filters";
import { readAccountSearch } from "./screens/account/search";
import { readBillSearch } from "./screens/bills/search";
import { BillScreen } from "./screens/bills/bill-screen";
import { BillsScreen } from "./screens/bills/bills-screen";
import { DriftScreen } from "./screens/bills/drift";
import { ConnectionsScreen } from "./screens/connections/connections-screen";
import { KeysScreen } from "./screens/keys/keys-screen";
import { readNotificationsSearch } from "./screens/notifications/search";
import { OverviewScreen } from "./screens/overview/overview-screen";
import { readOverviewSearch } from "./screens/overview/search";
import { RequestsScreen } from "./screens/requests/requests-screen";
import { readSignInSearch } from "./screens/people/search";
import { readChargebackSearch } from "./screens/chargeback/search";
import { readSettlementSearch } from "./screens/settlement/search";
import { readWelcomeSearch, WelcomeScreen } from "./screens/welcome";
import { readWorkflowsSearch } from "./screens/workflows/search";
import { Failure, NotFound } from "./shell/failure";
import { Shell } from "./shell/shell";

const rootRoute = createRootRoute({ component: Outlet, notFoundComponent: NotFound });

const welcomeRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/welcome",
  validateSearch: readWelcomeSearch,
  component: WelcomeScreen,
});

const signInRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/sign-in",
  validateSearch: readSignInSearch,
  component: lazyRouteComponent(() => import("./screens/people/sign-in"), "SignInScreen"),
});
const signedInRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/signed-in",
  component: lazyRouteComponent(() => import("./screens/people/signed-in"), "SignedInScreen"),
});
const signedInClerkRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/signed-in/clerk",
  component: lazyRouteComponent(() => import("./screens/people/signed-in-clerk"), "SignedInClerkScreen"),
});
const registerRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/register",
  component: lazyRouteComponent(() => import("./screens/people/register"), "RegisterScreen"),
});
const newPasswordRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/new-password",
  component: lazyRouteComponent(() => import("./screens/people/new-password"), "NewPasswordScreen"),
});
const invitationRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/invitation",
  component: lazyRouteComponent(() => import("./screens/people/invitation"), "InvitationScreen"),
});

/** What the links of mails lead to: no session. */
const confirmRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/confirm",
  component: lazyRouteComponent(() => import("./screens/links/confirm"), "ConfirmScreen"),
});
const unsubscribeRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/unsubscribe",
  component: lazyRouteComponent(() => import("./screens/links/unsubscribe"), "UnsubscribeScreen"),
});
const keepAccountRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/keep-account",
  component: lazyRouteComponent(() => import("./screens/links/keep-account"), "KeepAccountScreen"),
});
const certificateRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/certificates/$erasureId",
  component: lazyRouteComponent(() => import("./screens/links/certificate"), "CertificateScreen"),
});

/** What anybody may read. */
const trustRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/trust",
  component: lazyRouteComponent(() => import("./screens/trust/trust-screen"), "TrustScreen"),
});
const subprocessorsRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/subprocessors",
  component: lazyRouteComponent(() => import("./screens/trust/subprocessors-screen"), "SubprocessorsScreen"),
});
const privacyRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/privacy",
  component: lazyRouteComponent(() => import("./screens/trust/privacy-screen"), "PrivacyScreen"),
});

/** How the service is: for everybody. */
const statusRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/status",
  component: lazyRouteComponent(() => import("./screens/status/status-screen"), "StatusScreen"),
});

/** Everything behind the sign-in. */
const memberRoute = createRoute({
  getParentRoute: () => rootRoute,
  id: "member",
  component: Shell,
  errorComponent: Failure,
  beforeLoad: async ({ location }) => {
    try {
      await queryClient.ensureQueryData(sessionQuery());
    } catch (error) {
      if (isSignedOut(error)) throw redirect({ to: "/sign-in", search: { next: location.href } });
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
const driftRoute = createRoute({ getParentRoute: () => memberRoute, path: "/bills/drift", component: DriftScreen });
const awsRoute = createRoute({
  getParentRoute: () => memberRoute,
  path: "/bills/aws",
  component: lazyRouteComponent(() => import("./screens/aws/aws-screen"), "AwsScreen"),
});
const vendorsRoute = createRoute({
  getParentRoute: () => memberRoute,
  path: "/bills/vendors",
  component: lazyRouteComponent(() => import("./screens/vendors/vendors-screen"), "VendorsScreen"),
});
const billRoute = createRoute({
  getParentRoute: () => memberRoute,
  path: "/bills/$billId",
  validateSearch: readBillSearch,
  component: BillScreen,
});

const settlementRoute = createRoute({
  getParentRoute: () => memberRoute,
  path: "/settlement",
  validateSearch: readSettlementSearch,
  component: lazyRouteComponent(() => import("./screens/settlement/settlement-screen"), "SettlementScreen"),
});
const chargebackRoute = createRoute({
  getParentRoute: () => memberRoute,
  path: "/chargeback",
  validateSearch: readChargebackSearch,
  component: lazyRouteComponent(() => import("./screens/chargeback/chargeback-screen"), "ChargebackScreen"),
});
const notificationsRoute = createRoute({
  getParentRoute: () => memberRoute,
  path: "/notifications",
  validateSearch: readNotificationsSearch,
  component: lazyRouteComponent(() => import("./screens/notifications/notifications-screen"), "NotificationsScreen"),
});
const budgetsRoute = createRoute({
  getParentRoute: () => memberRoute,
  path: "/budgets",
  component: lazyRouteComponent(() => import("./screens/budgets/budgets-screen"), "BudgetsScreen"),
});
const savingsRoute = createRoute({
  getParentRoute: () => memberRoute,
  path: "/savings",
  component: lazyRouteComponent(() => import("./screens/savings/savings-screen"), "SavingsScreen"),
});
const exportsRoute = createRoute({
  getParentRoute: () => memberRoute,
  path: "/exports",
  component: lazyRouteComponent(() => import("./screens/exports/exports-screen"), "ExportsScreen"),
});
const workflowsRoute = createRoute({
  getParentRoute: () => memberRoute,
  path: "/workflows",
  validateSearch: readWorkflowsSearch,
  component: lazyRouteComponent(() => import("./screens/workflows/workflows-screen"), "WorkflowsScreen"),
});
const membersRoute = createRoute({
  getParentRoute: () => memberRoute,
  path: "/members",
  component: lazyRouteComponent(() => import("./screens/people/members-screen"), "MembersScreen"),
});
const profileRoute = createRoute({
  getParentRoute: () => memberRoute,
  path: "/profile",
  component: lazyRouteComponent(() => import("./screens/people/profile-screen"), "ProfileScreen"),
});
const accountRoute = createRoute({
  getParentRoute: () => memberRoute,
  path: "/account",
  validateSearch: readAccountSearch,
  component: lazyRouteComponent(() => import("./screens/account/account-screen"), "AccountScreen"),
});

export const router = createRouter({
  routeTree: rootRoute.addChildren([
    welcomeRoute,
    signInRoute,
    signedInRoute,
    signedInClerkRoute,
    registerRoute,
    newPasswordRoute,
    invitationRoute,
    confirmRoute,
    unsubscribeRoute,
    keepAccountRoute,
    certificateRoute,
    trustRoute,
    subprocessorsRoute,
    privacyRoute,
    statusRoute,
    memberRoute.addChildren([
      overviewRoute,
      requestsRoute,
      keysRoute,
      connectionsRoute,
      billsRoute,
      awsRoute,
      billRoute,
      driftRoute,
      vendorsRoute,
      settlementRoute,
      chargebackRoute,
      notificationsRoute,
      budgetsRoute,
      savingsRoute,
      exportsRoute,
      workflowsRoute,
      membersRoute,
      profileRoute,
      accountRoute,
    ]),
  ]),
  defaultPreload: false,
  scrollRestoration: true,
  parseSearch: parseSearchWith((text) => text),
  stringifySearch: stringifySearchWith(String),
});

/** Pages that need no session. */
const OPEN = new Set(["/welcome", "/sign-in", "/signed-in", "/signed-in/clerk", "/register", "/new-password", "/invitation"]);

whenSignedOut(() => {
  if (OPEN.has(router.state.location.pathname)) return;
  queryClient.clear();
  void router.navigate({ to: "/sign-in", search: { next: router.state.location.href } });
});

whenClosing(() => void queryClient.invalidateQueries({ queryKey: sessionQuery().queryKey }));

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}
