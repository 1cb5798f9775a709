// A viewer for microscopy images: asks for planes, shows one coloured picture of them.
//
// One module without dependencies. What it shows it gets from `options.planes`; it asks nothing of
// anyone else, evaluates no text and sets no style attribute, so it runs under a strict
// Content-Security-Policy. WebGL2 draws; where there is none, the same picture is made by the CPU.
"use strict";

/**
 * @typedef {{kind: "image", c: number, z: number|"max", t: number}
 *   | {kind: "labels", name: string, z: number|"max", t: number}} Request
 * @typedef {{width: number, height: number, data: Uint8Array|Uint16Array|Uint32Array|Float32Array}} Plane
 *   Rows from the top; a picture's data are never Uint32.
 * @typedef {{name: string, color: string, low: number, high: number, on: boolean,
 *   min: number, max: number}} Channel  color is "#rrggbb"; min and max are the ends of the slider.
 * @typedef {{z: number, t: number, projection: "none"|"max", channels: Channel[],
 *   outlines: string[]}} State  outlines: the names of the labels whose outlines are drawn.
 * @typedef {{title?: string, sizes: Object<string, number>, channels: Channel[],
 *   pixelSize?: Object<string, number>|null, dtype?: string,
 *   labels?: {name: string, color: string}[], state?: Partial<State>, notes?: string[],
 *   planes: (request: Request) => Promise<Plane>, renderer?: "auto"|"cpu",
 *   cacheBytes?: number}} Options  pixelSize in µm by axis.
 */

/** No more channels than these are drawn at once. */
export const MOST_CHANNELS = 16;
const CACHE_BYTES = 256 * 2 ** 20;
const SAMPLE = 65536;
const BINS = 64;

// --- small things ------------------------------------------------------------------------------

const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

/** "#rrggbb" as three numbers from 0 to 1. */
const rgbOf = (color) => [1, 3, 5].map((at) => parseInt(color.slice(at, at + 2), 16) / 255);

/** A name as it is shown: nothing in it is hidden or turns the direction round. */
const visible = (name) => name.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, "\ufffd");

/** Make an element; `aria-…`, `role` and the like are attributes, anything else is a property. */
function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name in element && name !== "role") element[name] = value;
    else element.setAttribute(name, visible(String(value)));
  }
  element.append(...children.map((one) => (typeof one === "string" ? visible(one) : one)));
  return element;
}

/** A number for people: no more digits than they can use. */
function short(value) {
  if (Number.isInteger(value) && Math.abs(value) < 1e7) return String(value);
  return String(Number(value.toPrecision(4)));
}

/** The largest of 1, 2, 5, 10, 20, … that is at most `most`. */
function roundLength(most) {
  const power = 10 ** Math.floor(Math.log10(most));
  return [5, 2, 1].map((digit) => digit * power).find((length) => length <= most) ?? power;
}

/** Make a plane of bytes as they came: little-endian, row by row. */
export function decode(bytes, { dtype, width, height }) {
  const types = { uint8: Uint8Array, uint16: Uint16Array, uint32: Uint32Array };
  const Type = { ...types, float32: Float32Array }[dtype];
  if (!Type) throw new Error(`pixels of type ${dtype} cannot be shown`);
  // A view into a larger message need not begin where numbers of this size may.
  const { buffer, byteOffset, byteLength } =
    bytes instanceof ArrayBuffer ? new Uint8Array(bytes) : bytes;
  const own =
    byteOffset % Type.BYTES_PER_ELEMENT ? buffer.slice(byteOffset, byteOffset + byteLength) : null;
  const data = own
    ? new Type(own)
    : new Type(buffer, byteOffset, byteLength / Type.BYTES_PER_ELEMENT);
  if (data.length !== width * height)
    throw new Error("a plane came with too few or too many bytes");
  return { width, height, data };
}

// --- planes ------------------------------------------------------------------------------------

/** Planes by request: each asked for once, those used last kept within a number of bytes. */
class Planes {
  constructor(ask, limit) {
    this.ask = ask;
    this.limit = limit;
    this.bytes = 0;
    this.held = new Map();
    this.coming = new Map();
  }

  async get(request) {
    const key = JSON.stringify(request);
    const held = this.held.get(key);
    if (held) {
      this.held.delete(key);
      this.held.set(key, held);
      return held;
    }
    if (!this.coming.has(key)) this.coming.set(key, this.#fetch(key, request));
    return this.coming.get(key);
  }

  async #fetch(key, request) {
    try {
      const plane = await this.ask(request);
      this.held.set(key, plane);
      this.bytes += plane.data.byteLength;
      for (const [old, { data }] of this.held) {
        if (this.bytes <= this.limit || old === key) break;
        this.held.delete(old);
        this.bytes -= data.byteLength;
      }
      return plane;
    } finally {
      this.coming.delete(key);
    }
  }
}

const samples = new WeakMap();

/** Finite values of a plane in order, at most about SAMPLE of them. */
function sampleOf(plane) {
  if (!samples.has(plane)) {
    const step = Math.max(1, Math.floor(plane.data.length / SAMPLE)) | 1;
    const values = new Float32Array(Math.ceil(plane.data.length / step));
    for (let i = 0, at = 0; at < plane.data.length; i++, at += step) values[i] = plane.data[at];
    samples.set(plane, values.filter(Number.isFinite).sort());
  }
  return samples.get(plane);
}

/**
 * Black and white point from what a plane holds: [low, high]. Two percentiles; but where a channel
 * is so sparse that nearly all of it is background, white is where the signal is.
 */
export function autoLimits({ data }) {
  const values = Float32Array.from(data).filter(Number.isFinite).sort();
  const count = values.length;
  if (!count) return [0, 1];
  const at = (part) => values[Math.round(part * (count - 1))];
  let [low, high] = [at(0.01), at(0.999)];
  const begin = values.findIndex((value) => value > low + 4 * (high - low));
  const far = begin < 0 ? 0 : count - begin;
  if (far >= Math.max(1, high > low ? 1e-5 * count : 1))
    high = values[begin + Math.floor(0.95 * (far - 1))];
  return [high > low ? low : values[0], high];
}

