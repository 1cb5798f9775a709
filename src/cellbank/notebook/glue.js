// --- the widget: planes come over the kernel's comm, the state is that of the model's traits

const TRAITS = ["z", "t", "projection", "channels", "outlines"];

// Jupyter marks the place of a widget so when no kernel is behind it.
const DISCONNECTED = "jupyter-widgets-disconnected";
const GONE = "the kernel does not have this image any more: run the cell again";

/** Ask the kernel for planes; what it cannot give, it says why. */
function asker(model, el) {
  const waiting = new Map();
  const view = Math.random().toString(36).slice(2);
  let count = 0;
  const answered = (answer, buffers) => {
    const { resolve, reject, nudge } = waiting.get(answer.id) ?? {};
    if (!waiting.delete(answer.id)) return;
    clearInterval(nudge);
    if (answer.error) reject(new Error(answer.error));
    else resolve(decode(buffers[0], answer));
  };
  // A kernel answers one message after the other. When it is idle after one that came later, what
  // has no answer will have none: it is not the kernel any more that made this widget.
  const send = (content, id) => {
    const status = ({ content }) => {
      if (content.execution_state === "idle") setTimeout(answered, 1000, { id, error: GONE });
    };
    try {
      model.send(content, { iopub: { status } });
    } catch {
      answered({ id, error: GONE });
    }
  };
  const planes = (request) =>
    new Promise((resolve, reject) => {
      if (el.classList.contains(DISCONNECTED)) throw new Error(GONE);
      const id = `${view}-${count++}`;
      // What was on its way when a kernel died is lost without a word.
      const nudge = setInterval(send, 5000, {}, id);
      waiting.set(id, { resolve, reject, nudge });
      send({ id, request }, id);
    });
  const left = () => {
    if (!el.classList.contains(DISCONNECTED)) return;
    for (const id of waiting.keys()) answered({ id, error: GONE });
  };
  model.on("msg:custom", answered);
  model.on("comm_live_update", left);
  const end = () => {
    model.off("msg:custom", answered);
    model.off("comm_live_update", left);
    for (const { nudge } of waiting.values()) clearInterval(nudge);
  };
  return { planes, end };
}

/** Hide the still picture that stands beside the widget; returns what shows it again. */
function hidden(still) {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(`[data-cellbank-still="${CSS.escape(still)}"] { display: none !important; }`);
  document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
  return () => {
    document.adoptedStyleSheets = document.adoptedStyleSheets.filter((one) => one !== sheet);
  };
}

export default {
  render({ model, el }) {
    // A page made of a saved notebook: the still picture is all that it has.
    if (el.classList.contains(DISCONNECTED)) return;
    const root = document.createElement("div");
    root.className = "cellbank-viewer";
    el.append(root);
    const { planes, end } = asker(model, el);
    const state = Object.fromEntries(TRAITS.map((name) => [name, model.get(name)]));
    const { still, ...options } = model.get("options");
    const viewer = view(root, { ...options, planes, state });
    // Until there is something to see, the still picture is seen.
    root.style.display = "none";
    let shown;
    const show = () => {
      root.style.display = "";
      shown ??= hidden(still);
    };
    viewer.on("drawn", show);
    viewer.on("error", () => (root.style.display = ""));
    let ours = false;
    viewer.on("change", (changed) => {
      ours = true;
      for (const name of TRAITS) model.set(name, changed[name]);
      ours = false;
      model.save_changes();
    });
    const heard = TRAITS.map((name) => [
      `change:${name}`,
      () => ours || viewer.set({ [name]: model.get(name) }),
    ]);
    for (const [event, act] of heard) model.on(event, act);
    return () => {
      for (const [event, act] of heard) model.off(event, act);
      end();
      viewer.destroy();
      shown?.();
    };
  },
};
