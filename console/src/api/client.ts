// The one typed door to the API. Every answer that is not a success becomes an ApiError.
import createClient, { type Middleware } from "openapi-fetch";
import createQueries from "openapi-react-query";
import { fetchAgain } from "./again";
import { readProblem } from "./problem";
import type { paths } from "./schema.gen";

const problems: Middleware = {
  async onResponse({ response }) {
    if (response.ok) return;
    throw readProblem(response.status, await response.text(), response.headers.get("x-request-id"));
  },
};

export const client = createClient<paths>({ baseUrl: window.location.origin, credentials: "same-origin", fetch: fetchAgain });
client.use(problems);

export const api = createQueries(client);