/** The path of a histogram in a box of BINS × 20. */
function histogramPath(plane, min, max) {
  const bins = new Array(BINS).fill(0);
  const scale = BINS / (max - min || 1);
  for (const value of sampleOf(plane))
    bins[clamp(Math.floor((value - min) * scale), 0, BINS - 1)]++;
  const top = Math.log1p(Math.max(...bins)) || 1;
  const points = bins.map((n, i) => `V${(20 - (20 * Math.log1p(n)) / top).toFixed(1)}H${i + 1}`);
  return `M0 20${points.join("")}V20Z`;
}

const boundaries = new WeakMap();

/** Where a label ends: 1 on each pixel of a label beside (up, down, left, right) another value. */
function boundaryOf(plane) {
  if (boundaries.has(plane)) return boundaries.get(plane);
  const { width, height, data } = plane;
  const edge = new Uint8Array(width * height);
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++, at++) {
      const label = data[at];
      if (!label) continue;
      const inside =
        (x === 0 || data[at - 1] === label) &&
        (x === width - 1 || data[at + 1] === label) &&
        (y === 0 || data[at - width] === label) &&
        (y === height - 1 || data[at + width] === label);
      if (!inside) edge[at] = 1;
    }
  }
  boundaries.set(plane, edge);
  return edge;
}

// --- drawing -----------------------------------------------------------------------------------
// Both draw: clip(Σ colour · clip((v − low) / (high − low), 0, 1), 0, 1) · 255, rounded half up.
// NaN adds nothing, nor does a channel whose black point is its white point. Where `mask` is not
// zero, the pixel has the colour `kinds[mask − 1]`.

/** The parts from 0 to 1 of all whole numbers that such data can hold; null for floats. */
function tableFor(data, low, span) {
  if (data instanceof Float32Array) return null;
  const table = new Float32Array(data instanceof Uint8Array ? 256 : 65536);
  for (let value = 0; value < table.length; value++)
    table[value] = clamp((value - low) / span, 0, 1);
  return table;
}

function addLayer(sum, { plane, color, low, high }) {
  const span = high - low;
  if (!span) return;
  const { data } = plane;
  const table = tableFor(data, low, span);
  const [red, green, blue] = color;
  for (let at = 0, to = 0; at < data.length; at++, to += 3) {
    const part = table ? table[data[at]] : clamp((data[at] - low) / span, 0, 1);
    // Not so for NaN either.
    if (part > 0) {
      sum[to] += red * part;
      sum[to + 1] += green * part;
      sum[to + 2] += blue * part;
    }
  }
}

class CpuRenderer {
  name = "cpu";

  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d", { alpha: false, willReadFrequently: true });
    this.sum = new Float32Array(0);
  }

  draw(width, height, layers, mask, kinds) {
    const count = width * height;
    if (this.sum.length !== 3 * count) this.sum = new Float32Array(3 * count);
    this.sum.fill(0);
    for (const layer of layers) addLayer(this.sum, layer);
    const image = new ImageData(width, height);
    for (let at = 0, from = 0, to = 0; at < count; at++, from += 3, to += 4) {
      const kind = mask?.[at] ? kinds[mask[at] - 1] : null;
      for (let i = 0; i < 3; i++) {
        image.data[to + i] = Math.floor(
          255 * Math.min(kind ? kind[i] : this.sum[from + i], 1) + 0.5,
        );
      }
      image.data[to + 3] = 255;
    }
    this.canvas.width = width;
    this.canvas.height = height;
    this.context.putImageData(image, 0, 0);
  }

  pixels() {
    return this.context.getImageData(0, 0, this.canvas.width, this.canvas.height).data;
  }

  destroy() {}
}

const VERTEX = `#version 300 es
void main() { gl_Position = vec4(vec2(gl_VertexID & 1, gl_VertexID >> 1) * 4.0 - 1.0, 0, 1); }`;

const fragment = (sampler) => `#version 300 es
precision highp float;
precision highp int;
uniform highp ${sampler} planes;
uniform highp usampler2D mask;
uniform int count, height;
uniform vec3 colors[${MOST_CHANNELS}], kinds[${MOST_CHANNELS}];
uniform vec2 windows[${MOST_CHANNELS}];
out vec4 pixel;
bool isNumber(float v) { return (floatBitsToUint(v) & 0x7fffffffu) <= 0x7f800000u; }
void main() {
  ivec2 at = ivec2(int(gl_FragCoord.x), height - 1 - int(gl_FragCoord.y));
  vec3 sum = vec3(0);
  for (int i = 0; i < count; i++) {
    float v = float(texelFetch(planes, ivec3(at, i), 0).r);
    float span = windows[i].y - windows[i].x;
    if (span != 0.0 && isNumber(v)) sum += colors[i] * clamp((v - windows[i].x) / span, 0.0, 1.0);
  }
  uint kind = texelFetch(mask, at, 0).r;
  if (kind > 0u) sum = kinds[kind - 1u];
  pixel = vec4(floor(255.0 * clamp(sum, 0.0, 1.0) + 0.5) / 255.0, 1);
}`;

function program(gl, sampler) {
  const made = gl.createProgram();
  for (const [kind, text] of [
    [gl.VERTEX_SHADER, VERTEX],
    [gl.FRAGMENT_SHADER, fragment(sampler)],
  ]) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, text);
    gl.compileShader(shader);
    gl.attachShader(made, shader);
  }
  gl.linkProgram(made);
  if (!gl.getProgramParameter(made, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(made));
  return made;
}

class GlRenderer {
  name = "webgl";

