// JSON that keeps numbers as they are written: 1.50 stays 1.50, and an id of 20 digits keeps them all.

/** A number that would be another one, or spelt differently, as a JavaScript number. */
export class ExactNumber {
  constructor(text) {
    this.text = text;
  }

  toJSON() {
    // Newer than the types of JavaScript.
    return /** @type {any} */ (JSON).rawJSON ? /** @type {any} */ (JSON).rawJSON(this.text) : Number(this.text);
  }
}

/**
 * `JSON.parse`, with an `ExactNumber` wherever a number would change. What is nested more deeply than this browser can
 * go keeps its numbers as JavaScript has them.
 */
export function parse(text) {
  const exactly = (_, value, context) => {
    const source = context?.source;
    return typeof value === "number" && source !== undefined && source !== String(value)
      ? new ExactNumber(source)
      : value;
  };
  return unlessTooDeep(
    () => JSON.parse(text, exactly),
    () => JSON.parse(text),
  );
}

/** `JSON.stringify`, on several lines unless `space` is 0. */
export function write(value, space = 2) {
  return unlessTooDeep(
    () => JSON.stringify(value, null, space),
    () => "nested too deeply to be written here: the frame has it",
  );
}

function unlessTooDeep(attempt, otherwise) {
  try {
    return attempt();
  } catch (error) {
    if (error instanceof RangeError) return otherwise();
    throw error;
  }
}

export function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof ExactNumber);
}
