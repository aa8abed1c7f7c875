"use strict";
// The explorer: a plane as contours and as a landscape, with the models on it and a slider over rounds. Plotly draws;
// everything shown is in the data beside this script.

const DATA = JSON.parse(document.getElementById("data").textContent);
const SCALE = "Cividis"; // perceptually uniform, alike for colour-blind readers
const ON_CENTRE = 1e-6; // share of the distance from the centre below which a model is the centre
const LEAST = 1e-6; // where a loss reaches zero, its logarithm ends here
const byId = (id) => document.getElementById(id);

function unpacked(text, columns) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  const values = Array.from({ length: bytes.length / 4 }, (_, index) => view.getFloat32(4 * index, true));
  return Array.from({ length: values.length / columns }, (_, row) => values.slice(row * columns, (row + 1) * columns));
}

function colours() {
  // A computed colour: a custom property would come as it is written, `light-dark(...)`.
  return { text: getComputedStyle(document.body).color, line: getComputedStyle(document.querySelector(".plot")).borderTopColor };
}

function layout(more) {
  const { text } = colours();
  return {
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: { color: text, size: 13 },
    margin: { l: 60, r: 10, t: 10, b: 80 }, legend: { orientation: "h", yref: "container", y: 0.01, yanchor: "bottom" }, ...more,
  };
}

const CONFIG = { responsive: true, displaylogo: false, scrollZoom: false };

// A number as text, or a word for one that is not finite, which JSON does not have.
const shown = (value, digits = 4) => (value === null || value === undefined ? "not finite" : Number(value.toPrecision(digits)).toString());
// Plotly takes some tags in its text for markup: a label stays text.
const plain = (text) => String(text).replace(/[<>&]/g, (sign) => ({ "<": "&lt;", ">": "&gt;", "&": "&amp;" })[sign]);

class Explorer {
  constructor(planes) {
    this.planes = planes;
    this.controls = Object.fromEntries(
      ["plane", "surface", "height", "scale", "step", "step-word", "play", "svg", "png"].map((name) => [name, byId(`explorer-${name}`)]),
    );
    const { plane, surface, height, scale, step, play, svg, png } = this.controls;
    planes.forEach((each, index) => plane.add(new Option([each.plane, each.title].filter(Boolean).join(": "), index)));
    this.hidden = new Set(); // labels that the legend has switched off
    plane.addEventListener("change", () => this.open());
    [surface, height, scale].forEach((control) => control.addEventListener("change", () => this.draw()));
    step.addEventListener("input", () => this.mark());
    play.addEventListener("click", () => this.toggle());
    svg.addEventListener("click", () => this.save("svg"));
    png.addEventListener("click", () => this.save("png"));
    document.addEventListener("themechange", () => this.draw());
    this.open();
  }

  open() {
    this.stop();
    this.hidden.clear();
    this.plane = this.planes[this.controls.plane.value];
    const { surface, step } = this.controls;
    surface.replaceChildren(
      ...this.plane.surfaces.map((each, index) => new Option(each.client === null ? "all clients' samples" : `client ${each.client}'s own samples`, index)),
    );
    surface.parentElement.hidden = this.plane.surfaces.length < 2;
    this.steps = Object.entries(this.plane.steps).map(([number, words]) => ({ number: Number(number), words }));
    step.max = this.steps.length - 1;
    step.value = step.max;
    step.parentElement.hidden = this.steps.length < 2;
    this.boxes();
    this.draw();
  }

  get step() {
    return this.steps[this.controls.step.value];
  }

  // The loss on the grid, cut at the ceiling: far from all models it can be astronomic, and would be all one sees.
  grid() {
    const { client, x, y, loss } = this.plane.surfaces[this.controls.surface.value];
    const rows = unpacked(loss, x.length);
    this.shown = { client, x, y, rows };
    return { x, y, rows, z: rows.map((row) => row.map((value) => this.height(Math.min(value, this.plane.ceiling)))) };
  }

  height(loss) {
    if (loss === null || Number.isNaN(loss)) return null;
    return this.controls.scale.value === "log" ? Math.log10(Math.max(loss, LEAST)) : loss;
  }