  constructor(canvas) {
    const options = { alpha: false, antialias: false, depth: false, preserveDrawingBuffer: true };
    this.gl = canvas.getContext("webgl2", options);
    if (!this.gl) throw new Error("no WebGL2 here");
    this.canvas = canvas;
    this.programs = {};
    this.held = [];
    this.form = "";
  }

  draw(width, height, layers, mask, kinds) {
    const { gl } = this;
    const type = layers[0]?.plane.data.constructor.name ?? "Uint8Array";
    this.#fit(width, height, Math.max(1, layers.length), type);
    layers.forEach(({ plane }, layer) => this.#upload(plane, layer));
    gl.activeTexture(gl.TEXTURE1);
    if (this.mask !== mask) {
      const bytes = mask ?? new Uint8Array(width * height);
      gl.texSubImage2D(
        gl.TEXTURE_2D,
        0,
        0,
        0,
        width,
        height,
        gl.RED_INTEGER,
        gl.UNSIGNED_BYTE,
        bytes,
      );
      this.mask = mask;
    }
    this.#uniforms(type === "Float32Array" ? "sampler2DArray" : "usampler2DArray", layers, kinds);
    gl.viewport(0, 0, width, height);
    gl.drawArrays(gl.TRIANGLES, 0, 3);
    if (gl.isContextLost() || gl.getError()) throw new Error("the graphics card refused");
  }

  /** Make textures of this form, unless the ones that are there will do. */
  #fit(width, height, layers, type) {
    const { gl } = this;
    const form = [width, height, type].join();
    if (this.form === form && layers <= this.room) return;
    if (Math.max(width, height) > gl.getParameter(gl.MAX_TEXTURE_SIZE))
      throw new Error("too large");
    const formats = {
      Uint8Array: [gl.R8UI, gl.RED_INTEGER, gl.UNSIGNED_BYTE],
      Uint16Array: [gl.R16UI, gl.RED_INTEGER, gl.UNSIGNED_SHORT],
      Float32Array: [gl.R32F, gl.RED, gl.FLOAT],
    };
    [this.inside, this.format, this.type] = formats[type];
    gl.deleteTexture(this.planes);
    gl.deleteTexture(this.edges);
    this.planes = this.#texture(gl.TEXTURE0, gl.TEXTURE_2D_ARRAY);
    gl.texStorage3D(gl.TEXTURE_2D_ARRAY, 1, this.inside, width, height, layers);
    this.edges = this.#texture(gl.TEXTURE1, gl.TEXTURE_2D);
    gl.texStorage2D(gl.TEXTURE_2D, 1, gl.R8UI, width, height);
    gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1);
    [this.form, this.room, this.held, this.mask] = [form, layers, [], undefined];
    this.canvas.width = width;
    this.canvas.height = height;
  }

  #texture(unit, target) {
    const { gl } = this;
    const texture = gl.createTexture();
    gl.activeTexture(unit);
    gl.bindTexture(target, texture);
    gl.texParameteri(target, gl.TEXTURE_MIN_FILTER, gl.NEAREST);
    gl.texParameteri(target, gl.TEXTURE_MAG_FILTER, gl.NEAREST);
    return texture;
  }

  #upload(plane, layer) {
    const { gl } = this;
    if (this.held[layer] === plane) return;
    const box = [0, 0, layer, plane.width, plane.height, 1];
    gl.activeTexture(gl.TEXTURE0);
    gl.texSubImage3D(gl.TEXTURE_2D_ARRAY, 0, ...box, this.format, this.type, plane.data);
    this.held[layer] = plane;
  }

  #uniforms(sampler, layers, kinds) {
    const { gl } = this;
    const used = (this.programs[sampler] ??= program(gl, sampler));
    const at = (name) => gl.getUniformLocation(used, name);
    gl.useProgram(used);
    gl.uniform1i(at("planes"), 0);
    gl.uniform1i(at("mask"), 1);
    gl.uniform1i(at("count"), layers.length);
    gl.uniform1i(at("height"), this.canvas.height);
    if (kinds.length) gl.uniform3fv(at("kinds"), kinds.flat());
    if (!layers.length) return;
    gl.uniform3fv(
      at("colors"),
      layers.flatMap(({ color }) => color),
    );
    gl.uniform2fv(
      at("windows"),
      layers.flatMap(({ low, high }) => [low, high]),
    );
  }

  pixels() {
    const { gl } = this;
    const { width, height } = this.canvas;
    const [flipped, data] = [
      new Uint8Array(4 * width * height),
      new Uint8ClampedArray(4 * width * height),
    ];
    gl.readPixels(0, 0, width, height, gl.RGBA, gl.UNSIGNED_BYTE, flipped);
    for (let y = 0; y < height; y++) {
      data.set(
        flipped.subarray(4 * width * (height - 1 - y), 4 * width * (height - y)),
        4 * width * y,
      );
    }
    return data;
  }

  destroy() {
    this.gl.getExtension("WEBGL_lose_context")?.loseContext();
  }
}

// --- the viewer --------------------------------------------------------------------------------

class Viewer {
  /** @param {HTMLElement} root @param {Options} options */
  constructor(root, options) {
    this.root = root;
    this.options = { labels: [], notes: [], renderer: "auto", ...options };
    this.sizes = { T: 1, C: 1, Z: 1, ...options.sizes };
    this.planes = new Planes(options.planes, options.cacheBytes ?? CACHE_BYTES);
    this.listeners = {};
    this.updates = [];
    this.state = {
      z: Math.floor(this.sizes.Z / 2),
      t: 0,
      projection: "none",
      outlines: [],
      channels: options.channels.map((channel) => ({ ...channel })),
    };
    this.#accept(options.state ?? {});
    this.#build();
    this.#renew();
    this.#sync();
    this.#load();
  }

