// What this browser keeps for the labeler. Where storage is switched off or full, memory does until the page is left.
const memory = new Map();

const disk = () => {
  try {
    return window.localStorage;
  } catch {
    return null;
  }
};

export const read = (key) => {
  const text = memory.get(key) ?? disk()?.getItem(key);
  try {
    return text ? JSON.parse(text) : null;
  } catch {
    return null; // not ours, or cut short
  }
};

export const write = (key, value) => {
  const text = JSON.stringify(value);
  try {
    disk().setItem(key, text);
    memory.delete(key);
  } catch {
    memory.set(key, text);
  }
};

export const remove = (key) => {
  memory.delete(key);
  disk()?.removeItem(key);
};

/** The keys that begin so, in order. */
export const keysOf = (prefix) =>
  [...Object.keys(disk() ?? {}), ...memory.keys()].filter((key) => key.startsWith(prefix)).sort();