  // Ticks of a logarithmic scale, as losses.
  ticks(values) {
    if (this.controls.scale.value !== "log") return {};
    const finite = values.flat().filter(Number.isFinite);
    const [low, high] = [Math.min(...finite), Math.max(...finite)];
    const factors = high - low < 1 ? [1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8] : high - low < 2.5 ? [1, 2, 5] : [1];
    const ticks = [];
    for (let power = Math.floor(low); power <= Math.ceil(high); power += 1) {
      for (const factor of factors) {
        const value = Math.log10(factor) + power;
        if (value >= low - 0.01 && value <= high + 0.01) ticks.push(value);
      }
    }
    // Between two powers of ten there may be hardly a round number, but such a scale is nearly linear.
    const even = Array.from({ length: 5 }, (_, index) => low + ((high - low) * index) / 4);
    const chosen = ticks.length > 1 ? ticks : even;
    // As many digits as tell two neighbours apart.
    const digits = Math.max(2, Math.ceil(-Math.log10(Math.min(1, high - low || 1))) + 2);
    return { tickvals: chosen, ticktext: chosen.map((value) => shown(10 ** value, ticks.length > 1 ? 2 : digits)) };
  }

  draw() {
    const { x, y, rows, z } = this.grid();
    const bar = { title: { text: "loss", side: "top" }, thickness: 14, ...this.ticks(z) };
    const finite = z.flat().filter(Number.isFinite);
    this.lift = 0.01 * (Math.max(...finite) - Math.min(...finite));
    const measured = rows.map((row) => row.map((value) => shown(value)));
    const flat = {
      type: "contour", x, y, z, colorscale: SCALE, colorbar: bar, ncontours: 24, line: { width: 0.5 }, opacity: 0.85,
      customdata: measured, hovertemplate: "on the plane<br>loss %{customdata}<extra></extra>", name: "surface",
    };
    const relief = {
      type: "surface", x, y, z, colorscale: SCALE, showscale: false, opacity: 0.92, customdata: measured,
      hovertemplate: "on the plane<br>loss %{customdata}<extra></extra>",
      contours: { z: { show: true, usecolormap: false, color: "rgba(255,255,255,.35)", width: 1 } },
    };
    const axes = this.axes();
    const grid = { gridcolor: colours().line, zerolinecolor: colours().line };
    // The legend's lines, about five names on two, stand below the plot, which does not shrink for them.
    const below = 30 * Math.ceil(0.4 * this.plane.runs.length);
    const height = 420 + below;
    byId("explorer-flat").style.minHeight = `${height}px`;
    this.flat = Plotly.react(byId("explorer-flat"), [flat, ...this.traces(false)], layout({
      xaxis: { title: { text: axes[0] }, constrain: "domain", ...grid },
      yaxis: { title: { text: axes[1] }, scaleanchor: "x", constrain: "domain", ...grid },
      hovermode: "closest", uirevision: this.controls.plane.value, margin: { l: 60, r: 10, t: 10, b: 50 + below },
    }), CONFIG);
    this.relief = Plotly.react(byId("explorer-relief"), [relief, ...this.traces(true)], layout({
      scene: {
        domain: { x: [0, 1], y: [Math.max(0, 1 - 480 / height), 1] },
        xaxis: { title: { text: "1st" }, ...grid }, yaxis: { title: { text: "2nd" }, ...grid },
        zaxis: { title: { text: "loss" }, ...this.ticks(z), ...grid }, aspectratio: { x: 1, y: 1, z: 0.7 },
        camera: { eye: { x: 1.35, y: -1.45, z: 0.9 }, center: { x: 0, y: 0, z: -0.12 } },
      },
      margin: { l: 0, r: 0, t: 0, b: 0 }, showlegend: false, uirevision: this.controls.plane.value,
    }), CONFIG);
    const plot = byId("explorer-flat");
    plot.removeAllListeners?.("plotly_legendclick");
    plot.on("plotly_legendclick", (event) => {
      const { legendgroup } = event.data[event.curveNumber];
      if (legendgroup) this.show(legendgroup, this.hidden.has(legendgroup));
      return false;
    });
    plot.on("plotly_legenddoubleclick", () => false);
    this.say();
  }

