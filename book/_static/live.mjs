// Runs a live cell's program in a thread of its own, so that the page stays alive and the reader can stop it.
import { loadPyodide } from "./pyodide/pyodide.mjs";

const ready = (async () => {
  const [python, library] = await Promise.all([
    loadPyodide(),
    fetch(new URL("./pyodide/mae_lib.zip", import.meta.url)).then((answer) => answer.arrayBuffer()),
  ]);
  python.unpackArchive(library, "zip", { extractDir: "/library" });
  python.runPython("import sys; sys.path.insert(0, '/library')");
  return python.pyimport("maebook.explorer.live");
})();
ready.catch((error) => postMessage({ failed: String(error) }));

onmessage = async ({ data }) => postMessage({ html: (await ready).run(data) });
