// Stacked bars of spend over time. Loaded on demand; told to a screen reader as one sentence, because the table
// below it carries the same figures.
import { useEffect, useRef } from "react";
import { shortMoney, sumByCurrency } from "@/lib/money";
import type { Stack } from "@/lib/stacks";
import { resolveColor } from "./colors";
import { type ChartOption, init } from "./echart";

export interface Bars extends Stack {
  color: string;
  /** Bars of one column stand on each other, columns beside each other. */
  column: string;
  currency: string;
}

export interface SpendBarsProps {
  buckets: readonly string[];
  labels: readonly string[];
  /** The bucket in words, for the tooltip. */
  titles: readonly string[];
  bars: readonly Bars[];
  summary: string;
  theme: string;
  onPick?: (bucket: string, group: string) => void;
}

function tooltip(props: SpendBarsProps, at: number): HTMLElement {
  const box = document.createElement("div");
  box.className = "min-w-44 text-xs";
  const head = document.createElement("p");
  head.className = "mb-1.5 font-medium";
  head.textContent = props.titles[at] ?? "";
  box.append(head);
  const present = props.bars.filter((bar) => (bar.amounts[at] ?? "0") !== "0");
  for (const bar of present) {
    box.append(line(bar.group, shortMoney(bar.amounts[at] ?? "0", bar.currency), bar.color));
  }
  const columns = new Set(present.map((bar) => bar.column));
  if (present.length > 1 && columns.size === 1) {
    const totals = sumByCurrency(present.map((bar) => ({ amount: bar.amounts[at] ?? "0", currency: bar.currency })));
    for (const { amount, currency } of totals) box.append(line("Together", shortMoney(amount, currency)));
  }
  if (present.length === 0) box.append(line("No spend", ""));
  return box;
}

function line(name: string, amount: string, color?: string): HTMLElement {
  const row = document.createElement("p");
  row.className = "flex items-center gap-2 leading-5";
  const dot = document.createElement("span");
  dot.className = "size-2 rounded-full shrink-0";
  if (color) dot.style.background = color;
  const label = document.createElement("span");
  label.className = "flex-1 truncate max-w-56";
  label.textContent = name;
  const value = document.createElement("span");
  value.className = "num pl-3";
  value.textContent = amount;
  row.append(dot, label, value);
  return row;
}

function axisMoney(value: number, currency: string): string {
  const text =
    value >= 1000
      ? `${Number((value / 1000).toPrecision(3))}k`
      : value === 0 || Number.isInteger(value)
        ? `${value}`
        : value < 0.01
          ? value.toFixed(Math.min(12, 2 - Math.floor(Math.log10(value)))).replace(/0+$/, "")
          : value.toFixed(2);
  return currency === "USD" ? `$${text}` : text;
}

function optionOf(props: SpendBarsProps): ChartOption {
  const ink = resolveColor("var(--muted)");
  const rule = resolveColor("var(--line)");
  const currency = props.bars[0]?.currency ?? "USD";
  const tops = new Map<string, string>();
  for (const bar of props.bars) tops.set(bar.column, bar.group);
  return {
    animationDuration: 250,
    aria: { enabled: true, label: { description: props.summary } },
    grid: { left: 4, right: 8, top: 12, bottom: 2, containLabel: true },
    textStyle: { fontFamily: "Inter Variable, sans-serif" },
    tooltip: {
      trigger: "axis",
      axisPointer: { type: "shadow", shadowStyle: { color: resolveColor("var(--sunken)"), opacity: 0.7 } },
      backgroundColor: resolveColor("var(--surface)"),
      borderColor: resolveColor("var(--line-strong)"),
      borderWidth: 1,
      padding: 10,
      textStyle: { color: resolveColor("var(--ink)"), fontSize: 12 },
      extraCssText: "border-radius:10px;box-shadow:0 8px 24px rgb(0 0 0 / .14)",
      confine: true,
      formatter: (params) => tooltip(props, (Array.isArray(params) ? params[0] : params)?.dataIndex ?? 0),
    },
    xAxis: {
      type: "category",
      data: [...props.labels],
      axisTick: { show: false },
      axisLine: { lineStyle: { color: rule } },
      axisLabel: { color: ink, fontSize: 11, hideOverlap: true },
    },
    yAxis: {
      type: "value",
      splitNumber: 4,
      axisLabel: { color: ink, fontSize: 11, formatter: (value: number) => axisMoney(value, currency) },
      splitLine: { lineStyle: { color: rule } },
    },
    series: props.bars.map((bar) => ({
      type: "bar",
      id: `${bar.column}:${bar.group}`,
      name: bar.group,
      stack: bar.column,
      data: bar.values,
      barMaxWidth: 28,
      barCategoryGap: "28%",
      barGap: "8%",
      cursor: props.onPick ? "pointer" : "default",
      itemStyle: { color: resolveColor(bar.color), borderRadius: tops.get(bar.column) === bar.group ? [3, 3, 0, 0] : 0 },
      emphasis: { disabled: true },
    })),
  };
}

export default function SpendBars(props: SpendBarsProps) {
  const place = useRef<HTMLDivElement>(null);
  const chart = useRef<ReturnType<typeof init> | null>(null);
  const latest = useRef(props);

  useEffect(() => {
    if (!place.current) return;
    const made = init(place.current, null, { renderer: "svg" });
    chart.current = made;
    made.on("click", ({ dataIndex, seriesName }) => {
      const bucket = latest.current.buckets[dataIndex ?? -1];
      if (bucket && seriesName) latest.current.onPick?.(bucket, seriesName);
    });
    const observer = new ResizeObserver(() => made.resize());
    observer.observe(place.current);
    return () => {
      observer.disconnect();
      made.dispose();
      chart.current = null;
    };
  }, []);

  useEffect(() => {
    latest.current = props;
    chart.current?.setOption(optionOf(props), { replaceMerge: ["series"] });
  }, [props]);

  return <div ref={place} className="h-full w-full" role="img" aria-label={props.summary} />;
}
