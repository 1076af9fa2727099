"use strict";

// Pieces of data, loaded by script tags: a page opened from a file may not fetch.

const pieces = {
  held: new Map(),
  waiting: new Map(),

  // A promise of the data of one piece; each is loaded once.
  load(kind, number) {
    const name = `${kind}-${number}`;
    if (!this.held.has(name)) {
      this.held.set(name, new Promise((resolve, reject) => {
        this.waiting.set(name, resolve);
        const script = document.createElement("script");
        script.src = `data/${name}.js`;
        script.onerror = () => {
          this.held.delete(name);
          reject(new Error(`data/${name}.js is missing; build the report again`));
        };
        script.onload = () => script.remove();
        document.head.append(script);
      }));
    }
    return this.held.get(name);
  },
};

// What every piece calls when it has arrived.
function piece(kind, number, data) {
  pieces.waiting.get(`${kind}-${number}`)(data);
}
