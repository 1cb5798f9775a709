// --- the widget: planes come over the kernel's comm, the state is that of the model's traits

const TRAITS = ["z", "t", "projection", "channels", "outlines"];

/** Ask the kernel for planes; what it cannot give, it says why. */
function asker(model) {
  const waiting = new Map();
  const view = Math.random().toString(36).slice(2);
  const answered = (answer, buffers) => {
    const { resolve, reject } = waiting.get(answer.id) ?? {};
    if (!waiting.delete(answer.id)) return;
    if (answer.error) reject(new Error(answer.error));
    else resolve(decode(buffers[0], answer));
  };
  model.on("msg:custom", answered);
  return {
    planes: (request) =>
      new Promise((resolve, reject) => {
        const id = `${view}-${waiting.size}-${performance.now()}`;
        waiting.set(id, { resolve, reject });
        model.send({ id, request });
      }),
    end: () => model.off("msg:custom", answered),
  };
}

export default {
  render({ model, el }) {
    const root = document.createElement("div");
    root.className = "cellbank-viewer";
    el.append(root);
    const { planes, end } = asker(model);
    const state = Object.fromEntries(TRAITS.map((name) => [name, model.get(name)]));
    const viewer = view(root, { ...model.get("options"), planes, state });
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
    };
  },
};
