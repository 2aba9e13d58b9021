// Sends a bill. XMLHttpRequest, because fetch cannot tell how much of a body has left.
import { asApiError, readProblem } from "./problem";
import type { Bill } from "./types";

export type Progress = { phase: "sending"; sent: number; total: number } | { phase: "reading" };

export function uploadBill(file: File, onProgress: (progress: Progress) => void, signal: AbortSignal): Promise<Bill> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", `/api/v1/bills?filename=${encodeURIComponent(file.name)}`);
    request.setRequestHeader("content-type", "application/octet-stream");
    request.upload.addEventListener("progress", (event) =>
      onProgress({ phase: "sending", sent: event.loaded, total: event.total || file.size }),
    );
    request.upload.addEventListener("load", () => onProgress({ phase: "reading" }));
    request.addEventListener("load", () => {
      if (request.status >= 200 && request.status < 300) resolve(JSON.parse(request.responseText) as Bill);
      else reject(readProblem(request.status, request.responseText, request.getResponseHeader("x-request-id")));
    });
    request.addEventListener("error", () => reject(asApiError(new Error("the upload was cut off"))));
    request.addEventListener("abort", () => reject(asApiError(new Error("the upload was cancelled"))));
    signal.addEventListener("abort", () => request.abort());
    request.send(file);
  });
}
