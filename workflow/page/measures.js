"use strict";
// Barriers layer by layer, and spectra, after explorer.js, whose data and looks they share.

const LEAST_BARRIER = 1e-4; // nats, or share of answers

class HeatMaps {
  constructor(maps) {
    this.maps = maps;
    [this.map, this.step, this.word] = ["layers-map", "layers-step", "layers-step-word"].map(byId);
    maps.forEach((each, index) => this.map.add(new Option(each.title, index)));
    this.map.addEventListener("change", () => this.open());
    this.step.addEventListener("input", () => this.draw());
    document.addEventListener("themechange", () => this.draw());
    this.open();
  }

  open() {
    this.shown = this.maps[this.map.value];
    this.rounds = Object.keys(this.shown.barrier).map(Number).sort((a, b) => a - b);
    this.step.max = this.rounds.length - 1;
    this.step.value = this.step.max;
    this.step.parentElement.hidden = this.rounds.length < 2;
    // One scale for all rounds, so that they can be compared.
    this.values = this.rounds.map((round) => unpacked(this.shown.barrier[round], this.shown.layers.length));
    const finite = this.values.flat(2).filter(Number.isFinite);
    // Rounding is no result: no scale is narrower than what figures draw as 0.
    this.range = [Math.min(0, ...finite), Math.max(LEAST_BARRIER, ...finite)];
    this.draw();
  }

  draw() {
    const { layers, pairs, measure } = this.shown;
    const [low, high] = this.range;
    this.word.textContent = `round ${this.rounds[this.step.value]}`;
    Plotly.react(byId("layers-plot"), [{
      type: "heatmap", x: layers.map(plain), y: pairs.map(plain), z: this.values[this.step.value], xgap: 1, ygap: 1,
      zmin: low, zmax: high, colorscale: SCALE, colorbar: { title: { text: `barrier of the ${measure}`, side: "right" }, thickness: 14 },
      hovertemplate: "%{y}<br>%{x}<br>barrier %{z:.4g}<extra></extra>",
    }], layout({
      xaxis: { tickangle: -40, automargin: true, type: "category" }, yaxis: { automargin: true, type: "category", autorange: "reversed" },
      height: 160 + 26 * pairs.length,
    }), CONFIG);
  }
}

class Spectra {
  constructor(spectra) {
    this.spectra = spectra;
    this.entry = byId("spectra-entry");
    spectra.forEach((each, index) => this.entry.add(new Option(each.title, index)));
    this.entry.addEventListener("change", () => this.draw());
    document.addEventListener("themechange", () => this.draw());
    this.draw();
  }

  draw() {
    const { lines } = this.spectra[this.entry.value];
    const grid = { gridcolor: colours().line };
    Plotly.react(byId("spectra-plot"), lines.map((line) => ({
      type: "scatter", mode: "lines", x: line.eigenvalue, y: line.density, name: plain(line.name),
      line: { color: line.look.colour, dash: line.look.dash },
    })), layout({
      xaxis: { title: { text: "eigenvalue of the Hessian" }, ...grid },
      yaxis: { title: { text: "density" }, type: "log", exponentformat: "power", ...grid },
    }), CONFIG);
  }
}

if (DATA.layers.length) window.heatMaps = new HeatMaps(DATA.layers);
if (DATA.spectra.length) window.spectra = new Spectra(DATA.spectra);