  // What can be set, made true to what there is.
  #accept(patch) {
    const { state, sizes } = this;
    const index = (value, size, old) =>
      Number.isFinite(value) ? clamp(Math.round(value), 0, size - 1) : old;
    state.z = index(patch.z, sizes.Z, state.z);
    state.t = index(patch.t, sizes.T, state.t);
    if (patch.projection !== undefined) {
      state.projection = patch.projection === "max" && sizes.Z > 1 ? "max" : "none";
    }
    if (patch.outlines) {
      state.outlines = this.options.labels
        .map(({ name }) => name)
        .filter((name) => patch.outlines.includes(name));
    }
    (patch.channels ?? []).forEach((given, at) => this.#acceptChannel(state.channels[at], given));
  }

  #acceptChannel(channel, given) {
    if (!channel || !given) return;
    if (typeof given.on === "boolean") channel.on = given.on;
    if (/^#[0-9a-f]{6}$/i.test(given.color)) channel.color = given.color;
    for (const end of ["low", "high"]) if (Number.isFinite(given[end])) channel[end] = given[end];
    channel.min = Math.min(channel.min, channel.low, channel.high);
    channel.max = Math.max(channel.max, channel.low, channel.high);
  }

  /** Take what was wished by the caller (not `told`) or by the person at the controls. */
  change(patch, told = false) {
    this.#accept(patch);
    this.#sync();
    if (["z", "t", "projection", "outlines"].some((key) => key in patch) || this.#missing())
      this.#load();
    else this.#schedule();
    if (told) this.emit("change", this.copy());
  }

  copy() {
    return JSON.parse(JSON.stringify(this.state));
  }

  emit(name, value) {
    for (const listener of this.listeners[name] ?? []) listener(value);
  }

  // --- from wish to picture

  /** What must be asked for to show the state. */
  #requests(z = this.state.z) {
    const { projection, t, outlines } = this.state;
    const place = { z: projection === "max" ? "max" : z, t };
    return [
      ...this.#drawn().map((c) => ({ kind: "image", c, ...place })),
      ...outlines.map((name) => ({ kind: "labels", name, ...place })),
    ];
  }