  // Switch a run on or off, in both plots and among the check boxes, which the keyboard reaches.
  show(run, shown) {
    shown ? this.hidden.delete(run) : this.hidden.add(run);
    for (const box of byId("explorer-runs").querySelectorAll("input")) box.checked = !this.hidden.has(box.value);
    this.mark();
  }

  boxes() {
    byId("explorer-runs").replaceChildren(
      ...this.plane.runs.map(({ run }) => {
        const box = Object.assign(document.createElement("input"), { type: "checkbox", value: run, checked: true });
        box.addEventListener("change", () => this.show(run, box.checked));
        const label = document.createElement("label");
        label.append(box, run);
        return label;
      }),
    );
  }

  axes() {
    const { axes, explained } = this.plane;
    const words = { pca: "principal direction", models: "direction between models", random: "random direction", eigenvectors: "Hessian eigenvector" }[axes] ?? axes;
    return ["1st", "2nd"].map((nth, index) => {
      const share = explained[index];
      return `${nth} ${words}${share === null ? "" : ` (${Math.round(100 * share)} %)`}`;
    });
  }

  // The loss that a model has in this view: of the point where it is drawn, or its own (null where nobody measured it).
  loss(run, index, drawn) {
    if (this.shown.client === null) return run[drawn][index];
    if (drawn === "loss_under_policy") return run.client[index] === this.shown.client ? run.own_loss[index] : null;
    return this.below(run.x[index], run.y[index]);
  }

  // The loss of the surface at a place, between the four grid points around it.
  below(x, y) {
    const { x: xs, y: ys, rows } = this.shown;
    const share = (axis, value) => ((value - axis[0]) / (axis[axis.length - 1] - axis[0])) * (axis.length - 1);
    const [column, row] = [share(xs, x), share(ys, y)];
    const [i, j] = [Math.min(Math.max(Math.floor(column), 0), xs.length - 2), Math.min(Math.max(Math.floor(row), 0), ys.length - 2)];
    const [s, t] = [column - i, row - j];
    return (1 - t) * ((1 - s) * rows[j][i] + s * rows[j][i + 1]) + t * ((1 - s) * rows[j + 1][i] + s * rows[j + 1][i + 1]);
  }

  // Where a model stands in the landscape: a hair above its height, so that the surface does not hide half of it.
  lifted(loss) {
    const height = this.height(loss);
    return height === null ? null : height + this.lift;
  }

  // Of each run the way up to the chosen step, and the models there.
  traces(relief) {
    const drawn = this.controls.height.value;
    const { number } = this.step;
    return this.plane.runs.flatMap((run) => {
      const until = run.step.map((step, index) => [step, index]).filter(([step]) => step <= number).map(([, index]) => index);
      const now = Math.max(...until.map((index) => run.step[index]));
      const at = (column, indices) => indices.map((index) => run[column][index]);
      const { look } = run;
      const trace = (indices, more) => ({
        type: relief ? "scatter3d" : "scatter", x: at("x", indices), y: at("y", indices),
        ...(relief ? { z: indices.map((index) => this.lifted(this.loss(run, index, drawn))) } : {}),
        legendgroup: run.run, name: plain(run.run), text: indices.map((index) => this.told(run, index)),
        hovertemplate: "%{text}<extra></extra>", visible: this.hidden.has(run.run) ? "legendonly" : true, ...more,
      });
      const marker = (size) => ({
        size: relief ? size * 0.55 : size, color: look.colour, symbol: relief ? look.solid : look.symbol,
        line: { color: "#ffffff", width: 1 },
      });
      const current = until.filter((index) => run.step[index] === now);
      const ways = this.ways(run, until);
      return [
        ...ways.map((way) => trace(way, {
          mode: "lines+markers", showlegend: false, line: { color: look.colour, width: relief ? 5 : 2, dash: relief ? "solid" : look.dash }, marker: marker(5),
        })),
        trace(current, { mode: "markers", showlegend: true, marker: marker(13) }),
        ...(relief && drawn === "loss_under_policy" ? [this.stems(run, current, trace)] : []),
      ];
    });
  }

