// Sends a bill and follows it until it is one. XMLHttpRequest, because fetch cannot tell how much of a body has left.
import { client } from "./client";
import { ApiError, asApiError, readProblem } from "./problem";
import type { BillUpload, ImportReport } from "./types";

export type Progress =
  | { phase: "sending"; sent: number; total: number }
  /** `permille` is null until the server has something to tell. */
  | { phase: "reading"; permille: number | null };

/** How often the server is asked how far it is. */
const POLL_MS = 700;

/** Sends the file; the answer says only that it is kept. */
function sendBill(file: File, onProgress: (progress: Progress) => void, signal: AbortSignal): Promise<BillUpload> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", `/api/v1/bills?filename=${encodeURIComponent(file.name)}`);
    request.setRequestHeader("content-type", "application/octet-stream");
    request.upload.addEventListener("progress", (event) =>
      onProgress({ phase: "sending", sent: event.loaded, total: event.total || file.size }),
    );
    request.upload.addEventListener("load", () => onProgress({ phase: "reading", permille: null }));
    request.addEventListener("load", () => {
      if (request.status >= 200 && request.status < 300) resolve(JSON.parse(request.responseText) as BillUpload);
      else reject(readProblem(request.status, request.responseText, request.getResponseHeader("x-request-id")));
    });
    request.addEventListener("error", () => reject(asApiError(new Error("the upload was cut off"))));
    request.addEventListener("abort", () => reject(asApiError(new Error("the upload was cancelled"))));
    signal.addEventListener("abort", () => request.abort());
    request.send(file);
  });
}

/** What an upload has come to: the id of its bill, an error, or neither yet. */
export function billOf(upload: BillUpload): string | null {
  if (upload.state === "failed") {
    const { code, detail } = upload.problem ?? { code: "internal", detail: "" };
    throw new ApiError(422, code, "The bill was not imported", detail, undefined, []);
  }
  return upload.bill_id ?? null;
}

function pause(signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, POLL_MS);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(asApiError(new Error("nobody waits for the bill any more")));
    });
  });
}

/** Sends the file and waits until it is a bill; gives the bill's id. Once it is sent, the server goes on by itself. */
export async function uploadBill(file: File, onProgress: (progress: Progress) => void, signal: AbortSignal): Promise<string> {
  let upload = await sendBill(file, onProgress, signal);
  for (;;) {
    const bill = billOf(upload);
    if (bill !== null) return bill;
    onProgress({ phase: "reading", permille: upload.progress?.permille ?? null });
    await pause(signal);
    const { data } = await client.GET("/api/v1/bills/uploads/{id}", { params: { path: { id: upload.id } }, signal });
    if (data) upload = data;
  }
}

/** Hands in a LiteLLM's spend logs as calls of a key; gives what became of them. The same file may be sent again. */
export async function importLogs(file: File, keyId: string, signal: AbortSignal): Promise<ImportReport> {
  const sent = fetch(`/api/v1/imports/litellm/${keyId}`, {
    method: "POST",
    headers: { "content-type": "application/octet-stream" },
    body: file,
    signal,
  });
  const answer = await sent.catch((reason: unknown) => {
    throw asApiError(reason);
  });
  const text = await answer.text();
  if (!answer.ok) throw readProblem(answer.status, text, answer.headers.get("x-request-id"));
  return JSON.parse(text) as ImportReport;
}