  /** The numbers of the channels that are drawn. */
  #drawn() {
    const on = this.state.channels.flatMap((channel, c) => (channel.on ? [c] : []));
    return on.slice(0, MOST_CHANNELS);
  }

  #missing() {
    return this.#requests().some((request) => !this.shown?.planes.has(JSON.stringify(request)));
  }

  // One turn at a time, then the newest wish: an answer never comes to be drawn over a newer one,
  // and a slider that moves faster than planes arrive still shows some on its way.
  async #load() {
    this.again = true;
    if (this.loading) return;
    this.loading = true;
    this.root.dataset.busy = "true";
    while (this.again && !this.gone) {
      this.again = false;
      await this.#turn().catch((error) => this.#say([String(error.message ?? error)]));
    }
    this.loading = false;
    if (this.gone) return;
    delete this.root.dataset.busy;
    this.#ahead();
  }

  async #turn() {
    const { z, t, projection } = this.state;
    const place = { z: projection === "max" ? "max" : z, t };
    const requests = this.#requests();
    const got = await Promise.allSettled(requests.map((request) => this.planes.get(request)));
    if (this.gone) return;
    const planes = new Map();
    const failures = new Map();
    const form = ({ width, height }) => `${width} × ${height}`;
    const first = got.find(({ value }) => value)?.value;
    got.forEach(({ value, reason }, at) => {
      const fits = value && form(value) === form(first);
      const why = value ? `${form(value)} pixels, not ${form(first)}` : (reason?.message ?? reason);
      if (!fits) failures.set(why, [...(failures.get(why) ?? []), this.#nameOf(requests[at])]);
      // What failed is not asked for again until something else is to be seen.
      planes.set(JSON.stringify(requests[at]), fits ? value : null);
    });
    // Blame for what is no longer wished is left out.
    if (this.again && failures.size) return;
    this.shown = { place, planes };
    const where = place.z === "max" ? "all Z" : `Z ${place.z}`;
    this.#say([...failures].map(([why, names]) => `${names.join(", ")}, ${where}: ${why}`));
    this.draw();
    this.#sync();
    this.emit("drawn", { z, t, projection });
  }

  #nameOf({ name, c }) {
    return visible(name ?? this.state.channels[c].name);
  }

  /** Ask for the neighbours of the slice, while there is nothing else to do. */
  async #ahead() {
    const { z, projection } = this.state;
    if (projection === "max") return;
    const next = this.last > z ? [z - 1, z + 1] : [z + 1, z - 1];
    this.last = z;
    const wishes = next
      .filter((at) => at >= 0 && at < this.sizes.Z)
      .flatMap((at) => this.#requests(at));
    const planes = [...this.shown.planes.values()].filter(Boolean);
    const bytes = planes.reduce((sum, { data }) => sum + data.byteLength, 0);
    if (4 * bytes > this.planes.limit) return;
    for (const request of wishes) {
      if (this.loading || this.gone) return;
      await this.planes.get(request).catch(() => {});
    }
  }

  #schedule() {
    this.frame ??= requestAnimationFrame(() => this.draw());
  }

  /** The plane of a channel or of labels that is shown; nothing where it is not there. */
  #plane(what) {
    return this.shown?.planes.get(JSON.stringify({ ...what, ...this.shown.place }));
  }

  draw() {
    cancelAnimationFrame(this.frame);
    this.frame = undefined;
    if (!this.shown || this.gone) return;
    const { layers, marks } = this.#layers();
    const first = (layers[0] ?? marks[0])?.plane;
    const [width, height] = first
      ? [first.width, first.height]
      : [this.canvas.width, this.canvas.height];
    const mask = this.#mask(marks, width, height);
    const kinds = this.options.labels.slice(0, MOST_CHANNELS).map(({ color }) => rgbOf(color));
    try {
      this.renderer.draw(width, height, layers, mask, kinds);
    } catch (error) {
      if (this.renderer.name === "cpu") throw error;
      this.#renew("cpu");
      this.renderer.draw(width, height, layers, mask, kinds);
    }
    this.root.dataset.ready = "true";
    this.root.dataset.z = this.shown.place.z;
    this.#place();
  }

  /** What is drawn: channels with their planes, and labels with theirs. */
  #layers() {
    const layers = this.#drawn().flatMap((c) => {
      const { color, low, high } = this.state.channels[c];
      const plane = this.#plane({ kind: "image", c });
      return plane ? [{ plane, color: rgbOf(color), low, high }] : [];
    });
    const marks = this.options.labels.slice(0, MOST_CHANNELS).flatMap(({ name }, kind) => {
      const plane = this.#plane({ kind: "labels", name });
      return plane && this.state.outlines.includes(name) ? [{ plane, kind }] : [];
    });
    return { layers, marks };
  }

  #mask(marks, width, height) {
    if (!marks.length) return null;
    const same =
      this.marks?.length === marks.length && this.marks.every((m, i) => m.plane === marks[i].plane);
    if (!same) {
      this.mask = new Uint8Array(width * height);
      for (const { plane, kind } of marks) {
        boundaryOf(plane).forEach((edge, at) => edge && (this.mask[at] = kind + 1));
      }
      this.marks = marks;
    }
    return this.mask;
  }

  pixels() {
    this.draw();
    return { width: this.canvas.width, height: this.canvas.height, data: this.renderer.pixels() };
  }

  /** Put a canvas on the stage, and what draws on it. */
  #renew(kind = this.options.renderer) {
    const focused = this.shadow.activeElement === this.canvas;
    const canvas = () =>
      h("canvas", {
        tabIndex: 0,
        role: "img",
        "aria-describedby": "keys",
        "aria-label": this.#title(),
      });
    let made = canvas();
    try {
      if (kind === "cpu") throw new Error("not wished");
      this.renderer = new GlRenderer(made);
      made.addEventListener("webglcontextlost", () => {
        if (this.gone || this.canvas !== made) return;
        this.#renew("cpu");
        this.draw();
      });
    } catch {
      made = canvas();
      this.renderer = new CpuRenderer(made);
    }
    this.canvas ? this.canvas.replaceWith(made) : this.stage.prepend(made);
    this.canvas = made;
    this.root.dataset.renderer = this.renderer.name;
    if (focused) made.focus();
    this.#place();
  }

  destroy() {
    this.gone = true;
    cancelAnimationFrame(this.frame);
    this.watcher.disconnect();
    this.renderer.destroy();
    this.shadow.replaceChildren();
    for (const key of ["ready", "busy", "z", "renderer"]) delete this.root.dataset[key];
  }

  // --- what is on the page

  #title() {
    return `${this.options.title ?? "Image"}: arrow keys move through Z`;
  }

  #build() {
    this.shadow = this.root.shadowRoot ?? this.root.attachShadow({ mode: "open" });
    this.shadow.adoptedStyleSheets = [SHEET()];
    this.root.dataset.lmSuppressShortcuts = "true";
    // Jupyter's dark themes do not tell the browser that they are dark.
    const theme = document.querySelector("[data-jp-theme-light]");
    if (theme)
      this.root.style.colorScheme = theme.dataset.jpThemeLight === "false" ? "dark" : "light";
    this.bar = h("div", { className: "bar", hidden: true });
    this.stage = h(
      "div",
      { className: "stage" },
      this.bar,
      h("div", { className: "wait" }, "Loading…"),
    );
    this.stage.style.aspectRatio = `${this.sizes.X} / ${this.sizes.Y}`;
    this.status = h("p", { className: "said", role: "status" });
    this.probe = h("p", { className: "probe" }, "\u00a0");
    this.failure = h("p", { className: "failure", role: "alert", hidden: true });
    this.notice = h("p", { className: "notice", hidden: true });
    const keys = h("details", {}, h("summary", {}, "Keys"), h("p", { id: "keys" }, HELP));
    const picture = h("div", { className: "picture" });
    picture.append(
      this.stage,
      ...this.#axes(),
      this.status,
      this.probe,
      this.failure,
      this.notice,
      keys,
    );
    const named = { className: "frame", role: "group", "aria-label": this.options.title ?? "Image" };
    this.shadow.replaceChildren(h("div", named, picture, this.#panel()));
    this.#listen();
  }

  #axes() {
    const { state, sizes } = this;
    const slider = (axis, name) => {
      const key = axis.toLowerCase();
      const input = h("input", { type: "range", min: 0, max: sizes[axis] - 1, step: 1 });
      input.setAttribute("aria-label", name);
      input.addEventListener("input", () => this.change({ [key]: input.valueAsNumber }, true));
      const value = h("span", { className: "value" });
      this.updates.push(() => {
        input.value = state[key];
        input.disabled = axis === "Z" && state.projection === "max";
        input.setAttribute("aria-valuetext", `${name} ${state[key]}, ${sizes[axis]} in all`);
        value.textContent = `${state[key]} / ${sizes[axis] - 1}`;
      });
      return h("label", { className: "axis" }, h("span", {}, axis), input, value);
    };
    const rows = [];
    if (sizes.Z > 1) rows.push(slider("Z", "Z slice"));
    if (sizes.T > 1) rows.push(slider("T", "Time point"));
    return [...rows, this.#tools()];
  }

  #tools() {
    const button = (text, label, act) =>
      h("button", { type: "button", title: label, "aria-label": label, onclick: act }, text);
    const tools = h("div", { className: "tools" });
    if (this.sizes.Z > 1) {
      const most = h("input", { type: "checkbox" });
      most.addEventListener("change", () =>
        this.change({ projection: most.checked ? "max" : "none" }, true),
      );
      this.updates.push(() => (most.checked = this.state.projection === "max"));
      tools.append(h("label", {}, most, "max over Z"));
    }
    for (const { name, color } of this.options.labels) tools.append(this.#outlineBox(name, color));
    tools.append(
      button("−", "Zoom out", () => this.#zoomBy(1 / 1.5)),
      button("+", "Zoom in", () => this.#zoomBy(1.5)),
      button("Fit", "Fit the picture in its frame", () => this.#fit()),
    );
    return tools;
  }

  #outlineBox(name, color) {
    const box = h("input", { type: "checkbox", "aria-label": `Outlines of ${name}` });
    const swatch = h("span", { className: "swatch" });
    swatch.style.backgroundColor = color;
    box.addEventListener("change", () => {
      const others = this.state.outlines.filter((other) => other !== name);
      this.change({ outlines: box.checked ? [...others, name] : others }, true);
    });
    this.updates.push(() => (box.checked = this.state.outlines.includes(name)));
    return h("label", {}, box, swatch, name);
  }

  #panel() {
    const panel = h("div", { className: "panel", role: "group", "aria-label": "Channels" });
    panel.append(...this.state.channels.map((channel, c) => this.#channel(channel, c)));
    return panel;
  }

  #channel(channel, c) {
    const set = (patch) => this.change({ channels: Object.assign([], { [c]: patch }) }, true);
    const on = h("input", { type: "checkbox", onchange: () => set({ on: on.checked }) });
    const color = h("input", { type: "color", "aria-label": `${channel.name}: colour` });
    color.addEventListener("input", () => set({ color: color.value }));
    const auto = h(
      "button",
      { type: "button", "aria-label": `${channel.name}: Auto limits, from this picture` },
      "Auto",
    );
    auto.addEventListener("click", () => {
      const plane = this.#plane({ kind: "image", c });
      const [low, high] = plane ? autoLimits(plane) : [];
      if (plane) set({ low, high });
    });
    this.updates.push(() => {
      on.checked = channel.on;
      color.value = channel.color;
    });
    const head = h(
      "div",
      { className: "head" },
      h("label", {}, on, h("span", {}, channel.name)),
      color,
      auto,
    );
    return h(
      "div",
      { className: "channel" },
      head,
      this.#histogram(channel, c),
      ...this.#limits(channel, set),
    );
  }

  #histogram(channel, c) {
    const space = "http://www.w3.org/2000/svg";
    const svg = document.createElementNS(space, "svg");
    const path = document.createElementNS(space, "path");
    svg.setAttribute("viewBox", `0 0 ${BINS} 20`);
    svg.setAttribute("preserveAspectRatio", "none");
    svg.setAttribute("aria-hidden", "true");
    svg.append(path);
    let drawn = null;
    this.updates.push(() => {
      const plane = this.#plane({ kind: "image", c });
      if (!plane || drawn === plane) return;
      const values = sampleOf(plane);
      channel.min = Math.min(channel.min, values[0] ?? channel.min);
      channel.max = Math.max(channel.max, values[values.length - 1] ?? channel.max);
      path.setAttribute("d", histogramPath(plane, channel.min, channel.max));
      drawn = plane;
    });
    return svg;
  }

  /** Two sliders over each other and two numbers: the black point and the white point. */
  #limits(channel, set) {
    const whole = this.options.dtype !== "float32";
    const ends = [
      ["low", "black point"],
      ["high", "white point"],
    ];
    const make =
      (type) =>
      ([end, words]) => {
        const input = h("input", { type, "aria-label": `${channel.name}: ${words}` });
        input.addEventListener(type === "range" ? "input" : "change", () =>
          set(this.#apart(channel, end, input)),
        );
        this.updates.push(() => {
          input.step =
            type === "number" ? "any" : whole ? 1 : (channel.max - channel.min) / 1000 || 1;
          if (type === "range") Object.assign(input, { min: channel.min, max: channel.max });
          input.value = type === "range" ? channel[end] : short(channel[end]);
        });
        return input;
      };
    const numbers = h("div", { className: "numbers" }, ...ends.map(make("number")));
    return [h("div", { className: "ends" }, ...ends.map(make("range"))), numbers];
  }

  /** A new end of the window; it pushes the other one along rather than pass it. */
  #apart(channel, end, input) {
    const value = input.valueAsNumber;
    if (!Number.isFinite(value)) {
      this.#sync();
      return {};
    }
    return end === "low"
      ? { low: value, high: Math.max(value, channel.high) }
      : { low: Math.min(value, channel.low), high: value };
  }

  #sync() {
    for (const update of this.updates) update();
    const { state, sizes } = this;
    const said = [];
    if (sizes.Z > 1)
      said.push(state.projection === "max" ? "max over Z" : `Z ${state.z} of ${sizes.Z}`);
    if (sizes.T > 1) said.push(`T ${state.t} of ${sizes.T}`);
    if (this.status.textContent !== said.join(", ")) this.status.textContent = said.join(", ");
    const on = state.channels.filter((channel) => channel.on).length;
    const notes = [...this.options.notes];
    if (on > MOST_CHANNELS)
      notes.push(`${on} channels are on; the first ${MOST_CHANNELS} of them are drawn.`);
    this.notice.hidden = !notes.length;
    this.notice.textContent = notes.join(" ");
  }

  #say(failures) {
    this.failure.hidden = !failures.length;
    this.failure.textContent = failures.join("\n");
    if (failures.length) this.emit("error", failures);
  }

  // --- zoom and pan: the canvas has a pixel a pixel, the page makes it larger or smaller

  #place() {
    const { X, Y } = this.sizes;
    const [width, height] = [this.stage.clientWidth, this.stage.clientHeight];
    if (!this.canvas || !width) return;
    this.least = Math.min(width / X, height / Y);
    if (!this.zoomed) {
      this.zoom = this.least;
      this.at = { x: (width - X * this.zoom) / 2, y: (height - Y * this.zoom) / 2 };
    }
    const { style } = this.canvas;
    style.width = `${X * this.zoom}px`;
    style.height = `${Y * this.zoom}px`;
    style.transform = `translate(${this.at.x}px, ${this.at.y}px)`;
    style.imageRendering = this.zoom * devicePixelRatio >= 2 ? "pixelated" : "auto";
    this.#scaleBar(width);
  }

  #scaleBar(width) {
    const size = this.options.pixelSize?.X;
    this.bar.hidden = !(size > 0);
    if (this.bar.hidden) return;
    const length = roundLength((width * 0.25 * size) / this.zoom);
    const text =
      length >= 1000
        ? `${length / 1000} mm`
        : length >= 1
          ? `${length} µm`
          : `${short(length * 1000)} nm`;
    this.bar.style.width = `${(length / size) * this.zoom}px`;
    this.bar.textContent = text;
  }

  #fit() {
    this.zoomed = false;
    this.#place();
  }

  /** Make larger or smaller around a point of the stage; its middle, if none is given. */
  #zoomBy(factor, x = this.stage.clientWidth / 2, y = this.stage.clientHeight / 2) {
    const zoom = clamp(this.zoom * factor, this.least, Math.max(40, this.least));
    const scale = zoom / this.zoom;
    this.zoomed = zoom > this.least;
    this.at = { x: x - (x - this.at.x) * scale, y: y - (y - this.at.y) * scale };
    this.zoom = zoom;
    this.#place();
  }

  // --- mouse and keys

  #listen() {
    const { stage } = this;
    // Jupyter acts on keys that bubble up to the page: what is typed here stays here.
    for (const name of ["keydown", "keyup", "keypress"]) {
      this.shadow.addEventListener(name, (event) => {
        const passes =
          event.ctrlKey ||
          event.metaKey ||
          event.altKey ||
          (event.shiftKey && event.key === "Enter");
        if (passes) return;
        event.stopPropagation();
        if (name === "keydown") this.#key(event);
      });
    }
    stage.addEventListener(
      "wheel",
      (event) => {
        // Who scrolls past the picture goes on scrolling.
        if (!event.ctrlKey && this.shadow.activeElement !== this.canvas) return;
        event.preventDefault();
        this.#zoomBy(1.0015 ** -event.deltaY, ...this.#point(event));
      },
      { passive: false },
    );
    stage.addEventListener("pointerdown", (event) => {
      this.canvas.focus({ preventScroll: true });
      stage.setPointerCapture(event.pointerId);
      event.preventDefault();
    });
    stage.addEventListener("pointermove", (event) => this.#moved(event));
    stage.addEventListener("dblclick", () => this.#fit());
    stage.addEventListener("pointerleave", () => (this.probe.textContent = "\u00a0"));
    this.watcher = new ResizeObserver(() => this.#place());
    this.watcher.observe(stage);
  }

  #point(event) {
    const box = this.stage.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  #moved(event) {
    if (event.buttons & 1) {
      this.zoomed = true;
      this.at = { x: this.at.x + event.movementX, y: this.at.y + event.movementY };
      this.#place();
    }
    const [x, y] = this.#point(event).map((at, i) => (at - [this.at.x, this.at.y][i]) / this.zoom);
    const inside = x >= 0 && y >= 0 && x < this.sizes.X && y < this.sizes.Y;
    this.probe.textContent = inside ? this.#valuesAt(Math.floor(x), Math.floor(y)) : "\u00a0";
  }

  /** What the pixel under the pointer holds, channel by channel. */
  #valuesAt(x, y) {
    const values = this.#drawn().flatMap((c) => {
      const plane = this.#plane({ kind: "image", c });
      if (!plane) return [];
      const row = Math.floor((y * plane.height) / this.sizes.Y);
      const value = plane.data[row * plane.width + Math.floor((x * plane.width) / this.sizes.X)];
      return [`${visible(this.state.channels[c].name)} ${short(value)}`];
    });
    return [`X ${x}, Y ${y}`, ...values].join(" · ");
  }

  #key(event) {
    if (event.target.matches("input:not([type=checkbox])")) return;
    const { state, sizes } = this;
    const z = (at) => this.change({ z: at, projection: "none" }, true);
    const acts = {
      ArrowRight: () => z(state.z + 1),
      ArrowUp: () => z(state.z + 1),
      ArrowLeft: () => z(state.z - 1),
      ArrowDown: () => z(state.z - 1),
      PageUp: () => z(state.z + 5),
      PageDown: () => z(state.z - 5),
      Home: () => z(0),
      End: () => z(sizes.Z - 1),
      ",": () => this.change({ t: state.t - 1 }, true),
      ".": () => this.change({ t: state.t + 1 }, true),
      m: () => this.change({ projection: state.projection === "max" ? "none" : "max" }, true),
      0: () => this.#fit(),
      f: () => this.#fit(),
      "+": () => this.#zoomBy(1.5),
      "=": () => this.#zoomBy(1.5),
      "-": () => this.#zoomBy(1 / 1.5),
    };
    const channel = /^[1-9]$/.test(event.key) ? state.channels[event.key - 1] : null;
    if (channel) {
      this.change({ channels: Object.assign([], { [event.key - 1]: { on: !channel.on } }) }, true);
    } else if (!Object.hasOwn(acts, event.key)) return;
    else acts[event.key]();
    event.preventDefault();
  }
}

