// The query string of the notifications' screen: the view, the previewed kind, and the endpoint whose deliveries are
// open.
export const NOTICE_VIEWS = ["people", "sent", "previews"] as const;

export type NoticeView = (typeof NOTICE_VIEWS)[number];

export interface NotificationsSearch {
  view?: Exclude<NoticeView, "people">;
  kind?: string;
  endpoint?: string;
}

export function readNotificationsSearch(search: Record<string, unknown>): NotificationsSearch {
  const found: NotificationsSearch = {};
  if (search.view === "sent" || search.view === "previews") found.view = search.view;
  if (typeof search.kind === "string" && /^[a-z_]{1,64}$/.test(search.kind)) found.kind = search.kind;
  if (typeof search.endpoint === "string" && /^whk_[0-9a-f]{32}$/.test(search.endpoint)) found.endpoint = search.endpoint;
  return found;
}
