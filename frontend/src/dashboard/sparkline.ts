// A small line of the last minutes; the figure beside it is what is read out.

const WIDTH = 120;
const HEIGHT = 28;
const NAMESPACE = "http://www.w3.org/2000/svg";

export function sparkline(values: number[]): SVGSVGElement {
  const most = Math.max(...values, 1e-9);
  const points = values.map((value, index) => [
    (index / Math.max(values.length - 1, 1)) * WIDTH,
    HEIGHT - 2 - (value / most) * (HEIGHT - 4),
  ]);
  const line = points.map((point) => point.map((each) => each.toFixed(1)).join(",")).join(" ");
  const svg = shape("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "sparkline", "aria-hidden": "true", preserveAspectRatio: "none" });
  svg.append(
    shape("polygon", { points: `0,${HEIGHT} ${line} ${WIDTH},${HEIGHT}` }),
    shape("polyline", { points: line }),
  );
  return svg as SVGSVGElement;
}

function shape(name: string, attributes: Record<string, string>): SVGElement {
  const made = document.createElementNS(NAMESPACE, name);
  for (const [key, value] of Object.entries(attributes)) {
    made.setAttribute(key, value);
  }
  return made;
}