// --- how it looks ------------------------------------------------------------------------------

const HELP =
  "Arrows, Page Up/Down, Home, End move through Z; comma and full stop through T; 1–9 channels; " +
  "m max over Z; + and − zoom, 0 fits. Click, then turn the wheel to zoom; drag to move.";

let sheet;
const SHEET = () => {
  if (!sheet) {
    sheet = new CSSStyleSheet();
    sheet.replaceSync(STYLE);
  }
  return sheet;
};

const STYLE = `
:host { display: block; --text: var(--jp-ui-font-color1, light-dark(#17262b, #dfe8ea));
  --quiet: var(--jp-ui-font-color2, light-dark(#50646b, #9db0b7));
  --line: var(--jp-border-color1, light-dark(#c3cfcf, #3a4a53));
  --raised: var(--jp-layout-color2, light-dark(#eef3f3, #1d2930));
  --accent: light-dark(#0b6b78, #5fc9d0); --bad: light-dark(#a3341f, #ff9d86);
  color: var(--text); font: 13px/1.5 var(--jp-ui-font-family, system-ui, sans-serif); }
[hidden] { display: none !important; }
* { box-sizing: border-box; accent-color: var(--accent); }
.frame { display: flex; flex-wrap: wrap; gap: 12px; max-width: 1100px; padding: 4px; }
.picture { flex: 3 1 340px; min-width: 0; max-width: 100%; }
.panel { flex: 1 1 220px; min-width: 0; max-height: 640px; overflow-y: auto; padding: 3px; }
.stage { position: relative; overflow: hidden; background: #000; width: 100%; max-height: 560px;
  min-height: 160px; cursor: grab; border-radius: 3px; }
.stage:active { cursor: grabbing; }
.stage:focus-within { outline: 3px solid var(--accent); outline-offset: 1px; }
canvas { position: absolute; left: 0; top: 0; transform-origin: 0 0; outline: none; max-width: none; }
.bar { position: absolute; right: 10px; bottom: 8px; border-bottom: 3px solid #fff; color: #fff;
  font-size: 12px; line-height: 18px; text-align: center; white-space: nowrap; pointer-events: none;
  filter: drop-shadow(0 0 2px #000) drop-shadow(0 0 2px #000); }
.wait { position: absolute; left: 10px; top: 8px; color: #fff; opacity: 0; pointer-events: none;
  text-shadow: 0 0 3px #000, 0 0 3px #000; }
:host([data-busy]) .wait { opacity: 1; transition: opacity 0s .4s; }
.axis { display: flex; align-items: center; gap: 8px; min-height: 28px; }
.axis input { flex: 1; min-width: 0; }
.axis .value { min-width: 5.5em; text-align: right; font-variant-numeric: tabular-nums; }
.tools { display: flex; flex-wrap: wrap; align-items: center; gap: 4px 14px; margin: 4px 0; }
.tools label, .head label { display: inline-flex; align-items: center; gap: 6px; min-height: 24px; }
.head label { flex: 1; min-width: 0; }
.head label span { overflow-wrap: anywhere; }
button { font: inherit; color: var(--text); background: var(--raised); border: 1px solid var(--line);
  border-radius: 4px; min-width: 28px; min-height: 26px; padding: 0 8px; cursor: pointer; }
button:focus-visible, input:focus-visible { outline: 3px solid var(--accent); outline-offset: 1px; }
input[type=checkbox] { width: 16px; height: 16px; margin: 0; flex: none; }
.swatch { width: 12px; height: 12px; border-radius: 2px; border: 1px solid var(--line); }
p { margin: 2px 0; overflow-wrap: anywhere; }
.said { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
.probe { font-variant-numeric: tabular-nums; }
.probe, details { color: var(--quiet); font-size: 12px; }
summary { cursor: pointer; min-height: 24px; }
.failure { color: var(--bad); white-space: pre-line; }
.notice { border-left: 3px solid var(--accent); padding-left: 8px; }
.channel { border-top: 1px solid var(--line); padding: 6px 0 8px; }
.channel:first-child { border-top: 0; }
.head { display: flex; align-items: center; gap: 8px; }
input[type=color] { width: 32px; height: 26px; padding: 1px; border: 1px solid var(--line);
  border-radius: 4px; background: var(--raised); cursor: pointer; flex: none; }
svg { display: block; width: 100%; height: 26px; margin-top: 4px; }
path { fill: var(--quiet); opacity: .7; }
.ends { position: relative; height: 24px; }
.ends::before { content: ""; position: absolute; inset: 10px 0; background: var(--line); border-radius: 2px; }
.ends input { position: absolute; inset: 0; width: 100%; height: 24px; margin: 0; background: none;
  appearance: none; pointer-events: none; }
.ends input::-webkit-slider-runnable-track { background: none; }
.ends input::-moz-range-track { background: none; }
.ends input::-webkit-slider-thumb { appearance: none; pointer-events: auto; width: 14px; height: 24px;
  border: 2px solid #fff; border-radius: 4px; background: var(--accent); cursor: ew-resize; }
.ends input::-moz-range-thumb { pointer-events: auto; width: 10px; height: 20px;
  border: 2px solid #fff; border-radius: 4px; background: var(--accent); cursor: ew-resize; }
.numbers { display: flex; justify-content: space-between; gap: 8px; }
.numbers input { font: inherit; color: var(--text); background: var(--raised); width: 7em; min-height: 26px;
  border: 1px solid var(--line); border-radius: 4px; padding: 0 4px; }
`;

/**
 * Show an image in an element of the page.
 *
 * @param {HTMLElement} root  An empty element; its attributes data-ready, data-z and data-renderer
 *   tell what is shown.
 * @param {Options} options
 * @returns A handle: `state`; `set(patch)`; `on("change" | "drawn" | "error", listener)`, which
 *   returns what ends it ("change" is what a person did, never what `set` did); `redraw()`;
 *   `pixels()`, the RGBA bytes that are shown; `destroy()`.
 */
export function view(root, options) {
  const viewer = new Viewer(root, options);
  return {
    get state() {
      return viewer.copy();
    },
    set: (patch) => viewer.change(patch),
    on: (name, listener) => {
      const listeners = (viewer.listeners[name] ??= new Set());
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    redraw: () => viewer.draw(),
    pixels: () => viewer.pixels(),
    destroy: () => viewer.destroy(),
  };
}