  // From the point under a model up or down to its true loss.
  stems(run, indices, trace) {
    const ends = indices.flatMap((index) => [this.loss(run, index, "loss_at_projection"), this.loss(run, index, "loss_under_policy"), null]);
    const thrice = (column) => indices.flatMap((index) => [run[column][index], run[column][index], null]);
    return trace(indices, {
      mode: "lines", x: thrice("x"), y: thrice("y"), z: ends.map((loss) => this.height(loss)), text: undefined,
      hoverinfo: "skip", hovertemplate: undefined, showlegend: false, line: { color: colours().text, width: 3 },
    });
  }

  // A run is one way; in one round each client goes its own, from where all start.
  ways(run, indices) {
    if (run.role.every((role) => role === "global")) return indices.length > 1 ? [indices] : [];
    const start = indices.filter((index) => run.role[index] === "start");
    const clients = [...new Set(indices.map((index) => run.client[index]).filter((client) => client !== null))];
    return clients.map((client) => [...start, ...indices.filter((index) => run.client[index] === client)]);
  }

  told(run, index) {
    const client = run.client[index] === null ? "" : `, client ${run.client[index]}`;
    const role = run.role[index] === "global" ? "" : `, ${run.role[index]}${client}`;
    const [loss, underPolicy] = [shown(run.loss[index]), shown(run.loss_under_policy[index])];
    const policy = loss === underPolicy ? [] : [`true loss with the plane's batch norm ${underPolicy}`];
    const residual = run.residual[index];
    const off = residual !== null && residual < ON_CENTRE ? "the plane's centre" : `off the plane by ${shown(residual, 3)} of its distance from the centre`;
    const own = run.own_loss[index] === null ? [] : [`loss on its own samples ${shown(run.own_loss[index])}`];
    return [
      `<b>${plain(run.run)}</b>`, `round ${run.round[index]}${role}`, `true loss ${loss}`, ...policy,
      `loss at its projection ${shown(run.loss_at_projection[index])}`,
      off, ...own,
    ].join("<br>");
  }

  mark() {
    // The surface stays; only the models are drawn anew.
    for (const [id, relief] of [["explorer-flat", false], ["explorer-relief", true]]) {
      const plot = byId(id);
      Plotly.react(plot, [plot.data[0], ...this.traces(relief)], plot.layout, CONFIG);
    }
    this.say();
  }

  say() {
    this.controls["step-word"].textContent = this.step.words;
    const { batch_norm, samples } = this.plane;
    const norm = batch_norm === "none" ? "" : ` Batch-norm statistics: ${batch_norm}.`;
    byId("explorer-note").textContent =
      `A model is drawn where it falls on the plane, which need not hold it: its true loss and the loss of the point under it may differ. Loss over ${samples} training samples; above ${shown(this.plane.ceiling, 3)} the surface is cut.${norm}`;
  }

  toggle() {
    if (this.playing) return this.stop();
    const { step, play } = this.controls;
    if (step.value === step.max) step.value = 0;
    play.textContent = "Pause";
    play.setAttribute("aria-pressed", "true");
    const pause = Math.max(60, Math.min(700, 8000 / this.steps.length));
    this.playing = setInterval(() => {
      step.value = Number(step.value) + 1;
      this.mark();
      if (step.value === step.max) this.stop();
    }, pause);
    this.mark();
  }

  stop() {
    clearInterval(this.playing);
    this.playing = null;
    this.controls.play.textContent = "Play";
    this.controls.play.setAttribute("aria-pressed", "false");
  }

  save(format) {
    for (const [id, view] of [["explorer-flat", "contours"], ["explorer-relief", "landscape"]]) {
      const filename = `${this.plane.plane}-${this.plane.group}-${view}`;
      const { data, layout } = byId(id);
      // On paper, whatever the theme.
      const paper = { ...layout, paper_bgcolor: "#ffffff", font: { ...layout.font, color: "#000000" } };
      Plotly.downloadImage({ data, layout: paper }, { format, filename, width: 900, height: 700, scale: format === "png" ? 2 : 1 });
    }
  }
}

if (DATA.planes.length) window.explorer = new Explorer(DATA.planes);
