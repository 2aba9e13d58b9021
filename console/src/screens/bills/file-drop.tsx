// A card that takes one file at a time, by drop or by choice, and says what went wrong with the last one.
import { type DragEvent, type ReactNode, type RefObject, useState } from "react";
import { Card } from "@/ui/card";
import { cx } from "@/ui/cx";
import { Problem } from "@/ui/states";

/** A file that was not taken, and why. */
export interface FileProblem {
  file: File;
  reason: unknown;
}

interface FileDropProps {
  label: string;
  inputLabel: string;
  accept: string;
  /** A file is on its way: another one is not taken. */
  busy: boolean;
  problem: FileProblem | null;
  onFile: (file: File) => void;
  className?: string;
  /** The input of the card, for whatever in it opens the choice of a file. */
  input: RefObject<HTMLInputElement | null>;
  children: ReactNode;
}

export function FileDrop({ label, inputLabel, accept, busy, problem, onFile, className, input, children }: FileDropProps) {
  const [over, setOver] = useState(false);
  const take = (file: File | undefined) => {
    if (file && !busy) onFile(file);
  };
  const drop = (event: DragEvent) => {
    event.preventDefault();
    setOver(false);
    take(event.dataTransfer.files[0]);
  };
  return (
    <Card
      aria-label={label}
      onDragOver={(event) => {
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={(event) => (event.currentTarget.contains(event.relatedTarget as Node | null) ? undefined : setOver(false))}
      onDrop={drop}
      className={cx("border-dashed !border-line-strong transition-colors", over && "!border-accent !bg-accent-soft", className)}
    >
      <input
        ref={input}
        type="file"
        className="sr-only"
        tabIndex={-1}
        aria-label={inputLabel}
        accept={accept}
        onChange={(event) => {
          const file = event.target.files?.[0];
          event.target.value = "";
          take(file);
        }}
      />
      {children}
      {problem ? (
        <div className="border-t">
          <Problem error={problem.reason} what={problem.file.name} retry={() => onFile(problem.file)} />
        </div>
      ) : null}
    </Card>
  );
}
