/** A random number evenly between two, as Python's random.uniform. */
export const uniform = (low, high) => low + (high - low) * Math.random();
